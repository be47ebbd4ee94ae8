//! The whole made of its fragments.

use alloc::vec::Vec;

use super::{Reassembly, Whole};
use crate::verdict::DropReason;

const IPV4_DONT_FRAGMENT: u16 = 0x4000;
const ECN_CE: u8 = 3;

/// What is known of a packet that was put together beside its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    /// Octets of its longest fragment, IP header included: on its way out none is longer.
    pub(crate) longest: usize,
    /// Octets of the payload of all fragments.
    pub(crate) payload: usize,
}

impl Reassembly {
    /// Writes the frame with the whole packet to `frame`, and where its fragments began, in octets
    /// of payload, to `starts`.
    pub(crate) fn assemble(
        &mut self,
        Whole(slot): Whole,
        frame: &mut Vec<u8>,
        starts: &mut Vec<usize>,
    ) -> Result<Assembled, DropReason> {
        frame.clear();
        starts.clear();
        let Some(datagram) = self.table.get(slot) else {
            return Err(DropReason::FragmentLimit);
        };
        let payload = datagram.octets;
        self.pool.read(datagram.headers, frame);
        for part in &datagram.parts {
            starts.push(part.start);
            self.pool.read(part.stored, frame);
        }
        let (longest, uncuttable) = (datagram.longest, datagram.longest_uncuttable);
        let (ecn, next_header) = (datagram.ecn, datagram.next_header);
        self.discard(slot);
        let ecn = merged_ecn(ecn).ok_or(DropReason::FragmentMismatch)?;
        let whole = finish(frame, ecn, uncuttable == longest, next_header);
        whole.ok_or(DropReason::BadLength)?;
        self.reassembled += 1;
        Ok(Assembled { longest, payload })
    }
}

/// RFC 3168 §5.3: congestion experienced by one fragment was experienced by the packet; fragments
/// with and without ECN are not of one packet. None for those, else the bits to be set.
const fn merged_ecn(seen: u8) -> Option<u8> {
    const NOT_ECT: u8 = 1;
    const CE: u8 = 1 << ECN_CE;
    if seen & NOT_ECT != 0 && seen != NOT_ECT {
        None
    } else if seen & CE != 0 {
        Some(ECN_CE)
    } else {
        Some(0)
    }
}

/// Makes the headers of the first fragment those of the whole.
fn finish(
    frame: &mut [u8],
    ecn: u8,
    dont_fragment: bool,
    next_header: Option<(usize, u8)>,
) -> Option<()> {
    let (_, l3) = wire::ethernet::payload(frame).ok()?;
    let packet = frame.get_mut(l3..)?;
    match next_header {
        None => finish_ipv4(packet, ecn, dont_fragment),
        Some((field, kind)) => {
            *packet.get_mut(field)? = kind;
            finish_ipv6(packet, ecn)
        }
    }
}

fn finish_ipv4(packet: &mut [u8], ecn: u8, dont_fragment: bool) -> Option<()> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let length = u16::try_from(packet.len()).ok()?;
    let field = if dont_fragment { IPV4_DONT_FRAGMENT } else { 0 };
    let header = packet.get_mut(..header)?;
    *header.get_mut(1)? |= ecn;
    header.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
    header.get_mut(6..8)?.copy_from_slice(&field.to_be_bytes());
    header.get_mut(10..12)?.fill(0);
    let checksum = wire::checksum::of(header);
    header.get_mut(10..12)?.copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn finish_ipv6(packet: &mut [u8], ecn: u8) -> Option<()> {
    let payload = packet.len().checked_sub(wire::ipv6::HEADER_LEN)?;
    let payload = u16::try_from(payload).ok()?;
    packet.get_mut(4..6)?.copy_from_slice(&payload.to_be_bytes());
    *packet.get_mut(1)? |= ecn << 4;
    Some(())
}
