//! What a verdict let out: it fits its interface, and is whole where what came was.

use std::collections::BTreeMap;

use engine::frame::{ChecksumState, FrameMeta, Outputs};
use engine::verdict::Verdict;
use wire::dissect::{Dissection, IpFrame, dissect};
use wire::protocol::{SCTP, TCP, UDP};

use crate::{MTU, good, wrapped};

/// How often each reason was given.
type Reasons = BTreeMap<&'static str, u64>;

/// What became of frames.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) forwarded: u64,
    pub(crate) returned: u64,
    pub(crate) whole: u64,
    /// Left with a checksum for the device to complete, and as several segments.
    pub(crate) open: u64,
    pub(crate) segmented: u64,
    /// Came with a checksum left to the device, and left without.
    pub(crate) completed: u64,
    pub(crate) encapsulated: u64,
    pub(crate) held: u64,
    /// Packets that left in pieces: fragments or segments, and the good ones inside tunnels.
    pub(crate) pieces: u64,
    pub(crate) whole_pieces: u64,
    pub(crate) replied: Reasons,
    pub(crate) passed: Reasons,
    pub(crate) dropped: Reasons,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.forwarded += other.forwarded;
        self.returned += other.returned;
        self.whole += other.whole;
        self.open += other.open;
        self.segmented += other.segmented;
        self.completed += other.completed;
        self.encapsulated += other.encapsulated;
        self.held += other.held;
        self.pieces += other.pieces;
        self.whole_pieces += other.whole_pieces;
        add(&mut self.replied, other.replied);
        add(&mut self.passed, other.passed);
        add(&mut self.dropped, other.dropped);
    }
}

fn add(sum: &mut Reasons, other: Reasons) {
    for (reason, count) in other {
        *sum.entry(reason).or_default() += count;
    }
}

/// A frame, what the port said of it, and what became of it.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) came: &'a [u8],
    pub(crate) meta: &'a FrameMeta,
    /// The same memory after it was judged.
    pub(crate) frame: &'a [u8],
    pub(crate) verdict: Verdict,
    pub(crate) outputs: &'a Outputs,
}

impl Case<'_> {
    /// Checks what the verdict let out.
    pub(crate) fn judge(&self, tally: &mut Tally) {
        for made in self.outputs.frames() {
            let octets = self.outputs.octets(made);
            fits(octets);
            assert!(good::header(octets), "{octets:02x?} of {self:02x?}");
        }
        let outputs = self.outputs.frames().len();
        match self.verdict {
            Verdict::Forward { length, .. } => {
                tally.forwarded += 1;
                self.in_place(length, tally);
            }
            Verdict::Return { length, .. } | Verdict::Route { length, .. } => {
                tally.returned += 1;
                self.in_place(length, tally);
            }
            Verdict::Encapsulate { from, end, .. } => self.encapsulated(from, end, tally),
            Verdict::ForwardFragments { .. }
            | Verdict::ReturnFragments { .. }
            | Verdict::RouteFragments { .. } => {
                assert!(outputs > 0, "{self:02x?}");
                return self.in_pieces(tally);
            }
            Verdict::Hold => tally.held += 1,
            Verdict::Reply(reason) => {
                *tally.replied.entry(reason.name()).or_default() += 1;
                assert_eq!(outputs, 1, "{self:02x?}");
                let answer = self.outputs.octets(&self.outputs.frames()[0]);
                assert!(good::transport(answer), "{answer:02x?} of {self:02x?}");
                return;
            }
            Verdict::Pass(reason) => {
                *tally.passed.entry(reason.name()).or_default() += 1;
            }
            Verdict::Drop(reason) => {
                *tally.dropped.entry(reason.name()).or_default() += 1;
            }
        }
        assert_eq!(outputs, 0, "{self:02x?}");
    }

    /// Keeps the frame that left, if the packet went into a tunnel.
    pub(crate) fn keep_wrapped(&self, wrapped: &mut Vec<u8>) {
        if let Verdict::Encapsulate { from, end, .. } = self.verdict {
            let place = |at: u32| usize::try_from(at).expect("small");
            wrapped.clear();
            wrapped.extend(self.outputs.prefix().octets());
            wrapped.extend(&self.frame[place(from)..place(end)]);
        }
    }

    fn came_whole(&self) -> bool {
        good::whole(self.came, self.meta.checksum)
    }

    /// A frame that leaves from the memory it came in, with what is left for the device.
    fn in_place(&self, length: u32, tally: &mut Tally) {
        let out = &self.frame[..usize::try_from(length).expect("small")];
        let left = self.outputs.checksum();
        match self.meta.segmentation {
            Some(_) => {
                tally.segmented += 1;
                self.segments_fit(out);
            }
            None => fits(out),
        }
        assert!(good::header(out), "{out:02x?} of {self:02x?}");
        match (left, self.meta.checksum) {
            (ChecksumState::Partial(_), came) => {
                tally.open += 1;
                // The headers lie where they lay, so does what the device is to do.
                assert_eq!(left, came, "{self:02x?}");
                assert!(good::as_the_device(out, left).is_some(), "{out:02x?} of {self:02x?}");
                assert_ne!(ip(out).protocol, SCTP, "{self:02x?}");
            }
            (ChecksumState::Complete, ChecksumState::Partial(_)) => {
                tally.completed += 1;
                let at = ip(self.came).l4;
                let without = ip(out).protocol == UDP && self.came[at + 6..at + 8] == [0, 0];
                assert!(without || ip(out).protocol == SCTP, "{self:02x?}");
            }
            (ChecksumState::Complete, ChecksumState::Complete) => {}
        }
        if self.came_whole() {
            tally.whole += 1;
            assert!(good::whole(out, left), "{out:02x?} of {self:02x?}");
        }
    }

    /// The device makes segments of the size the frame brings, each behind the frame's headers.
    fn segments_fit(&self, out: &[u8]) {
        let size = self.meta.segmentation.map_or(0, |split| usize::from(split.segment_size));
        let ip = ip(out);
        let transport_header = match ip.protocol {
            TCP => usize::from(out[ip.l4 + 12] >> 4) * 4,
            UDP => 8,
            other => panic!("protocol {other} in segments: {self:02x?}"),
        };
        let longest = (ip.l4 - ip.l3 + transport_header + size).min(ip.end - ip.l3);
        assert!(size > 0 && longest <= MTU, "{longest} of {self:02x?}");
    }

    fn encapsulated(&self, from: u32, end: u32, tally: &mut Tally) {
        tally.encapsulated += 1;
        let place = |at: u32| usize::try_from(at).expect("small");
        let inner = &self.frame[place(from)..place(end)];
        let out = [self.outputs.prefix().octets(), inner].concat();
        fits(&out);
        assert!(good::header(&out), "{out:02x?} of {self:02x?}");
        let inner = wrapped::unwrapped(&out).expect("it is wrapped");
        assert!(good::header(&inner), "{out:02x?} of {self:02x?}");
        if self.came_whole() {
            tally.whole += 1;
            assert!(good::transport(&inner), "{out:02x?} of {self:02x?}");
        }
    }

    fn in_pieces(&self, tally: &mut Tally) {
        tally.pieces += 1;
        // Of a packet that came in pieces nobody here knows whether it was good.
        let came_whole = !wrapped::is_fragment(self.came) && self.came_whole();
        tally.whole_pieces += u64::from(came_whole);
        for out in wrapped::put_together(self.outputs) {
            let packet = wrapped::unwrapped(&out).unwrap_or(out);
            assert!(good::header(&packet), "{packet:02x?} of {self:02x?}");
            assert!(!came_whole || good::transport(&packet), "{packet:02x?} of {self:02x?}");
        }
    }
}

fn ip(octets: &[u8]) -> IpFrame {
    let Ok(Dissection::Ip(ip)) = dissect(octets) else { panic!("not IP: {octets:02x?}") };
    ip
}

fn fits(octets: &[u8]) {
    let (_, l3) = wire::ethernet::payload(octets).expect("an Ethernet header");
    assert!(octets.len() - l3 <= MTU, "{} octets: {octets:02x?}", octets.len());
}
