//! IPv4 options (RFC 791 §3.1).

use core::net::Ipv4Addr;

use super::{HEADER_LEN, Packet};
use crate::field::{put, u8_at};
use crate::malformed::Malformed;

/// Option types.
pub mod kind {
    /// End of the options; padding follows.
    pub const END: u8 = 0;
    /// One octet of padding.
    pub const NO_OPERATION: u8 = 1;
    /// Record route.
    pub const RECORD_ROUTE: u8 = 7;
    /// Internet timestamp.
    pub const TIMESTAMP: u8 = 68;
    /// Loose source route.
    pub const LOOSE_SOURCE_ROUTE: u8 = 131;
    /// Strict source route.
    pub const STRICT_SOURCE_ROUTE: u8 = 137;
    /// Router alert (RFC 2113).
    pub const ROUTER_ALERT: u8 = 148;
}

/// Octets of an option before its data: type, length and (record route, timestamp) pointer.
const POINTER: usize = 2;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpOption<'a> {
    /// Its type, see [`kind`].
    pub kind: u8,
    /// Where it begins, from the first option.
    pub start: usize,
    /// The whole of it: type, length (not for [`kind::NO_OPERATION`]) and data.
    pub octets: &'a [u8],
}

impl IpOption<'_> {
    /// Whether every fragment carries the option, not the first alone.
    #[inline]
    #[must_use]
    pub const fn copied(&self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Whether a packet with this option can be believed: no source route, and a record route or
    /// timestamp whose pointer is inside or just behind it.
    fn check(&self) -> Result<(), Malformed> {
        let pointer = usize::from(u8_at(self.octets, POINTER));
        let length = self.octets.len();
        let good = match self.kind {
            kind::LOOSE_SOURCE_ROUTE | kind::STRICT_SOURCE_ROUTE => false,
            // A pointer beyond the option says "full"; one inside must leave room for an address.
            kind::RECORD_ROUTE => {
                length >= 3 && pointer >= 4 && (pointer > length || pointer + 3 <= length)
            }
            kind::TIMESTAMP => length >= 4 && pointer >= 5,
            _ => true,
        };
        if good { Ok(()) } else { Err(Malformed::BadOption) }
    }
}

/// The options in `octets` (what [`Packet::options`] returns), up to the end marker. Ends behind
/// the first malformed one.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
    start: usize,
}

impl<'a> Options<'a> {
    /// Begins at the first option.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets, start: 0 }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<IpOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = match *self.rest {
            [] | [kind::END, ..] => return None,
            [kind::NO_OPERATION, ..] => (kind::NO_OPERATION, 1),
            [kind, length, ..] if length >= 2 => (kind, usize::from(length)),
            [kind, ..] => (kind, usize::MAX),
        };
        let Some((octets, rest)) = self.rest.split_at_checked(length) else {
            self.rest = &[];
            return Some(Err(Malformed::BadOption));
        };
        let start = self.start;
        (self.rest, self.start) = (rest, start + length);
        Some(Ok(IpOption { kind, start, octets }))
    }
}

/// Whether all options in `octets` are well-formed and none is a source route.
///
/// # Errors
/// [`Malformed::BadOption`].
#[cold]
pub fn check(octets: &[u8]) -> Result<(), Malformed> {
    Options::new(octets).try_for_each(|option| option?.check())
}

/// Records `address` in the record-route option of the packet that begins `packet`, as a host the
/// packet is addressed to does, and computes the header checksum anew. Returns whether there was
/// such an option with room.
pub fn fill_record_route(packet: &mut [u8], address: Ipv4Addr) -> bool {
    let Some((at, pointer)) = record_route(packet) else { return false };
    // The pointer counts from 1 and from the option's type octet.
    put(packet, at + usize::from(pointer) - 1, address.octets());
    put(packet, at + POINTER, [pointer + 4]);
    Packet::new_unchecked(packet).fill_checksum();
    true
}

/// Where the record-route option with room for an address begins, and its pointer.
fn record_route(packet: &[u8]) -> Option<(usize, u8)> {
    let view = Packet::new_unchecked(packet);
    let option = Options::new(view.options())
        .map_while(Result::ok)
        .find(|option| option.kind == kind::RECORD_ROUTE)?;
    option.check().ok()?;
    let pointer = u8_at(option.octets, POINTER);
    let room = usize::from(pointer) < option.octets.len();
    room.then_some((HEADER_LEN + option.start, pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with a no-operation and a record route of two slots, the first one taken.
    const HEADER: [u8; 32] = [
        0x48, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x40, 0x01, 0x00, 0x00, 0xc0, 0x00, 0x02,
        0x01, 0xc6, 0x33, 0x64, 0x07, // options:
        0x01, 0x07, 0x0b, 0x08, 0x0a, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
    ];

    #[test]
    fn an_address_is_recorded_until_the_option_is_full() {
        let mut header = HEADER;
        assert!(fill_record_route(&mut header, Ipv4Addr::new(198, 51, 100, 7)));
        assert_eq!(header[23..], [0x0c, 0x0a, 0, 0, 1, 198, 51, 100, 7]);
        assert!(Packet::new_unchecked(header).checksum_valid());
        let full = header;
        assert!(!fill_record_route(&mut header, Ipv4Addr::new(198, 51, 100, 8)));
        assert_eq!(header, full);
        assert_eq!(check(&header[20..]), Ok(()));
    }

    #[test]
    fn without_the_option_nothing_changes() {
        let mut header = HEADER;
        header[21] = kind::ROUTER_ALERT;
        let before = header;
        assert!(!fill_record_route(&mut header, Ipv4Addr::LOCALHOST));
        assert_eq!(header, before);
    }

    #[test]
    fn malformed_options_and_source_routes_are_refused() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[1, 0, 0x83, 0xff]), Ok(()), "behind the end marker is padding");
        assert_eq!(check(&[0x94, 4, 0, 0]), Ok(()));
        for wrong in [
            &[0x94_u8][..],
            &[0x94, 1, 0, 0],
            &[0x94, 5, 0, 0],
            &[0x83, 3, 4, 0],
            &[0x89, 3, 4, 0],
            &[0x07, 2, 1, 1],
            &[0x07, 7, 3, 0, 0, 0, 0, 0],
            &[0x07, 7, 5, 0, 0, 0, 0, 0],
            &[0x44, 4, 4, 0],
        ] {
            assert_eq!(check(wrong), Err(Malformed::BadOption), "{wrong:?}");
        }
    }

    #[test]
    fn options_are_walked_in_order() {
        let octets = [1, 0x94, 4, 0, 0, 0x52, 2, 0];
        let mut options = Options::new(&octets).map_while(Result::ok);
        let walked: [_; 3] = core::array::from_fn(|_| options.next().unwrap());
        assert_eq!(
            walked.map(|option| (option.kind, option.start)),
            [(1, 0), (0x94, 1), (0x52, 5)]
        );
        assert_eq!(walked.map(|option| option.copied()), [false, true, false]);
        assert_eq!(options.next(), None);
    }
}
