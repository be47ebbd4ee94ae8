//! A token bucket without division: how many ICMP errors the director may make.

use crate::time::Instant;

const SECOND: u64 = 1_000_000_000;

/// Up to `per_second` events a second, with a burst of as many; 0 means no limit.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: u32,
    tokens: u32,
    window: Instant,
}

impl RateLimit {
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { per_second, tokens: per_second, window: Instant::ZERO }
    }

    pub(crate) const fn set(&mut self, per_second: u32) {
        self.per_second = per_second;
        self.tokens = per_second;
    }

    /// Whether one more is allowed now.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.per_second == 0 {
            return true;
        }
        if now.as_nanos().saturating_sub(self.window.as_nanos()) >= SECOND {
            self.window = now;
            self.tokens = self.per_second;
        }
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_past_the_limit_until_the_next_second() {
        let mut limit = RateLimit::new(2);
        let start = Instant::from_millis(5_000);
        assert!(limit.take(start));
        assert!(limit.take(start));
        assert!(!limit.take(start));
        assert!(!limit.take(Instant::from_millis(5_999)));
        assert!(limit.take(Instant::from_millis(6_000)));
    }

    #[test]
    fn zero_is_no_limit() {
        let mut limit = RateLimit::new(0);
        assert!((0..100_000).all(|_| limit.take(Instant::ZERO)));
    }
}
