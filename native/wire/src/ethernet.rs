//! Ethernet II frames (IEEE 802.3) without the frame check sequence.

use core::fmt;
use core::str::FromStr;

use crate::field::{array_at, put, tail, u16_at};
use crate::malformed::Malformed;
use crate::view::view;
use crate::vlan;

/// Octets of an untagged header.
pub const HEADER_LEN: usize = 14;
/// VLAN tags [`payload`] looks behind (one customer tag inside one service tag).
pub const VLAN_TAGS_MAX: usize = 2;

/// A hardware address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Every station of the link.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the address names a group; the broadcast address does.
    #[inline]
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        let [first, ..] = self.0;
        first & 1 != 0
    }

    /// Whether the address names every station.
    #[inline]
    #[must_use]
    pub fn is_broadcast(&self) -> bool {
        *self == Self::BROADCAST
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A text that is not six hexadecimal pairs separated by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseMacAddressError;

impl fmt::Display for ParseMacAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hardware address is six hexadecimal pairs, like 02:00:5e:10:00:01")
    }
}

impl core::error::Error for ParseMacAddressError {}

impl FromStr for MacAddress {
    type Err = ParseMacAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pairs = text.split(':');
        let mut address = [0; 6];
        for octet in &mut address {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or(ParseMacAddressError)?;
            // `from_str_radix` alone would take a sign.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(ParseMacAddressError);
            }
            *octet = u8::from_str_radix(pair, 16).map_err(|_| ParseMacAddressError)?;
        }
        if pairs.next().is_some() { Err(ParseMacAddressError) } else { Ok(Self(address)) }
    }
}

/// What a frame carries. Values below 0x0600 are IEEE 802.3 lengths, not types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4.
    pub const IPV4: Self = Self(0x0800);
    /// ARP.
    pub const ARP: Self = Self(0x0806);
    /// A customer VLAN tag (IEEE 802.1Q).
    pub const VLAN: Self = Self(0x8100);
    /// IPv6.
    pub const IPV6: Self = Self(0x86dd);
    /// A service VLAN tag (IEEE 802.1ad).
    pub const QINQ: Self = Self(0x88a8);
}

impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// What a frame carries, behind up to [`VLAN_TAGS_MAX`] tags, and the offset where it begins. A
/// third tag is the answer itself.
///
/// # Errors
/// [`Malformed::Truncated`] if the frame ends inside the header or a tag.
#[inline]
pub fn payload(frame: &[u8]) -> Result<(EtherType, usize), Malformed> {
    let header = frame.first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
    let ether_type = EtherType(u16_at(header, field::ETHER_TYPE));
    if !vlan::is_tag(ether_type) {
        return Ok((ether_type, HEADER_LEN));
    }
    behind_tags(frame)
}

#[cold]
fn behind_tags(frame: &[u8]) -> Result<(EtherType, usize), Malformed> {
    let mut ether_type = EtherType(u16_at(frame, field::ETHER_TYPE));
    let mut start = HEADER_LEN;
    for _ in 0..VLAN_TAGS_MAX {
        if !vlan::is_tag(ether_type) {
            break;
        }
        ether_type = vlan::Packet::new_checked(tail(frame, start))?.ether_type();
        start += vlan::TAG_LEN;
    }
    Ok((ether_type, start))
}

mod field {
    pub(super) const DESTINATION: usize = 0;
    pub(super) const SOURCE: usize = 6;
    pub(super) const ETHER_TYPE: usize = 12;
}

view! {
    /// A view over an Ethernet frame.
    Frame
}

impl<T: AsRef<[u8]>> Frame<T> {
    /// Whether the header is all there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below [`HEADER_LEN`] octets.
    #[inline]
    pub fn check_len(&self) -> Result<(), Malformed> {
        if self.bytes().len() < HEADER_LEN { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// The station the frame is for.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> MacAddress {
        MacAddress(array_at(self.bytes(), field::DESTINATION).unwrap_or_default())
    }

    /// The station that sent it.
    #[inline]
    #[must_use]
    pub fn source(&self) -> MacAddress {
        MacAddress(array_at(self.bytes(), field::SOURCE).unwrap_or_default())
    }

    /// The type field as it stands: a VLAN tag's if there is one.
    #[inline]
    #[must_use]
    pub fn ether_type(&self) -> EtherType {
        EtherType(u16_at(self.bytes(), field::ETHER_TYPE))
    }

    /// Everything behind the untagged header.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), HEADER_LEN)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Frame<T> {
    /// Sets the station the frame is for.
    #[inline]
    pub fn set_destination(&mut self, address: MacAddress) {
        put(self.buffer.as_mut(), field::DESTINATION, address.0);
    }

    /// Sets the station that sends it.
    #[inline]
    pub fn set_source(&mut self, address: MacAddress) {
        put(self.buffer.as_mut(), field::SOURCE, address.0);
    }

    /// Sets the type field.
    #[inline]
    pub fn set_ether_type(&mut self, ether_type: EtherType) {
        put(self.buffer.as_mut(), field::ETHER_TYPE, ether_type.0.to_be_bytes());
    }
}

/// An untagged header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// The station the frame is for.
    pub destination: MacAddress,
    /// The station that sends it.
    pub source: MacAddress,
    /// What it carries.
    pub ether_type: EtherType,
}

impl Repr {
    /// Writes the header and returns the room behind it; `None`, with nothing written, if `out` is
    /// shorter than [`HEADER_LEN`].
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_at_mut_checked(HEADER_LEN)?;
        let mut frame = Frame::new_unchecked(header);
        frame.set_destination(self.destination);
        frame.set_source(self.source);
        frame.set_ether_type(self.ether_type);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const FRAME: [u8; 16] = [
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08, 0x00, 0xaa,
        0xbb,
    ];
    const REPR: Repr = Repr {
        destination: MacAddress([2, 0, 0, 0, 0, 1]),
        source: MacAddress([2, 0, 0, 0, 0, 2]),
        ether_type: EtherType::IPV4,
    };

    #[test]
    fn deconstruct() {
        let frame = Frame::new_checked(FRAME).unwrap();
        assert_eq!(frame.destination(), REPR.destination);
        assert_eq!(frame.source(), REPR.source);
        assert_eq!(frame.ether_type(), REPR.ether_type);
        assert_eq!(frame.payload(), [0xaa, 0xbb]);
    }

    #[test]
    fn construct() {
        let mut out = [0; 16];
        REPR.emit(&mut out).unwrap().copy_from_slice(&[0xaa, 0xbb]);
        assert_eq!(out, FRAME);
        assert_eq!(REPR.emit(&mut [0; 13]), None);
    }

    #[test]
    fn up_to_two_tags_are_looked_behind() {
        let mut frame = [0; 30];
        frame[12..14].copy_from_slice(&[0x88, 0xa8]);
        frame[16..18].copy_from_slice(&[0x81, 0x00]);
        frame[20..22].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(payload(&frame), Ok((EtherType::IPV6, 22)));
        assert_eq!(payload(&frame[..21]), Err(Malformed::Truncated));
        frame[20..22].copy_from_slice(&[0x81, 0x00]);
        assert_eq!(payload(&frame), Ok((EtherType::VLAN, 22)), "a third tag is not IP");
    }

    #[test]
    fn addresses_read_and_print_alike() {
        let address: MacAddress = "02:aB:00:00:00:ff".parse().unwrap();
        assert_eq!(address.to_string(), "02:ab:00:00:00:ff");
        for wrong in ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "+2:00:00:00:00:00", "2:0"] {
            assert_eq!(wrong.parse::<MacAddress>(), Err(ParseMacAddressError), "{wrong}");
        }
        assert!(MacAddress::BROADCAST.is_multicast() && MacAddress::BROADCAST.is_broadcast());
        assert!(!address.is_multicast());
    }
}
