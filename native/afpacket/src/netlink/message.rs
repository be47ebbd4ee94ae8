//! The form of netlink messages: header, fixed part, attributes; all in host byte order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const HEADER_OCTETS: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const DUMP_INTERRUPTED: u16 = 0x10;
/// The error message carries attributes (`NLM_F_ACK_TLVS`).
const ERROR_ATTRIBUTES: u16 = 0x200;
const ERROR_TEXT: u16 = 1;
/// Set on the type of attributes that hold attributes; says nothing new.
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// A request being written.
#[derive(Clone, Debug)]
pub(super) struct Request {
    octets: Vec<u8>,
}

impl Request {
    /// A request of the given type with its fixed part.
    pub(super) fn new(kind: u16, fixed: &[u8]) -> Self {
        let flags = u16::try_from(libc::NLM_F_REQUEST).unwrap_or(1);
        let mut octets = vec![0; 4];
        octets.extend_from_slice(&kind.to_ne_bytes());
        octets.extend_from_slice(&flags.to_ne_bytes());
        octets.extend_from_slice(&[0; 8]);
        octets.extend_from_slice(fixed);
        Self { octets }.aligned()
    }

    /// Adds flags of the header.
    pub(super) fn flag(mut self, flags: libc::c_int) -> Self {
        let [low, high] = u16::try_from(flags).unwrap_or(0).to_ne_bytes();
        if let Some([a, b]) = self.octets.get_mut(6..8) {
            *a |= low;
            *b |= high;
        }
        self
    }

    /// Adds an attribute.
    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        push_attribute(&mut self.octets, kind, value);
        self
    }

    /// Adds an attribute that holds attributes.
    pub(super) fn nested(self, kind: u16, attributes: &[(u16, &[u8])]) -> Self {
        let mut inside = Vec::new();
        for (kind, value) in attributes {
            push_attribute(&mut inside, *kind, value);
        }
        self.attribute(kind | NESTED, &inside)
    }

    /// The octets to be sent.
    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.octets.len()).unwrap_or(u32::MAX).to_ne_bytes();
        let sequence = sequence.to_ne_bytes();
        self.octets.iter_mut().zip(length).for_each(|(to, from)| *to = from);
        self.octets.iter_mut().skip(8).zip(sequence).for_each(|(to, from)| *to = from);
        self.octets
    }

    fn aligned(mut self) -> Self {
        self.octets.resize(align(self.octets.len()), 0);
        self
    }
}

fn push_attribute(octets: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // An attribute longer than its length field tells would garble the message; the longest here
    // is a BPF program of 32 KB.
    let Ok(length) = u16::try_from(4 + value.len()) else { return };
    octets.extend_from_slice(&length.to_ne_bytes());
    octets.extend_from_slice(&kind.to_ne_bytes());
    octets.extend_from_slice(value);
    octets.resize(align(octets.len()), 0);
}

const fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A message of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<'a> {
    /// An entry: type, octets behind the header.
    Entry { kind: u16, body: &'a [u8], inconsistent: bool },
    /// The answer is complete, or the request done.
    Done,
    /// The kernel refused.
    Error { number: i32, explanation: Option<String> },
}

/// The messages of a datagram that answer request `sequence`; 0 for all of them.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    rest: &'a [u8],
    sequence: u32,
}

impl<'a> Messages<'a> {
    pub(super) const fn new(datagram: &'a [u8], sequence: u32) -> Self {
        Self { rest: datagram, sequence }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Received<'a>;

    fn next(&mut self) -> Option<Received<'a>> {
        loop {
            let length = usize::try_from(u32_at(self.rest, 0)?).ok()?;
            let message = self.rest.get(..length)?;
            let body = message.get(HEADER_OCTETS..)?;
            let (kind, flags) = (u16_at(message, 4)?, u16_at(message, 6)?);
            let sequence = u32_at(message, 8)?;
            self.rest = self.rest.get(align(length)..).unwrap_or_default();
            if self.sequence != 0 && sequence != self.sequence {
                // The late answer to a request given up.
                continue;
            }
            return Some(match kind {
                DONE => done(body),
                ERROR => error(body, flags),
                _ => Received::Entry { kind, body, inconsistent: flags & DUMP_INTERRUPTED != 0 },
            });
        }
    }
}

/// The end of a dump carries a status, which is an error when negative.
fn done(body: &[u8]) -> Received<'_> {
    match u32_at(body, 0).map_or(0, u32::cast_signed) {
        number @ ..0 => Received::Error { number: -number, explanation: None },
        _ => Received::Done,
    }
}

fn error(body: &[u8], flags: u16) -> Received<'_> {
    let number = u32_at(body, 0).map_or(0, u32::cast_signed);
    if number == 0 {
        return Received::Done;
    }
    // Behind the number: the header of the request (the request itself is left out, as asked by
    // NETLINK_CAP_ACK), then attributes.
    let attributes = body.get(4 + HEADER_OCTETS..).unwrap_or_default();
    let explanation = (flags & ERROR_ATTRIBUTES != 0)
        .then(|| Attributes::new(attributes).find(|(kind, _)| *kind == ERROR_TEXT))
        .flatten()
        .map(|(_, text)| text_of(text));
    Received::Error { number: -number, explanation }
}

/// The attributes (type, value) in `octets`; ends at the first that is cut.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// The attributes behind a fixed part of `fixed` octets.
    pub(super) fn behind(body: &'a [u8], fixed: usize) -> Self {
        Self { rest: body.get(align(fixed)..).unwrap_or_default() }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16_at(self.rest, 0)?);
        let kind = u16_at(self.rest, 2)? & TYPE_MASK;
        let value = self.rest.get(4..length)?;
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

pub(super) fn u16_at(octets: &[u8], offset: usize) -> Option<u16> {
    let field = octets.get(offset..offset.checked_add(2)?)?;
    Some(u16::from_ne_bytes(field.try_into().ok()?))
}

pub(super) fn u32_at(octets: &[u8], offset: usize) -> Option<u32> {
    let field = octets.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_ne_bytes(field.try_into().ok()?))
}

/// A text up to its terminating zero.
pub(super) fn text_of(octets: &[u8]) -> String {
    let text = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// An address from its octets, by their number.
pub(super) fn address_of(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// An address as octets, with its family and length in bits.
pub(super) fn octets_of(address: IpAddr) -> (u8, u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (family(libc::AF_INET), 32, address.octets().to_vec()),
        IpAddr::V6(address) => (family(libc::AF_INET6), 128, address.octets().to_vec()),
    }
}

/// An address family as the messages carry it.
pub(super) fn family(family: libc::c_int) -> u8 {
    u8::try_from(family).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let request = Request::new(kind, body);
        let mut octets = request.finish(sequence);
        octets[6..8].copy_from_slice(&flags.to_ne_bytes());
        octets
    }

    #[test]
    fn a_request_has_its_length_and_aligned_attributes() {
        let octets =
            Request::new(18, &[7; 5]).flag(libc::NLM_F_ACK).attribute(3, b"eth0\0").finish(9);
        assert_eq!(octets.len(), 16 + 8 + 12);
        assert_eq!(u32_at(&octets, 0), Some(36));
        assert_eq!(u16_at(&octets, 6), Some(5));
        assert_eq!(u32_at(&octets, 8), Some(9));
        let found: Vec<_> = Attributes::behind(&octets, 24).collect();
        assert_eq!(found, [(3, b"eth0\0".as_slice())]);
    }

    #[test]
    fn answers_to_other_requests_are_left_out() {
        let datagram = [message(20, 0, 1, &[1]), message(20, 0, 2, &[2])].concat();
        let kinds: Vec<_> = Messages::new(&datagram, 2).collect();
        assert_eq!(kinds, [Received::Entry { kind: 20, body: &[2, 0, 0, 0], inconsistent: false }]);
    }

    #[test]
    fn the_kernels_words_come_with_its_number() {
        let mut body = (-17_i32).to_ne_bytes().to_vec();
        body.extend_from_slice(&[0; 16]);
        push_attribute(&mut body, ERROR_TEXT, b"Exclusivity flag on\0");
        let datagram = message(ERROR, ERROR_ATTRIBUTES, 4, &body);
        let expected =
            Received::Error { number: 17, explanation: Some("Exclusivity flag on".to_owned()) };
        assert_eq!(Messages::new(&datagram, 4).next(), Some(expected));
    }

    #[test]
    fn octets_of_any_kind_end_the_walk_without_a_panic() {
        let sample = message(20, 0, 1, &[1, 2, 3, 4, 5, 6, 7, 8]);
        for length in 0..sample.len() {
            assert_eq!(Messages::new(&sample[..length], 0).count(), 0);
        }
        for length in 0..=u8::MAX {
            let octets = [length, 0, 1, 0, 9, 9, 9];
            Attributes::new(&octets).for_each(drop);
            Messages::new(&octets, 0).for_each(drop);
        }
    }
}
