//! IPv6 packets (RFC 8200).

use core::net::Ipv6Addr;

use crate::field::{array_at, put, put_bits, u8_at, u16_at, u32_at};
use crate::malformed::Malformed;
use crate::view::view;

pub mod extension;

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 40;
/// The MTU every link has at least; an ICMPv6 error is no longer (RFC 4443 §2.4).
pub const MINIMUM_MTU: usize = 1280;

mod field {
    pub(super) const VERSION: usize = 0;
    pub(super) const PAYLOAD_LENGTH: usize = 4;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const HOP_LIMIT: usize = 7;
    pub(super) const SOURCE: usize = 8;
    pub(super) const DESTINATION: usize = 24;
}

view! {
    /// A view over an IPv6 packet; what follows the packet (Ethernet padding) may be in the buffer.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether fixed header and payload are all there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] or [`Malformed::BadHeader`] (version).
    pub fn check_len(&self) -> Result<(), Malformed> {
        let length = self.bytes().len();
        if length < HEADER_LEN {
            Err(Malformed::Truncated)
        } else if self.version() != 6 {
            Err(Malformed::BadHeader)
        } else if length < HEADER_LEN + self.payload_len() {
            Err(Malformed::Truncated)
        } else {
            Ok(())
        }
    }

    /// The version field.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u8 {
        u8_at(self.bytes(), field::VERSION) >> 4
    }

    /// The octet of DSCP and ECN.
    #[inline]
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        let [class, ..] = (u32_at(self.bytes(), field::VERSION) << 4).to_be_bytes();
        class
    }

    /// The flow label, 20 bits.
    #[inline]
    #[must_use]
    pub fn flow_label(&self) -> u32 {
        u32_at(self.bytes(), field::VERSION) & 0x000f_ffff
    }

    /// Octets behind the fixed header, extension headers included, as the field says.
    #[inline]
    #[must_use]
    pub fn payload_len(&self) -> usize {
        usize::from(u16_at(self.bytes(), field::PAYLOAD_LENGTH))
    }

    /// What follows the fixed header: an extension header or the upper-layer protocol, see
    /// [`crate::protocol`].
    #[inline]
    #[must_use]
    pub fn next_header(&self) -> u8 {
        u8_at(self.bytes(), field::NEXT_HEADER)
    }

    /// The hop limit.
    #[inline]
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        u8_at(self.bytes(), field::HOP_LIMIT)
    }

    /// The source address.
    #[inline]
    #[must_use]
    pub fn source(&self) -> Ipv6Addr {
        Ipv6Addr::from(array_at(self.bytes(), field::SOURCE).unwrap_or([0; 16]))
    }

    /// The destination address.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> Ipv6Addr {
        Ipv6Addr::from(array_at(self.bytes(), field::DESTINATION).unwrap_or([0; 16]))
    }

    /// Everything behind the fixed header, without what lies behind the packet in the buffer.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let bytes = self.bytes();
        let end = (HEADER_LEN + self.payload_len()).min(bytes.len());
        bytes.get(HEADER_LEN..end).unwrap_or_default()
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the octet of DSCP and ECN.
    #[inline]
    pub fn set_traffic_class(&mut self, traffic_class: u8) {
        let bytes = self.buffer.as_mut();
        put_bits(bytes, field::VERSION, 0x0f, traffic_class >> 4);
        put_bits(bytes, field::VERSION + 1, 0xf0, traffic_class << 4);
    }

    /// Sets the octets behind the fixed header.
    #[inline]
    pub fn set_payload_len(&mut self, length: u16) {
        put(self.buffer.as_mut(), field::PAYLOAD_LENGTH, length.to_be_bytes());
    }

    /// Sets what follows the fixed header.
    #[inline]
    pub fn set_next_header(&mut self, protocol: u8) {
        put(self.buffer.as_mut(), field::NEXT_HEADER, [protocol]);
    }

    /// Sets the hop limit.
    #[inline]
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        put(self.buffer.as_mut(), field::HOP_LIMIT, [hop_limit]);
    }

    /// Sets the source address.
    #[inline]
    pub fn set_source(&mut self, address: Ipv6Addr) {
        put(self.buffer.as_mut(), field::SOURCE, address.octets());
    }

    /// Sets the destination address.
    #[inline]
    pub fn set_destination(&mut self, address: Ipv6Addr) {
        put(self.buffer.as_mut(), field::DESTINATION, address.octets());
    }
}

/// Takes one from the hop limit of the packet that begins `packet`. A hop limit of 0 stays.
#[inline]
pub fn decrement_hop_limit(packet: &mut [u8]) {
    if let Some(hop_limit) = packet.get_mut(field::HOP_LIMIT) {
        *hop_limit = hop_limit.saturating_sub(1);
    }
}

/// A fixed header to be written. The flow label is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// The source address.
    pub source: Ipv6Addr,
    /// The destination address.
    pub destination: Ipv6Addr,
    /// What follows the fixed header, see [`crate::protocol`].
    pub next_header: u8,
    /// The hop limit.
    pub hop_limit: u8,
    /// The octet of DSCP and ECN.
    pub traffic_class: u8,
    /// Octets behind the fixed header, at most 65535.
    pub payload_len: usize,
}

impl Repr {
    /// Writes the header and returns the room behind it; `None`, with nothing written, if `out` is
    /// shorter than [`HEADER_LEN`] or the payload is too long.
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let payload_len = u16::try_from(self.payload_len).ok()?;
        let (header, rest) = out.split_at_mut_checked(HEADER_LEN)?;
        header.fill(0);
        put(header, field::VERSION, [0x60]);
        let mut packet = Packet::new_unchecked(header);
        packet.set_traffic_class(self.traffic_class);
        packet.set_payload_len(payload_len);
        packet.set_next_header(self.next_header);
        packet.set_hop_limit(self.hop_limit);
        packet.set_source(self.source);
        packet.set_destination(self.destination);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2001:db8::1 to 2001:db8::2, UDP, traffic class 0xb8, flow label 0x12345.
    const PACKET: [u8; 42] = [
        0x6b, 0x81, 0x23, 0x45, 0x00, 0x02, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x68,
        0x69,
    ];

    #[test]
    fn deconstruct() {
        let packet = Packet::new_checked(PACKET).unwrap();
        assert_eq!((packet.version(), packet.traffic_class()), (6, 0xb8));
        assert_eq!(packet.flow_label(), 0x12345);
        assert_eq!((packet.payload_len(), packet.next_header()), (2, 17));
        assert_eq!(packet.hop_limit(), 64);
        assert_eq!(packet.source(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        assert_eq!(packet.destination(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));
        assert_eq!(packet.payload(), b"hi");
        assert_eq!(Packet::new_checked(&PACKET[..39]), Err(Malformed::Truncated));
        assert_eq!(Packet::new_checked(&PACKET[..41]), Err(Malformed::Truncated));
        assert_eq!(Packet::new_checked([0x45; 40]), Err(Malformed::BadHeader));
    }

    #[test]
    fn construct() {
        let mut octets = [0xff; 42];
        let repr = Repr {
            source: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
            destination: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
            next_header: 17,
            hop_limit: 64,
            traffic_class: 0xb8,
            payload_len: 2,
        };
        repr.emit(&mut octets).unwrap().copy_from_slice(b"hi");
        let mut expected = PACKET;
        expected[1..4].copy_from_slice(&[0x80, 0, 0]);
        assert_eq!(octets, expected);
        assert_eq!(Repr { payload_len: 65536, ..repr }.emit(&mut octets), None);
    }

    #[test]
    fn the_hop_limit_ends_at_zero() {
        let mut octets = PACKET;
        decrement_hop_limit(&mut octets);
        assert_eq!(octets[7], 63);
        octets[7] = 0;
        decrement_hop_limit(&mut octets);
        assert_eq!(octets[7], 0);
    }
}
