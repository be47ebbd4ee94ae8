//! IPv4 fragmentation on the way out (RFC 791 §3.2), in the kernel's sizes and order.

use crate::forward::Way;
use crate::frame::Outputs;
use crate::hop::Egress;
use crate::packet::Packet;
use crate::verdict::{DropReason, Verdict};

const FLAG_DONT: u16 = 0x4000;
const FLAG_MORE: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
/// Bit of an option's type that has it copied into every fragment (RFC 791 §3.1).
const OPTION_COPIED: u8 = 0x80;
const OPTION_END: u8 = 0;
const OPTION_NO_OPERATION: u8 = 1;
const MINIMUM_HEADER: usize = 20;

/// Cuts `packet` to the way's MTU and appends the fragments to `outputs`.
pub(crate) fn transmit(packet: &mut Packet<'_>, way: &Way, outputs: &mut Outputs) -> Verdict {
    packet.complete_checksum();
    way.address(packet.frame);
    let limit = usize::try_from(way.mtu).unwrap_or(usize::MAX);
    let place = Place { egress: way.egress(), vlan: packet.meta.vlan };
    match cut(packet.link_header(), packet.octets(), limit, place, outputs) {
        Ok(()) => way.verdict_of_fragments(),
        Err(reason) => Verdict::Drop(reason),
    }
}

/// Where fragments leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) egress: Egress,
    pub(crate) vlan: Option<u16>,
}

/// Cuts the IPv4 packet `octets` into pieces of at most `limit` octets, each behind `link`.
pub(crate) fn cut(
    link: &[u8],
    octets: &[u8],
    limit: usize,
    place: Place,
    outputs: &mut Outputs,
) -> Result<(), DropReason> {
    let header_length =
        octets.first().map_or(MINIMUM_HEADER, |octet| usize::from(octet & 0x0f) * 4);
    let room = limit.saturating_sub(header_length) & !7;
    let (header, payload) = octets.split_at_checked(header_length).ok_or(DropReason::BadLength)?;
    if room == 0 {
        return Err(DropReason::TooBig);
    }
    let field = read_u16(header, 6);
    let last = payload.len().div_ceil(room).saturating_sub(1);
    for (number, part) in payload.chunks(room).enumerate() {
        let offset =
            (field & (OFFSET_MASK | FLAG_DONT)).saturating_add(offset_units(number * room));
        let more = if number < last { FLAG_MORE } else { field & FLAG_MORE };
        let length = link.len() + header_length + part.len();
        let frame = outputs.push(length, place.egress, place.vlan);
        write(frame, link, header, part, offset | more, number > 0);
    }
    Ok(())
}

/// Fills in one fragment.
fn write(
    frame: &mut [u8],
    link: &[u8],
    header: &[u8],
    part: &[u8],
    offset_field: u16,
    later: bool,
) {
    let Some((link_out, rest)) = frame.split_at_mut_checked(link.len()) else { return };
    let Some((header_out, part_out)) = rest.split_at_mut_checked(header.len()) else { return };
    link_out.copy_from_slice(link);
    header_out.copy_from_slice(header);
    part_out.copy_from_slice(part);
    let total = u16::try_from(header.len() + part.len()).unwrap_or(u16::MAX);
    write_u16(header_out, 2, total);
    write_u16(header_out, 6, offset_field);
    if later {
        blank_uncopied_options(header_out.get_mut(MINIMUM_HEADER..).unwrap_or_default());
    }
    write_u16(header_out, 10, 0);
    let checksum = wire::checksum::of(header_out);
    write_u16(header_out, 10, checksum);
}

/// Options that are not to be copied become no-operations in later fragments.
fn blank_uncopied_options(mut options: &mut [u8]) {
    while let Some(&kind) = options.first() {
        let length = match kind {
            OPTION_END => return,
            OPTION_NO_OPERATION => 1,
            _ => options.get(1).map_or(1, |&length| usize::from(length.max(2))),
        };
        let Some((option, rest)) = options.split_at_mut_checked(length) else { return };
        if kind & OPTION_COPIED == 0 {
            option.fill(OPTION_NO_OPERATION);
        }
        options = rest;
    }
}

fn offset_units(octets: usize) -> u16 {
    u16::try_from(octets / 8).unwrap_or(OFFSET_MASK)
}

fn read_u16(octets: &[u8], at: usize) -> u16 {
    octets.get(at..at + 2).and_then(|pair| pair.try_into().ok()).map_or(0, u16::from_be_bytes)
}

fn write_u16(octets: &mut [u8], at: usize, value: u16) {
    if let Some(field) = octets.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
