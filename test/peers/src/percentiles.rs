//! Latency percentiles in milliseconds, and rates.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Times up to a minute, to 2 significant digits.
#[derive(Debug)]
pub(crate) struct Percentiles {
    micros: Histogram<u64>,
}

impl Percentiles {
    /// Nothing recorded yet.
    pub(crate) fn new() -> Self {
        let micros = Histogram::new_with_bounds(1, 60_000_000, 2);
        Self { micros: micros.expect("constant bounds are valid") }
    }

    /// Adds one time; more than a minute counts as a minute.
    pub(crate) fn record(&mut self, time: Duration) {
        self.micros.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// The time that this share (0..=1) of all stays below, in milliseconds; nothing when empty.
    pub(crate) fn at(&self, share: f64) -> Option<f64> {
        (!self.micros.is_empty()).then(|| micros_as_ms(self.micros.value_at_quantile(share)))
    }

    /// Adds all of `other` to this.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.micros.add(&other.micros).expect("both have the same bounds");
    }
}

/// Bits a second, rounded to whole ones; 0 when no time passed.
pub(crate) fn bits_per_second(bytes: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    let low = u32::try_from(bytes & 0xffff_ffff).unwrap_or(0);
    let high = u32::try_from(bytes >> 32).unwrap_or(0);
    ((f64::from(high) * 4_294_967_296.0 + f64::from(low)) * 8.0 / time.as_secs_f64()).round()
}

/// Milliseconds to 1 microsecond, for events.
pub(crate) fn millis(time: Duration) -> f64 {
    micros_as_ms(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

fn micros_as_ms(micros: u64) -> f64 {
    u32::try_from(micros).map_or_else(|_| f64::from(u32::MAX), f64::from) / 1000.0
}
