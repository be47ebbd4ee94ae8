//! Packets of no connection here that may belong to one that another engine keeps.
//!
//! This is where it is decided which packets belong together. What the kernel spreads frames by is
//! a guess at it that saves the handing over: whatever it guesses, all packets of a connection meet.

use crate::command::Protocol;
use crate::connection::ConnectionKey;
use crate::engine::judge::Judge;
use crate::hand_over::{HandOver, Turn};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::verdict::Verdict;

impl<H: Hops> Judge<'_, H> {
    /// Hands over a packet with this key (of an ICMP error: that of what it quotes) that belongs to
    /// no connection here. Connections are with the engine that keeps their clients, so there are
    /// two to ask: the one that keeps the receiver, if the sender may be a masqueraded server, and
    /// the one that keeps the sender. The latter judges, whether it knows the connection or not.
    pub(super) fn elsewhere(&self, packet: &Packet<'_>, key: &ConnectionKey) -> Option<Verdict> {
        let (turn, hops) = (self.hops.turn(), self.hops);
        if turn == Turn::Last || !hops.is_one_of_several() {
            return None;
        }
        let from_server = self.may_be_server(key);
        let receiver = hops.keeper(key.virtual_address, key.virtual_port);
        if turn == Turn::Chosen
            && from_server
            && let Some(engine) = receiver
        {
            return Some(Verdict::HandOver(HandOver { engine, turn: Turn::Reply }));
        }
        // What servers send elsewhere concerns nobody.
        if from_server && !self.is_for_service(packet, key) {
            return None;
        }
        let engine = hops.keeper(key.client, key.client_port)?;
        Some(Verdict::HandOver(HandOver { engine, turn: Turn::Last }))
    }

    /// Whether the sender may be a masqueraded server; those removed still answer.
    fn may_be_server(&self, key: &ConnectionKey) -> bool {
        self.configuration.is_server_address(key.client)
            || self.configuration.removed_servers().any(|server| server.address == key.client)
    }

    fn is_for_service(&self, packet: &Packet<'_>, key: &ConnectionKey) -> bool {
        Protocol::from_number(key.protocol)
            .is_some_and(|protocol| self.service(packet, protocol, key).is_some())
    }
}
