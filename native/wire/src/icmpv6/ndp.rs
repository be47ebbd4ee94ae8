//! Neighbour discovery: who has an IPv6 address (RFC 4861).

use core::net::Ipv6Addr;

use super::{fill_checksum, kind};
use crate::ethernet::MacAddress;
use crate::field::{array_at, put, tail, u8_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of a solicitation or advertisement without options.
pub const HEADER_LEN: usize = 24;
/// Octets of an advertisement with the link-layer address option.
pub const ADVERTISEMENT_LEN: usize = HEADER_LEN + LINK_LAYER_OPTION_LEN;
/// The hop limit every message has; any other was routed here (RFC 4861 §7.1.1).
pub const HOP_LIMIT: u8 = 255;

const LINK_LAYER_OPTION_LEN: usize = 8;
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

view! {
    /// A view over a neighbour solicitation, from its ICMPv6 header on.
    Solicitation
}

impl<T: AsRef<[u8]>> Solicitation<T> {
    /// Whether this is a solicitation that is all there with options that can be walked. Hop limit
    /// and checksum are the caller's to check.
    ///
    /// # Errors
    /// As [`Advertisement::check_len`].
    pub fn check_len(&self) -> Result<(), Malformed> {
        check(self.bytes(), kind::NEIGHBOUR_SOLICITATION)
    }

    /// The address that is asked for.
    #[must_use]
    pub fn target(&self) -> Ipv6Addr {
        target(self.bytes())
    }

    /// The hardware address of who asks; none in duplicate address detection.
    #[must_use]
    pub fn source_link_layer_address(&self) -> Option<MacAddress> {
        link_layer_address(self.bytes(), SOURCE_LINK_LAYER_ADDRESS)
    }
}

view! {
    /// A view over a neighbour advertisement, from its ICMPv6 header on.
    Advertisement
}

impl<T: AsRef<[u8]>> Advertisement<T> {
    /// Whether this is an advertisement that is all there with options that can be walked. Hop
    /// limit and checksum are the caller's to check.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]; [`Malformed::BadHeader`] for another type or code;
    /// [`Malformed::BadOption`] for an option without length or beyond the end.
    pub fn check_len(&self) -> Result<(), Malformed> {
        check(self.bytes(), kind::NEIGHBOUR_ADVERTISEMENT)
    }

    /// The address that is told about.
    #[must_use]
    pub fn target(&self) -> Ipv6Addr {
        target(self.bytes())
    }

    /// Whether the sender is a router.
    #[must_use]
    pub fn router(&self) -> bool {
        u8_at(self.bytes(), 4) & ROUTER != 0
    }

    /// Whether it answers a solicitation.
    #[must_use]
    pub fn solicited(&self) -> bool {
        u8_at(self.bytes(), 4) & SOLICITED != 0
    }

    /// Whether it replaces what the receiver already knows.
    #[must_use]
    pub fn overrides(&self) -> bool {
        u8_at(self.bytes(), 4) & OVERRIDE != 0
    }

    /// The hardware address of the target.
    #[must_use]
    pub fn target_link_layer_address(&self) -> Option<MacAddress> {
        link_layer_address(self.bytes(), TARGET_LINK_LAYER_ADDRESS)
    }
}

fn check(message: &[u8], expected: u8) -> Result<(), Malformed> {
    if message.len() < HEADER_LEN {
        return Err(Malformed::Truncated);
    }
    if u8_at(message, 0) != expected || u8_at(message, 1) != 0 {
        return Err(Malformed::BadHeader);
    }
    Options { rest: tail(message, HEADER_LEN) }.try_for_each(|option| option.map(|_| ()))
}

fn target(message: &[u8]) -> Ipv6Addr {
    Ipv6Addr::from(array_at(message, 8).unwrap_or([0; 16]))
}

fn link_layer_address(message: &[u8], wanted: u8) -> Option<MacAddress> {
    Options { rest: tail(message, HEADER_LEN) }.map_while(Result::ok).find_map(|option| {
        match *option {
            [kind, 1, a, b, c, d, e, f] if kind == wanted => Some(MacAddress([a, b, c, d, e, f])),
            _ => None,
        }
    })
}

/// Options, each with its type and length (in units of eight octets) before its data.
struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<&'a [u8], Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = match *self.rest {
            [] => return None,
            // RFC 4861 §4.6: an option of length 0 makes the whole message void.
            [_] | [_, 0, ..] => usize::MAX,
            [_, units, ..] => usize::from(units) * 8,
        };
        let Some((option, rest)) = self.rest.split_at_checked(length) else {
            self.rest = &[];
            return Some(Err(Malformed::BadOption));
        };
        self.rest = rest;
        Some(Ok(option))
    }
}

/// A neighbour advertisement to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvertisementRepr {
    /// Source address of the packet that carries it.
    pub source: Ipv6Addr,
    /// Its destination.
    pub destination: Ipv6Addr,
    /// The address that is told about.
    pub target: Ipv6Addr,
    /// The hardware address of the target.
    pub link_layer_address: MacAddress,
    /// Whether the sender is a router.
    pub router: bool,
    /// Whether it answers a solicitation.
    pub solicited: bool,
    /// Whether it replaces what the receiver already knows.
    pub overrides: bool,
}

impl AdvertisementRepr {
    /// The answer to a solicitation for `target` that came from `solicitor`. An unspecified
    /// solicitor (duplicate address detection) is answered to all nodes (RFC 4861 §7.2.4).
    #[must_use]
    pub const fn answer(
        target: Ipv6Addr,
        solicitor: Ipv6Addr,
        link_layer_address: MacAddress,
    ) -> Self {
        const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let known = !solicitor.is_unspecified();
        Self {
            source: target,
            destination: if known { solicitor } else { ALL_NODES },
            target,
            link_layer_address,
            router: false,
            solicited: known,
            overrides: true,
        }
    }

    /// Writes the message with its checksum. Returns the octets written, [`ADVERTISEMENT_LEN`];
    /// `None`, with nothing written, if `out` is shorter.
    #[must_use]
    pub fn emit(&self, out: &mut [u8]) -> Option<usize> {
        let message = out.get_mut(..ADVERTISEMENT_LEN)?;
        let flag = |value: bool, bit: u8| if value { bit } else { 0 };
        let flags = flag(self.router, ROUTER)
            | flag(self.solicited, SOLICITED)
            | flag(self.overrides, OVERRIDE);
        put(message, 0, [kind::NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0]);
        put(message, 8, self.target.octets());
        put(message, HEADER_LEN, [TARGET_LINK_LAYER_ADDRESS, 1]);
        put(message, HEADER_LEN + 2, self.link_layer_address.0);
        fill_checksum(message, self.source, self.destination)?;
        Some(ADVERTISEMENT_LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icmpv6::Packet;

    const TARGET: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
    const SOLICITOR: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

    const SOLICITATION: [u8; 32] = [
        0x87, 0x00, 0x00, 0x00, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0x10, 0x01, 0x01, 0x02, 0, 0, 0, 0, 0x01,
    ];

    #[test]
    fn a_solicitation_is_read() {
        let message = Solicitation::new_checked(SOLICITATION).unwrap();
        assert_eq!(message.target(), TARGET);
        assert_eq!(message.source_link_layer_address(), Some(MAC));
        let bare = Solicitation::new_checked(&SOLICITATION[..24]).unwrap();
        assert_eq!(bare.source_link_layer_address(), None);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let refused = |octets: &[u8]| Solicitation::new_checked(octets).map(|_| ()).unwrap_err();
        assert_eq!(refused(&SOLICITATION[..23]), Malformed::Truncated);
        assert_eq!(refused(&SOLICITATION[..31]), Malformed::BadOption);
        let mut octets = SOLICITATION;
        octets[25] = 0;
        assert_eq!(refused(&octets), Malformed::BadOption);
        octets[0] = kind::NEIGHBOUR_ADVERTISEMENT;
        assert_eq!(refused(&octets), Malformed::BadHeader);
    }

    #[test]
    fn the_answer_reads_back() {
        let answer = AdvertisementRepr::answer(TARGET, SOLICITOR, MAC);
        let mut out = [0xff; ADVERTISEMENT_LEN];
        assert_eq!(answer.emit(&mut out), Some(ADVERTISEMENT_LEN));
        assert!(Packet::new_unchecked(&out).checksum_valid(TARGET, SOLICITOR));
        let message = Advertisement::new_checked(&out).unwrap();
        assert_eq!(message.target(), TARGET);
        assert_eq!(message.target_link_layer_address(), Some(MAC));
        assert!(message.solicited() && message.overrides() && !message.router());
        assert_eq!(answer.emit(&mut [0; ADVERTISEMENT_LEN - 1]), None);
    }

    #[test]
    fn duplicate_address_detection_is_answered_to_all_nodes() {
        let answer = AdvertisementRepr::answer(TARGET, Ipv6Addr::UNSPECIFIED, MAC);
        assert_eq!(answer.destination, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
        assert!(!answer.solicited);
    }
}
