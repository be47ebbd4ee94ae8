//! What the fast path carried, written down as if it had come to the engine.

use crate::configuration::Configuration;
use crate::connection::{
    ConnectionEvent, ConnectionId, ConnectionKey, ConnectionTable, Direction, TcpEvent, Timeouts,
    UDP,
};
use crate::engine::admission::Admission;
use crate::engine::books::Books;
use crate::engine::fast_path::{FastCounts, FastPath, Stage};
use crate::engine::load;
use crate::event_queue::EventQueue;
use crate::hop::ServerId;
use crate::time::Instant;

/// Everything that carried packets leave their mark on.
pub(super) struct Ledger<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) timeouts: &'a Timeouts,
    pub(super) connections: &'a mut ConnectionTable,
    pub(super) books: &'a mut Books,
    pub(super) events: &'a mut EventQueue,
    pub(super) fast_path: &'a mut FastPath,
    pub(super) admission: &'a mut Admission,
    pub(super) now: Instant,
}

impl Ledger<'_> {
    /// Counts what was carried of a connection to `server`, and takes it through the state machine if
    /// the fast path has it. Returns whether it goes on.
    pub(super) fn account(
        &mut self,
        key: &ConnectionKey,
        server: ServerId,
        counts: &FastCounts,
    ) -> bool {
        if counts.packets == 0 {
            return true;
        }
        let Some((service, _)) = self.configuration.server_by_id(server) else {
            self.fast_path.count(counts, false);
            return false;
        };
        self.books.count_carried(service.id, server, counts.packets, counts.octets);
        let known = self.connections.lookup(key, self.now);
        let known = known.filter(|id| self.connections.entry(*id).server() == server);
        self.fast_path.count(counts, known.is_some());
        let Some(id) = known else { return false };
        let packets = u32::try_from(counts.packets).unwrap_or(u32::MAX);
        if self.connections.count_packets(id, packets) {
            self.admission.confirmed(key);
        }
        // Once the engine has it back, packets that came later have changed its state.
        if self.connections.entry(id).is_fast() {
            self.advance(id, counts);
        }
        Stage::of(self.connections.entry(id)) != Stage::Other
    }

    /// What came one after the other, as far as it makes a difference: segments before the first with
    /// FIN, those with FIN, and others behind.
    fn advance(&mut self, id: ConnectionId, counts: &FastCounts) {
        let FastCounts { packets, data, fin, .. } = *counts;
        if self.connections.entry(id).protocol() == UDP {
            self.transition(id, ConnectionEvent::Udp);
            return;
        }
        let late = packets.saturating_sub(data).saturating_sub(fin);
        let steps = [(data, TcpEvent::Ack), (fin, TcpEvent::Fin), (late, TcpEvent::Ack)];
        for (_, event) in steps.into_iter().filter(|(count, _)| *count > 0) {
            self.transition(id, ConnectionEvent::Tcp(event));
        }
    }

    fn transition(&mut self, id: ConnectionId, event: ConnectionEvent) {
        let Self { connections, timeouts, now, .. } = self;
        let activity = connections.transition(id, event, Direction::Input, timeouts, *now);
        let server = self.connections.entry(id).server();
        load::changed(self.configuration, self.events, server, activity);
    }
}
