//! The one place that reads the clock.

use std::time::{Duration, Instant as SystemInstant, SystemTime};

use engine::time::Instant;

/// A monotonic clock; copies tell the same time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: SystemInstant,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { origin: SystemInstant::now() }
    }

    /// A clock that is this much ahead.
    #[cfg(test)]
    pub(crate) fn ahead(self, time: Duration) -> Self {
        Self { origin: self.origin.checked_sub(time).expect("the machine runs for longer") }
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        let nanoseconds = self.origin.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

/// The date, as time since 1970.
pub(crate) fn date() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The time from `now` until the first of `instants`; none when there is none.
pub(crate) fn until<const N: usize>(
    now: Instant,
    instants: [Option<Instant>; N],
) -> Option<Duration> {
    instants.into_iter().flatten().min().map(|instant| instant.saturating_since(now))
}
