//! Whether a frame's checksums are right, by the book: an oracle. And making them so.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::frame::{ChecksumState, PartialChecksum};
use wire::dissect::{Dissection, Fragment, IpFrame, dissect};
use wire::protocol::{ICMPV4, ICMPV6, SCTP, TCP, UDP};

use crate::crc32c::crc32c;

const LINK: usize = 14;

/// The Internet checksum's sum (RFC 1071), not complemented.
fn sum(octets: &[u8], start: u32) -> u32 {
    let (pairs, rest) = octets.as_chunks::<2>();
    let mut sum = start;
    for pair in pairs {
        sum += u32::from(u16::from_be_bytes(*pair));
    }
    if let [last] = rest {
        sum += u32::from(*last) << 8;
    }
    fold(sum)
}

const fn fold(mut sum: u32) -> u32 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Whether the IP header is one a host would take.
pub(crate) fn header(frame: &[u8]) -> bool {
    match dissect(frame) {
        Ok(Dissection::Ip(ip)) => !ip.source.is_ipv4() || ipv4_header(frame, ip.l3),
        _ => false,
    }
}

fn ipv4_header(frame: &[u8], l3: usize) -> bool {
    let length = usize::from(frame[l3] & 15) * 4;
    frame.get(l3..l3 + length).is_some_and(|header| sum(header, 0) == 0xffff)
}

/// Whether the transport checksum of a whole packet is right; not for fragments and protocols
/// without one.
pub(crate) fn transport(frame: &[u8]) -> bool {
    let Ok(Dissection::Ip(ip)) = dissect(frame) else { return false };
    if ip.fragment != Fragment::No {
        return false;
    }
    let Some(segment) = frame.get(ip.l4..ip.end) else { return false };
    let pseudo = || pseudo_header(frame, &ip);
    match ip.protocol {
        TCP if segment.len() >= 20 => sum(segment, pseudo()) == 0xffff,
        UDP if segment.len() >= 8 => {
            let said = usize::from(u16::from_be_bytes([segment[4], segment[5]]));
            let without = ip.source.is_ipv4() && segment[6..8] == [0, 0];
            said == segment.len() && (without || sum(segment, pseudo()) == 0xffff)
        }
        ICMPV6 if segment.len() >= 8 => sum(segment, pseudo()) == 0xffff,
        ICMPV4 if segment.len() >= 8 => sum(segment, 0) == 0xffff,
        SCTP if segment.len() >= 12 => {
            let said = u32::from_le_bytes([segment[8], segment[9], segment[10], segment[11]]);
            said == crc32c(segment)
        }
        _ => false,
    }
}

/// The sum of the pseudo header; ICMP in IPv4 and SCTP have none.
fn pseudo_header(frame: &[u8], ip: &IpFrame) -> u32 {
    let length = u32::try_from(ip.end - ip.l4).expect("a packet is small");
    let addresses = match ip.source {
        IpAddr::V4(_) => frame.get(ip.l3 + 12..ip.l3 + 20),
        IpAddr::V6(_) => frame.get(ip.l3 + 8..ip.l3 + 40),
    };
    sum(addresses.unwrap_or_default(), u32::from(ip.protocol) + length)
}

/// Whether octets hold the checksum that covers them.
pub(crate) fn sums_up(octets: &[u8]) -> bool {
    sum(octets, 0) == 0xffff
}

/// The frame once the device that sends it has completed its checksum; none if it cannot.
pub(crate) fn as_the_device(frame: &[u8], checksum: ChecksumState) -> Option<Cow<'_, [u8]>> {
    let ChecksumState::Partial(PartialChecksum { start, offset }) = checksum else {
        return Some(Cow::Borrowed(frame));
    };
    let Ok(Dissection::Ip(ip)) = dissect(frame) else { return None };
    let (start, offset) = (usize::from(start), usize::from(offset));
    if start < ip.l4 || start + offset + 2 > ip.end {
        return None;
    }
    let mut completed = frame.to_vec();
    let at = start + offset;
    if (ip.protocol, start, offset) == (SCTP, ip.l4, 8) {
        let crc = crc32c(&frame[start..ip.end]);
        completed.get_mut(at..at + 4)?.copy_from_slice(&crc.to_le_bytes());
    } else {
        let checksum = !folded(sum(&frame[start..ip.end], 0));
        let sent = if checksum == 0 { 0xffff } else { checksum };
        completed[at..at + 2].copy_from_slice(&sent.to_be_bytes());
    }
    Some(Cow::Owned(completed))
}

/// Whether the transport checksum is right once the device has done its part.
pub(crate) fn whole(frame: &[u8], checksum: ChecksumState) -> bool {
    as_the_device(frame, checksum).is_some_and(|frame| transport(&frame))
}

/// Gives a good frame the transport checksum it should have.
pub(crate) fn seal(frame: &mut Vec<u8>) {
    open(frame);
    let checksum = ChecksumState::left_to_device(frame);
    *frame = as_the_device(frame, checksum).expect("a good frame").into_owned();
}

/// Writes into a good frame what a sender does that leaves the transport checksum to the device.
pub(crate) fn open(frame: &mut [u8]) {
    let Ok(Dissection::Ip(ip)) = dissect(frame) else { panic!("a good frame") };
    let ChecksumState::Partial(place) = ChecksumState::left_to_device(frame) else { panic!() };
    let seed = match ip.protocol {
        SCTP | ICMPV4 => 0,
        _ => folded(pseudo_header(frame, &ip)),
    };
    let at = usize::from(place.start + place.offset);
    frame[at..at + 2].copy_from_slice(&seed.to_be_bytes());
}

fn folded(sum: u32) -> u16 {
    u16::try_from(fold(sum)).expect("it is folded")
}

/// Gives an IPv4 header the checksum it should have.
pub(crate) fn repair_ipv4_header(frame: &mut [u8]) {
    if frame.get(12..14) != Some(&[8, 0]) {
        return;
    }
    let length = usize::from(frame.get(LINK).copied().unwrap_or(0) & 15) * 4;
    let Some(header) = frame.get_mut(LINK..LINK + length) else { return };
    if header.len() < 20 {
        return;
    }
    header[10..12].fill(0);
    let checksum = !folded(sum(header, 0));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}
