//! The fast path: something quicker than the director forwards the frames of a connection and counts
//! them.
//!
//! The engine offers new TCP connections with their SYN and others once they are lively. The caller
//! decides what becomes of an offer: [`Engine::take_fast`] says that the fast path has the
//! connection, from then on [`Engine::account`] is told now and then what it carried, and
//! [`Engine::drop_fast`] when the fast path does not have it any more. A packet the fast path leaves
//! to the engine, because it may open or end the connection, brings the connection back, by
//! [`crate::hop::Hops::recall`], before it is judged: the engine then knows what it would know had all
//! packets come by here.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use core::time::Duration;

use wire::dissect::Upper;
use wire::{ethernet, ipv4, ipv6};

use crate::command::ForwardingMethod;
use crate::configuration::{Server, Service};
use crate::connection::{ConnectionId, ConnectionKey, Entry, Expired, TcpState, UDP};
use crate::engine::Engine;
use crate::engine::ledger::Ledger;
use crate::frame::InterfaceId;
use crate::hop::ServerId;
use crate::packet::Packet;
use crate::snapshot::{Counter, FastPathSnapshot};
use crate::time::Instant;

/// Packets a connection that was not offered with its SYN has to carry within [`WINDOW`] to be offered.
/// Datagrams may overtake each other at the change, so only flows go that are a burden by themselves;
/// many small ones are spread over more processors here than in the kernel, too. Where datagrams are
/// lost, that they overtake each other counts less: then, small ones go as well, as many as it takes.
const LIVELY_SEGMENTS: u32 = 8;
const LIVELY_DATAGRAMS: u32 = 450;
const LIVELY_DATAGRAMS_UNDER_STRAIN: u32 = 8;
const WINDOW: Duration = Duration::from_millis(500);
/// How long a strain is assumed to last.
const STRAIN: Duration = Duration::from_secs(1);
/// Small flows offered when a strain begins; twice as many each time that was not enough.
const RELIEF: u32 = 256;
/// Connections watched at a time; a power of two.
const CANDIDATES: usize = 4096;

/// A connection worth the fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastFlow {
    /// The connection.
    pub key: ConnectionKey,
    /// The real server its packets go to.
    pub server: ServerId,
    /// The interface they come in by.
    pub interface: InterfaceId,
    /// Whether it has just been opened: nobody knows yet whether its client goes on.
    pub opening: bool,
    /// Whether the fast path forwards TCP segments with FIN, too. Not where the scheduler has to know
    /// at once how many connections are active.
    pub ends: bool,
}

/// What the fast path carried of a connection. A frame that stands for several segments counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastCounts {
    /// Frames.
    pub packets: u64,
    /// Octets of their IP packets.
    pub octets: u64,
    /// Of the frames, those before the first with FIN.
    pub data: u64,
    /// Of the frames, those with FIN.
    pub fin: u64,
}

/// What the fast path is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastPathChange {
    /// This connection is worth taking.
    Offer(FastFlow),
    /// This connection is to come back, if the fast path has it.
    Return(ConnectionKey),
}

#[derive(Clone, Copy, Debug, Default)]
struct Candidate {
    connection: Option<ConnectionId>,
    packets: u32,
    /// Whether it was found lively in this window.
    is_found: bool,
    since: Instant,
}

/// What an engine knows of the fast path.
#[derive(Debug)]
pub(super) struct FastPath {
    candidates: Box<[Candidate]>,
    changes: VecDeque<FastPathChange>,
    /// Connections the fast path may have.
    limit: u32,
    /// Until when flows of few datagrams are offered as well.
    strained_until: Instant,
    /// How many of them the last loss was answered with, and how many of those are left to be offered.
    relief: u32,
    relief_left: u32,
    flows: u32,
    packets: u64,
    octets: u64,
    unknown: u64,
}

impl FastPath {
    fn new(limit: u32) -> Self {
        Self {
            candidates: vec![Candidate::default(); CANDIDATES].into_boxed_slice(),
            changes: VecDeque::with_capacity(limit as usize * 3),
            limit,
            strained_until: Instant::ZERO,
            relief: 0,
            relief_left: 0,
            flows: 0,
            packets: 0,
            octets: 0,
            unknown: 0,
        }
    }

    /// Whether a connection that just carried a packet is worth an offer now: once a window, so that
    /// an offer that comes to nothing is made again.
    fn is_lively(&mut self, id: ConnectionId, wanted: u32, now: Instant) -> bool {
        let place = id.index() as usize % CANDIDATES;
        let Some(candidate) = self.candidates.get_mut(place) else { return false };
        let is_own = candidate.connection == Some(id);
        // Its turn comes when the present one was found lively, or its window is over.
        let vacant = candidate.connection.is_none() || (!is_own && candidate.is_found);
        if vacant || now.saturating_since(candidate.since) > WINDOW {
            *candidate =
                Candidate { connection: Some(id), packets: 0, is_found: false, since: now };
        } else if !is_own {
            return false;
        }
        candidate.packets += 1;
        let is_new = candidate.packets >= wanted && !candidate.is_found;
        candidate.is_found |= is_new;
        is_new
    }

    /// Offers a connection if there is room beside the others; `held` is 1 if it has a place.
    fn offer(&mut self, flow: FastFlow, held: u32) -> bool {
        let room = self.flows.saturating_sub(held) < self.limit
            && self.changes.len() < self.limit as usize;
        if room {
            self.changes.push_back(FastPathChange::Offer(flow));
        }
        room
    }

    /// One connection less is on it.
    pub(super) const fn left(&mut self) {
        self.flows = self.flows.saturating_sub(1);
    }

    /// There is room for one return of each connection the fast path has.
    pub(super) fn ended(&mut self, expired: &Expired) {
        if expired.fast {
            self.left();
            self.changes.push_back(FastPathChange::Return(expired.key));
        }
    }

    /// The time of a connection is over: has the fast path carried something of it meanwhile?
    pub(super) fn lapsed(&mut self, key: ConnectionKey) {
        self.changes.push_back(FastPathChange::Return(key));
    }

    /// Notes what was carried; `known` says whether the connection was there still.
    pub(super) const fn count(&mut self, counts: &FastCounts, known: bool) {
        self.packets += counts.packets;
        self.octets += counts.octets;
        if !known {
            self.unknown += counts.packets;
        }
    }

    /// Frames it has forwarded.
    pub(super) const fn packets(&self) -> u64 {
        self.packets
    }

    pub(super) const fn snapshot(&self) -> FastPathSnapshot {
        FastPathSnapshot {
            connections: self.flows,
            packets: Counter(self.packets),
            octets: Counter(self.octets),
            unknown: Counter(self.unknown),
        }
    }
}

impl Default for FastPath {
    /// A fast path that takes nothing.
    fn default() -> Self {
        Self { candidates: Box::default(), ..Self::new(0) }
    }
}

/// What of a packet's way the fast path looks at.
pub(super) struct Carried<'a> {
    pub(super) id: ConnectionId,
    pub(super) key: ConnectionKey,
    pub(super) stage: Stage,
    pub(super) service: &'a Service,
    pub(super) server: &'a Server,
    /// Whether the fast path has the connection.
    pub(super) fast: bool,
}

/// How far a connection is, as the fast path sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client has opened it.
    Opening,
    /// It carries packets that leave its state as it is.
    Settled,
    /// Neither.
    Other,
}

impl Stage {
    pub(super) fn of(entry: &Entry) -> Self {
        match entry.tcp_state() {
            Some(TcpState::SynRecv) => Self::Opening,
            Some(TcpState::Established) => Self::Settled,
            // UDP has one state only.
            None if entry.protocol() == UDP => Self::Settled,
            _ => Self::Other,
        }
    }
}

impl FastPath {
    /// Whether there is a fast path at all.
    pub(super) const fn is_there(&self) -> bool {
        self.limit > 0
    }

    /// Offers the connection of `packet` if it is worth it and the fast path can do all that the
    /// engine does for its packets. Returns whether it was offered: then nobody has it.
    pub(super) fn consider(
        &mut self,
        packet: &Packet<'_>,
        carried: &Carried<'_>,
        now: Instant,
    ) -> bool {
        if carried.server.forwarding != ForwardingMethod::DirectRouting || !is_plain(packet) {
            return false;
        }
        let interface = packet.meta.interface;
        let ends = !carried.service.placement.compares_active();
        let opening = carried.stage == Stage::Opening;
        let flow =
            FastFlow { key: carried.key, server: carried.server.id, interface, opening, ends };
        let held = u32::from(carried.fast);
        let offered = match carried.stage {
            Stage::Opening => ends && is_opening(&packet.ip.upper) && self.offer(flow, 0),
            Stage::Settled => {
                let relieves = self.relief_left > 0 && now < self.strained_until;
                let wanted = match carried.key.protocol {
                    UDP if relieves => LIVELY_DATAGRAMS_UNDER_STRAIN,
                    UDP => LIVELY_DATAGRAMS,
                    _ => LIVELY_SEGMENTS,
                };
                let offered = self.is_lively(carried.id, wanted, now) && self.offer(flow, held);
                self.relief_left = self.relief_left.saturating_sub(u32::from(offered));
                offered
            }
            Stage::Other => false,
        };
        if offered {
            self.flows = self.flows.saturating_sub(held);
        }
        offered
    }
}

const fn is_opening(upper: &Upper) -> bool {
    matches!(upper, Upper::Tcp { flags, .. } if flags.syn())
}

/// An untagged TCP segment or UDP datagram without IP options or extension headers.
fn is_plain(packet: &Packet<'_>) -> bool {
    let header = if packet.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
    matches!(packet.ip.upper, Upper::Tcp { .. } | Upper::Udp { .. })
        && packet.meta.vlan.is_none()
        && packet.ip.l3 == ethernet::HEADER_LEN
        && packet.ip.l4 == ethernet::HEADER_LEN + header
}

/// Whether a packet may end its connection or begin another: the fast path leaves those alone, but for
/// those with FIN where it may have them.
pub(super) const fn is_turning_point(upper: &Upper) -> bool {
    match upper {
        Upper::Tcp { flags, .. } => flags.syn() || flags.fin() || flags.rst() || !flags.ack(),
        Upper::Udp { .. } => false,
        _ => true,
    }
}

impl Engine {
    /// Offers connections to a fast path that can have up to `connections`, from now on; 0 for
    /// no fast path, as at first. What a former one had is forgotten.
    pub fn use_fast_path(&mut self, connections: u32) {
        self.fast_path =
            if connections == 0 { FastPath::default() } else { FastPath::new(connections) };
    }

    /// Says that frames were just lost because the caller is too slow. For a second from `now` on,
    /// some UDP flows are offered that a caller with time to spare would rather keep; more each time
    /// this is said again meanwhile.
    pub fn strain(&mut self, now: Instant) {
        let fast_path = &mut self.fast_path;
        let is_first = now >= fast_path.strained_until;
        fast_path.relief =
            if is_first { RELIEF } else { fast_path.relief.saturating_mul(2).min(fast_path.limit) };
        fast_path.relief_left = fast_path.relief;
        fast_path.strained_until = now + STRAIN;
    }

    /// The oldest wish to the fast path nobody has heard yet.
    pub fn poll_fast_path(&mut self) -> Option<FastPathChange> {
        self.fast_path.changes.pop_front()
    }

    /// Says that the fast path has an offered connection. False if it must not: the connection is
    /// gone or goes elsewhere by now, or the fast path has as many as it may.
    #[must_use]
    pub fn take_fast(&mut self, flow: &FastFlow, now: Instant) -> bool {
        let Some(id) = self.connections.lookup(&flow.key, now) else { return false };
        let entry = self.connections.entry(id);
        let fits = entry.server() == flow.server
            && Stage::of(entry) != Stage::Other
            && self.configuration.server_by_id(flow.server).is_some();
        if !fits || entry.is_fast() || self.fast_path.flows >= self.fast_path.limit {
            return false;
        }
        self.fast_path.flows += 1;
        self.connections.enter_fast_path(id);
        true
    }

    /// Whether the fast path may keep a connection it has: its packets still go where they went.
    #[must_use]
    pub fn keeps_fast(&self, flow: &FastFlow, now: Instant) -> bool {
        self.connections.lookup(&flow.key, now).is_some_and(|id| {
            let entry = self.connections.entry(id);
            let configured = self.configuration.server_by_id(flow.server).is_some();
            entry.is_fast() && entry.server() == flow.server && configured
        })
    }

    /// Says that the fast path no longer has a connection, for reasons of its own.
    pub fn drop_fast(&mut self, key: &ConnectionKey, now: Instant) {
        if let Some(id) = self.connections.lookup(key, now)
            && self.connections.entry(id).is_fast()
        {
            self.connections.leave_fast_path(id, now);
            self.fast_path.left();
        }
    }

    /// Takes notice of what the fast path forwarded of `flow` since it was asked last: counters as if
    /// it had come to [`Engine::process`], and while the fast path has the connection its state
    /// follows and its timeout begins anew. What was forwarded of a connection that is over by now is
    /// counted as such. Returns whether the fast path is to keep the connection; it is not once its end
    /// went by.
    pub fn account(&mut self, flow: &FastFlow, counts: &FastCounts, now: Instant) -> bool {
        let mut ledger = Ledger {
            configuration: &self.configuration,
            timeouts: &self.timeouts,
            connections: &mut self.connections,
            books: &mut self.books,
            events: &mut self.events,
            fast_path: &mut self.fast_path,
            admission: &mut self.admission,
            now,
        };
        ledger.account(&flow.key, flow.server, counts)
    }
}
