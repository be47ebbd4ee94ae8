//! Packets of a connection the table knows.

use wire::dissect::Upper;

use crate::connection::{ConnectionEvent, ConnectionId, Direction, SctpEvent, TcpEvent};
use crate::engine::judge::Judge;
use crate::engine::{load, opening};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::verdict::{DropReason, Verdict};

impl<H: Hops> Judge<'_, H> {
    /// The verdict on a packet of connection `id`; none if the connection gives way and the packet
    /// is to be scheduled as if nothing had been found.
    pub(super) fn known(&mut self, packet: &mut Packet<'_>, id: ConnectionId) -> Option<Verdict> {
        if opening::asks_for_new(&packet.ip.upper) && self.gives_way(id) {
            self.end(id);
            return None;
        }
        let configuration = self.configuration;
        let server = self.connections.entry(id).server();
        let Some((service, server)) = configuration.server_by_id(server) else {
            // IPVS, expire_nodest_conn: 0 drops and leaves the timer alone, 1 schedules anew.
            if configuration.settings().expire_nodest_conn {
                self.end(id);
                return None;
            }
            return Some(Verdict::Drop(DropReason::ServerRemoved));
        };
        self.advance(packet, id);
        Some(self.deliver(packet, service, server))
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
    pub(super) fn advance(&mut self, packet: &Packet<'_>, id: ConnectionId) {
        let Some(event) = event_of(&packet.ip.upper) else { return };
        let activity =
            self.connections.transition(id, event, Direction::Input, self.timeouts, self.now);
        self.connections.count_packets(id, 1);
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
