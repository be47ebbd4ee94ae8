//! IPv4 packets.

use core::net::Ipv4Addr;

use super::{
    Fragment, IpFrame, LENGTH_FIELD_MAX, Malformed, Upper, icmp, upper_sctp, upper_tcp, upper_udp,
};
use crate::field::tail;
use crate::ipv4::{HEADER_LEN, option};
use crate::{checksum, protocol};

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

#[inline]
pub(super) fn dissect(frame: &[u8], l3: usize) -> Result<IpFrame, Malformed> {
    let packet = tail(frame, l3);
    let header = packet.first_chunk::<HEADER_LEN>().ok_or(Malformed::Truncated)?;
    let [
        version_and_length,
        _,
        t0,
        t1,
        _,
        _,
        f0,
        f1,
        hop_limit,
        upper_protocol,
        _,
        _,
        addresses @ ..,
    ] = *header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    // One comparison for the version and the least header length.
    if !(0x45..=0x4f).contains(&version_and_length) {
        return Err(Malformed::BadHeader);
    }
    let header_len = usize::from(version_and_length & 0x0f) * 4;
    let length = packet_len(u16::from_be_bytes([t0, t1]), header_len, packet.len())?;
    if header_len == HEADER_LEN {
        if checksum::of(header) != 0 {
            return Err(Malformed::BadChecksum);
        }
    } else {
        check_options(packet, header_len)?;
    }
    let source = Ipv4Addr::new(s0, s1, s2, s3);
    let destination = Ipv4Addr::new(d0, d1, d2, d3);
    check_source(source, destination)?;
    let fragmentation = u16::from_be_bytes([f0, f1]);
    let fragment = fragment(fragmentation, length - header_len)?;
    let l4 = l3 + header_len;
    let end = l3 + length;
    Ok(IpFrame {
        l3,
        l4,
        end,
        source: source.into(),
        destination: destination.into(),
        hop_limit,
        protocol: upper_protocol,
        fragment,
        dont_fragment: fragmentation & DONT_FRAGMENT != 0,
        options: header_len != HEADER_LEN,
        hop_by_hop: false,
        upper: if fragment == Fragment::Later {
            Upper::Other
        } else {
            upper(upper_protocol, frame.get(l4..end).unwrap_or_default())
        },
    })
}

/// Octets of the packet: at least its header, at most what is there.
#[inline]
fn packet_len(field: u16, header_len: usize, available: usize) -> Result<usize, Malformed> {
    let length = usize::from(field);
    if length >= header_len {
        return if length <= available { Ok(length) } else { Err(Malformed::Truncated) };
    }
    // BIG TCP: Linux writes 0 where the length does not fit.
    if length == 0 && available > LENGTH_FIELD_MAX {
        return Ok(available);
    }
    Err(Malformed::BadLength)
}

#[cold]
fn check_options(packet: &[u8], header_len: usize) -> Result<(), Malformed> {
    let header = packet.get(..header_len).ok_or(Malformed::Truncated)?;
    if checksum::of(header) != 0 {
        return Err(Malformed::BadChecksum);
    }
    option::check(tail(header, HEADER_LEN))
}

#[inline]
fn check_source(source: Ipv4Addr, destination: Ipv4Addr) -> Result<(), Malformed> {
    let [first, ..] = source.octets();
    if matches!(first, 1..=126 | 128..=223) {
        Ok(())
    } else {
        check_odd_source(source, destination)
    }
}

#[cold]
fn check_odd_source(source: Ipv4Addr, destination: Ipv4Addr) -> Result<(), Malformed> {
    let [first, ..] = source.octets();
    // RFC 1122 §3.2.1.3: a host that does not know its address yet may ask the whole link.
    let asks_link =
        source.is_unspecified() && (destination.is_broadcast() || destination.is_multicast());
    // 240.0.0.0/4 is reserved but, as in Linux, believed.
    if asks_link || (first >= 240 && !source.is_broadcast()) {
        Ok(())
    } else {
        Err(Malformed::BadSource)
    }
}

#[inline]
fn fragment(field: u16, payload_len: usize) -> Result<Fragment, Malformed> {
    let offset = usize::from(field & OFFSET) * 8;
    if offset != 0 {
        // No packet is put together that is longer than its length field can say.
        let fits = offset + payload_len <= LENGTH_FIELD_MAX - HEADER_LEN;
        return if fits { Ok(Fragment::Later) } else { Err(Malformed::BadLength) };
    }
    Ok(if field & MORE_FRAGMENTS != 0 { Fragment::First } else { Fragment::No })
}

#[inline]
fn upper(upper_protocol: u8, payload: &[u8]) -> Upper {
    match upper_protocol {
        protocol::TCP => upper_tcp(payload),
        protocol::UDP => upper_udp(payload),
        protocol::SCTP => upper_sctp(payload),
        protocol::ICMPV4 => {
            icmp(payload).map_or(Upper::Truncated, |(kind, code)| Upper::Icmpv4 { kind, code })
        }
        _ => Upper::Other,
    }
}
