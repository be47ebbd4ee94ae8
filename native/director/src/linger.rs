//! How long a worker looks on at empty rings before it sleeps.
//!
//! Being woken costs a frame several microseconds, and the processor that brought it an interrupt
//! to another one. Looking on costs a whole core. So a worker looks on only where that pays: the
//! time grows when a sleep turns out to have been short, and ends when one was long (the kernel
//! halts virtual processors by the same rule).

use std::time::Duration;

use engine::time::Instant;

/// What a worker begins with once looking on might pay.
const FIRST: Duration = Duration::from_micros(10);

/// The time a worker looks on.
#[derive(Debug)]
pub(crate) struct Linger {
    limit: Duration,
    current: Duration,
    /// When there were frames last.
    last: Instant,
    /// Whether the worker has slept since.
    slept: bool,
}

impl Linger {
    /// At most `limit` after the last frame; never where that is zero.
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, current: Duration::ZERO, last: Instant::ZERO, slept: false }
    }

    /// Takes notice of a sleep.
    pub(crate) const fn slept(&mut self) {
        self.slept = true;
    }

    /// Whether to look on at `now`, when the last look found `handled` frames.
    pub(crate) fn looks_on(&mut self, handled: usize, now: Instant) -> bool {
        if handled > 0 {
            if self.slept {
                self.adapt(now.saturating_since(self.last));
            }
            (self.last, self.slept) = (now, false);
        }
        now < self.last + self.current
    }

    /// There was no frame for `gap`, of which the worker slept the most part.
    fn adapt(&mut self, gap: Duration) {
        self.current = match gap <= self.limit {
            true => (self.current * 2).max(FIRST).min(self.limit),
            false => Duration::ZERO,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(microseconds: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(1_000_000 + microseconds)
    }

    /// A worker that slept before each of the frames that come at these times.
    fn after(limit: u64, frames: &[u64]) -> Linger {
        let mut linger = Linger::new(Duration::from_micros(limit));
        for frame in frames {
            linger.slept();
            linger.looks_on(1, at(*frame));
        }
        linger
    }

    #[test]
    fn short_sleeps_make_it_longer_up_to_the_limit() {
        let mut linger = after(50, &[0, 40]);
        assert!(linger.looks_on(0, at(49)) && !linger.looks_on(0, at(50)));
        let mut linger = after(50, &[0, 40, 80, 120, 160]);
        assert!(linger.looks_on(0, at(209)) && !linger.looks_on(0, at(210)));
    }

    #[test]
    fn a_long_sleep_ends_it() {
        let mut linger = after(50, &[0, 40, 80, 120, 171]);
        assert!(!linger.looks_on(0, at(172)));
    }

    #[test]
    fn found_without_sleep_it_stays() {
        let mut linger = after(50, &[0, 40]);
        assert!(linger.looks_on(1, at(45)), "no sleep to learn from");
        assert!(linger.looks_on(0, at(54)) && !linger.looks_on(0, at(55)));
    }

    #[test]
    fn a_limit_of_zero_never_looks_on() {
        let mut linger = after(0, &[0, 0, 0]);
        assert!(!linger.looks_on(1, at(0)));
    }
}
