//! What schedulers remember from pick to pick.

use super::{Cursor, Lblc, Lblcr, Placement, Random, Turn};
use crate::configuration::Service;

/// What a scheduler remembers between two picks, one for each service and engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    #[default]
    Stateless,
    /// Round robin: the last pick.
    Rr(Cursor),
    /// Weighted round robin: the last pick and its level.
    Wrr(Turn),
    /// Power of two choices: where the random numbers stand.
    Twos(Random),
    /// Locality-based least connections: which server has which destination.
    Lblc(Lblc),
    /// With replication: which servers have which destination.
    Lblcr(Lblcr),
}

impl State {
    /// The state before the first pick. `seed` begins the random numbers of `twos`; each engine
    /// should have another, and a test always the same.
    #[must_use]
    pub fn new(service: &Service, seed: u64) -> Self {
        match &service.placement {
            Placement::None
            | Placement::Sh(_)
            | Placement::Mh(_)
            | Placement::Dh(_)
            | Placement::Lc
            | Placement::Wlc
            | Placement::Sed
            | Placement::Nq
            | Placement::Fo
            | Placement::Ovf => Self::Stateless,
            Placement::Rr => Self::Rr(Cursor::BEFORE_HEAD),
            Placement::Wrr(weights) => {
                let mut turn = Turn::BEFORE_HEAD;
                turn.reconcile(&service.weight_changes, *weights);
                Self::Wrr(turn)
            }
            Placement::Twos => Self::Twos(Random::new(seed ^ service.generation)),
            Placement::Lblc => Self::Lblc(Lblc::new()),
            Placement::Lblcr => Self::Lblcr(Lblcr::new()),
        }
    }

    /// Carries the state over a change of the configuration.
    ///
    /// Another scheduler, or another service under the same id, starts anew.
    pub fn reconcile(&mut self, old: &Service, new: &Service, seed: u64) {
        if old.generation != new.generation || old.spec.scheduler != new.spec.scheduler {
            *self = Self::new(new, seed);
            return;
        }
        // Services that no command touched are shared between versions.
        if core::ptr::eq(old, new) {
            return;
        }
        match (self, &new.placement) {
            (Self::Rr(cursor), _) => cursor.reconcile(&old.servers, &new.servers),
            (Self::Wrr(turn), Placement::Wrr(weights)) => {
                turn.reconcile(&new.weight_changes, *weights);
            }
            _ => {}
        }
    }
}
