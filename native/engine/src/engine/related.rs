//! ICMP errors: each belongs to the connection of the packet it quotes.

use wire::quoted::{QuotedPacket, quoted};
use wire::{icmpv4, icmpv6};

use crate::command::Protocol;
use crate::connection::ConnectionKey;
use crate::engine::judge::Judge;
use crate::engine::schedule::NotPlaced;
use crate::event::AdoptionCause;
use crate::hop::Hops;
use crate::packet::Packet;
use crate::verdict::{DropReason, PassReason, Verdict};

impl<H: Hops> Judge<'_, H> {
    /// An ICMPv4 message. IPVS looks at unreachable, source quench and time exceeded.
    pub(super) fn icmpv4(&mut self, packet: &mut Packet<'_>, kind: u8) -> Verdict {
        use icmpv4::kind::{DESTINATION_UNREACHABLE, SOURCE_QUENCH, TIME_EXCEEDED};
        match kind {
            DESTINATION_UNREACHABLE | SOURCE_QUENCH | TIME_EXCEEDED => {
                self.related(packet, icmpv4::HEADER_LEN)
            }
            _ => Verdict::Pass(PassReason::Icmp),
        }
    }

    /// An ICMPv6 message. IPVS looks at all errors (RFC 4443 §2.1: types below 128).
    pub(super) fn icmpv6(&mut self, packet: &mut Packet<'_>, kind: u8) -> Verdict {
        if icmpv6::is_error(kind) {
            self.related(packet, icmpv6::HEADER_LEN)
        } else {
            Verdict::Pass(PassReason::Icmp)
        }
    }

    /// An ICMP error. It follows the connection of the packet it quotes, as that stands: no
    /// transition, no new timeout (IPVS).
    fn related(&mut self, packet: &mut Packet<'_>, header_length: usize) -> Verdict {
        let from = packet.ip.l4 + header_length;
        let octets = packet.frame.get(from..packet.ip.end).unwrap_or_default();
        let Some(quote) = quoted(octets) else {
            return Verdict::Pass(PassReason::Icmp);
        };
        if let Some(verdict) = self.own_tunnel(packet, &quote, octets) {
            return verdict;
        }
        // A later fragment has no ports, and so no connection (IPVS lets errors about it pass).
        let Some((protocol, key)) = key_of(&quote) else {
            return Verdict::Pass(PassReason::Icmp);
        };
        let Some(id) = self.connections.lookup(&key, self.now) else {
            if self.connections.has_masqueraded()
                && let Some(id) = self.replied(&key)
            {
                return self.give_back(packet, id);
            }
            if let Some(verdict) = self.elsewhere(packet, &key) {
                return verdict;
            }
            return self.schedule_related(packet, protocol, &key);
        };
        let configuration = self.configuration;
        match configuration.server_by_id(self.connections.entry(id).server()) {
            Some((service, server)) => self.deliver_known(packet, id, service, server),
            None => Verdict::Drop(DropReason::ServerRemoved),
        }
    }

    /// An ICMP error about a connection nobody here knows: with `schedule_icmp` it creates the
    /// entry, so that in a group of directors "too big" reaches the right server. It is hashed by
    /// what it quotes, whose destination is the client, and leaves the connection as new (IPVS).
    fn schedule_related(
        &mut self,
        packet: &mut Packet<'_>,
        protocol: Protocol,
        key: &ConnectionKey,
    ) -> Verdict {
        if !self.configuration.settings().schedule_icmp {
            return Verdict::Pass(PassReason::IcmpNoConnection);
        }
        let Some(service) = self.service(packet, protocol, key) else {
            return Verdict::Pass(PassReason::IcmpNoConnection);
        };
        match self.place(service, key, key.client, None) {
            Ok(placed) => {
                self.book(service, key, &placed, Some(AdoptionCause::Icmp));
                self.deliver_placed(packet, service, &placed)
            }
            Err(NotPlaced::Ignored(reason)) => Verdict::Pass(reason),
            Err(NotPlaced::NoServer) => Verdict::Drop(DropReason::IcmpNoServer),
            Err(NotPlaced::Full) => Verdict::Drop(DropReason::TableFull),
            Err(NotPlaced::Defence) => Verdict::Drop(DropReason::Defence),
        }
    }
}

/// The connection a quoted packet belongs to. It went from the virtual service to the client.
fn key_of(quote: &QuotedPacket) -> Option<(Protocol, ConnectionKey)> {
    let protocol = Protocol::from_number(quote.protocol)?;
    let (virtual_port, client_port) = quote.ports?;
    let key = ConnectionKey {
        protocol: quote.protocol,
        client: quote.destination,
        client_port,
        virtual_address: quote.source,
        virtual_port,
    };
    Some((protocol, key))
}
