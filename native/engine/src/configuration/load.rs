//! Load of a real server: how many connections it has, over all engines.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Connections of one real server and whether they are too many.
///
/// Shared by all engines and by every configuration that knows the server, removed or not; so the
/// counts outlive changes, and thresholds hold for the server as a whole.
///
/// IPVS (6.1.192 and later): the server becomes overloaded when a connection brings the total to
/// the upper threshold, and usable again when one that ends takes it below the lower one.
#[derive(Debug, Default)]
pub struct ServerLoad {
    /// Connections in the lower half, [`OVERLOADED`], and a count of threshold changes above. One
    /// word, so that the flag never tells of another total than the one it stands beside.
    state: AtomicU64,
    active: AtomicU32,
    persistent: AtomicU32,
    upper: AtomicU32,
    lower: AtomicU32,
}

const TOTAL: u64 = 0xFFFF_FFFF;
const OVERLOADED: u64 = 1 << 32;
const CHANGE: u64 = 1 << 33;

/// Thresholds as they apply.
#[derive(Clone, Copy)]
struct Limits {
    /// Total at which the server is overloaded; 0 for never.
    upper: u64,
    /// Total below which it is no longer.
    lower: u64,
}

impl ServerLoad {
    /// Counts a new connection, not yet active. Templates are not connections.
    pub fn bind(&self) {
        self.update(|state, limits| {
            let state = if state & TOTAL == TOTAL { state } else { state + 1 };
            let reached = limits.upper != 0 && state & TOTAL == limits.upper;
            if reached { state | OVERLOADED } else { state }
        });
    }

    /// Counts a connection that ended; an active one is deactivated before.
    pub fn unbind(&self) {
        self.update(|state, limits| {
            let left = state & TOTAL == limits.lower;
            let state = if state & TOTAL == 0 { state } else { state - 1 };
            if left { state & !OVERLOADED } else { state }
        });
    }

    /// Counts a connection that became active.
    pub fn activate(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an active connection that became inactive.
    pub fn deactivate(&self) {
        decrease(&self.active);
    }

    /// Counts a new persistence template.
    pub fn bind_template(&self) {
        self.persistent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a persistence template that ended.
    pub fn unbind_template(&self) {
        decrease(&self.persistent);
    }

    /// Connections in active states.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active.load(Ordering::Relaxed)
    }

    /// All connections; templates are not among them.
    #[must_use]
    pub fn total(&self) -> u32 {
        u32::try_from(self.state.load(Ordering::Relaxed) & TOTAL).unwrap_or(u32::MAX)
    }

    /// Connections in inactive states: all but the active ones.
    #[must_use]
    pub fn inactive(&self) -> u32 {
        self.total().saturating_sub(self.active())
    }

    /// Persistence templates.
    #[must_use]
    pub fn persistent(&self) -> u32 {
        self.persistent.load(Ordering::Relaxed)
    }

    /// Whether the server takes no new connections because it has too many.
    #[must_use]
    pub fn overloaded(&self) -> bool {
        self.state.load(Ordering::Relaxed) & OVERLOADED != 0
    }

    /// Whether nothing, template or connection, counts on the server any more.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.total() == 0 && self.persistent() == 0
    }

    /// Sets the thresholds; a change is looked at at once. Between the two the server stays what
    /// it was.
    pub(super) fn set_thresholds(&self, upper: u32, lower: u32) {
        let old_upper = self.upper.swap(upper, Ordering::Relaxed);
        let old_lower = self.lower.swap(lower, Ordering::Relaxed);
        if (old_upper, old_lower) == (upper, lower) {
            return;
        }
        self.update(|state, limits| {
            let state = state.wrapping_add(CHANGE);
            let total = state & TOTAL;
            if limits.upper == 0 || total < limits.lower {
                state & !OVERLOADED
            } else if total >= limits.upper {
                state | OVERLOADED
            } else {
                state
            }
        });
    }

    /// Changes the state in one step. Thresholds are read between load and exchange: whoever
    /// changes them changes the state after, so an exchange under old ones fails and is repeated.
    fn update(&self, change: impl Fn(u64, Limits) -> u64) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let changed = change(state, self.limits());
            let exchange = self.state.compare_exchange_weak(
                state,
                changed,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match exchange {
                Ok(_) => return,
                Err(current) => state = current,
            }
        }
    }

    fn limits(&self) -> Limits {
        let upper = self.upper.load(Ordering::Relaxed);
        let lower = match self.lower.load(Ordering::Relaxed) {
            0 => upper - upper / 4,
            lower => lower,
        };
        Limits { upper: u64::from(upper), lower: u64::from(lower) }
    }
}

/// Subtracts one, but never below 0.
fn decrease(count: &AtomicU32) {
    // The closure never refuses, so the answer carries nothing.
    let _ = count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(count.saturating_sub(1)));
}
