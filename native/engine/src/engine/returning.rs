//! What masqueraded servers send: replies, ICMP errors, and packets of no connection.

use core::net::IpAddr;

use wire::dissect::Upper;
use wire::sctp;

use crate::connection::{ConnectionId, ConnectionKey, Direction, ReplyKey};
use crate::engine::judge::Judge;
use crate::forward::masquerade::Return;
use crate::hop::{Hops, ServerId};
use crate::packet::Packet;
use crate::reply::Answer;
use crate::verdict::Verdict;

impl<H: Hops> Judge<'_, H> {
    /// The masqueraded connection a packet with this key belongs to as a reply: what its key takes
    /// for the client is the server, and what it takes for the virtual end is the client.
    pub(super) fn replied(&self, key: &ConnectionKey) -> Option<ConnectionId> {
        let reply = ReplyKey {
            protocol: key.protocol,
            client: key.virtual_address,
            client_port: key.virtual_port,
            server_port: key.client_port,
        };
        let configuration = self.configuration;
        let is_server = |id| configuration.server_address(id) == Some(key.client);
        self.connections.lookup_reply(&reply, is_server, self.now)
    }

    /// Sends a packet of connection `id`, a reply or an ICMP error from the server's side, back to
    /// the client. Other than on the way in, the removal of the server ends nothing (IPVS).
    pub(super) fn give_back(&mut self, packet: &mut Packet<'_>, id: ConnectionId) -> Verdict {
        self.admission.count_known();
        if let Err(reason) = packet.settle_offload() {
            return Verdict::Drop(reason);
        }
        let server = self.connections.entry(id).server();
        let key = self.connections.key(id);
        let own = self.own_address(server, key.virtual_address);
        let back = match Return::of(packet, server, own, self.hops, &mut self.answers) {
            Ok(back) => back,
            Err(verdict) => return verdict,
        };
        // ICMP errors leave a connection as it stands.
        self.advance(packet, id, Direction::Output);
        if let Some((service, server)) = self.configuration.server_by_id(server) {
            self.books.count_out(service.id, server.id, packet.length());
        }
        back.send(packet, (key.virtual_address, key.virtual_port), &mut self.answers)
    }

    /// The answer to a packet with this key if it comes from a masqueraded server and belongs to no
    /// connection (IPVS, `nat_icmp_send`); never to a TCP reset or an SCTP abort. The search for the
    /// server goes through all services, but only for packets from an address that is a server's.
    pub(super) fn refuse_stray(
        &mut self,
        packet: &mut Packet<'_>,
        key: &ConnectionKey,
    ) -> Option<Verdict> {
        if ends_connection(&packet.ip.upper) || packet.ip.hop_limit <= 1 {
            return None;
        }
        let (protocol, address, port) = (key.protocol, key.client, key.client_port);
        let server = self.configuration.masqueraded_server(protocol, address, port)?;
        let own = self.hops.source(server)?;
        // The kernel answers where it forwards, with the hop already taken off.
        packet.age();
        Some(self.answers.answer_from(own, packet, Answer::NoConnection))
    }

    /// What ICMP errors to a server come from: the director's address on the way there, or where
    /// none is known the address of the service.
    pub(super) fn own_address(&self, server: ServerId, virtual_address: IpAddr) -> IpAddr {
        let same_family = |own: &IpAddr| own.is_ipv4() == virtual_address.is_ipv4();
        self.hops.source(server).filter(same_family).unwrap_or(virtual_address)
    }
}

fn ends_connection(upper: &Upper) -> bool {
    match upper {
        Upper::Tcp { flags, .. } => flags.rst(),
        Upper::Sctp { chunk, .. } => chunk.is_some_and(|chunk| chunk.kind == sctp::kind::ABORT),
        _ => false,
    }
}
