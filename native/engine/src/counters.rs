//! Counters of one engine: plain integers, one writer, an index per reason.

use alloc::vec::Vec;

use crate::snapshot::{Counter, NamedCounter, Traffic};
use crate::verdict::{DropReason, PassReason, ReplyReason, Verdict};

/// How often each verdict was given.
#[derive(Debug)]
pub(crate) struct VerdictCounters {
    forwarded: u64,
    held: u64,
    returned: u64,
    routed: u64,
    passed: [u64; PassReason::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
    replied: [u64; ReplyReason::ALL.len()],
}

impl VerdictCounters {
    pub(crate) const fn new() -> Self {
        Self {
            forwarded: 0,
            held: 0,
            returned: 0,
            routed: 0,
            passed: [0; PassReason::ALL.len()],
            dropped: [0; DropReason::ALL.len()],
            replied: [0; ReplyReason::ALL.len()],
        }
    }

    /// Counts one verdict.
    pub(crate) fn count(&mut self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Forward { .. }
            | Verdict::Encapsulate { .. }
            | Verdict::ForwardFragments { .. } => Some(&mut self.forwarded),
            Verdict::Hold => Some(&mut self.held),
            Verdict::Return { .. } | Verdict::ReturnFragments { .. } => Some(&mut self.returned),
            Verdict::Route { .. } | Verdict::RouteFragments { .. } => Some(&mut self.routed),
            Verdict::Reply(reason) => self.replied.get_mut(reason as usize),
            Verdict::Pass(reason) => self.passed.get_mut(reason as usize),
            Verdict::Drop(reason) => self.dropped.get_mut(reason as usize),
        };
        if let Some(counter) = counter {
            *counter += 1;
        }
    }

    pub(crate) const fn forwarded(&self) -> Counter {
        Counter(self.forwarded)
    }

    pub(crate) const fn held(&self) -> Counter {
        Counter(self.held)
    }

    pub(crate) const fn returned(&self) -> Counter {
        Counter(self.returned)
    }

    pub(crate) const fn routed(&self) -> Counter {
        Counter(self.routed)
    }

    pub(crate) fn passed(&self) -> Vec<NamedCounter> {
        named(PassReason::ALL.iter().map(|reason| reason.name()), &self.passed)
    }

    pub(crate) fn dropped(&self) -> Vec<NamedCounter> {
        named(DropReason::ALL.iter().map(|reason| reason.name()), &self.dropped)
    }

    pub(crate) fn replied(&self) -> Vec<NamedCounter> {
        named(ReplyReason::ALL.iter().map(|reason| reason.name()), &self.replied)
    }
}

/// Pairs the names of a closed enum with its counters.
pub(crate) fn named(
    names: impl Iterator<Item = &'static str>,
    counts: &[u64],
) -> Vec<NamedCounter> {
    names.zip(counts).map(|(name, &count)| NamedCounter { name, count: Counter(count) }).collect()
}

/// Counts one packet of `octets` octets from a server.
pub(crate) const fn count_out(traffic: &mut Traffic, octets: u64) {
    traffic.out_packets.0 += 1;
    traffic.out_octets.0 += octets;
}

/// Counts one packet of `octets` octets from a client.
pub(crate) const fn count_in(traffic: &mut Traffic, octets: u64) {
    traffic.in_packets.0 += 1;
    traffic.in_octets.0 += octets;
}
