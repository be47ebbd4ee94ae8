//! UDP datagram headers (RFC 768).

use crate::field::{put, tail, u16_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

mod field {
    pub(super) const SOURCE_PORT: usize = 0;
    pub(super) const DESTINATION_PORT: usize = 2;
    pub(super) const LENGTH: usize = 4;
    pub(super) const CHECKSUM: usize = 6;
}

view! {
    /// A view over a UDP datagram.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether the header is all there. The length field is not compared: in the first fragment of
    /// a datagram, and in a frame still to be segmented, it exceeds what is there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below [`HEADER_LEN`] octets.
    #[inline]
    pub fn check_len(&self) -> Result<(), Malformed> {
        if self.bytes().len() < HEADER_LEN { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// The source port; 0 if the sender wants no reply.
    #[inline]
    #[must_use]
    pub fn source_port(&self) -> u16 {
        u16_at(self.bytes(), field::SOURCE_PORT)
    }

    /// The destination port.
    #[inline]
    #[must_use]
    pub fn destination_port(&self) -> u16 {
        u16_at(self.bytes(), field::DESTINATION_PORT)
    }

    /// Octets of header and payload, as the header says.
    #[inline]
    #[must_use]
    pub fn length(&self) -> u16 {
        u16_at(self.bytes(), field::LENGTH)
    }

    /// The checksum as it stands; over IPv4, 0 means there is none.
    #[inline]
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes(), field::CHECKSUM)
    }

    /// Everything behind the header.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), HEADER_LEN)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the source port.
    #[inline]
    pub fn set_source_port(&mut self, port: u16) {
        put(self.buffer.as_mut(), field::SOURCE_PORT, port.to_be_bytes());
    }

    /// Sets the destination port.
    #[inline]
    pub fn set_destination_port(&mut self, port: u16) {
        put(self.buffer.as_mut(), field::DESTINATION_PORT, port.to_be_bytes());
    }

    /// Sets the length of header and payload.
    #[inline]
    pub fn set_length(&mut self, length: u16) {
        put(self.buffer.as_mut(), field::LENGTH, length.to_be_bytes());
    }

    /// Sets the checksum. RFC 768: a computed 0 is sent as 0xffff, which the caller sees to.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        put(self.buffer.as_mut(), field::CHECKSUM, checksum.to_be_bytes());
    }
}

/// A header without a checksum, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// The source port.
    pub source_port: u16,
    /// The destination port.
    pub destination_port: u16,
    /// Octets behind the header, at most 65527.
    pub payload_len: usize,
}

impl Repr {
    /// Writes the header with the checksum 0, which means none, and returns the room behind it;
    /// `None`, with nothing written, if `out` is too short or the payload too long.
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let length = u16::try_from(self.payload_len.checked_add(HEADER_LEN)?).ok()?;
        let (header, rest) = out.split_at_mut_checked(HEADER_LEN)?;
        let mut packet = Packet::new_unchecked(header);
        packet.set_source_port(self.source_port);
        packet.set_destination_port(self.destination_port);
        packet.set_length(length);
        packet.set_checksum(0);
        Some(rest)
    }
}

/// A checksum as it goes into the header: a computed 0 is sent as all ones (RFC 768).
#[inline]
#[must_use]
pub const fn sent_checksum(computed: u16) -> u16 {
    if computed == 0 { 0xffff } else { computed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: [u8; 10] = [0xbf, 0x68, 0x00, 0x35, 0x00, 0x0a, 0x12, 0x34, 0x68, 0x69];

    #[test]
    fn deconstruct() {
        let datagram = Packet::new_checked(DATAGRAM).unwrap();
        assert_eq!((datagram.source_port(), datagram.destination_port()), (49000, 53));
        assert_eq!((datagram.length(), datagram.checksum()), (10, 0x1234));
        assert_eq!(datagram.payload(), b"hi");
        assert_eq!(Packet::new_checked(&DATAGRAM[..7]), Err(Malformed::Truncated));
    }

    #[test]
    fn construct() {
        let mut datagram = Packet::new_unchecked([0, 0, 0, 0, 0, 0, 0, 0, 0x68, 0x69]);
        datagram.set_source_port(49000);
        datagram.set_destination_port(53);
        datagram.set_length(10);
        datagram.set_checksum(0x1234);
        assert_eq!(datagram.into_inner(), DATAGRAM);
    }
}
