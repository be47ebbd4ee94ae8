//! Fragments on their way through the engine: held, put together, judged as one packet, cut again.

use alloc::vec::Vec;

use wire::dissect::{Dissection, dissect};

use super::{Engine, drop_reason, judge};
use crate::forward::again;
use crate::forward::fragment::Place;
use crate::fragment::{Assembled, Collected, Reassembly, Whole};
use crate::frame::{ChecksumState, FrameMeta, Outputs};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::snapshot::FragmentStatistics;
use crate::time::Instant;
use crate::verdict::{DropReason, PassReason, Verdict};

/// Octets of the largest frame a packet put together makes.
const FRAME_MAX: usize = 22 + 40 + 0xffff;
/// Fragments whose beginnings are remembered at a time, without new memory.
const STARTS: usize = 256;

/// Reassembly and what it works with.
#[derive(Debug)]
pub(super) struct Fragments {
    reassembly: Reassembly,
    frame: Vec<u8>,
    starts: Vec<usize>,
    seed: u64,
    cut: u64,
}

impl Fragments {
    pub(super) fn new(octets: usize, seed: u64) -> Self {
        let (frame, starts) = (Vec::with_capacity(FRAME_MAX), Vec::with_capacity(STARTS));
        Self { reassembly: Reassembly::new(octets, seed), frame, starts, seed, cut: 0 }
    }

    pub(super) const fn statistics(&self) -> FragmentStatistics {
        self.reassembly.statistics()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.reassembly.next_deadline()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.reassembly.expire(now);
    }

    /// Identification of the next IPv6 packet to be cut: nobody can tell it in advance (RFC 7739).
    fn identification(&mut self) -> u32 {
        self.cut = self.cut.wrapping_add(1);
        let state = self.seed ^ self.cut.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from(mixed >> 32).unwrap_or(0)
    }
}

impl Engine {
    /// A fragment. IPVS hooks in behind its host's reassembly: only whole packets are judged.
    pub(super) fn fragment(
        &mut self,
        packet: &Packet<'_>,
        now: Instant,
        hops: &impl Hops,
        outputs: &mut Outputs,
    ) -> Verdict {
        if judge::is_for_many(packet.frame) {
            return Verdict::Pass(PassReason::OtherHost);
        }
        let Packet { frame, ip, meta, .. } = packet;
        if !self.configuration.may_concern(ip.source, ip.destination) {
            return Verdict::Pass(PassReason::Fragment);
        }
        let Some(piece) = wire::piece::piece(packet.octets()) else {
            return Verdict::Drop(DropReason::BadHeader);
        };
        match self.fragments.reassembly.collect(frame, ip, &piece, meta, now) {
            Collected::Held => Verdict::Hold,
            Collected::Refused(reason) => Verdict::Drop(reason),
            Collected::Complete(whole) => self.whole(whole, meta, now, hops, outputs),
        }
    }

    /// A packet whose last missing fragment has come.
    fn whole(
        &mut self,
        whole: Whole,
        meta: &FrameMeta,
        now: Instant,
        hops: &impl Hops,
        outputs: &mut Outputs,
    ) -> Verdict {
        let mut frame = core::mem::take(&mut self.fragments.frame);
        let mut starts = core::mem::take(&mut self.fragments.starts);
        let verdict = match self.fragments.reassembly.assemble(whole, &mut frame, &mut starts) {
            Ok(assembled) => {
                let meta =
                    FrameMeta { checksum: ChecksumState::Complete, segmentation: None, ..*meta };
                let verdict = self.judge_whole(&mut frame, assembled, &meta, now, hops, outputs);
                self.cut_again(verdict, &frame, &starts, assembled, &meta, outputs)
            }
            Err(reason) => Verdict::Drop(reason),
        };
        self.fragments.frame = frame;
        self.fragments.starts = starts;
        verdict
    }

    fn judge_whole(
        &mut self,
        frame: &mut [u8],
        assembled: Assembled,
        meta: &FrameMeta,
        now: Instant,
        hops: &impl Hops,
        outputs: &mut Outputs,
    ) -> Verdict {
        match dissect(frame) {
            Ok(Dissection::Ip(ip)) => {
                let reassembled = Some(assembled.longest);
                self.judge(Packet { frame, ip, meta, reassembled }, now, hops, outputs)
            }
            Ok(Dissection::Arp | Dissection::NotIp(_)) => Verdict::Pass(PassReason::NotIp),
            Err(malformed) => Verdict::Drop(drop_reason(malformed)),
        }
    }

    /// What leaves of a packet put together: fragments no longer than those that came.
    fn cut_again(
        &mut self,
        verdict: Verdict,
        frame: &[u8],
        starts: &[usize],
        assembled: Assembled,
        meta: &FrameMeta,
        outputs: &mut Outputs,
    ) -> Verdict {
        let Verdict::Forward { server, egress, length } = verdict else { return verdict };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(frame) = frame.get(..length) else {
            return Verdict::Drop(DropReason::BadLength);
        };
        let cut = again::Whole {
            longest: assembled.longest,
            starts,
            payload: assembled.payload,
            identification: self.fragments.identification(),
            place: Place { egress, vlan: meta.vlan },
        };
        match again::cut(frame, &cut, outputs) {
            Ok(()) => Verdict::ForwardFragments { server },
            Err(reason) => Verdict::Drop(reason),
        }
    }
}
