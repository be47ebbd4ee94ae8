//! Cutting packets again that were put together: what leaves is no longer than what came.

use crate::forward::fragment::{self, Place};
use crate::frame::Outputs;
use crate::verdict::DropReason;

const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;
const FRAGMENT: u8 = 44;
/// No link of IPv6 takes less (RFC 8200 §5).
const IPV6_MTU_MIN: usize = 1280;

/// A frame with a packet that was put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    /// Octets of the longest fragment that came, IP header included.
    pub(crate) longest: usize,
    /// Where the fragments began, counted in octets of their payload, and octets of the whole.
    pub(crate) starts: &'a [usize],
    pub(crate) payload: usize,
    /// Identification of the fragments, for IPv6.
    pub(crate) identification: u32,
    pub(crate) place: Place,
}

/// Appends the fragments of `frame` to `outputs`.
///
/// The kernel cuts IPv4 anew, at the length of the longest fragment, and IPv6 where it was cut
/// before, unless fragments would become too long.
pub(crate) fn cut(
    frame: &[u8],
    whole: &Whole<'_>,
    outputs: &mut Outputs,
) -> Result<(), DropReason> {
    let (ether_type, l3) = wire::ethernet::payload(frame).map_err(|_| DropReason::BadLength)?;
    let (link, packet) = frame.split_at_checked(l3).ok_or(DropReason::BadLength)?;
    if ether_type == wire::ethernet::EtherType::IPV4 {
        return fragment::cut(link, packet, whole.longest, whole.place, outputs);
    }
    let (header, payload) = packet.split_at_checked(IPV6_HEADER).ok_or(DropReason::BadLength)?;
    let room = whole.longest.max(IPV6_MTU_MIN) - IPV6_HEADER - FRAGMENT_HEADER;
    let Some(front) = payload.len().checked_sub(whole.payload) else {
        return Err(DropReason::BadLength);
    };
    let as_before = Pieces { starts: whole.starts, front, length: payload.len() };
    let cutter = Ipv6 { link, header, payload, whole };
    if as_before.clone().all(|(start, end)| start % 8 == 0 && end - start <= room) {
        as_before.for_each(|piece| cutter.emit(piece, outputs));
    } else {
        let room = room & !7;
        let starts = (0..payload.len()).step_by(room);
        starts.for_each(|at| cutter.emit((at, payload.len().min(at + room)), outputs));
    }
    Ok(())
}

/// Beginning and end of each piece. What stands in front of the payload that was cut before, by
/// extension headers or a tunnel, belongs to the first.
#[derive(Clone, Debug)]
struct Pieces<'a> {
    starts: &'a [usize],
    front: usize,
    length: usize,
}

impl Iterator for Pieces<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let (&start, rest) = self.starts.split_first()?;
        self.starts = rest;
        let from = if start == 0 { 0 } else { start + self.front };
        Some((from, rest.first().map_or(self.length, |next| next + self.front)))
    }
}

struct Ipv6<'a> {
    link: &'a [u8],
    header: &'a [u8],
    payload: &'a [u8],
    whole: &'a Whole<'a>,
}

impl Ipv6<'_> {
    /// Appends the fragment from `start` to `end` (RFC 8200 §4.5).
    fn emit(&self, (start, end): (usize, usize), outputs: &mut Outputs) {
        let part = self.payload.get(start..end).unwrap_or_default();
        let front = self.link.len() + IPV6_HEADER + FRAGMENT_HEADER;
        let Whole { place, identification, .. } = *self.whole;
        let frame = outputs.push(front + part.len(), place.egress, place.vlan);
        let Some((front, part_out)) = frame.split_at_mut_checked(front) else { return };
        let Some((link, headers)) = front.split_at_mut_checked(self.link.len()) else { return };
        let Some((header, fragment)) = headers.split_first_chunk_mut::<IPV6_HEADER>() else {
            return;
        };
        let Some(fragment) = fragment.first_chunk_mut::<FRAGMENT_HEADER>() else { return };
        link.copy_from_slice(self.link);
        header.copy_from_slice(self.header);
        part_out.copy_from_slice(part);
        let length = u16::try_from(FRAGMENT_HEADER + part.len()).unwrap_or(u16::MAX);
        let [length_high, length_low] = length.to_be_bytes();
        let more = u16::from(end < self.payload.len());
        let [offset_high, offset_low] = (u16::try_from(start).unwrap_or(0) | more).to_be_bytes();
        let [a, b, c, d] = identification.to_be_bytes();
        *fragment = [header[6], 0, offset_high, offset_low, a, b, c, d];
        [header[4], header[5], header[6]] = [length_high, length_low, FRAGMENT];
    }
}
