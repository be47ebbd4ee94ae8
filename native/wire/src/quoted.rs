//! The packet quoted in an ICMP error: whose connection the error is about.

use core::net::IpAddr;

use crate::field::{array_at, tail};
use crate::protocol;
use crate::{ipv4, ipv6};

/// A packet quoted in an ICMP error, as far as it goes. Quotes may be cut and altered on the way,
/// so nothing is verified but that the headers are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotedPacket {
    /// Its source address.
    pub source: IpAddr,
    /// Its destination address.
    pub destination: IpAddr,
    /// Its upper-layer protocol, behind IPv6 extension headers.
    pub protocol: u8,
    /// Whether it is a fragment other than the first: it has no ports.
    pub fragment_later: bool,
    /// Offset of the upper-layer header from the start of the quote.
    pub upper: usize,
    /// Source and destination port, if the protocol has ports and the quote reaches them.
    pub ports: Option<(u16, u16)>,
}

/// Reads the packet quoted at the start of `bytes`; `None` if its IP header (or the chain of its
/// IPv6 extension headers) is not all there or not one.
#[must_use]
pub fn quoted(bytes: &[u8]) -> Option<QuotedPacket> {
    match bytes.first()? >> 4 {
        4 => quoted_v4(bytes),
        6 => quoted_v6(bytes),
        _ => None,
    }
}

fn quoted_v4(bytes: &[u8]) -> Option<QuotedPacket> {
    let packet = ipv4::Packet::new_unchecked(bytes);
    let upper = packet.header_len();
    if upper < ipv4::HEADER_LEN || bytes.len() < upper {
        return None;
    }
    let fragment_later = packet.fragment_offset() != 0;
    Some(QuotedPacket {
        source: packet.source().into(),
        destination: packet.destination().into(),
        protocol: packet.protocol(),
        fragment_later,
        upper,
        ports: ports(bytes, upper, packet.protocol(), fragment_later),
    })
}

fn quoted_v6(bytes: &[u8]) -> Option<QuotedPacket> {
    if bytes.len() < ipv6::HEADER_LEN {
        return None;
    }
    let packet = ipv6::Packet::new_unchecked(bytes);
    let behind = ipv6::extension::walk(tail(bytes, ipv6::HEADER_LEN), packet.next_header()).ok()?;
    let upper = ipv6::HEADER_LEN + behind.offset;
    let fragment_later = behind.fragment.is_some_and(|fragment| fragment.offset != 0);
    Some(QuotedPacket {
        source: packet.source().into(),
        destination: packet.destination().into(),
        protocol: behind.protocol,
        fragment_later,
        upper,
        ports: ports(bytes, upper, behind.protocol, fragment_later),
    })
}

fn ports(bytes: &[u8], upper: usize, upper_protocol: u8, later: bool) -> Option<(u16, u16)> {
    if later || !matches!(upper_protocol, protocol::TCP | protocol::UDP | protocol::SCTP) {
        return None;
    }
    let [a, b, c, d] = array_at(bytes, upper)?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use core::net::Ipv6Addr;

    use super::*;

    /// A TCP packet 192.0.2.10:80 to 198.51.100.7:40000 with one option word, cut behind 8 octets
    /// of its segment; the checksum is not even right.
    const V4: [u8; 32] = [
        0x46, 0x00, 0x05, 0xdc, 0x00, 0x01, 0x20, 0x00, 0x01, 0x06, 0xff, 0xff, 0xc0, 0x00, 0x02,
        0x0a, 0xc6, 0x33, 0x64, 0x07, 0x94, 0x04, 0x00, 0x00, 0x00, 0x50, 0x9c, 0x40, 0x00, 0x00,
        0x00, 0x00,
    ];

    #[test]
    fn ports_need_four_octets_behind_the_ip_header() {
        let packet = quoted(&V4).unwrap();
        assert_eq!(packet.source, IpAddr::from([192, 0, 2, 10]));
        assert_eq!(packet.destination, IpAddr::from([198, 51, 100, 7]));
        assert_eq!((packet.protocol, packet.upper), (protocol::TCP, 24));
        assert!(!packet.fragment_later);
        assert_eq!(packet.ports, Some((80, 40000)));
        assert_eq!(quoted(&V4[..28]).unwrap().ports, Some((80, 40000)));
        assert_eq!(quoted(&V4[..27]).unwrap().ports, None);
        assert_eq!(quoted(&V4[..23]), None);
        assert_eq!(quoted(&[]), None);
        assert_eq!(quoted(&[0x44; 40]), None);
        assert_eq!(quoted(&[0x75; 40]), None);
    }

    #[test]
    fn later_fragments_and_other_protocols_have_no_ports() {
        let mut octets = V4;
        octets[7] = 1;
        let packet = quoted(&octets).unwrap();
        assert!(packet.fragment_later);
        assert_eq!(packet.ports, None);
        octets = V4;
        octets[9] = protocol::ICMPV4;
        assert_eq!(quoted(&octets).unwrap().ports, None);
    }

    #[test]
    fn extension_headers_are_walked() {
        let mut octets = [0; 52];
        octets[0] = 0x60;
        octets[6] = protocol::FRAGMENT;
        octets[23] = 1;
        octets[39] = 2;
        octets[40] = protocol::UDP;
        octets[43] = 1;
        octets[48..].copy_from_slice(&[0, 53, 0x9c, 0x40]);
        let packet = quoted(&octets).unwrap();
        assert_eq!(packet.source, Ipv6Addr::LOCALHOST);
        assert_eq!((packet.protocol, packet.upper), (protocol::UDP, 48));
        assert_eq!(packet.ports, Some((53, 40000)));
        assert_eq!(quoted(&octets[..47]), None);
        octets[42] = 8;
        let later = quoted(&octets).unwrap();
        assert!(later.fragment_later);
        assert_eq!(later.ports, None);
    }
}
