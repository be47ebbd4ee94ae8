//! Fragments of the outer packet, in the kernel's sizes and order (RFC 791 §3.2, RFC 8200 §4.5).

use wire::{ipv6, protocol};

use crate::forward::Answers;
use crate::forward::tunnel::Passage;
use crate::frame::FrameMeta;

const MORE_V6: u16 = 1;
/// Octets of an IPv6 fragment header.
const FRAGMENT_HEADER: usize = 8;

/// Wraps `inner` and appends the pieces to the outputs; none if a length exceeds its field.
pub(super) fn transmit(
    link: &[u8],
    inner: &[u8],
    meta: &FrameMeta,
    passage: &Passage,
    answers: &mut Answers<'_>,
) -> Option<()> {
    let outer = &passage.outer;
    let identification = outer.identification(answers.identification);
    let prefix = answers.outputs.prefix_mut();
    let room = prefix.room(link.len() + outer.length())?;
    outer.emit(room, link, identification, inner)?;
    passage.way.address(room);
    let prefix = *prefix;
    let (headers, tunnel) = prefix.octets().split_at_checked(link.len() + outer.ip_length())?;
    let cut = Cut { link: link.len(), headers, parts: [tunnel, inner] };
    let mtu = usize::try_from(passage.way.mtu).ok()?;
    let (extra, identification) =
        if outer.is_ipv4() { (0, 0) } else { (FRAGMENT_HEADER, answers.identification.ipv6()) };
    let size = mtu.checked_sub(outer.ip_length() + extra)? & !7;
    let total = tunnel.len() + inner.len();
    for from in (0..total).step_by(size.max(8)) {
        let end = total.min(from + size.max(8));
        let length = headers.len() + extra + end - from;
        let frame = answers.outputs.push(length, passage.way.egress(), meta.vlan);
        let piece = Piece { from, end, last: end == total };
        if outer.is_ipv4() {
            cut.emit_v4(frame, &piece)?;
        } else {
            cut.emit_v6(frame, &piece, identification)?;
        }
    }
    Some(())
}

/// The packet that is cut: Ethernet and IP header, then what is cut, which lies in two parts.
struct Cut<'a> {
    link: usize,
    headers: &'a [u8],
    parts: [&'a [u8]; 2],
}

/// Which octets of the payload a fragment has.
struct Piece {
    from: usize,
    end: usize,
    last: bool,
}

impl Cut<'_> {
    fn emit_v4(&self, frame: &mut [u8], piece: &Piece) -> Option<()> {
        let (headers, payload) = frame.split_at_mut_checked(self.headers.len())?;
        headers.copy_from_slice(self.headers);
        let mut packet = wire::ipv4::Packet::new_unchecked(headers.get_mut(self.link..)?);
        packet.set_total_len(u16::try_from(packet.header_len() + payload.len()).ok()?);
        packet.set_more_fragments(!piece.last);
        packet.set_fragment_offset_units(u16::try_from(piece.from / 8).ok()?);
        packet.fill_checksum();
        self.fill(payload, piece)
    }

    fn emit_v6(&self, frame: &mut [u8], piece: &Piece, identification: u32) -> Option<()> {
        let (headers, rest) = frame.split_at_mut_checked(self.headers.len())?;
        headers.copy_from_slice(self.headers);
        let mut packet = ipv6::Packet::new_unchecked(headers.get_mut(self.link..)?);
        let next_header = packet.next_header();
        packet.set_next_header(protocol::FRAGMENT);
        packet.set_payload_len(u16::try_from(rest.len()).ok()?);
        let (fragment, payload) = rest.split_first_chunk_mut::<FRAGMENT_HEADER>()?;
        let more = if piece.last { 0 } else { MORE_V6 };
        let [high, low] = (u16::try_from(piece.from).ok()? | more).to_be_bytes();
        let [a, b, c, d] = identification.to_be_bytes();
        *fragment = [next_header, 0, high, low, a, b, c, d];
        self.fill(payload, piece)
    }

    fn fill(&self, mut payload: &mut [u8], piece: &Piece) -> Option<()> {
        let mut at = 0;
        for part in self.parts {
            let from = piece.from.clamp(at, at + part.len()) - at;
            let end = piece.end.clamp(at, at + part.len()) - at;
            let octets = part.get(from..end)?;
            let (room, rest) = payload.split_at_mut_checked(octets.len())?;
            room.copy_from_slice(octets);
            payload = rest;
            at += part.len();
        }
        Some(())
    }
}
