//! ICMP for IPv6 (RFC 4443).

use core::net::Ipv6Addr;

use crate::checksum;
use crate::field::{put, tail, u8_at, u16_at, u32_at};
use crate::ipv6;
use crate::malformed::Malformed;
use crate::protocol;
use crate::view::view;

pub mod ndp;

/// Octets of the header errors have (type, code, checksum and one word).
pub const HEADER_LEN: usize = 8;
/// Octets of the offending packet an error quotes at most, so that the error with its IPv6 header
/// is no longer than the minimum MTU (RFC 4443 §2.4 c).
pub const QUOTE_LEN_MAX: usize = ipv6::MINIMUM_MTU - ipv6::HEADER_LEN - HEADER_LEN;

/// Message types.
pub mod kind {
    /// Destination unreachable.
    pub const DESTINATION_UNREACHABLE: u8 = 1;
    /// Packet too big; the rest of the header is the MTU.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Neighbour solicitation (RFC 4861 §4.3).
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement (RFC 4861 §4.4).
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Redirect (RFC 4861 §4.5).
    pub const REDIRECT: u8 = 137;
}

/// Codes of the errors a director sends.
pub mod code {
    /// Destination unreachable: address.
    pub const ADDRESS_UNREACHABLE: u8 = 3;
    /// Destination unreachable: port.
    pub const PORT_UNREACHABLE: u8 = 4;
    /// Packet too big has one code.
    pub const PACKET_TOO_BIG: u8 = 0;
    /// Time exceeded: hop limit exceeded in transit.
    pub const HOP_LIMIT_EXCEEDED: u8 = 0;
}

/// Whether a message of this type is an error (RFC 4443 §2.1: the high bit is clear), which no
/// error may answer. A redirect may not be answered either (§2.4 e.2).
#[inline]
#[must_use]
pub const fn is_error(message: u8) -> bool {
    message < 128
}

view! {
    /// A view over an ICMPv6 message.
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

    /// The second word of the header: the MTU of a "packet too big", else as the type says.
    #[inline]
    #[must_use]
    pub fn rest_of_header(&self) -> u32 {
        u32_at(self.bytes(), 4)
    }

    /// Everything behind the header: in an error, the quoted packet (see [`crate::quoted()`]).
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), HEADER_LEN)
    }

    /// Whether the checksum over the whole buffer is right in a packet between these addresses.
    #[must_use]
    pub fn checksum_valid(&self, source: Ipv6Addr, destination: Ipv6Addr) -> bool {
        message_checksum(self.bytes(), source, destination) == Some(0)
    }
}

/// The checksum of `message`; `None` if it is longer than any packet.
fn message_checksum(message: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> Option<u16> {
    let length = u32::try_from(message.len()).ok()?;
    let pseudo = checksum::pseudo_header_v6(source, destination, protocol::ICMPV6, length);
    Some(!checksum::fold(pseudo + checksum::sum(message)))
}

/// Writes the checksum into `message`, whose checksum field is 0.
fn fill_checksum(message: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) -> Option<()> {
    let checksum = message_checksum(message, source, destination)?;
    put(message, 2, checksum.to_be_bytes());
    Some(())
}

/// An error message to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorRepr {
    /// Source address of the packet that carries the error.
    pub source: Ipv6Addr,
    /// Its destination: the source of the offending packet.
    pub destination: Ipv6Addr,
    /// The type, see [`kind`].
    pub kind: u8,
    /// The code, see [`code`].
    pub code: u8,
    /// The MTU for [`kind::PACKET_TOO_BIG`], else 0.
    pub rest_of_header: u32,
}

/// Writes an error message that quotes as much of `quoted` (a packet from its IPv6 header on) as
/// [`QUOTE_LEN_MAX`] and `out` allow. Returns the octets written; `None`, with nothing written, if
/// `out` is shorter than [`HEADER_LEN`].
#[must_use]
pub fn emit_error(out: &mut [u8], error: &ErrorRepr, quoted: &[u8]) -> Option<usize> {
    let message = out.get_mut(..error_len(quoted.len()).min(out.len()))?;
    let (header, payload) = message.split_at_mut_checked(HEADER_LEN)?;
    for (place, octet) in payload.iter_mut().zip(quoted) {
        *place = *octet;
    }
    put(header, 0, [error.kind, error.code, 0, 0]);
    put(header, 4, error.rest_of_header.to_be_bytes());
    fill_checksum(message, error.source, error.destination)?;
    Some(message.len())
}

/// Octets of an error, from its ICMPv6 header on, about a packet of `packet_len` octets.
#[must_use]
pub const fn error_len(packet_len: usize) -> usize {
    HEADER_LEN + if packet_len < QUOTE_LEN_MAX { packet_len } else { QUOTE_LEN_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const DESTINATION: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    const ERROR: ErrorRepr = ErrorRepr {
        source: SOURCE,
        destination: DESTINATION,
        kind: kind::PACKET_TOO_BIG,
        code: code::PACKET_TOO_BIG,
        rest_of_header: 1400,
    };
    const MESSAGE: [u8; 12] =
        [0x02, 0x00, 0x3c, 0xcc, 0x00, 0x00, 0x05, 0x78, 0x60, 0x00, 0x00, 0x00];

    #[test]
    fn deconstruct() {
        let message = Packet::new_checked(MESSAGE).unwrap();
        assert_eq!((message.kind(), message.code()), (kind::PACKET_TOO_BIG, 0));
        assert_eq!(message.rest_of_header(), 1400);
        assert_eq!(message.payload(), [0x60, 0, 0, 0]);
        assert!(message.checksum_valid(SOURCE, DESTINATION));
        assert!(!message.checksum_valid(SOURCE, Ipv6Addr::LOCALHOST));
        assert_eq!(Packet::new_checked([0; 7]), Err(Malformed::Truncated));
    }

    #[test]
    fn construct() {
        let mut out = [0xff; 12];
        assert_eq!(emit_error(&mut out, &ERROR, &[0x60, 0, 0, 0]), Some(12));
        assert_eq!(out, MESSAGE);
        assert_eq!(emit_error(&mut [0; 7], &ERROR, &[]), None);
    }

    #[test]
    fn a_long_packet_is_quoted_in_part() {
        let mut out = [0; 1400];
        let length = emit_error(&mut out, &ERROR, &[0xaa; 1500]).unwrap();
        assert_eq!(length + ipv6::HEADER_LEN, 1280);
        assert!(Packet::new_unchecked(&out[..length]).checksum_valid(SOURCE, DESTINATION));
    }
}
