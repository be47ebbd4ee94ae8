//! Faults on purpose: a port around a port that loses, damages and cuts received frames, the same
//! way for the same seed.

use std::io;
use std::time::Duration;

use engine::frame::InterfaceId;

use super::{Disposition, FrameHandler, InterfaceCounters, Outgoing, PacketPort, Received};

/// How often each fault strikes, in parts of a million frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// Frames that never arrive.
    pub drop_per_million: u32,
    /// Frames with one octet changed.
    pub corrupt_per_million: u32,
    /// Frames that end early.
    pub truncate_per_million: u32,
}

/// A port whose received frames suffer faults. What is sent is left alone.
#[derive(Debug)]
pub struct FaultPort<P> {
    port: P,
    rates: FaultRates,
    random: Random,
}

impl<P: PacketPort> FaultPort<P> {
    /// Wraps `port`; equal seeds give equal faults.
    pub const fn new(port: P, rates: FaultRates, seed: u64) -> Self {
        Self { port, rates, random: Random(seed) }
    }

    /// Gives the wrapped port back.
    pub fn into_inner(self) -> P {
        self.port
    }
}

impl<P: PacketPort> PacketPort for FaultPort<P> {
    type Control = P::Control;

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.port.wait(timeout)
    }

    fn exchange(&mut self, limit: usize, mut handler: impl FrameHandler) -> io::Result<usize> {
        let (rates, random) = (self.rates, &mut self.random);
        self.port.exchange(limit, |frame: Received<'_>| {
            if random.strikes(rates.drop_per_million) {
                return Disposition::Done;
            }
            if random.strikes(rates.corrupt_per_million) {
                let place = random.below(frame.octets.len());
                let bits = random.next().to_le_bytes()[0] | 1;
                if let Some(octet) = frame.octets.get_mut(place) {
                    *octet ^= bits;
                }
            }
            let end = if random.strikes(rates.truncate_per_million) {
                random.below(frame.octets.len())
            } else {
                frame.octets.len()
            };
            let octets = frame.octets.get_mut(..end).unwrap_or_default();
            handler.handle(Received { octets, ..frame })
        })
    }

    fn send<'a>(&mut self, frames: impl Iterator<Item = Outgoing<'a>>) {
        self.port.send(frames);
    }

    fn control(&mut self, control: P::Control) -> io::Result<()> {
        self.port.control(control)
    }

    fn prepare(&mut self, interfaces: impl Iterator<Item = InterfaceId>) {
        self.port.prepare(interfaces);
    }

    fn is_congested(&self) -> bool {
        self.port.is_congested()
    }

    fn counters(&mut self, into: &mut Vec<InterfaceCounters>) {
        self.port.counters(into);
    }
}

/// SplitMix64: small, seeded, good enough to choose victims.
#[derive(Clone, Copy, Debug)]
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    fn strikes(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.next() % 1_000_000 < u64::from(per_million)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryPort, WireFrame};
    use super::*;

    fn play(rates: FaultRates, seed: u64) -> Vec<Vec<u8>> {
        let (port, wire) = MemoryPort::new();
        for _ in 0..1000 {
            wire.put(WireFrame::plain(InterfaceId(1), vec![0; 60]));
        }
        let mut port = FaultPort::new(port, rates, seed);
        let mut seen = Vec::new();
        port.exchange(1000, |frame: Received<'_>| {
            seen.push(frame.octets.to_vec());
            Disposition::Done
        })
        .expect("memory does not fail");
        seen
    }

    #[test]
    fn no_rates_no_faults() {
        let seen = play(FaultRates::default(), 1);
        assert!(seen.len() == 1000 && seen.iter().all(|frame| frame == &[0; 60]));
    }

    #[test]
    fn faults_strike_at_their_rate_and_repeat_with_the_seed() {
        let rates = FaultRates {
            drop_per_million: 200_000,
            corrupt_per_million: 200_000,
            truncate_per_million: 200_000,
        };
        let seen = play(rates, 7);
        let cut = seen.iter().filter(|frame| frame.len() < 60).count();
        let whole = seen.iter().filter(|frame| frame.len() == 60);
        let damaged = whole.filter(|frame| frame.iter().any(|octet| *octet != 0)).count();
        assert!((700..900).contains(&seen.len()), "{} arrived", seen.len());
        assert!((100..220).contains(&cut), "{cut} cut");
        assert!((70..190).contains(&damaged), "{damaged} damaged");
        assert_eq!(seen, play(rates, 7));
        assert_ne!(seen, play(rates, 8));
    }
}
