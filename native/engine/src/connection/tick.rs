//! The table's own coarse clock: ticks of 1/16 second that wrap.

use core::time::Duration;

use crate::time::Instant;

pub(super) const TICKS_PER_SECOND: u32 = 16;
const NANOS_PER_TICK: u64 = 1_000_000_000 / TICKS_PER_SECOND as u64;

/// Furthest the clock goes in one advance: 97 days, more than the longest timeout. A longer leap
/// expires the same entries, and wrapping comparisons stay sound. (Until the leap is made known by
/// [`TickClock::advance`], time stands still there.)
const MAX_ADVANCE: u64 = 1 << 27;

/// A point on the table's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tick(pub(super) u32);

impl Tick {
    /// Ticks from `earlier` to this one, negative if it lies before.
    pub(super) const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    pub(super) const fn is_after(self, other: Self) -> bool {
        self.since(other) > 0
    }

    pub(super) const fn plus(self, ticks: u32) -> Self {
        Self(self.0.wrapping_add(ticks))
    }

    pub(super) const fn plus_seconds(self, seconds: u32) -> Self {
        self.plus(seconds * TICKS_PER_SECOND)
    }
}

/// Translates the caller's time to ticks.
#[derive(Clone, Debug, Default)]
pub(super) struct TickClock {
    /// Where the caller's clock was, in ticks, when `tick` was the table's.
    real: u64,
    tick: Tick,
}

impl TickClock {
    /// The last tick that has begun.
    pub(super) fn at(&self, now: Instant) -> Tick {
        let elapsed = (now.as_nanos() / NANOS_PER_TICK).saturating_sub(self.real).min(MAX_ADVANCE);
        self.tick.plus(u32::try_from(elapsed).unwrap_or(u32::MAX))
    }

    /// The first tick that does not lie before `now`: deadlines count from it, so that nothing
    /// expires early.
    pub(super) fn after(&self, now: Instant) -> Tick {
        let begun = !now.as_nanos().is_multiple_of(NANOS_PER_TICK);
        self.at(now).plus(u32::from(begun))
    }

    /// Moves the clock to `now` and returns the last tick that has begun.
    pub(super) fn advance(&mut self, now: Instant) -> Tick {
        let tick = self.at(now);
        self.real = self.real.max(now.as_nanos() / NANOS_PER_TICK);
        self.tick = tick;
        tick
    }

    /// When `tick` begins; the last advance if it lies before that.
    pub(super) fn instant_of(&self, tick: Tick) -> Instant {
        let ahead = u64::try_from(tick.since(self.tick)).unwrap_or(0);
        Instant::from_nanos(self.real.saturating_add(ahead).saturating_mul(NANOS_PER_TICK))
    }

    /// How long after `now` `tick` begins; zero if it has begun.
    pub(super) fn until(&self, tick: Tick, now: Instant) -> Duration {
        match u64::try_from(tick.since(self.at(now))) {
            Ok(ticks) => {
                let begun = now.as_nanos() % NANOS_PER_TICK;
                Duration::from_nanos((ticks * NANOS_PER_TICK).saturating_sub(begun))
            }
            Err(_) => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up_and_the_present_rounds_down() {
        let clock = TickClock::default();
        assert_eq!(clock.at(Instant::from_millis(62)), Tick(0));
        assert_eq!(clock.after(Instant::from_millis(62)), Tick(1));
        assert_eq!(clock.at(Instant::from_millis(1000)), Tick(16));
        assert_eq!(clock.after(Instant::from_millis(1000)), Tick(16));
    }

    #[test]
    fn remaining_time_is_exact_to_the_nanosecond() {
        let clock = TickClock::default();
        let now = Instant::from_millis(1010);
        assert_eq!(clock.until(Tick(32), now), Duration::from_millis(990));
        assert_eq!(clock.until(Tick(16), now), Duration::ZERO);
        assert_eq!(clock.until(Tick(1), now), Duration::ZERO);
    }

    #[test]
    fn a_leap_of_years_is_one_of_97_days_to_the_table() {
        let mut clock = TickClock::default();
        let now = Instant::from_millis(100 * 365 * 86_400 * 1000);
        assert_eq!(clock.advance(now), Tick(1 << 27));
        assert_eq!(clock.at(now), Tick(1 << 27));
        assert_eq!(clock.instant_of(Tick((1 << 27) + 16)), now + Duration::from_secs(1));
    }

    #[test]
    fn time_does_not_run_backwards() {
        let mut clock = TickClock::default();
        let tick = clock.advance(Instant::from_millis(5000));
        assert_eq!(clock.advance(Instant::from_millis(1000)), tick);
        assert_eq!(clock.at(Instant::from_millis(5000)), tick);
    }
}
