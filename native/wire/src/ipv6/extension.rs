//! The walk over IPv6 extension headers to the upper-layer header (RFC 8200 §4).

use crate::field::array_at;
use crate::malformed::Malformed;
use crate::protocol;

/// Extension headers walked before a packet is called malformed. RFC 8200 §4.1 knows of seven.
pub const HEADERS_MAX: usize = 16;

/// What a fragment header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentHeader {
    /// Where in the original payload this fragment lies, in octets.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// The identification that fragments of one packet share.
    pub identification: u32,
}

/// Where the walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpperLayer {
    /// The upper-layer protocol. Behind the header of a later fragment nothing is known but what
    /// this names; it may be an extension header.
    pub protocol: u8,
    /// Octets of extension headers before it.
    pub offset: usize,
    /// The fragment header, if there is one.
    pub fragment: Option<FragmentHeader>,
    /// Whether there is a hop-by-hop header.
    pub hop_by_hop: bool,
}

impl UpperLayer {
    /// The upper layer directly behind the fixed header.
    #[inline]
    pub(crate) const fn directly(protocol: u8) -> Self {
        Self { protocol, offset: 0, fragment: None, hop_by_hop: false }
    }
}

/// Walks the extension headers at the start of `payload`, the first of which is `next_header`. A
/// later fragment ends the walk at its payload.
///
/// # Errors
/// [`Malformed::Truncated`] if a header is not all there; [`Malformed::BadHeader`] for hop-by-hop
/// options that are not first, or more than [`HEADERS_MAX`] headers; [`Malformed::BadOption`] for a
/// source route that is still to be followed (RFC 5095).
pub fn walk(payload: &[u8], next_header: u8) -> Result<UpperLayer, Malformed> {
    let mut upper = UpperLayer::directly(next_header);
    let mut walked = 0;
    while is_extension(upper.protocol) {
        if walked == HEADERS_MAX {
            return Err(Malformed::BadHeader);
        }
        walked += 1;
        // Every extension header is at least eight octets long.
        let header = array_at(payload, upper.offset).ok_or(Malformed::Truncated)?;
        step(&mut upper, header)?;
        if upper.offset > payload.len() {
            return Err(Malformed::Truncated);
        }
        if upper.fragment.is_some_and(|fragment| fragment.offset != 0) {
            break;
        }
    }
    Ok(upper)
}

/// Whether `next_header` is an extension header [`walk`] steps over.
#[inline]
pub(crate) const fn is_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
    )
}

/// Steps over one extension header, of which `header` are the first octets.
fn step(upper: &mut UpperLayer, header: [u8; 8]) -> Result<(), Malformed> {
    let [next_header, length, second, third, ..] = header;
    let mut octets = usize::from(length) * 8 + 8;
    match upper.protocol {
        protocol::HOP_BY_HOP if upper.offset != 0 => return Err(Malformed::BadHeader),
        protocol::HOP_BY_HOP => upper.hop_by_hop = true,
        // RFC 5095: type 0 with segments left is to be refused.
        protocol::ROUTING if second == 0 && third != 0 => return Err(Malformed::BadOption),
        protocol::FRAGMENT => {
            octets = 8;
            upper.fragment = Some(fragment_header(header));
        }
        // RFC 4302 §2.2: counted in words of four octets, minus two.
        protocol::AUTHENTICATION => octets = usize::from(length) * 4 + 8,
        _ => {}
    }
    upper.protocol = next_header;
    upper.offset += octets;
    Ok(())
}

pub(crate) const fn fragment_header(header: [u8; 8]) -> FragmentHeader {
    let [_, _, high, low, identification @ ..] = header;
    FragmentHeader {
        offset: (u16::from_be_bytes([high, low]) & 0xfff8) as usize,
        more: low & 1 != 0,
        identification: u32::from_be_bytes(identification),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_extension_header_is_the_upper_layer_itself() {
        let upper = walk(&[], protocol::TCP).unwrap();
        assert_eq!((upper.protocol, upper.offset), (protocol::TCP, 0));
    }

    #[test]
    fn all_headers_are_walked() {
        let mut payload = [0; 56];
        payload[0] = protocol::DESTINATION_OPTIONS; // hop-by-hop, 8 octets
        payload[8] = protocol::ROUTING; // destination options, 16 octets
        payload[9] = 1;
        payload[24] = protocol::AUTHENTICATION; // routing, 8 octets
        payload[26] = 4;
        payload[27] = 1;
        payload[32] = protocol::FRAGMENT; // authentication, 16 octets
        payload[33] = 2;
        payload[48..56].copy_from_slice(&[protocol::UDP, 0, 0, 1, 1, 2, 3, 4]);
        let upper = walk(&payload, protocol::HOP_BY_HOP).unwrap();
        assert_eq!((upper.protocol, upper.offset), (protocol::UDP, 56));
        assert!(upper.hop_by_hop);
        let fragment = FragmentHeader { offset: 0, more: true, identification: 0x0102_0304 };
        assert_eq!(upper.fragment, Some(fragment));
        for length in 0..payload.len() {
            assert_eq!(
                walk(&payload[..length], protocol::HOP_BY_HOP),
                Err(Malformed::Truncated),
                "{length} octets"
            );
        }
    }

    #[test]
    fn a_later_fragment_ends_the_walk() {
        let payload = [protocol::DESTINATION_OPTIONS, 0, 0x05, 0xa8, 0, 0, 0, 7, 0xff, 0xff];
        let upper = walk(&payload, protocol::FRAGMENT).unwrap();
        assert_eq!((upper.protocol, upper.offset), (protocol::DESTINATION_OPTIONS, 8));
        let fragment = FragmentHeader { offset: 1448, more: false, identification: 7 };
        assert_eq!(upper.fragment, Some(fragment));
    }

    #[test]
    fn disorder_is_refused() {
        let hop_by_hop_second = [protocol::HOP_BY_HOP, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
        let refused = walk(&hop_by_hop_second, protocol::DESTINATION_OPTIONS);
        assert_eq!(refused, Err(Malformed::BadHeader));
        let source_route = [protocol::TCP, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(walk(&source_route, protocol::ROUTING), Err(Malformed::BadOption));
    }

    #[test]
    fn a_chain_is_walked_up_to_its_limit() {
        let mut payload = [0; (HEADERS_MAX + 1) * 8];
        for header in payload.chunks_exact_mut(8) {
            header[0] = protocol::DESTINATION_OPTIONS;
        }
        let first = protocol::DESTINATION_OPTIONS;
        assert_eq!(walk(&payload, first), Err(Malformed::BadHeader));
        payload[(HEADERS_MAX - 1) * 8] = protocol::TCP;
        let upper = walk(&payload, first).unwrap();
        assert_eq!((upper.protocol, upper.offset), (protocol::TCP, HEADERS_MAX * 8));
    }
}
