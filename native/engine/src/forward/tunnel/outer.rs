//! The headers in front of a packet in a tunnel.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::ethernet::EtherType;
use wire::gue::RemoteChecksum;
use wire::{checksum, gre, gue, ipv4, ipv6, protocol, udp};

use crate::command::{Tunnel, TunnelChecksum, TunnelKind};
use crate::frame::checksum_offset;
use crate::identification::Identification;
use crate::packet::Packet;

/// Congestion experienced (RFC 3168 §5). IPVS does not copy it to the outside: ECT(0) goes there.
const ECN_CE: u8 = 0x03;
const ECN_LOW_BIT: u8 = 0x01;

/// Smallest MTU inside a tunnel, by the outer family (IPVS; RFC 791 §3.2, RFC 8200 §5).
const FLOOR_V4: u32 = 68;
const FLOOR_V6: u32 = 1280;

/// The ports GUE packets come from: Linux's default range of local ports.
const PORTS: (u16, u16) = (32_768, 60_999);

/// Both ends of a tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Ends {
    /// From the director to the server, if the families agree.
    pub(super) const fn new(source: Option<IpAddr>, server: IpAddr) -> Option<Self> {
        match (source, server) {
            (Some(IpAddr::V4(source)), IpAddr::V4(server)) => Some(Self::V4(source, server)),
            (Some(IpAddr::V6(source)), IpAddr::V6(server)) => Some(Self::V6(source, server)),
            _ => None,
        }
    }
}

/// What the outer headers of one packet say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    tunnel: Tunnel,
    ends: Ends,
    inner_is_ipv4: bool,
    hop_limit: u8,
    traffic_class: u8,
    dont_fragment: bool,
    source_port: u16,
    remote_checksum: Option<RemoteChecksum>,
}

impl Outer {
    /// The headers for `packet`, whose TTL is still to be decremented.
    pub(super) fn of(packet: &Packet<'_>, tunnel: Tunnel, ends: Ends, pmtu_disc: bool) -> Self {
        let class = packet.traffic_class();
        let is_congested = class & ECN_CE == ECN_CE;
        Self {
            tunnel,
            ends,
            inner_is_ipv4: packet.is_ipv4(),
            hop_limit: packet.ip.hop_limit.saturating_sub(1),
            traffic_class: if is_congested { class & !ECN_LOW_BIT } else { class },
            dont_fragment: packet.is_ipv4() && packet.ip.dont_fragment && pmtu_disc,
            source_port: flow_port(packet),
            remote_checksum: remote_checksum(packet, tunnel),
        }
    }

    /// Octets of the outer IP header and what follows it.
    pub(super) const fn length(&self) -> usize {
        self.ip_length() + self.tunnel_length()
    }

    pub(super) const fn ip_length(&self) -> usize {
        match self.ends {
            Ends::V4(..) => ipv4::HEADER_LEN,
            Ends::V6(..) => ipv6::HEADER_LEN,
        }
    }

    const fn tunnel_length(&self) -> usize {
        match self.tunnel.kind {
            TunnelKind::Ipip => 0,
            TunnelKind::Gre => self.gre().header_len(),
            TunnelKind::Gue => udp::HEADER_LEN + self.gue().header_len(),
        }
    }

    pub(super) const fn is_ipv4(&self) -> bool {
        matches!(self.ends, Ends::V4(..))
    }

    /// Largest packet inside, where the way takes packets of `mtu` octets; none if that is too
    /// little (IPVS drops then).
    pub(super) fn room(&self, mtu: u32) -> Option<u32> {
        let room = mtu.checked_sub(u32::try_from(self.length()).ok()?)?;
        let floor = if self.is_ipv4() { FLOOR_V4 } else { FLOOR_V6 };
        (room >= floor).then_some(room)
    }

    /// Whether the server completes the packet's checksum.
    pub(super) const fn offloads_checksum(&self) -> bool {
        self.remote_checksum.is_some()
    }

    /// IPv4 packets that nobody may fragment need none (RFC 6864 §4.1), and Linux gives them 0.
    pub(super) const fn identification(&self, numbers: &mut Identification) -> u16 {
        if self.dont_fragment || !self.is_ipv4() { 0 } else { numbers.ipv4() }
    }

    /// Fills `out` with the Ethernet header of `link`, the outer IP header and the tunnel's own;
    /// none if a length exceeds its field.
    pub(super) fn emit(
        &self,
        out: &mut [u8],
        link: &[u8],
        identification: u16,
        inner: &[u8],
    ) -> Option<()> {
        let (link_out, rest) = out.split_at_mut_checked(link.len())?;
        link_out.copy_from_slice(link);
        *link_out.last_chunk_mut()? = ether_type(self.is_ipv4()).0.to_be_bytes();
        let header = self.emit_ip(rest, identification, inner.len())?;
        match self.tunnel.kind {
            TunnelKind::Ipip => Some(()),
            TunnelKind::Gre => self.gre().emit(header, inner).map(|_| ()),
            TunnelKind::Gue => self.emit_gue(header, inner),
        }
    }

    fn emit_ip<'a>(
        &self,
        out: &'a mut [u8],
        identification: u16,
        inner: usize,
    ) -> Option<&'a mut [u8]> {
        let payload_len = self.tunnel_length() + inner;
        let Self { hop_limit, traffic_class, dont_fragment, .. } = *self;
        match self.ends {
            Ends::V4(source, destination) => ipv4::Repr {
                source,
                destination,
                protocol: self.protocol(),
                hop_limit,
                traffic_class,
                identification,
                dont_fragment,
                payload_len,
            }
            .emit(out),
            Ends::V6(source, destination) => ipv6::Repr {
                source,
                destination,
                next_header: self.protocol(),
                hop_limit,
                traffic_class,
                payload_len,
            }
            .emit(out),
        }
    }

    fn emit_gue(&self, out: &mut [u8], inner: &[u8]) -> Option<()> {
        let gue = self.gue();
        let payload_len = gue.header_len() + inner.len();
        let destination_port = self.tunnel.port.unwrap_or(0);
        let repr = udp::Repr { source_port: self.source_port, destination_port, payload_len };
        gue.emit(repr.emit(out)?)?;
        // Remote checksum offload relies on the outer checksum, so there is one (IPVS).
        if self.tunnel.checksum != TunnelChecksum::Nocsum {
            let length = u16::try_from(udp::HEADER_LEN + payload_len).ok()?;
            let sum = self.pseudo_header(length) + checksum::sum(out) + checksum::sum(inner);
            let checksum = udp::sent_checksum(!checksum::fold(sum));
            udp::Packet::new_unchecked(out).set_checksum(checksum);
        }
        Some(())
    }

    fn pseudo_header(&self, length: u16) -> u32 {
        match self.ends {
            Ends::V4(source, destination) => {
                checksum::pseudo_header_v4(source, destination, protocol::UDP, length)
            }
            Ends::V6(source, destination) => {
                checksum::pseudo_header_v6(source, destination, protocol::UDP, length.into())
            }
        }
    }

    const fn gre(&self) -> gre::Repr {
        let checksum = matches!(self.tunnel.checksum, TunnelChecksum::Csum);
        gre::Repr { ether_type: ether_type(self.inner_is_ipv4), checksum }
    }

    const fn gue(&self) -> gue::Repr {
        let protocol = ip_in_ip(self.inner_is_ipv4);
        gue::Repr { protocol, remote_checksum: self.remote_checksum }
    }

    const fn protocol(&self) -> u8 {
        match self.tunnel.kind {
            TunnelKind::Ipip => ip_in_ip(self.inner_is_ipv4),
            TunnelKind::Gre => protocol::GRE,
            TunnelKind::Gue => protocol::UDP,
        }
    }
}

const fn ether_type(is_ipv4: bool) -> EtherType {
    if is_ipv4 { EtherType::IPV4 } else { EtherType::IPV6 }
}

const fn ip_in_ip(is_ipv4: bool) -> u8 {
    if is_ipv4 { protocol::IPV4 } else { protocol::IPV6 }
}

/// Only an open checksum can be left to the server (IPVS).
fn remote_checksum(packet: &Packet<'_>, tunnel: Tunnel) -> Option<RemoteChecksum> {
    let wanted = tunnel.kind == TunnelKind::Gue && tunnel.checksum == TunnelChecksum::Remcsum;
    if !wanted || !packet.checksum_is_partial() {
        return None;
    }
    let start = packet.ip.l4 - packet.ip.l3;
    let offset = start + checksum_offset(&packet.ip.upper)?;
    Some(RemoteChecksum { start: u16::try_from(start).ok()?, offset: u16::try_from(offset).ok()? })
}

/// A source port that stays with the flow, so that networks and servers spread flows, not packets.
fn flow_port(packet: &Packet<'_>) -> u16 {
    let fold = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let octets = address.octets();
            let (words, _) = octets.as_chunks::<4>();
            words.iter().fold(0, |sum, word| (sum ^ u32::from_be_bytes(*word)).rotate_left(5))
        }
    };
    let (source, destination) = packet.ip.upper.ports().unwrap_or_default();
    let ends = u64::from(fold(packet.ip.source)) << 32 | u64::from(fold(packet.ip.destination));
    let ports = u64::from(source) << 24 | u64::from(destination) << 8;
    let mixed = (ends ^ ports ^ u64::from(packet.ip.protocol)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
    let (first, last) = PORTS;
    let step = (mixed * u64::from(last - first)) >> 32;
    first + u16::try_from(step).unwrap_or(0)
}
