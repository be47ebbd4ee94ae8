//! TCP segment headers (RFC 9293 §3.1).

use core::ops::BitOr;

use crate::field::{put, tail, u8_at, u16_at, u32_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;

/// The control bits CWR to FIN (the octet behind the data offset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Whether all of `bits` are set.
    #[inline]
    #[must_use]
    pub const fn contains(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// Whether FIN is set.
    #[inline]
    #[must_use]
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// Whether SYN is set.
    #[inline]
    #[must_use]
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// Whether RST is set.
    #[inline]
    #[must_use]
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// Whether ACK is set.
    #[inline]
    #[must_use]
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

mod field {
    pub(super) const SOURCE_PORT: usize = 0;
    pub(super) const DESTINATION_PORT: usize = 2;
    pub(super) const SEQUENCE: usize = 4;
    pub(super) const ACKNOWLEDGMENT: usize = 8;
    pub(super) const DATA_OFFSET: usize = 12;
    pub(super) const FLAGS: usize = 13;
    pub(super) const CHECKSUM: usize = 16;
}

view! {
    /// A view over a TCP segment.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether the header is all there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if the segment is shorter than its header;
    /// [`Malformed::BadLength`] if the data offset is below 5 words.
    #[inline]
    pub fn check_len(&self) -> Result<(), Malformed> {
        let length = self.bytes().len();
        if length < HEADER_LEN {
            Err(Malformed::Truncated)
        } else if self.header_len() < HEADER_LEN {
            Err(Malformed::BadLength)
        } else if length < self.header_len() {
            Err(Malformed::Truncated)
        } else {
            Ok(())
        }
    }

    /// The source port.
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

    /// The sequence number.
    #[inline]
    #[must_use]
    pub fn sequence(&self) -> u32 {
        u32_at(self.bytes(), field::SEQUENCE)
    }

    /// The acknowledgment number; it counts if ACK is set.
    #[inline]
    #[must_use]
    pub fn acknowledgment(&self) -> u32 {
        u32_at(self.bytes(), field::ACKNOWLEDGMENT)
    }

    /// Octets of the header with its options, as the data offset says.
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(u8_at(self.bytes(), field::DATA_OFFSET) >> 4) * 4
    }

    /// The control bits.
    #[inline]
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags(u8_at(self.bytes(), field::FLAGS))
    }

    /// The checksum as it stands.
    #[inline]
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes(), field::CHECKSUM)
    }

    /// What the segment carries.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), self.header_len())
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

    /// Sets the sequence number.
    #[inline]
    pub fn set_sequence(&mut self, sequence: u32) {
        put(self.buffer.as_mut(), field::SEQUENCE, sequence.to_be_bytes());
    }

    /// Sets the acknowledgment number.
    #[inline]
    pub fn set_acknowledgment(&mut self, acknowledgment: u32) {
        put(self.buffer.as_mut(), field::ACKNOWLEDGMENT, acknowledgment.to_be_bytes());
    }

    /// Sets the data offset to `words` of four octets (5 to 15).
    #[inline]
    pub fn set_data_offset(&mut self, words: u8) {
        put(self.buffer.as_mut(), field::DATA_OFFSET, [words << 4]);
    }

    /// Sets the control bits.
    #[inline]
    pub fn set_flags(&mut self, flags: Flags) {
        put(self.buffer.as_mut(), field::FLAGS, [flags.0]);
    }

    /// Sets the checksum.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        put(self.buffer.as_mut(), field::CHECKSUM, checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: [u8; 26] = [
        0x9c, 0x40, 0x00, 0x50, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x60, 0x12, 0xff,
        0xff, 0xbe, 0xef, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x68, 0x69,
    ];

    #[test]
    fn deconstruct() {
        let segment = Packet::new_checked(SEGMENT).unwrap();
        assert_eq!((segment.source_port(), segment.destination_port()), (40000, 80));
        assert_eq!(segment.sequence(), 0x0102_0304);
        assert_eq!(segment.acknowledgment(), 0x0506_0708);
        assert_eq!(segment.header_len(), 24);
        assert_eq!(segment.flags(), Flags::SYN | Flags::ACK);
        assert!(segment.flags().syn() && segment.flags().ack());
        assert!(!segment.flags().fin() && !segment.flags().rst());
        assert_eq!(segment.checksum(), 0xbeef);
        assert_eq!(segment.payload(), b"hi");
    }

    #[test]
    fn construct() {
        let mut octets = SEGMENT;
        octets[..14].fill(0);
        octets[16..18].fill(0);
        let mut segment = Packet::new_unchecked(&mut octets[..]);
        segment.set_source_port(40000);
        segment.set_destination_port(80);
        segment.set_sequence(0x0102_0304);
        segment.set_acknowledgment(0x0506_0708);
        segment.set_data_offset(6);
        segment.set_flags(Flags::SYN | Flags::ACK);
        segment.set_checksum(0xbeef);
        assert_eq!(octets, SEGMENT);
    }

    #[test]
    fn a_header_that_does_not_fit_is_refused() {
        assert_eq!(Packet::new_checked(&SEGMENT[..19]), Err(Malformed::Truncated));
        assert_eq!(Packet::new_checked(&SEGMENT[..23]), Err(Malformed::Truncated));
        let mut short = SEGMENT;
        short[12] = 0x40;
        assert_eq!(Packet::new_checked(short), Err(Malformed::BadLength));
    }
}
