//! Packets of a connection the table knows.

use wire::dissect::Upper;

use crate::configuration::{Server, Service};
use crate::connection::{ConnectionEvent, ConnectionId, Direction, Expired, SctpEvent, TcpEvent};
use crate::engine::fast_path::{Carried, Stage, is_turning_point};
use crate::engine::judge::Judge;
use crate::engine::ledger::Ledger;
use crate::engine::{load, opening};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::verdict::{DropReason, Verdict};

/// What a known connection makes of a packet.
pub(super) enum Known {
    /// Its verdict.
    Judged(Verdict),
    /// It made room: the packet is to be scheduled as if nothing had been found. What ended is then
    /// to be taken off its server's load.
    GaveWay(Option<Expired>),
}

impl<H: Hops> Judge<'_, H> {
    /// What becomes of a packet of connection `id`.
    pub(super) fn known(&mut self, packet: &mut Packet<'_>, id: ConnectionId) -> Known {
        self.admission.count_known();
        let fast = self.connections.entry(id).is_fast();
        if fast && is_turning_point(&packet.ip.upper) && !self.recall(id) {
            return self.end(id);
        }
        if opening::asks_for_new(&packet.ip.upper) {
            if self.gives_way(id) {
                return self.end(id);
            }
            self.connections.reopen(id);
        }
        let configuration = self.configuration;
        let server = self.connections.entry(id).server();
        let Some((service, server)) = configuration.server_by_id(server) else {
            // IPVS, expire_nodest_conn: 0 drops and leaves the timer alone, 1 schedules anew.
            if configuration.settings().expire_nodest_conn {
                return self.end(id);
            }
            return Known::Judged(Verdict::Drop(DropReason::ServerRemoved));
        };
        self.advance(packet, id, Direction::Input);
        let verdict = self.deliver_known(packet, id, service, server);
        if self.may_take_fast_path(&verdict) {
            self.consider_fast_path(packet, id, service, server);
        }
        Known::Judged(verdict)
    }

    /// Whether there is a fast path, and packets with this verdict can take it.
    pub(super) const fn may_take_fast_path(&self, verdict: &Verdict) -> bool {
        self.fast_path.is_there() && matches!(verdict, Verdict::Forward { .. })
    }

    /// A packet of a connection the fast path might take. One that it has and that comes here all the
    /// same, much of it, it has lost: it is offered again.
    pub(super) fn consider_fast_path(
        &mut self,
        packet: &Packet<'_>,
        id: ConnectionId,
        service: &Service,
        server: &Server,
    ) {
        let entry = self.connections.entry(id);
        if entry.is_masqueraded() {
            return;
        }
        let (key, stage, fast) = (self.connections.key(id), Stage::of(entry), entry.is_fast());
        let carried = Carried { id, key, stage, service, server, fast };
        if self.fast_path.consider(packet, &carried, self.now) {
            self.connections.leave_fast_path(id, self.now);
        }
    }

    /// Takes a connection back from the fast path, with all that it carried. Returns whether it goes on.
    fn recall(&mut self, id: ConnectionId) -> bool {
        let key = self.connections.key(id);
        if let Some(counts) = self.hops.recall(&key) {
            let server = self.connections.entry(id).server();
            let mut ledger = Ledger {
                configuration: self.configuration,
                timeouts: self.timeouts,
                connections: self.connections,
                books: self.books,
                events: self.events,
                fast_path: self.fast_path,
                admission: self.admission,
                now: self.now,
            };
            ledger.account(&key, server, &counts);
        }
        self.fast_path.left();
        self.connections.leave_fast_path(id, self.now)
    }

    /// Whether a connection makes room for a new one with the same key (IPVS §4.2 step 5): its
    /// server is quiesced and `expire_nodest_conn` is set, or it is finished and may be reused.
    fn gives_way(&self, id: ConnectionId) -> bool {
        let settings = self.configuration.settings();
        let server = self.connections.entry(id).server();
        let quiesced = || {
            self.configuration.server_by_id(server).is_some_and(|(_, server)| server.weight == 0)
        };
        (settings.expire_nodest_conn && quiesced())
            || self.connections.reusable(id, settings.conn_reuse_mode)
    }

    /// Takes the packet through the connection's state machine and begins its timeout anew.
    pub(super) fn advance(&mut self, packet: &Packet<'_>, id: ConnectionId, direction: Direction) {
        let Some(event) = event_of(&packet.ip.upper) else { return };
        let activity = self.connections.transition(id, event, direction, self.timeouts, self.now);
        if direction != Direction::Output && self.connections.count_packets(id, 1) {
            self.admission.confirmed(&self.connections.key(id));
        }
        let server = self.connections.entry(id).server();
        load::changed(self.configuration, self.events, server, activity);
    }
}

fn event_of(upper: &Upper) -> Option<ConnectionEvent> {
    match upper {
        Upper::Tcp { flags, .. } => Some(ConnectionEvent::Tcp(TcpEvent::from_flags(flags.0))),
        Upper::Udp { .. } => Some(ConnectionEvent::Udp),
        Upper::Sctp { chunk, .. } => {
            chunk.map(|chunk| ConnectionEvent::Sctp(SctpEvent::from_chunk_kind(chunk.kind)))
        }
        _ => None,
    }
}
