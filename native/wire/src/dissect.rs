//! One look at a frame: what it is, where its headers lie, what its upper layer says.

use core::net::IpAddr;

use crate::ethernet::{self, EtherType};
pub use crate::malformed::Malformed;
use crate::{sctp, tcp};

mod v4;
mod v6;

/// What a good frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dissection {
    /// An IP packet.
    Ip(IpFrame),
    /// An ARP message; not looked at any further (see [`crate::arp`]).
    Arp,
    /// Something else, of this type (see [`ethernet::payload`]).
    NotIp(EtherType),
}

/// Whether a packet is a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fragment {
    /// A whole packet; so is an IPv6 packet with a fragment header and one fragment (RFC 6946).
    No,
    /// The first piece: it has the upper-layer header.
    First,
    /// Another piece: it has no upper-layer header.
    Later,
}

/// Where the parts of a frame with an IP packet lie, and what its headers say. All offsets count
/// from the start of the frame: `14 <= l3 < l4 <= end <= frame.len()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpFrame {
    /// Offset of the IP header: 14, or 4 more for each VLAN tag in the frame.
    pub l3: usize,
    /// Offset of the upper-layer header, behind IPv4 options and IPv6 extension headers; in a later
    /// fragment, of the fragment's payload.
    pub l4: usize,
    /// Where the packet ends; Ethernet padding lies behind it.
    pub end: usize,
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub hop_limit: u8,
    /// The upper-layer protocol, behind IPv6 extension headers; see [`crate::protocol`].
    pub protocol: u8,
    /// Whether this is a piece of a packet.
    pub fragment: Fragment,
    /// Whether nobody on the way may fragment the packet: IPv4 DF; always in IPv6.
    pub dont_fragment: bool,
    /// Whether the IPv4 header has options.
    pub options: bool,
    /// Whether there is an IPv6 hop-by-hop header.
    pub hop_by_hop: bool,
    /// What the upper-layer header says.
    pub upper: Upper,
}

/// What the upper-layer header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// A TCP segment.
    Tcp {
        /// The source port.
        source_port: u16,
        /// The destination port.
        destination_port: u16,
        /// The control bits.
        flags: tcp::Flags,
    },
    /// A UDP datagram.
    Udp {
        /// The source port.
        source_port: u16,
        /// The destination port.
        destination_port: u16,
    },
    /// An SCTP packet.
    Sctp {
        /// The source port.
        source_port: u16,
        /// The destination port.
        destination_port: u16,
        /// The chunk that is the packet's event; `None` if no chunk header is there.
        chunk: Option<sctp::Chunk>,
    },
    /// An ICMP message in IPv4.
    Icmpv4 {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// An ICMPv6 message in IPv6.
    Icmpv6 {
        /// The type.
        kind: u8,
        /// The code.
        code: u8,
    },
    /// One of the above whose header is not all there (or a TCP data offset inside the header).
    Truncated,
    /// Another protocol, or a later fragment.
    Other,
}

impl Upper {
    /// Source and destination port, if the protocol has ports.
    #[inline]
    #[must_use]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match *self {
            Self::Tcp { source_port, destination_port, .. }
            | Self::Udp { source_port, destination_port }
            | Self::Sctp { source_port, destination_port, .. } => {
                Some((source_port, destination_port))
            }
            _ => None,
        }
    }
}

/// Dissects an Ethernet frame, behind up to two VLAN tags.
///
/// A frame that stands for several segments (GSO) is one big packet. If its length field could not
/// hold the length and is 0, the packet ends with the frame.
///
/// # Errors
/// [`Malformed`] for an IP packet nobody should believe, and for a frame that ends in its Ethernet
/// header. A cut upper-layer header is no error but [`Upper::Truncated`].
#[inline]
pub fn dissect(frame: &[u8]) -> Result<Dissection, Malformed> {
    let (ether_type, l3) = ethernet::payload(frame)?;
    match ether_type {
        EtherType::IPV4 => v4::dissect(frame, l3).map(Dissection::Ip),
        EtherType::IPV6 => v6::dissect(frame, l3).map(Dissection::Ip),
        EtherType::ARP => Ok(Dissection::Arp),
        other => Ok(Dissection::NotIp(other)),
    }
}

/// What a packet no length field can describe (BIG TCP) is longer than.
const LENGTH_FIELD_MAX: usize = 0xffff;

/// Source and destination port of TCP, UDP or SCTP.
#[inline]
const fn ports(header: [u8; 4]) -> (u16, u16) {
    let [a, b, c, d] = header;
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

#[inline]
fn upper_tcp(segment: &[u8]) -> Upper {
    let Some(&[a, b, c, d, _, _, _, _, _, _, _, _, offset, flags, ..]) =
        segment.first_chunk::<{ tcp::HEADER_LEN }>()
    else {
        return Upper::Truncated;
    };
    if offset < 0x50 {
        return Upper::Truncated;
    }
    let (source_port, destination_port) = ports([a, b, c, d]);
    Upper::Tcp { source_port, destination_port, flags: tcp::Flags(flags) }
}

#[inline]
fn upper_udp(datagram: &[u8]) -> Upper {
    let Some(&[a, b, c, d, ..]) = datagram.first_chunk::<8>() else { return Upper::Truncated };
    let (source_port, destination_port) = ports([a, b, c, d]);
    Upper::Udp { source_port, destination_port }
}

fn upper_sctp(packet: &[u8]) -> Upper {
    sctp::Packet::new_checked(packet).map_or(Upper::Truncated, |packet| Upper::Sctp {
        source_port: packet.source_port(),
        destination_port: packet.destination_port(),
        chunk: packet.chunk(),
    })
}

/// Type and code of an ICMP message, if its header is all there.
fn icmp(message: &[u8]) -> Option<(u8, u8)> {
    let [kind, code, ..] = message.first_chunk::<8>()?;
    Some((*kind, *code))
}

#[cfg(test)]
mod tests;
