//! ICMP for IPv4 (RFC 792, RFC 1191).

use crate::checksum;
use crate::field::{put, tail, u8_at, u16_at, u32_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of the header every message has.
pub const HEADER_LEN: usize = 8;
/// Octets of the offending packet an error quotes at most, so that the error with its IP header is
/// no longer than 576 octets (RFC 1812 §4.3.2.3).
pub const QUOTE_LEN_MAX: usize = 576 - super::ipv4::HEADER_LEN - HEADER_LEN;

/// Message types.
pub mod kind {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable (an error).
    pub const DESTINATION_UNREACHABLE: u8 = 3;
    /// Source quench (an error, deprecated).
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect (an error).
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded (an error).
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem (an error).
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// Codes of the errors a director sends.
pub mod code {
    /// Destination unreachable: host.
    pub const HOST_UNREACHABLE: u8 = 1;
    /// Destination unreachable: port.
    pub const PORT_UNREACHABLE: u8 = 3;
    /// Destination unreachable: fragmentation needed and DF set; the rest of the header is the MTU.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Time exceeded in transit.
    pub const TTL_EXCEEDED: u8 = 0;
}

/// Whether a message of this type is an error, which no error may answer (RFC 1122 §3.2.2).
#[inline]
#[must_use]
pub const fn is_error(message: u8) -> bool {
    matches!(
        message,
        kind::DESTINATION_UNREACHABLE
            | kind::SOURCE_QUENCH
            | kind::REDIRECT
            | kind::TIME_EXCEEDED
            | kind::PARAMETER_PROBLEM
    )
}

view! {
    /// A view over an ICMP message.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether the header is all there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below [`HEADER_LEN`] octets.
    #[inline]
    pub fn check_len(&self) -> Result<(), Malformed> {
        if self.bytes().len() < HEADER_LEN { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// The type, see [`kind`].
    #[inline]
    #[must_use]
    pub fn kind(&self) -> u8 {
        u8_at(self.bytes(), 0)
    }

    /// The code, whose meaning depends on the type.
    #[inline]
    #[must_use]
    pub fn code(&self) -> u8 {
        u8_at(self.bytes(), 1)
    }

    /// The checksum as it stands.
    #[inline]
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes(), 2)
    }

    /// The second word of the header, whose meaning depends on the type.
    #[inline]
    #[must_use]
    pub fn rest_of_header(&self) -> u32 {
        u32_at(self.bytes(), 4)
    }

    /// The next-hop MTU of a "fragmentation needed" (RFC 1191 §4); 0 from routers that do not know.
    #[inline]
    #[must_use]
    pub fn mtu(&self) -> u16 {
        u16_at(self.bytes(), 6)
    }

    /// Everything behind the header: in an error, the quoted packet (see [`crate::quoted()`]).
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), HEADER_LEN)
    }

    /// Whether the checksum over the whole buffer is right.
    #[must_use]
    pub fn checksum_valid(&self) -> bool {
        checksum::of(self.bytes()) == 0
    }
}

/// Writes an error message that quotes as much of `quoted` (a packet from its IP header on) as
/// [`QUOTE_LEN_MAX`] and `out` allow. Returns the octets written; `None`, with nothing written, if
/// `out` is shorter than [`HEADER_LEN`]. `rest_of_header` is the MTU for
/// [`code::FRAGMENTATION_NEEDED`], else 0.
#[must_use]
pub fn emit_error(
    out: &mut [u8],
    kind: u8,
    code: u8,
    rest_of_header: u32,
    quoted: &[u8],
) -> Option<usize> {
    let message = out.get_mut(..error_len(quoted.len()).min(out.len()))?;
    let (header, payload) = message.split_at_mut_checked(HEADER_LEN)?;
    for (place, octet) in payload.iter_mut().zip(quoted) {
        *place = *octet;
    }
    put(header, 0, [kind, code, 0, 0]);
    put(header, 4, rest_of_header.to_be_bytes());
    let checksum = checksum::of(message);
    put(message, 2, checksum.to_be_bytes());
    Some(message.len())
}

/// Octets of an error, from its ICMP header on, about a packet of `packet_len` octets.
#[must_use]
pub const fn error_len(packet_len: usize) -> usize {
    HEADER_LEN + if packet_len < QUOTE_LEN_MAX { packet_len } else { QUOTE_LEN_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: [u8; 12] =
        [0x03, 0x04, 0xb2, 0x4f, 0x00, 0x00, 0x05, 0xac, 0x45, 0x00, 0x00, 0x00];

    #[test]
    fn deconstruct() {
        let message = Packet::new_checked(MESSAGE).unwrap();
        assert_eq!(message.kind(), kind::DESTINATION_UNREACHABLE);
        assert_eq!(message.code(), code::FRAGMENTATION_NEEDED);
        assert_eq!((message.rest_of_header(), message.mtu()), (1452, 1452));
        assert_eq!(message.payload(), [0x45, 0, 0, 0]);
        assert!(message.checksum_valid());
        assert_eq!(Packet::new_checked([0; 7]), Err(Malformed::Truncated));
    }

    #[test]
    fn construct() {
        let mut out = [0xff; 12];
        assert_eq!(emit_error(&mut out, 3, 4, 1452, &[0x45, 0, 0, 0]), Some(12));
        assert_eq!(out, MESSAGE);
        assert_eq!(emit_error(&mut [0; 7], 3, 4, 1452, &[]), None);
    }

    #[test]
    fn a_long_packet_is_quoted_in_part() {
        let mut out = [0; 600];
        let length = emit_error(&mut out, 11, 0, 0, &[0xaa; 1500]).unwrap();
        assert_eq!(length, error_len(1500));
        assert_eq!(length + super::super::ipv4::HEADER_LEN, 576);
        assert_eq!(out[length], 0);
        assert!(Packet::new_unchecked(&out[..length]).checksum_valid());
    }
}
