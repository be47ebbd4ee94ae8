//! Rates as IPVS estimates them: an exponential average of what each two seconds brought.

use core::time::Duration;

use crate::snapshot::{Counter, Rates, Traffic};

/// Between two looks at the counters (IPVS).
pub(crate) const INTERVAL: Duration = Duration::from_secs(2);

/// Bits behind the point of an average of connections or packets, and of octets (IPVS).
const COUNT_SCALE: u32 = 10;
const OCTET_SCALE: u32 = 5;
/// Each look moves the average a quarter of the way (IPVS).
const WEIGHT: u32 = 2;

/// The averages of one set of counters, in fixed point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimator {
    last: Traffic,
    connections: i64,
    in_packets: i64,
    out_packets: i64,
    in_octets: i64,
    out_octets: i64,
}

impl Estimator {
    /// Takes in what two seconds brought.
    pub(crate) fn sample(&mut self, now: &Traffic) {
        let last = core::mem::replace(&mut self.last, *now);
        let counts = [
            (&mut self.connections, now.connections, last.connections),
            (&mut self.in_packets, now.in_packets, last.in_packets),
            (&mut self.out_packets, now.out_packets, last.out_packets),
        ];
        for (average, now, last) in counts {
            approach(average, now, last, COUNT_SCALE);
        }
        approach(&mut self.in_octets, now.in_octets, last.in_octets, OCTET_SCALE);
        approach(&mut self.out_octets, now.out_octets, last.out_octets, OCTET_SCALE);
    }

    /// What `ipvsadm -L --rate` shows.
    pub(crate) fn rates(&self) -> Rates {
        Rates {
            connections: shown(self.connections, COUNT_SCALE),
            in_packets: shown(self.in_packets, COUNT_SCALE),
            out_packets: shown(self.out_packets, COUNT_SCALE),
            in_octets: shown(self.in_octets, OCTET_SCALE),
            out_octets: shown(self.out_octets, OCTET_SCALE),
        }
    }
}

/// The sample is per second and the interval two: one bit less than the scale. The shift of a
/// negative difference rounds down (IPVS).
fn approach(average: &mut i64, now: Counter, last: Counter, scale: u32) {
    let grown = i64::try_from(now.0.saturating_sub(last.0)).unwrap_or(i64::MAX >> scale);
    let sample = grown.saturating_mul(1 << (scale - 1));
    *average += (sample - *average) >> WEIGHT;
}

/// IPVS rounds by just under a half.
fn shown(average: i64, scale: u32) -> Counter {
    let rounded = average.saturating_add((1 << (scale - 1)) - 1) >> scale;
    Counter(u64::try_from(rounded).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_move_a_quarter_of_the_way_each_two_seconds() {
        let mut estimator = Estimator::default();
        let mut traffic = Traffic::default();
        // 100 packets of 1000 octets a second, worked out by hand: sample 200·2^9 = 102400;
        // averages 25600, 44800, 59200; shown (average + 511) >> 10.
        let mut seen = [(0, 0); 3];
        for shown in &mut seen {
            traffic.in_packets.0 += 200;
            traffic.in_octets.0 += 200_000;
            estimator.sample(&traffic);
            let rates = estimator.rates();
            *shown = (rates.in_packets.0, rates.in_octets.0);
        }
        assert_eq!(seen, [(25, 25_000), (44, 43_750), (58, 57_812)]);
        for _ in 0..40 {
            traffic.in_packets.0 += 200;
            estimator.sample(&traffic);
        }
        assert_eq!(estimator.rates().in_packets.0, 100);
        for _ in 0..60 {
            estimator.sample(&traffic);
        }
        assert_eq!(estimator.rates(), Rates::default(), "silence goes down to nothing");
    }

    #[test]
    fn one_connection_is_soon_forgotten() {
        let mut estimator = Estimator::default();
        let mut traffic = Traffic::default();
        traffic.connections.0 = 1;
        estimator.sample(&traffic);
        // 2^9 / 4 = 128; (128 + 511) >> 10 = 0.
        assert_eq!(estimator.rates().connections.0, 0);
    }

    #[test]
    fn huge_differences_do_not_overflow() {
        let mut estimator = Estimator::default();
        let mut traffic = Traffic::default();
        traffic.in_octets.0 = u64::MAX;
        estimator.sample(&traffic);
        estimator.sample(&Traffic::default());
        let _ = estimator.rates();
    }
}
