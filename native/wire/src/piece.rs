//! One fragment of an IP packet: where it belongs and what it repeats of the whole.

use crate::field::{array_at, tail, u8_at, u16_at};
use crate::ipv6::extension::{self, FragmentHeader};
use crate::{ipv4, ipv6, protocol};

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// Offset of the next-header field in the IPv6 header.
const NEXT_HEADER: usize = 6;
/// Octets of an IPv6 fragment header (RFC 8200 §4.5).
const FRAGMENT_HEADER: usize = 8;

/// A fragment. Offsets count from the start of the IP packet that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What the fragments of one packet share beside addresses.
    pub identification: u32,
    /// The protocol of IPv4, part of a packet's identity; 0 for IPv6, where only the first
    /// fragment's counts (RFC 8200 §4.5).
    pub protocol: u8,
    /// Where its payload lies in the payload of the whole.
    pub offset: usize,
    /// Whether more follow.
    pub more: bool,
    /// IPv4: whether it may not be cut any further.
    pub dont_fragment: bool,
    /// The two ECN bits.
    pub ecn: u8,
    /// Octets of the headers every fragment repeats: the IPv4 header, or all before the IPv6
    /// fragment header.
    pub header: usize,
    /// Where the payload begins.
    pub payload: usize,
    /// IPv6: where the next-header field lies that names the fragment header, and what is behind.
    pub next_header: Option<(usize, u8)>,
}

/// Reads the fragment that `packet` is; `None` for whole packets and what is no IP packet.
#[must_use]
pub fn piece(packet: &[u8]) -> Option<Piece> {
    match u8_at(packet, 0) >> 4 {
        4 => piece_of_ipv4(packet),
        6 => piece_of_ipv6(packet),
        _ => None,
    }
}

fn piece_of_ipv4(packet: &[u8]) -> Option<Piece> {
    let header = usize::from(u8_at(packet, 0) & 0x0f) * 4;
    let field = u16_at(packet, 6);
    let more = field & MORE_FRAGMENTS != 0;
    let offset = usize::from(field & OFFSET) * 8;
    if header < ipv4::HEADER_LEN || header > packet.len() || (!more && offset == 0) {
        return None;
    }
    Some(Piece {
        identification: u32::from(u16_at(packet, 4)),
        protocol: u8_at(packet, 9),
        offset,
        more,
        dont_fragment: field & DONT_FRAGMENT != 0,
        ecn: u8_at(packet, 1) & 3,
        header,
        payload: header,
        next_header: None,
    })
}

fn piece_of_ipv6(packet: &[u8]) -> Option<Piece> {
    let (mut field, mut at) = (NEXT_HEADER, ipv6::HEADER_LEN);
    for _ in 0..extension::HEADERS_MAX {
        let kind = u8_at(packet, field);
        if kind == protocol::FRAGMENT {
            let header = extension::fragment_header(array_at(packet, at)?);
            return of_fragment_header(packet, field, at, header);
        }
        if !extension::is_extension(kind) {
            return None;
        }
        let [_, length, ..] = array_at::<8>(packet, at)?;
        let length = usize::from(length);
        field = at;
        // RFC 4302 §2.2: the authentication header counts in words of four octets, minus two.
        at += if kind == protocol::AUTHENTICATION { length * 4 + 8 } else { length * 8 + 8 };
    }
    None
}

fn of_fragment_header(
    packet: &[u8],
    field: usize,
    at: usize,
    header: FragmentHeader,
) -> Option<Piece> {
    let FragmentHeader { offset, more, identification } = header;
    if offset == 0 && !more {
        return None;
    }
    Some(Piece {
        identification,
        protocol: 0,
        offset,
        more,
        dont_fragment: false,
        ecn: (u8_at(tail(packet, 1), 0) >> 4) & 3,
        header: at,
        payload: at + FRAGMENT_HEADER,
        next_header: Some((field, u8_at(packet, at))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_fragment_says_where_it_belongs() {
        let mut packet = [0_u8; 28];
        packet[0] = 0x45;
        packet[1] = 2;
        packet[4..6].copy_from_slice(&[1, 2]);
        packet[6..8].copy_from_slice(&[0x20, 185]);
        packet[9] = 17;
        let piece = piece(&packet).expect("a fragment");
        assert_eq!((piece.identification, piece.protocol), (0x0102, 17));
        assert_eq!((piece.offset, piece.more, piece.ecn), (1480, true, 2));
        assert_eq!((piece.header, piece.payload), (20, 20));
    }

    #[test]
    fn an_ipv6_fragment_is_found_behind_destination_options() {
        let mut packet = [0_u8; 72];
        packet[0] = 0x60;
        packet[6] = protocol::DESTINATION_OPTIONS;
        packet[40] = protocol::FRAGMENT;
        packet[48] = 17;
        packet[50..52].copy_from_slice(&1449_u16.to_be_bytes());
        packet[55] = 9;
        let piece = piece(&packet).expect("a fragment");
        assert_eq!((piece.offset, piece.more, piece.identification), (1448, true, 9));
        assert_eq!((piece.header, piece.payload), (48, 56));
        assert_eq!(piece.next_header, Some((40, 17)));
    }

    #[test]
    fn whole_packets_are_no_pieces() {
        let mut packet = [0_u8; 48];
        packet[0] = 0x45;
        assert_eq!(piece(&packet), None);
        // RFC 6946: one fragment is a whole packet.
        packet[0] = 0x60;
        packet[6] = protocol::FRAGMENT;
        assert_eq!(piece(&packet), None);
        assert_eq!(piece(&packet[..44]), None);
    }
}
