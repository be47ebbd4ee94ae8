//! IPv4 packets (RFC 791).

use core::net::Ipv4Addr;

use crate::checksum;
use crate::field::{array_at, put, put_bits, tail, u8_at, u16_at};
use crate::malformed::Malformed;
use crate::view::view;

pub mod option;

pub use option::fill_record_route;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;

mod field {
    pub(super) const VERSION_AND_LENGTH: usize = 0;
    pub(super) const TRAFFIC_CLASS: usize = 1;
    pub(super) const TOTAL_LENGTH: usize = 2;
    pub(super) const IDENTIFICATION: usize = 4;
    pub(super) const FRAGMENTATION: usize = 6;
    pub(super) const HOP_LIMIT: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const CHECKSUM: usize = 10;
    pub(super) const SOURCE: usize = 12;
    pub(super) const DESTINATION: usize = 16;
}

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

view! {
    /// A view over an IPv4 packet; what follows the packet (Ethernet padding) may be in the buffer.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether header and payload are all there and the lengths agree. The checksum is
    /// [`Self::checksum_valid`]'s.
    ///
    /// # Errors
    /// [`Malformed::Truncated`], [`Malformed::BadHeader`] (version, header length) or
    /// [`Malformed::BadLength`] (total length below the header's).
    pub fn check_len(&self) -> Result<(), Malformed> {
        let length = self.bytes().len();
        if length < HEADER_LEN {
            Err(Malformed::Truncated)
        } else if self.version() != 4 || self.header_len() < HEADER_LEN {
            Err(Malformed::BadHeader)
        } else if self.total_len() < self.header_len() {
            Err(Malformed::BadLength)
        } else if length < self.total_len() {
            Err(Malformed::Truncated)
        } else {
            Ok(())
        }
    }

    /// The version field.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u8 {
        u8_at(self.bytes(), field::VERSION_AND_LENGTH) >> 4
    }

    /// Octets of the header with its options (0 to 60, as the field says).
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(u8_at(self.bytes(), field::VERSION_AND_LENGTH) & 0x0f) * 4
    }

    /// The octet of DSCP and ECN.
    #[inline]
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        u8_at(self.bytes(), field::TRAFFIC_CLASS)
    }

    /// Octets of the packet, header included, as the field says.
    #[inline]
    #[must_use]
    pub fn total_len(&self) -> usize {
        usize::from(u16_at(self.bytes(), field::TOTAL_LENGTH))
    }

    /// The identification that fragments of one packet share.
    #[inline]
    #[must_use]
    pub fn identification(&self) -> u16 {
        u16_at(self.bytes(), field::IDENTIFICATION)
    }

    /// Whether nobody on the way may fragment the packet.
    #[inline]
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        u16_at(self.bytes(), field::FRAGMENTATION) & DONT_FRAGMENT != 0
    }

    /// Whether this is a fragment other than the last.
    #[inline]
    #[must_use]
    pub fn more_fragments(&self) -> bool {
        u16_at(self.bytes(), field::FRAGMENTATION) & MORE_FRAGMENTS != 0
    }

    /// Where in the original payload this fragment's payload lies, in octets.
    #[inline]
    #[must_use]
    pub fn fragment_offset(&self) -> usize {
        usize::from(u16_at(self.bytes(), field::FRAGMENTATION) & OFFSET) * 8
    }

    /// The time to live.
    #[inline]
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        u8_at(self.bytes(), field::HOP_LIMIT)
    }

    /// The upper-layer protocol, see [`crate::protocol`].
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> u8 {
        u8_at(self.bytes(), field::PROTOCOL)
    }

    /// The header checksum as it stands.
    #[inline]
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.bytes(), field::CHECKSUM)
    }

    /// Whether the header checksum is right.
    #[inline]
    #[must_use]
    pub fn checksum_valid(&self) -> bool {
        self.header().is_some_and(|header| checksum::of(header) == 0)
    }

    /// The source address.
    #[inline]
    #[must_use]
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from(array_at(self.bytes(), field::SOURCE).unwrap_or([0; 4]))
    }

    /// The destination address.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from(array_at(self.bytes(), field::DESTINATION).unwrap_or([0; 4]))
    }

    /// The options with their padding; empty if there are none.
    #[inline]
    #[must_use]
    pub fn options(&self) -> &[u8] {
        self.header().map_or(&[], |header| tail(header, HEADER_LEN))
    }

    /// What the packet carries, without what lies behind the packet in the buffer.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let bytes = self.bytes();
        let end = self.total_len().min(bytes.len());
        bytes.get(self.header_len()..end).unwrap_or_default()
    }

    /// The header with its options, if it is all there.
    #[inline]
    fn header(&self) -> Option<&[u8]> {
        self.bytes().get(..self.header_len())
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the octet of DSCP and ECN.
    #[inline]
    pub fn set_traffic_class(&mut self, traffic_class: u8) {
        put(self.buffer.as_mut(), field::TRAFFIC_CLASS, [traffic_class]);
    }

    /// Sets the octets of the packet, header included.
    #[inline]
    pub fn set_total_len(&mut self, length: u16) {
        put(self.buffer.as_mut(), field::TOTAL_LENGTH, length.to_be_bytes());
    }

    /// Sets the identification.
    #[inline]
    pub fn set_identification(&mut self, identification: u16) {
        put(self.buffer.as_mut(), field::IDENTIFICATION, identification.to_be_bytes());
    }

    /// Sets whether the packet must not be fragmented.
    #[inline]
    pub fn set_dont_fragment(&mut self, value: bool) {
        let mask = high_octet(DONT_FRAGMENT);
        put_bits(self.buffer.as_mut(), field::FRAGMENTATION, mask, if value { mask } else { 0 });
    }

    /// Sets whether more fragments follow.
    #[inline]
    pub fn set_more_fragments(&mut self, value: bool) {
        let mask = high_octet(MORE_FRAGMENTS);
        put_bits(self.buffer.as_mut(), field::FRAGMENTATION, mask, if value { mask } else { 0 });
    }

    /// Sets where in the original payload this fragment lies, in units of eight octets (0 to 8191;
    /// higher bits are ignored).
    #[inline]
    pub fn set_fragment_offset_units(&mut self, units: u16) {
        let flags = u16_at(self.bytes(), field::FRAGMENTATION) & !OFFSET;
        let value = flags | units & OFFSET;
        put(self.buffer.as_mut(), field::FRAGMENTATION, value.to_be_bytes());
    }

    /// Sets the time to live. The checksum is not adjusted; see [`decrement_ttl`].
    #[inline]
    pub fn set_hop_limit(&mut self, hop_limit: u8) {
        put(self.buffer.as_mut(), field::HOP_LIMIT, [hop_limit]);
    }

    /// Sets the upper-layer protocol.
    #[inline]
    pub fn set_protocol(&mut self, protocol: u8) {
        put(self.buffer.as_mut(), field::PROTOCOL, [protocol]);
    }

    /// Sets the header checksum.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        put(self.buffer.as_mut(), field::CHECKSUM, checksum.to_be_bytes());
    }

    /// Sets the source address.
    #[inline]
    pub fn set_source(&mut self, address: Ipv4Addr) {
        put(self.buffer.as_mut(), field::SOURCE, address.octets());
    }

    /// Sets the destination address.
    #[inline]
    pub fn set_destination(&mut self, address: Ipv4Addr) {
        put(self.buffer.as_mut(), field::DESTINATION, address.octets());
    }

    /// Computes the header checksum anew.
    #[inline]
    pub fn fill_checksum(&mut self) {
        self.set_checksum(0);
        let checksum = self.header().map_or(0, checksum::of);
        self.set_checksum(checksum);
    }
}

#[inline]
const fn high_octet(word: u16) -> u8 {
    let [high, _] = word.to_be_bytes();
    high
}

/// Takes one from the time to live of the packet that begins `packet`, and adjusts the checksum as
/// Linux does, octet for octet. A time to live of 0 stays.
#[inline]
pub fn decrement_ttl(packet: &mut [u8]) {
    let Some(header) = packet.first_chunk_mut::<HEADER_LEN>() else { return };
    let [_, _, _, _, _, _, _, _, ttl, _, high, low, ..] = header;
    if *ttl == 0 {
        return;
    }
    *ttl -= 1;
    // RFC 1141: the word of TTL and protocol fell by 0x0100, so the checksum grows by as much, with
    // the carry brought round. 0xffff counts as a carry: a right checksum is never 0xffff.
    let sum = u32::from(u16::from_be_bytes([*high, *low])) + 0x0100;
    let [_, _, new_high, new_low] = (sum + u32::from(sum >= 0xffff)).to_be_bytes();
    (*high, *low) = (new_high, new_low);
}

/// A header without options, to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// The source address.
    pub source: Ipv4Addr,
    /// The destination address.
    pub destination: Ipv4Addr,
    /// The upper-layer protocol, see [`crate::protocol`].
    pub protocol: u8,
    /// The time to live.
    pub hop_limit: u8,
    /// The octet of DSCP and ECN.
    pub traffic_class: u8,
    /// The identification; any value if `dont_fragment` (RFC 6864).
    pub identification: u16,
    /// Whether nobody on the way may fragment the packet.
    pub dont_fragment: bool,
    /// Octets behind the header, at most 65515.
    pub payload_len: usize,
}

impl Repr {
    /// Writes the header with its checksum and returns the room behind it; `None`, with nothing
    /// written, if `out` is shorter than [`HEADER_LEN`] or the payload is too long.
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let total_len = u16::try_from(self.payload_len.checked_add(HEADER_LEN)?).ok()?;
        let (header, rest) = out.split_at_mut_checked(HEADER_LEN)?;
        header.fill(0);
        put(header, field::VERSION_AND_LENGTH, [0x45]);
        let mut packet = Packet::new_unchecked(header);
        packet.set_traffic_class(self.traffic_class);
        packet.set_total_len(total_len);
        packet.set_identification(self.identification);
        packet.set_dont_fragment(self.dont_fragment);
        packet.set_hop_limit(self.hop_limit);
        packet.set_protocol(self.protocol);
        packet.set_source(self.source);
        packet.set_destination(self.destination);
        packet.fill_checksum();
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 192.0.2.1 to 198.51.100.7, UDP, DF, with a router-alert option and two octets of payload.
    const PACKET: [u8; 26] = [
        0x46, 0xb8, 0x00, 0x1a, 0x12, 0x34, 0x40, 0x00, 0x40, 0x11, 0xa6, 0xa6, 0xc0, 0x00, 0x02,
        0x01, 0xc6, 0x33, 0x64, 0x07, 0x94, 0x04, 0x00, 0x00, 0x68, 0x69,
    ];

    #[test]
    fn deconstruct() {
        let packet = Packet::new_checked(PACKET).unwrap();
        assert_eq!((packet.version(), packet.header_len(), packet.total_len()), (4, 24, 26));
        assert_eq!((packet.traffic_class(), packet.identification()), (0xb8, 0x1234));
        assert!(packet.dont_fragment() && !packet.more_fragments());
        assert_eq!(packet.fragment_offset(), 0);
        assert_eq!((packet.hop_limit(), packet.protocol()), (64, 17));
        assert_eq!(packet.source(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(packet.destination(), Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(packet.options(), [0x94, 4, 0, 0]);
        assert_eq!(packet.payload(), b"hi");
        assert!(packet.checksum_valid());
    }

    #[test]
    fn construct() {
        let mut octets = [0; 22];
        let repr = Repr {
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(198, 51, 100, 7),
            protocol: 1,
            hop_limit: 64,
            traffic_class: 0xc0,
            identification: 0x1234,
            dont_fragment: false,
            payload_len: 2,
        };
        repr.emit(&mut octets).unwrap().copy_from_slice(b"hi");
        assert_eq!(
            octets[..12],
            [0x45, 0xc0, 0x00, 0x16, 0x12, 0x34, 0, 0, 0x40, 0x01, 0x7b, 0xb7]
        );
        assert!(Packet::new_checked(octets).unwrap().checksum_valid());
        assert_eq!(repr.emit(&mut [0; 19]), None);
        assert_eq!(Repr { payload_len: 65516, ..repr }.emit(&mut octets), None);
    }

    #[test]
    fn fragmentation_fields_do_not_disturb_each_other() {
        let mut packet = Packet::new_unchecked(PACKET);
        packet.set_more_fragments(true);
        packet.set_fragment_offset_units(185);
        packet.set_dont_fragment(false);
        assert!(packet.more_fragments() && !packet.dont_fragment());
        assert_eq!(packet.fragment_offset(), 1480);
        packet.set_more_fragments(false);
        assert_eq!(packet.into_inner()[6..8], [0x00, 0xb9]);
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        let with = |at: usize, value: u8| {
            let mut octets = PACKET;
            octets[at] = value;
            Packet::new_checked(octets).map(|_| ())
        };
        assert_eq!(with(0, 0x66), Err(Malformed::BadHeader));
        assert_eq!(with(0, 0x44), Err(Malformed::BadHeader));
        assert_eq!(with(3, 23), Err(Malformed::BadLength));
        assert_eq!(with(3, 27), Err(Malformed::Truncated));
        assert_eq!(Packet::new_checked(&PACKET[..19]), Err(Malformed::Truncated));
    }

    #[test]
    fn decrementing_keeps_the_checksum_right() {
        let mut octets = PACKET;
        decrement_ttl(&mut octets);
        assert_eq!(octets[8], 63);
        assert_eq!(octets[10..12], [0xa7, 0xa6]);
        assert!(Packet::new_unchecked(octets).checksum_valid());
        octets[8] = 0;
        let before = octets;
        decrement_ttl(&mut octets);
        assert_eq!(octets, before);
    }

    #[test]
    fn decrementing_brings_the_carry_round_as_linux_does() {
        for (before, after) in
            [(0xfeff, 0x0000), (0xff00, 0x0001), (0xffff, 0x0100), (0xfefe, 0xfffe)]
        {
            let mut packet = Packet::new_unchecked(PACKET);
            packet.set_checksum(before);
            let mut octets = packet.into_inner();
            decrement_ttl(&mut octets);
            assert_eq!(Packet::new_unchecked(octets).checksum(), after, "{before:#06x}");
        }
    }
}
