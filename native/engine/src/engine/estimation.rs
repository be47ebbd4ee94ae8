//! When rates are estimated, and of what.

use super::Engine;
use crate::estimator::INTERVAL;
use crate::time::Instant;

/// Books looked at by one call, at most.
const BUDGET: usize = 1024;

/// The pace of the estimators.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Estimation {
    /// When the next round begins; none while rates stand still.
    due: Option<Instant>,
    /// Where a round that has begun goes on.
    cursor: Option<usize>,
}

impl Estimation {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.cursor.is_some() { Some(Instant::ZERO) } else { self.due }
    }
}

impl Engine {
    /// Starts or stops the rounds as the configuration has it (IPVS: `run_estimation`).
    pub(super) fn pace_estimation(&mut self) {
        let wanted = self.configuration.settings().run_estimation
            && self.configuration.services().next().is_some();
        if !wanted {
            self.estimation = Estimation::default();
        } else if self.estimation.due.is_none() {
            // The first call of `handle_timeout` knows the time.
            self.estimation.due = Some(Instant::ZERO);
        }
    }

    /// Takes a sample every two seconds. Whether all that is due is done.
    pub(super) fn estimate(&mut self, now: Instant) -> bool {
        let Some(due) = self.estimation.due else { return true };
        if self.estimation.cursor.is_none() && due > now {
            return true;
        }
        if due == Instant::ZERO {
            self.estimation.due = Some(now + INTERVAL);
            return true;
        }
        let cursor = self.estimation.cursor.unwrap_or(0);
        if cursor == 0 {
            // After a leap in time one sample stands for all that were missed (IPVS's timer).
            let next = due + INTERVAL;
            self.estimation.due = Some(if next > now { next } else { now + INTERVAL });
        }
        self.estimation.cursor = self.books.sample(cursor, BUDGET);
        self.estimation.cursor.is_none()
    }
}
