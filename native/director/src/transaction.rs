//! A change of the configuration, from commands to workers, all of it or nothing.
//!
//! What the director takes from the host is extended before the engines know a new service, and
//! reduced after they have forgotten an old one: at no moment does the host's own stack answer for
//! a service that is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::command::Command;
use engine::configuration::Configuration;
use engine::snapshot::Version;

use crate::error::ApplyError;
use crate::exposure::{self, Exposed, Exposure};

/// What a change acts on.
pub(crate) trait Outside {
    /// A held name; dropping it gives the name back.
    type Claim;

    /// Makes sure nobody else serves this.
    fn claim(&mut self, exposed: &Exposed) -> Result<Self::Claim, ApplyError>;

    /// Keeps exactly this from the host, and lets exactly this to the workers. On an error it may
    /// be left half done: it is called again with what was there before.
    fn expose(&mut self, exposure: &Exposure) -> Result<(), ApplyError>;

    /// Lets all workers use `configuration` and waits until they do.
    fn switch(&mut self, configuration: &Arc<Configuration>) -> Result<(), ApplyError>;

    /// Takes in how giving back what is no longer served went; it is tried again after a failure.
    fn reduced(&mut self, outcome: Result<(), &ApplyError>);

    /// Tells that something went wrong that the change survives.
    fn report(&mut self, error: &ApplyError);
}

/// The configuration in force, and what was done to the outside for it.
#[derive(Debug)]
pub(crate) struct InForce<O: Outside> {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) outside: O,
    exposure: Exposure,
    /// Whether more is exposed than the configuration needs, because taking it back failed.
    exceeds: bool,
    claims: BTreeMap<Exposed, O::Claim>,
}

impl<O: Outside> InForce<O> {
    /// The empty configuration, with nothing exposed.
    pub(crate) fn new(outside: O) -> Self {
        Self {
            configuration: Arc::default(),
            outside,
            exposure: Exposure::default(),
            exceeds: false,
            claims: BTreeMap::new(),
        }
    }

    /// The outside, what it was last told to expose, and what is claimed for that.
    pub(crate) const fn parts(&mut self) -> (&mut O, &Exposure, &mut BTreeMap<Exposed, O::Claim>) {
        (&mut self.outside, &self.exposure, &mut self.claims)
    }

    /// What the outside was last told to expose.
    pub(crate) const fn exposure(&self) -> &Exposure {
        &self.exposure
    }

    /// Applies `commands`.
    ///
    /// # Errors
    /// The first thing that failed; the configuration and the outside are as before.
    pub(crate) fn apply(&mut self, commands: &[Command]) -> Result<Version, ApplyError> {
        let next = self.configuration.apply(commands).map_err(ApplyError::Invalid)?;
        if let Err(error) = self.replace(Arc::new(next)) {
            // Thresholds live with the servers' shared loads, so applying has set them already.
            self.configuration.enforce_thresholds();
            return Err(error);
        }
        Ok(self.configuration.version())
    }

    /// Puts `next` in force.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(crate) fn replace(&mut self, next: Arc<Configuration>) -> Result<(), ApplyError> {
        if !self.exceeds && exposure::alike(&self.configuration, &next) {
            return self.switch(next);
        }
        let wanted = Exposure::of(&next);
        if wanted == self.exposure {
            self.exceeds = false;
            self.outside.reduced(Ok(()));
            return self.switch(next);
        }
        let claims = self.claim(&wanted)?;
        let both = self.exposure.union(&wanted);
        let done = if both == self.exposure { Ok(()) } else { self.outside.expose(&both) };
        if let Err(error) = done.and_then(|()| self.switch(next)) {
            // The error that led here is the one to be told to the caller.
            if both != self.exposure
                && let Err(error) = self.expose_again()
            {
                self.outside.report(&error);
            }
            return Err(error);
        }
        self.claims.extend(claims);
        self.exposure = both;
        self.reduce(wanted);
        Ok(())
    }

    fn switch(&mut self, next: Arc<Configuration>) -> Result<(), ApplyError> {
        self.outside.switch(&next)?;
        self.configuration = next;
        Ok(())
    }

    /// Claims what `wanted` has more; what was claimed so far is given back on an error.
    fn claim(&mut self, wanted: &Exposure) -> Result<Vec<(Exposed, O::Claim)>, ApplyError> {
        let Self { outside, exposure, claims, .. } = self;
        let new = wanted.without(exposure).filter(|one| !claims.contains_key(one));
        new.map(|one| outside.claim(&one).map(|claim| (one, claim))).collect()
    }

    /// Does to the outside once more what was done for the configuration in force.
    ///
    /// # Errors
    /// When the outside fails.
    pub(crate) fn expose_again(&mut self) -> Result<(), ApplyError> {
        self.outside.expose(&self.exposure)
    }

    /// Whether giving back what is no longer served failed and is to be tried again.
    pub(crate) const fn exceeds(&self) -> bool {
        self.exceeds
    }

    /// Tries again to give back what is no longer served.
    pub(crate) fn reduce_again(&mut self) {
        self.reduce(Exposure::of(&self.configuration));
    }

    /// Gives back what is no longer served. The change is in force whether or not that works: what
    /// is kept from the host too long is tried again later.
    fn reduce(&mut self, wanted: Exposure) {
        self.exceeds = false;
        if wanted == self.exposure {
            self.outside.reduced(Ok(()));
            return;
        }
        match self.outside.expose(&wanted) {
            Ok(()) => {
                self.claims.retain(|one, _| wanted.contains(one));
                self.exposure = wanted;
                self.outside.reduced(Ok(()));
            }
            Err(error) => {
                self.exceeds = true;
                self.outside.reduced(Err(&error));
            }
        }
    }
}

#[cfg(test)]
mod tests;
