//! The waiting room for frames whose neighbour is still being asked for: bounded in every
//! direction, and every frame that does not get out is counted.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use engine::frame::InterfaceId;
use engine::hop::{Hop, Hops, NextHop, ServerId};
use engine::snapshot::Counter;
use engine::time::Instant;
use serde::Serialize;
use wire::ethernet;

use crate::hops::index;
use crate::port::{Offload, Outgoing};

/// Bounds of the waiting room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingLimits {
    /// Frames waiting for one server, or for one client. Default 64.
    pub frames_per_server: u16,
    /// Frames waiting in all. Default 1024.
    pub frames: usize,
    /// Octets waiting in all; one 64 KB super-frame takes as much as 40 plain ones. Default 8 MiB.
    pub octets: usize,
    /// How long a frame waits. Default 3 s, what the kernel takes to give a neighbour up.
    pub patience: Duration,
}

impl Default for PendingLimits {
    fn default() -> Self {
        let patience = Duration::from_secs(3);
        Self { frames_per_server: 64, frames: 1024, octets: 8 << 20, patience }
    }
}

/// What became of frames that had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingCounters {
    /// Frames waiting now.
    pub waiting: Counter,
    /// Frames that had to wait.
    pub queued: Counter,
    /// Frames that went out when their neighbour was found.
    pub released: Counter,
    /// Frames dropped because the waiting room was full.
    pub full: Counter,
    /// Frames dropped because they had waited too long.
    pub expired: Counter,
    /// Frames dropped because there is no neighbour or no way any more.
    pub unreachable: Counter,
    /// Frames dropped because they turned out larger than the way to their client takes. The next
    /// one like them is answered with what fits.
    pub too_big: Counter,
}

impl PendingCounters {
    /// Adds what another worker counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.waiting.0 += other.waiting.0;
        self.queued.0 += other.queued.0;
        self.released.0 += other.released.0;
        self.full.0 += other.full.0;
        self.expired.0 += other.expired.0;
        self.unreachable.0 += other.unreachable.0;
        self.too_big.0 += other.too_big.0;
    }
}

/// Whose neighbour a frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A real server's.
    Server(ServerId),
    /// A client's: the frame is a reply.
    Client(IpAddr),
}

#[derive(Debug)]
struct Waiting {
    whom: Whom,
    until: Instant,
    octets: Vec<u8>,
    vlan: Option<u16>,
    offload: Offload,
}

/// Frames waiting for their neighbours, oldest first.
#[derive(Debug)]
pub struct Pending {
    limits: PendingLimits,
    waiting: VecDeque<Waiting>,
    octets: usize,
    per_server: Vec<u16>,
    spare: Vec<Vec<u8>>,
    counters: PendingCounters,
}

/// Emptied buffers kept for reuse.
const SPARE_MAX: usize = 64;

impl Pending {
    /// An empty waiting room.
    #[must_use]
    pub fn new(limits: PendingLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::with_capacity(limits.frames),
            octets: 0,
            per_server: Vec::new(),
            spare: Vec::new(),
            counters: PendingCounters::default(),
        }
    }

    /// Keeps a copy of a frame for `whom`, or drops and counts it.
    pub fn push(
        &mut self,
        whom: Whom,
        octets: &[u8],
        vlan: Option<u16>,
        offload: Offload,
        now: Instant,
    ) {
        self.push_parts(whom, [&[], octets], vlan, offload, now);
    }

    /// As [`Self::push`], of a frame that lies in two parts.
    pub fn push_parts(
        &mut self,
        whom: Whom,
        parts: [&[u8]; 2],
        vlan: Option<u16>,
        offload: Offload,
        now: Instant,
    ) {
        let octets: usize = parts.iter().map(|part| part.len()).sum();
        if self.waiting_for(whom) >= self.limits.frames_per_server
            || self.waiting.len() >= self.limits.frames
            || self.octets + octets > self.limits.octets
        {
            self.counters.full.0 += 1;
            return;
        }
        self.counters.queued.0 += 1;
        self.octets += octets;
        if let Whom::Server(server) = whom {
            let place = index(server);
            if place >= self.per_server.len() {
                self.per_server.resize(place + 1, 0);
            }
            self.per_server[place] += 1;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        parts.iter().for_each(|part| copy.extend_from_slice(part));
        let until = now + self.limits.patience;
        self.waiting.push_back(Waiting { whom, until, octets: copy, vlan, offload });
    }

    /// Lets go what `hops` has an answer for: frames with a way that is ready are handed to `send`
    /// with their addresses filled in, those without any are dropped and counted.
    pub fn release(&mut self, hops: &impl Hops, mut send: impl FnMut(Outgoing<'_>)) {
        for _ in 0..self.waiting.len() {
            let Some(mut frame) = self.waiting.pop_front() else { return };
            let hop = match frame.whom {
                Whom::Server(server) => hops.hop(server),
                Whom::Client(client) => hops.client_hop(client),
            };
            match hop {
                Hop::Resolving { .. } => {
                    self.waiting.push_back(frame);
                    continue;
                }
                Hop::Ready(next) if !fits(&frame, next.mtu) => self.counters.too_big.0 += 1,
                Hop::Ready(next) => {
                    address(&mut frame.octets, &next);
                    self.counters.released.0 += 1;
                    send(outgoing(&frame, next.interface));
                }
                Hop::Unreachable | Hop::Local => self.counters.unreachable.0 += 1,
            }
            self.retire(frame);
        }
    }

    /// Drops and counts what has waited too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|frame| frame.until <= now) {
            let Some(frame) = self.waiting.pop_front() else { return };
            self.counters.expired.0 += 1;
            self.retire(frame);
        }
    }

    /// When [`Self::handle_timeout`] has something to drop.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|frame| frame.until)
    }

    /// What became of the frames so far.
    #[must_use]
    pub fn counters(&self) -> PendingCounters {
        let waiting = Counter(u64::try_from(self.waiting.len()).unwrap_or(u64::MAX));
        PendingCounters { waiting, ..self.counters }
    }

    /// Frames waiting for one. Clients are so many that nothing is kept of each; but few wait.
    fn waiting_for(&self, whom: Whom) -> u16 {
        match whom {
            Whom::Server(server) => self.per_server.get(index(server)).copied().unwrap_or(0),
            Whom::Client(_) => {
                let count = self.waiting.iter().filter(|frame| frame.whom == whom).count();
                u16::try_from(count).unwrap_or(u16::MAX)
            }
        }
    }

    fn retire(&mut self, frame: Waiting) {
        self.octets -= frame.octets.len();
        if let Whom::Server(server) = frame.whom
            && let Some(count) = self.per_server.get_mut(index(server))
        {
            *count -= 1;
        }
        // Buffers of super-frames are not kept: 64 of them would be 4 MiB that nobody needs.
        if self.spare.len() < SPARE_MAX && frame.octets.capacity() <= 4096 {
            self.spare.push(frame.octets);
        }
    }
}

/// Ethernet, IP and TCP headers: without options, and with all of IPv4's and TCP's.
const HEADERS_MIN: usize = ethernet::HEADER_LEN + 40;
const HEADERS_MAX: usize = ethernet::HEADER_LEN + 120;

/// Whether the packet, or each of those a device makes of it, is no longer than `mtu`. Of frames that
/// waited for a neighbour only this is known already; it was not where the way was unknown as well.
fn fits(frame: &Waiting, mtu: u32) -> bool {
    let length = match frame.offload.segmentation {
        Some(split) => {
            // A hint: some devices count all that lies in one piece of memory (virtio 1.2, 5.1.6.2).
            let headers = usize::from(split.header_length);
            let headers = if headers > HEADERS_MAX { HEADERS_MIN } else { headers };
            headers + usize::from(split.segment_size)
        }
        None => frame.octets.len(),
    };
    let packet = length.saturating_sub(ethernet::HEADER_LEN);
    u32::try_from(packet).is_ok_and(|packet| packet <= mtu)
}

/// Fills in the hardware addresses that were not known when the frame was made.
fn address(frame: &mut [u8], next: &NextHop) {
    let mut header = ethernet::Frame::new_unchecked(frame);
    header.set_destination(next.destination);
    header.set_source(next.source);
}

fn outgoing(frame: &Waiting, interface: InterfaceId) -> Outgoing<'_> {
    Outgoing { interface, octets: &frame.octets, vlan: frame.vlan, offload: frame.offload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hops::HopTable;
    use wire::ethernet::MacAddress;

    const PLAIN: Offload = Offload { checksum: None, segmentation: None };

    fn ready() -> Hop {
        Hop::Ready(NextHop {
            interface: InterfaceId(4),
            mtu: 1500,
            source: MacAddress([2; 6]),
            destination: MacAddress([4; 6]),
        })
    }

    fn released(pending: &mut Pending, hops: &HopTable) -> Vec<(InterfaceId, Vec<u8>)> {
        let mut sent = Vec::new();
        pending.release(hops, |frame| sent.push((frame.interface, frame.octets.to_vec())));
        sent
    }

    #[test]
    fn frames_go_out_in_order_with_addresses_once_the_neighbour_is_known() {
        let mut pending = Pending::new(PendingLimits::default());
        for last in [1, 2] {
            let mut frame = [0; 60];
            frame[59] = last;
            pending.push(Whom::Server(ServerId(1)), &frame, None, PLAIN, Instant::ZERO);
        }
        let resolving = HopTable::from_iter([(ServerId(1), Hop::Resolving { mtu: 1500 })]);
        assert_eq!(released(&mut pending, &resolving), []);
        let sent = released(&mut pending, &HopTable::from_iter([(ServerId(1), ready())]));
        assert_eq!(sent.len(), 2);
        for ((interface, frame), last) in sent.iter().zip([1, 2]) {
            assert_eq!(*interface, InterfaceId(4));
            assert_eq!(frame[..12], [4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2]);
            assert_eq!(frame[59], last);
        }
        assert_eq!(pending.counters().released, Counter(2));
        assert_eq!(pending.counters().waiting, Counter(0));
    }

    #[test]
    fn every_bound_drops_and_counts() {
        let limits =
            PendingLimits { frames_per_server: 2, frames: 3, octets: 200, ..Default::default() };
        let mut pending = Pending::new(limits);
        let push = |pending: &mut Pending, server, length| {
            pending.push(
                Whom::Server(ServerId(server)),
                &vec![0; length],
                None,
                PLAIN,
                Instant::ZERO,
            );
            (pending.counters().waiting.0, pending.counters().full.0)
        };
        assert_eq!(push(&mut pending, 0, 60), (1, 0));
        assert_eq!(push(&mut pending, 0, 60), (2, 0));
        assert_eq!(push(&mut pending, 0, 60), (2, 1), "the server's bound");
        assert_eq!(push(&mut pending, 1, 90), (2, 2), "the octets' bound");
        assert_eq!(push(&mut pending, 1, 60), (3, 2));
        assert_eq!(push(&mut pending, 2, 1), (3, 3), "the bound of all");
    }

    #[test]
    fn what_waits_too_long_or_for_nothing_is_dropped_and_counted() {
        let mut pending = Pending::new(PendingLimits::default());
        assert_eq!(pending.poll_timeout(), None);
        pending.push(Whom::Server(ServerId(0)), &[0; 60], None, PLAIN, Instant::ZERO);
        pending.push(Whom::Server(ServerId(1)), &[0; 60], None, PLAIN, Instant::from_millis(10));
        assert_eq!(pending.poll_timeout(), Some(Instant::from_millis(3000)));
        pending.handle_timeout(Instant::from_millis(3000));
        assert_eq!((pending.counters().expired, pending.counters().waiting.0), (Counter(1), 1));
        assert_eq!(released(&mut pending, &HopTable::new()), []);
        let counters = pending.counters();
        assert_eq!((counters.unreachable, counters.waiting), (Counter(1), Counter(0)));
        // The room is whole again: nothing of the dropped frames is still counted in.
        for _ in 0..64 {
            pending.push(Whom::Server(ServerId(1)), &[0; 60], None, PLAIN, Instant::ZERO);
        }
        assert_eq!(pending.counters().full, Counter(0));
    }
}
