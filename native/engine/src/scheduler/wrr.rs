//! `wrr`, weighted round robin: round after round at falling levels, each taking the servers whose
//! weight reaches the level.

use crate::configuration::Server;

/// What the levels follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Greatest common divisor of the weights above 0, the distance of two levels; 1 without any.
    step: u32,
    /// The uppermost level; 0 where no weight is above 0.
    top: u32,
}

impl Weights {
    /// Those of `servers`.
    #[must_use]
    pub fn of(servers: &[Server]) -> Self {
        let weights = || servers.iter().map(|server| server.weight);
        let step = weights().fold(0, gcd).max(1);
        let heaviest = weights().max().unwrap_or(0);
        Self { step, top: heaviest.saturating_sub(step - 1) }
    }
}

/// Greatest common divisor; 0 counts as nothing.
pub(super) const fn gcd(mut left: u32, mut right: u32) -> u32 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What the levels follow from.
    weights: Weights,
    /// The level of this round.
    level: u32,
    /// Where in the list the round goes on.
    next: usize,
}

impl Turn {
    /// Before any server was added.
    pub const BEFORE_HEAD: Self = Self { weights: Weights { step: 1, top: 0 }, level: 0, next: 0 };

    /// Follows the weights through `changes` to what they are `now`.
    ///
    /// IPVS: each addition, removal and edit begins a round anew and sets the level; so several
    /// commands at once must be followed one by one.
    pub(super) fn reconcile(&mut self, changes: &[Weights], now: Weights) {
        for weights in changes {
            self.begin(*weights);
        }
        if self.weights != now {
            self.begin(now);
        }
    }

    const fn begin(&mut self, weights: Weights) {
        let Weights { step, top } = weights;
        if self.level > top || self.level == 0 {
            self.level = top;
        } else if step > 1 {
            self.level = self.level / step * step + 1;
        }
        self.weights = weights;
        self.next = 0;
    }

    /// The next server of this round, or the first of the next level that has any.
    pub(super) fn pick(&mut self, servers: &[Server]) -> Option<usize> {
        let Weights { step, top } = self.weights;
        if top == 0 {
            return None;
        }
        if let Some(index) = find(servers, self.next, self.level) {
            return Some(self.take(index));
        }
        let at_bottom = self.level <= step;
        let usable = servers.iter().filter(|server| server.is_usable());
        let Some(heaviest) = usable.map(|server| server.weight).max() else {
            // IPVS: a walk that tests each server at the lowest level ends there without an answer;
            // only one that began within the lowest level ends where it began.
            if !at_bottom || self.next == 0 {
                (self.level, self.next) = (top, 0);
            }
            return None;
        };
        let below = if at_bottom { top } else { self.level - step };
        // Levels above the heaviest usable server find nobody: they are skipped, not walked.
        let skipped = below.saturating_sub(heaviest).div_ceil(step);
        self.level = below.saturating_sub(skipped.saturating_mul(step)).max(1);
        find(servers, 0, self.level).map(|index| self.take(index))
    }

    const fn take(&mut self, index: usize) -> usize {
        self.next = index + 1;
        index
    }
}

/// The first usable server from `start` on whose weight reaches `level`.
fn find(servers: &[Server], start: usize, level: u32) -> Option<usize> {
    let reaches = |server: &Server| server.weight >= level && !server.load.overloaded();
    servers.iter().skip(start).position(reaches).map(|offset| start + offset)
}
