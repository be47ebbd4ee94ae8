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

/// A packet put together, and what it was made of.
struct Made<'a> {
    frame: &'a [u8],
    starts: &'a [usize],
    assembled: Assembled,
    vlan: Option<u16>,
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
            Ok(mut assembled) => {
                let meta =
                    FrameMeta { checksum: ChecksumState::Complete, segmentation: None, ..*meta };
                let verdict = self.judge_whole(&mut frame, assembled, &meta, now, hops, outputs);
                if let Verdict::Encapsulate { server, .. } = verdict {
                    assembled.longest = assembled.longest.min(hops.hop(server).mtu());
                }
                let made = Made { frame: &frame, starts: &starts, assembled, vlan: meta.vlan };
                self.cut_again(verdict, &made, outputs)
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
                let packet = Packet { reassembled, ..Packet::new(frame, ip, meta) };
                self.judge(packet, now, hops, outputs)
            }
            Ok(Dissection::Arp | Dissection::NotIp(_)) => Verdict::Pass(PassReason::NotIp),
            Err(malformed) => Verdict::Drop(drop_reason(malformed)),
        }
    }

    /// What leaves of a packet put together: fragments no longer than those that came.
    fn cut_again(&mut self, verdict: Verdict, made: &Made<'_>, outputs: &mut Outputs) -> Verdict {
        let (in_pieces, egress, from, end) = match verdict {
            Verdict::Forward { server, egress, length } => {
                (Verdict::ForwardFragments { server }, egress, 0, length)
            }
            Verdict::Return { server, egress, length } => {
                (Verdict::ReturnFragments { server }, egress, 0, length)
            }
            Verdict::Route { server, egress, length } => {
                (Verdict::RouteFragments { server }, egress, 0, length)
            }
            Verdict::Encapsulate { server, egress, from, end } => {
                (Verdict::ForwardFragments { server }, egress, from, end)
            }
            other => return other,
        };
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let Some(part) = made.frame.get(place(from)..place(end)) else {
            return Verdict::Drop(DropReason::BadLength);
        };
        let mut wrapped = outputs.take_scratch();
        wrapped.clear();
        let frame = if let Verdict::Encapsulate { .. } = verdict {
            wrapped.extend_from_slice(outputs.prefix().octets());
            wrapped.extend_from_slice(part);
            &wrapped
        } else {
            part
        };
        let cut = again::Whole {
            longest: made.assembled.longest,
            starts: made.starts,
            payload: made.assembled.payload,
            identification: self.fragments.identification(),
            place: Place { egress, vlan: made.vlan },
        };
        let result = again::cut(frame, &cut, outputs);
        outputs.keep_scratch(wrapped);
        match result {
            Ok(()) => in_pieces,
            Err(reason) => Verdict::Drop(reason),
        }
    }
}
