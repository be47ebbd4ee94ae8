//! ICMP errors about packets the director itself wrapped: told on to the client, whose packet lies
//! inside (IPVS; for IPv4 in IPv4).

use core::net::IpAddr;

use wire::ethernet::EtherType;
use wire::quoted::{QuotedPacket, quoted};
use wire::{gre, gue, icmpv4, ipv4, protocol, udp};

use crate::command::{ForwardingMethod, Protocol, TunnelKind};
use crate::configuration::Server;
use crate::connection::ConnectionKey;
use crate::engine::judge::Judge;
use crate::hop::Hops;
use crate::packet::Packet;
use crate::reply::{self, Relayed};
use crate::verdict::Verdict;

/// Smallest MTU of an IPv4 path (RFC 791 §3.2).
const MTU_MIN: u32 = 68;

/// A packet of a tunnel, as far as an error quotes it.
struct Wrapped<'q> {
    kind: TunnelKind,
    /// UDP port it went to.
    port: Option<u16>,
    /// Octets in front of the packet inside.
    overhead: usize,
    inside: &'q [u8],
}

impl<H: Hops> Judge<'_, H> {
    /// Tells the client of an error about `quote`, if that is a packet the director wrapped for it.
    /// Services and ways are asked, not connections: those may be another worker's.
    pub(super) fn own_tunnel(
        &mut self,
        packet: &Packet<'_>,
        quote: &QuotedPacket,
        octets: &[u8],
    ) -> Option<Verdict> {
        if quote.source != packet.ip.destination {
            return None;
        }
        let wrapped = unwrap(quote, octets)?;
        let inner = quoted(wrapped.inside)?;
        let (IpAddr::V4(client), IpAddr::V4(virtual_address)) = (inner.source, inner.destination)
        else {
            return None;
        };
        let server = self.wrapped_for(packet, &inner, &wrapped, quote.destination)?;
        if self.hops.source(server.id) != Some(quote.source) {
            return None;
        }
        let error = relayed(packet, &wrapped)?;
        Some(reply::relay(packet, &error, (virtual_address, client), &mut self.answers))
    }

    /// The server at `address` that packets like `inner` may have been wrapped for.
    fn wrapped_for(
        &self,
        packet: &Packet<'_>,
        inner: &QuotedPacket,
        wrapped: &Wrapped<'_>,
        address: IpAddr,
    ) -> Option<&Server> {
        let (client_port, virtual_port) = inner.ports?;
        let key = ConnectionKey {
            protocol: inner.protocol,
            client: inner.source,
            client_port,
            virtual_address: inner.destination,
            virtual_port,
        };
        let service = self.service(packet, Protocol::from_number(inner.protocol)?, &key)?;
        service.servers.iter().find(|server| {
            let tunnel = server.tunnel.unwrap_or_default();
            server.address == address
                && server.forwarding == ForwardingMethod::Tunnelling
                && (tunnel.kind, tunnel.port) == (wrapped.kind, wrapped.port)
        })
    }
}

fn unwrap<'q>(quote: &QuotedPacket, octets: &'q [u8]) -> Option<Wrapped<'q>> {
    let payload = octets.get(quote.upper..)?;
    let (kind, port, header) = match quote.protocol {
        protocol::IPV4 => (TunnelKind::Ipip, None, 0),
        protocol::GRE => {
            let header = gre::header(payload)?;
            (header.ether_type == EtherType::IPV4).then_some(())?;
            (TunnelKind::Gre, None, header.header_len)
        }
        protocol::UDP => {
            let (_, port) = quote.ports?;
            let header = gue::header(payload.get(udp::HEADER_LEN..)?)?;
            (header.protocol == protocol::IPV4).then_some(())?;
            (TunnelKind::Gue, Some(port), udp::HEADER_LEN + header.header_len)
        }
        _ => return None,
    };
    Some(Wrapped { kind, port, overhead: quote.upper + header, inside: payload.get(header..)? })
}

/// What the client is told: the same, but of an MTU what is left of it inside. None where that
/// would say nothing: the client lets its packets be fragmented, or no MTU was given.
fn relayed<'q>(packet: &Packet<'_>, wrapped: &Wrapped<'q>) -> Option<Relayed<'q>> {
    let message = icmpv4::Packet::new_unchecked(packet.frame.get(packet.ip.l4..packet.ip.end)?);
    let (kind, code) = (message.kind(), message.code());
    let too_big = (icmpv4::kind::DESTINATION_UNREACHABLE, icmpv4::code::FRAGMENTATION_NEEDED);
    let mut rest_of_header = 0;
    if (kind, code) == too_big {
        let mtu = message.rest_of_header() & u32::from(u16::MAX);
        rest_of_header = mtu.checked_sub(u32::try_from(wrapped.overhead).ok()?)?;
        let asked_for = ipv4::Packet::new_unchecked(wrapped.inside).dont_fragment();
        (asked_for && rest_of_header >= MTU_MIN).then_some(())?;
    }
    Some(Relayed { kind, code, rest_of_header, quoted: wrapped.inside })
}
