//! IPv6 packets.

use core::net::Ipv6Addr;

use super::{
    Fragment, IpFrame, LENGTH_FIELD_MAX, Malformed, Upper, icmp, upper_sctp, upper_tcp, upper_udp,
};
use crate::field::{array_at, tail};
use crate::ipv6::HEADER_LEN;
use crate::ipv6::extension::{self, FragmentHeader, UpperLayer};
use crate::protocol;

#[inline]
pub(super) fn dissect(frame: &[u8], l3: usize) -> Result<IpFrame, Malformed> {
    let packet = tail(frame, l3);
    let header = packet.first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
    let [version, _, _, _, p0, p1, next_header, ..] = *header;
    if version >> 4 != 6 {
        return Err(Malformed::BadHeader);
    }
    let payload_field = u16::from_be_bytes([p0, p1]);
    let payload_len = payload_len(payload_field, next_header, packet.len() - HEADER_LEN)?;
    let start = l3 + HEADER_LEN;
    let payload = frame.get(start..start + payload_len).unwrap_or_default();
    if extension::is_extension(next_header) {
        behind_extensions(l3, header, payload)
    } else {
        assemble(l3, header, payload, UpperLayer::directly(next_header))
    }
}

#[cold]
fn behind_extensions(
    l3: usize,
    header: &[u8; HEADER_LEN],
    payload: &[u8],
) -> Result<IpFrame, Malformed> {
    let [_, _, _, _, _, _, next_header, ..] = *header;
    assemble(l3, header, payload, extension::walk(payload, next_header)?)
}

// Always inlined: without extension headers most of `behind` is constant.
#[inline(always)]
fn assemble(
    l3: usize,
    header: &[u8; HEADER_LEN],
    payload: &[u8],
    behind: UpperLayer,
) -> Result<IpFrame, Malformed> {
    let [_, _, _, _, _, _, _, hop_limit, ..] = *header;
    let source = Ipv6Addr::from(array_at(header, 8).unwrap_or([0; 16]));
    let destination = Ipv6Addr::from(array_at(header, 24).unwrap_or([0; 16]));
    check_source(source, behind.protocol)?;
    let fragment = fragment(behind.fragment, payload.len() - behind.offset)?;
    let start = l3 + HEADER_LEN;
    Ok(IpFrame {
        l3,
        l4: start + behind.offset,
        end: start + payload.len(),
        source: source.into(),
        destination: destination.into(),
        hop_limit,
        protocol: behind.protocol,
        fragment,
        dont_fragment: true,
        options: false,
        hop_by_hop: behind.hop_by_hop,
        upper: if fragment == Fragment::Later {
            Upper::Other
        } else {
            upper(behind.protocol, tail(payload, behind.offset))
        },
    })
}

/// Octets behind the fixed header, at most what is there.
#[inline]
fn payload_len(field: u16, next_header: u8, available: usize) -> Result<usize, Malformed> {
    let length = usize::from(field);
    if length == 0 && next_header != protocol::NO_NEXT_HEADER {
        // BIG TCP: Linux writes 0 where the length does not fit. Jumbograms (RFC 2675) are not
        // supported.
        return if available > LENGTH_FIELD_MAX {
            Ok(available)
        } else {
            Err(Malformed::BadLength)
        };
    }
    if length <= available { Ok(length) } else { Err(Malformed::Truncated) }
}

#[inline]
fn check_source(source: Ipv6Addr, upper_protocol: u8) -> Result<(), Malformed> {
    let [s0, s1, s2, s3, ..] = source.segments();
    if s0 < 0xff00 && (s0 | s1 | s2 | s3) != 0 {
        Ok(())
    } else {
        check_odd_source(source, upper_protocol)
    }
}

#[cold]
fn check_odd_source(source: Ipv6Addr, upper_protocol: u8) -> Result<(), Malformed> {
    // Duplicate address detection (RFC 4862 §5.4.2) and first multicast reports (RFC 3590) come
    // from no address.
    let asks_link = source.is_unspecified() && upper_protocol == protocol::ICMPV6;
    let bad = source.is_unspecified()
        || source.is_multicast()
        || source.is_loopback()
        // No link carries packets of an IPv4 host in IPv6 clothes; Linux drops them, too.
        || source.to_ipv4_mapped().is_some();
    if bad && !asks_link { Err(Malformed::BadSource) } else { Ok(()) }
}

#[inline]
fn fragment(header: Option<FragmentHeader>, payload_len: usize) -> Result<Fragment, Malformed> {
    let Some(FragmentHeader { offset, more, .. }) = header else { return Ok(Fragment::No) };
    if offset != 0 {
        // RFC 8200 §4.5: no packet is put together that is longer than its length field can say.
        let fits = offset + payload_len <= LENGTH_FIELD_MAX;
        return if fits { Ok(Fragment::Later) } else { Err(Malformed::BadLength) };
    }
    Ok(if more { Fragment::First } else { Fragment::No })
}

#[inline]
fn upper(upper_protocol: u8, payload: &[u8]) -> Upper {
    match upper_protocol {
        protocol::TCP => upper_tcp(payload),
        protocol::UDP => upper_udp(payload),
        protocol::SCTP => upper_sctp(payload),
        protocol::ICMPV6 => {
            icmp(payload).map_or(Upper::Truncated, |(kind, code)| Upper::Icmpv6 { kind, code })
        }
        _ => Upper::Other,
    }
}
