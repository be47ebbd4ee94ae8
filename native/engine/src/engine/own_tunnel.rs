//! ICMP errors about packets the director itself wrapped: told on to the client, whose packet lies
//! inside (IPVS for IPv4 in IPv4; here for every pair of families).

use core::net::IpAddr;

use wire::dissect::Upper;
use wire::ethernet::EtherType;
use wire::quoted::{QuotedPacket, quoted};
use wire::{gre, gue, icmpv4, icmpv6, ipv4, protocol, udp};

use crate::command::{ForwardingMethod, Protocol, TunnelKind};
use crate::configuration::Server;
use crate::connection::ConnectionKey;
use crate::engine::judge::Judge;
use crate::hop::Hops;
use crate::packet::Packet;
use crate::reply::{self, Answer, Relayed};
use crate::verdict::Verdict;

/// Smallest MTU of an IPv4 path (RFC 791 §3.2).
const MTU_MIN: u32 = 68;

/// Smallest MTU of an IPv6 path (RFC 8200 §5).
const IPV6_MTU_MIN: u32 = 1280;

const TOO_BIG_V4: (u8, u8) =
    (icmpv4::kind::DESTINATION_UNREACHABLE, icmpv4::code::FRAGMENTATION_NEEDED);

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
        let server = self.wrapped_for(packet, &inner, &wrapped, quote.destination)?;
        if self.hops.source(server.id) != Some(quote.source) {
            return None;
        }
        packet.icmp_checksum_is_good().then_some(())?;
        let error = relayed(packet, &inner, &wrapped)?;
        Some(reply::relay(packet, &error, (inner.destination, inner.source), &mut self.answers))
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
        protocol::IPV4 | protocol::IPV6 => (TunnelKind::Ipip, None, 0),
        protocol::GRE => {
            let header = gre::header(payload)?;
            matches!(header.ether_type, EtherType::IPV4 | EtherType::IPV6).then_some(())?;
            (TunnelKind::Gre, None, header.header_len)
        }
        protocol::UDP => {
            let (_, port) = quote.ports?;
            let header = gue::header(payload.get(udp::HEADER_LEN..)?)?;
            matches!(header.protocol, protocol::IPV4 | protocol::IPV6).then_some(())?;
            (TunnelKind::Gue, Some(port), udp::HEADER_LEN + header.header_len)
        }
        _ => return None,
    };
    Some(Wrapped { kind, port, overhead: quote.upper + header, inside: payload.get(header..)? })
}

/// What the client is told. None where that would say nothing: the client lets its packets be
/// fragmented, or no MTU was given.
fn relayed<'q>(
    packet: &Packet<'_>,
    inner: &QuotedPacket,
    wrapped: &Wrapped<'q>,
) -> Option<Relayed<'q>> {
    let message = packet.frame.get(packet.ip.l4..packet.ip.end)?;
    let inner_is_ipv4 = inner.source.is_ipv4();
    let header = match (packet.ip.upper, inner_is_ipv4) {
        (Upper::Icmpv4 { .. }, true) => header_v4_in_v4(message, wrapped)?,
        _ => match in_other_words(packet, message, wrapped)? {
            Answer::TooBig { .. } if inner_is_ipv4 && !asks_for_errors(wrapped) => return None,
            // RFC 2473 §7.1: no less than any path of IPv6 takes.
            Answer::TooBig { mtu } if !inner_is_ipv4 => {
                Answer::TooBig { mtu: mtu.max(IPV6_MTU_MIN) }.header(false)
            }
            answer => answer.header(inner_is_ipv4),
        },
    };
    let (kind, code, rest_of_header) = header;
    Some(Relayed { kind, code, rest_of_header, quoted: wrapped.inside })
}

/// The same error, but of an MTU what is left of it inside (IPVS).
fn header_v4_in_v4(message: &[u8], wrapped: &Wrapped<'_>) -> Option<(u8, u8, u32)> {
    let message = icmpv4::Packet::new_unchecked(message);
    let (kind, code) = (message.kind(), message.code());
    if (kind, code) != TOO_BIG_V4 {
        return Some((kind, code, 0));
    }
    let mtu = inside(message.rest_of_header() & u32::from(u16::MAX), wrapped)?;
    asks_for_errors(wrapped).then_some((kind, code, mtu))
}

/// What the client would be told if the director itself had the trouble (RFC 2473 §8: any error of
/// the tunnel but that of an MTU is its far end being unreachable).
fn in_other_words(packet: &Packet<'_>, message: &[u8], wrapped: &Wrapped<'_>) -> Option<Answer> {
    let mtu = match packet.ip.upper {
        Upper::Icmpv4 { .. } => {
            let message = icmpv4::Packet::new_unchecked(message);
            let too_big = (message.kind(), message.code()) == TOO_BIG_V4;
            too_big.then(|| message.rest_of_header() & u32::from(u16::MAX))
        }
        _ => {
            let message = icmpv6::Packet::new_unchecked(message);
            let too_big = message.kind() == icmpv6::kind::PACKET_TOO_BIG;
            too_big.then(|| message.rest_of_header())
        }
    };
    match mtu {
        Some(mtu) => Some(Answer::TooBig { mtu: inside(mtu, wrapped)? }),
        None => Some(Answer::Unreachable),
    }
}

/// What is left of an MTU inside the tunnel, if that is one.
fn inside(mtu: u32, wrapped: &Wrapped<'_>) -> Option<u32> {
    let rest = mtu.checked_sub(u32::try_from(wrapped.overhead).ok()?)?;
    (rest >= MTU_MIN).then_some(rest)
}

/// Whether the IPv4 packet inside may not be fragmented.
fn asks_for_errors(wrapped: &Wrapped<'_>) -> bool {
    ipv4::Packet::new_unchecked(wrapped.inside).dont_fragment()
}
