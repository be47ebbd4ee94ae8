//! Generic routing encapsulation (RFC 2784): version 0, with or without a checksum.

use crate::checksum;
use crate::ethernet::EtherType;
use crate::field::{put, u16_at};

/// Octets of a header without a checksum.
pub const HEADER_LEN: usize = 4;
/// Octets of a header with one.
pub const CHECKSUM_HEADER_LEN: usize = 8;

/// The checksum is there (RFC 2784 §2.1).
const CHECKSUM_PRESENT: u16 = 0x8000;
/// RFC 2890: a key and a sequence number, four octets each.
const KEY_PRESENT: u16 = 0x2000;
const SEQUENCE_PRESENT: u16 = 0x1000;
const VERSION: u16 = 0x0007;
/// RFC 2784 §2.3: packets with a routing header (RFC 1701) are not for us.
const ROUTING_PRESENT: u16 = 0x4000;

mod field {
    pub(super) const FLAGS: usize = 0;
    pub(super) const ETHER_TYPE: usize = 2;
    pub(super) const CHECKSUM: usize = 4;
}

/// A header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// What follows, as an Ethernet type.
    pub ether_type: EtherType,
    /// Whether a checksum covers header and payload.
    pub checksum: bool,
}

impl Repr {
    /// Octets of the header.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        if self.checksum { CHECKSUM_HEADER_LEN } else { HEADER_LEN }
    }

    /// Writes the header of `payload` and returns the room behind it; `None`, with nothing written,
    /// if `out` is too short. The payload may lie elsewhere.
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8], payload: &[u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_at_mut_checked(self.header_len())?;
        header.fill(0);
        put(header, field::ETHER_TYPE, self.ether_type.0.to_be_bytes());
        if self.checksum {
            put(header, field::FLAGS, CHECKSUM_PRESENT.to_be_bytes());
            let sum = !checksum::fold(checksum::sum(header) + checksum::sum(payload));
            put(header, field::CHECKSUM, sum.to_be_bytes());
        }
        Some(rest)
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows, as an Ethernet type.
    pub ether_type: EtherType,
    /// Octets of the header with all that its flags announce.
    pub header_len: usize,
    /// Whether there is a checksum.
    pub checksum: bool,
}

/// Reads the header that begins `packet`; `None` if it is cut or of another kind.
#[must_use]
pub fn header(packet: &[u8]) -> Option<Header> {
    let flags = u16_at(packet, field::FLAGS);
    if flags & (VERSION | ROUTING_PRESENT) != 0 {
        return None;
    }
    let optional = [CHECKSUM_PRESENT, KEY_PRESENT, SEQUENCE_PRESENT];
    let present = optional.iter().filter(|flag| flags & **flag != 0).count();
    let header_len = HEADER_LEN + 4 * present;
    (packet.len() >= header_len).then(|| Header {
        ether_type: EtherType(u16_at(packet, field::ETHER_TYPE)),
        header_len,
        checksum: flags & CHECKSUM_PRESENT != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_headers_are_four_octets() {
        let mut out = [0xff; 5];
        let repr = Repr { ether_type: EtherType::IPV6, checksum: false };
        assert_eq!(repr.emit(&mut out, b"x").map(|rest| rest.len()), Some(1));
        assert_eq!(out, [0, 0, 0x86, 0xdd, 0xff]);
        assert_eq!(repr.emit(&mut out[..3], b"x"), None);
        let read = header(&out).expect("a header");
        assert_eq!((read.header_len, read.ether_type), (4, EtherType::IPV6));
    }

    #[test]
    fn the_checksum_covers_header_and_payload() {
        let mut out = [0; 8 + 5];
        let (head, payload) = out.split_at_mut(8);
        payload.copy_from_slice(b"hello");
        let repr = Repr { ether_type: EtherType::IPV4, checksum: true };
        assert!(repr.emit(head, payload).is_some());
        assert_eq!(checksum::of(&out), 0);
        assert_eq!((out[0], out[6..8].to_vec()), (0x80, std::vec![0, 0]));
        assert_eq!(header(&out).map(|read| read.header_len), Some(8));
        assert_eq!(header(&out[..7]), None);
    }

    #[test]
    fn keys_and_sequence_numbers_are_stepped_over_and_other_versions_refused() {
        let mut octets = [0; 16];
        octets[0] = 0xb0;
        assert_eq!(header(&octets).map(|read| read.header_len), Some(16));
        octets[1] = 1;
        assert_eq!(header(&octets), None);
        assert_eq!(header(&[0x40, 0, 8, 0]), None);
    }
}
