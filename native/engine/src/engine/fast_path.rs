//! The fast path: something quicker than the director forwards the frames of a connection and counts
//! them.
//!
//! The engine offers lively connections, and takes them back when they end or change. The caller
//! decides what becomes of an offer: [`Engine::take_fast`] says that the fast path has the
//! connection, from then on [`Engine::account`] is told now and then what it carried, and
//! [`Engine::drop_fast`] when the fast path does not have it any more.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use core::time::Duration;

use wire::dissect::Upper;
use wire::{ethernet, ipv4, ipv6};

use crate::command::ForwardingMethod;
use crate::configuration::Server;
use crate::connection::{
    ConnectionEvent, ConnectionId, ConnectionKey, Direction, Entry, Expired, TcpEvent, TcpState,
    UDP,
};
use crate::engine::{Engine, load};
use crate::frame::InterfaceId;
use crate::hop::ServerId;
use crate::packet::Packet;
use crate::snapshot::{Counter, FastPathSnapshot};
use crate::time::Instant;

/// Packets a connection has to carry within [`WINDOW`] to be offered. The way there and back costs as
/// much as one or two of them do here. TCP connections of one request and one answer have some more,
/// and then are over. Datagrams may overtake each other at the change, so only flows go that are a
/// burden by themselves; many small ones are spread over more processors here than in the kernel, too.
/// Where datagrams are lost, that they overtake each other counts less: then, small ones go as well.
const LIVELY_SEGMENTS: u32 = 8;
const LIVELY_DATAGRAMS: u32 = 450;
const LIVELY_DATAGRAMS_UNDER_STRAIN: u32 = 8;
const WINDOW: Duration = Duration::from_millis(500);
/// How long a strain is assumed to last.
const STRAIN: Duration = Duration::from_secs(1);
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
    flows: u32,
    packets: u64,
    octets: u64,
    unknown: u64,
}

impl FastPath {
    fn new(limit: u32) -> Self {
        Self {
            candidates: vec![Candidate::default(); CANDIDATES].into_boxed_slice(),
            changes: VecDeque::with_capacity(limit as usize * 2),
            limit,
            strained_until: Instant::ZERO,
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

    /// There is room for one return of each connection the fast path has.
    pub(super) fn give_back(&mut self, key: ConnectionKey) {
        self.flows = self.flows.saturating_sub(1);
        self.changes.push_back(FastPathChange::Return(key));
    }

    pub(super) fn ended(&mut self, expired: &Expired) {
        if expired.fast {
            self.give_back(expired.key);
        }
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
    /// Whether only a turning point changes its state.
    pub(super) settled: bool,
    pub(super) server: &'a Server,
    /// Whether the fast path has the connection.
    pub(super) fast: bool,
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
        let fits = carried.settled
            && carried.server.forwarding == ForwardingMethod::DirectRouting
            && is_plain(packet);
        let wanted = match carried.key.protocol {
            UDP if now >= self.strained_until => LIVELY_DATAGRAMS,
            UDP => LIVELY_DATAGRAMS_UNDER_STRAIN,
            _ => LIVELY_SEGMENTS,
        };
        if !fits || !self.is_lively(carried.id, wanted, now) {
            return false;
        }
        let (key, server) = (carried.key, carried.server.id);
        let held = u32::from(carried.fast);
        let offered = self.offer(FastFlow { key, server, interface: packet.meta.interface }, held);
        if offered {
            self.flows = self.flows.saturating_sub(held);
        }
        offered
    }
}

/// An untagged TCP segment or UDP datagram without IP options or extension headers.
fn is_plain(packet: &Packet<'_>) -> bool {
    let header = if packet.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
    matches!(packet.ip.upper, Upper::Tcp { .. } | Upper::Udp { .. })
        && packet.meta.vlan.is_none()
        && packet.ip.l3 == ethernet::HEADER_LEN
        && packet.ip.l4 == ethernet::HEADER_LEN + header
}

/// Whether a connection carries packets that leave its state as it is: an established one of TCP, and
/// any of UDP, which has one state only.
pub(super) fn is_settled(entry: &Entry) -> bool {
    entry.protocol() == UDP || entry.tcp_state() == Some(TcpState::Established)
}

/// Whether a packet may end its connection or begin another: the fast path leaves those alone.
pub(super) const fn is_turning_point(upper: &Upper) -> bool {
    match upper {
        Upper::Tcp { flags, .. } => flags.syn() || flags.fin() || flags.rst(),
        Upper::Udp { .. } => false,
        _ => true,
    }
}

impl Engine {
    /// Offers lively connections to a fast path that can have up to `connections`, from now on; 0 for
    /// no fast path, as at first. What a former one had is forgotten.
    pub fn use_fast_path(&mut self, connections: u32) {
        self.fast_path =
            if connections == 0 { FastPath::default() } else { FastPath::new(connections) };
    }

    /// Says that frames were just lost because the caller is too slow. For a second from `now` on,
    /// UDP flows are offered that a caller with time to spare would rather keep.
    pub fn strain(&mut self, now: Instant) {
        self.fast_path.strained_until = now + STRAIN;
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
            && is_settled(entry)
            && self.configuration.server_by_id(flow.server).is_some();
        if !fits || entry.is_fast() || self.fast_path.flows >= self.fast_path.limit {
            return false;
        }
        self.fast_path.flows += 1;
        self.connections.set_fast(id, true);
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
            self.connections.set_fast(id, false);
            self.fast_path.flows = self.fast_path.flows.saturating_sub(1);
        }
    }

    /// Takes notice of what the fast path forwarded of `flow` since it was asked last: counters as if
    /// it had come to [`Engine::process`], and while the fast path has the connection its timeout
    /// begins anew. What was forwarded of a connection that is over by now is counted as such.
    pub fn account(&mut self, flow: &FastFlow, packets: u64, octets: u64, now: Instant) {
        if packets == 0 {
            return;
        }
        self.verdicts.count_forwarded(packets);
        self.fast_path.packets += packets;
        self.fast_path.octets += octets;
        let Some((service, _)) = self.configuration.server_by_id(flow.server) else {
            self.fast_path.unknown += packets;
            return;
        };
        self.books.count_carried(service.id, flow.server, packets, octets);
        let known = self.connections.lookup(&flow.key, now);
        let Some(id) = known.filter(|id| self.connections.entry(*id).server() == flow.server)
        else {
            self.fast_path.unknown += packets;
            return;
        };
        self.connections.count_packets(id, u32::try_from(packets).unwrap_or(u32::MAX));
        // What changed the state came to the director, who has taken the connection back then.
        if self.connections.entry(id).is_fast() {
            let event = match flow.key.protocol {
                UDP => ConnectionEvent::Udp,
                _ => ConnectionEvent::Tcp(TcpEvent::Ack),
            };
            let activity =
                self.connections.transition(id, event, Direction::Input, &self.timeouts, now);
            load::changed(&self.configuration, &mut self.events, flow.server, activity);
        }
    }
}
