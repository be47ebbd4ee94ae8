//! Applying a batch of commands: all of it or nothing.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::check::check;
use super::findings::Findings;
use super::perform::Draft;
use super::{Configuration, version};
use crate::command::{Command, Issue};
use crate::scheduler::Placement;

impl Configuration {
    /// The configuration after `commands`, in their order. An empty batch changes nothing.
    ///
    /// Thresholds live with the load that configurations share: changed ones take effect at once.
    /// Whoever goes back to this configuration calls [`Self::enforce_thresholds`] on it.
    ///
    /// # Errors
    ///
    /// Every problem of every command; nothing is applied then. Commands behind a refused one are
    /// judged as if it were not there.
    pub fn apply(&self, commands: &[Command]) -> Result<Self, Vec<Issue>> {
        if commands.is_empty() {
            return Ok(self.clone());
        }
        let mut draft = Draft::of(self);
        let mut issues = Vec::new();
        for (position, command) in commands.iter().enumerate() {
            let mut findings = Findings::of(position);
            check(draft.configuration(), command, &mut findings);
            if findings.is_empty() {
                draft.perform(command);
            }
            issues.extend(findings.into_issues());
        }
        if issues.is_empty() { Ok(draft.finish(self)) } else { Err(issues) }
    }
}

impl Draft {
    /// Derives everything that follows from the services that differ from those of `before`.
    fn finish(self, before: &Configuration) -> Configuration {
        let (mut next, touched) = self.into_parts();
        for id in touched {
            let Some(index) = usize::try_from(id.0).ok() else { continue };
            let Some(Some(service)) = next.services.get_mut(index) else { continue };
            let service = Arc::make_mut(service);
            let (scheduler, family) = (service.spec.scheduler, service.family());
            service.placement = Placement::build(scheduler, family, &service.servers);
            service.digest = version::service(service);
            service.enforce_thresholds();
            // Most changes move nobody: the numbers stay shared then.
            if !next.roster.knows(service) {
                Arc::make_mut(&mut next.roster).place(service);
            }
        }
        let mut families = before.families;
        for (old, new) in next.changes_since(before) {
            old.into_iter().for_each(|service| families.leave(service));
            new.into_iter().for_each(|service| families.enter(service));
        }
        next.families = families;
        next.digest_of_services = version::services(&next, before);
        next.version.number += 1;
        next.version.digest = version::configuration(&next);
        next
    }
}
