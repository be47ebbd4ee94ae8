//! The start of a frame: enough of its headers to know the connection, and nothing behind them.

use core::net::IpAddr;

use super::{Upper, upper_tcp};
use crate::ethernet::{self, EtherType};
use crate::field::tail;
use crate::{ipv4, ipv6, protocol, tcp};

/// What the first octets of a TCP segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStart {
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// The source port.
    pub source_port: u16,
    /// The destination port.
    pub destination_port: u16,
    /// The control bits.
    pub flags: tcp::Flags,
    /// Octets of the whole IP packet, as its header has them.
    pub length: usize,
}

/// Reads the start of a frame whose rest is not there, if it is a whole TCP segment behind an IPv4
/// header without options or an IPv6 header without extensions, untagged. Lengths and checksums
/// cannot be checked without the rest: only for frames somebody has checked already.
#[must_use]
pub fn segment_start(frame: &[u8]) -> Option<SegmentStart> {
    let (ether_type, l3) = ethernet::payload(frame).ok()?;
    if l3 != ethernet::HEADER_LEN {
        return None;
    }
    let packet = tail(frame, l3);
    let (source, destination, length, header_len): (IpAddr, IpAddr, _, _) = match ether_type {
        EtherType::IPV4 => {
            let header = ipv4::Packet::new_unchecked(packet.first_chunk::<{ ipv4::HEADER_LEN }>()?);
            let whole = !header.more_fragments() && header.fragment_offset() == 0;
            let plain = header.version() == 4 && header.header_len() == ipv4::HEADER_LEN && whole;
            if !plain || header.protocol() != protocol::TCP {
                return None;
            }
            let (source, destination) = (header.source().into(), header.destination().into());
            (source, destination, header.total_len(), ipv4::HEADER_LEN)
        }
        EtherType::IPV6 => {
            let header = ipv6::Packet::new_unchecked(packet.first_chunk::<{ ipv6::HEADER_LEN }>()?);
            if header.version() != 6 || header.next_header() != protocol::TCP {
                return None;
            }
            let length = header.payload_len() + ipv6::HEADER_LEN;
            (header.source().into(), header.destination().into(), length, ipv6::HEADER_LEN)
        }
        _ => return None,
    };
    segment(source, destination, length, tail(packet, header_len))
}

/// The TCP header may itself be cut behind its flags.
fn segment(
    source: IpAddr,
    destination: IpAddr,
    length: usize,
    octets: &[u8],
) -> Option<SegmentStart> {
    if octets.len() < FLAGS_END {
        return None;
    }
    let mut header = [0; tcp::HEADER_LEN];
    for (to, from) in header.iter_mut().zip(octets) {
        *to = *from;
    }
    let Upper::Tcp { source_port, destination_port, flags } = upper_tcp(&header) else {
        return None;
    };
    Some(SegmentStart { source, destination, source_port, destination_port, flags, length })
}

/// Where the flags of a TCP header end (RFC 9293 §3.1).
const FLAGS_END: usize = 14;
