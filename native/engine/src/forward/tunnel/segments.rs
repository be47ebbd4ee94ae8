//! Frames that stand for several segments: devices cannot segment inside a tunnel they know nothing
//! of, so it is done here.

use crate::forward::Answers;
use crate::forward::segment::Segments;
use crate::forward::tunnel::{Passage, fragment};
use crate::packet::Packet;
use crate::verdict::{DropReason, Verdict};

/// Appends each segment, in a packet of its own, to the outputs.
pub(super) fn transmit(
    packet: &Packet<'_>,
    passage: &Passage,
    answers: &mut Answers<'_>,
) -> Verdict {
    let open = passage.outer.offloads_checksum();
    let Some(segments) = Segments::of(packet, open) else {
        return Verdict::Drop(DropReason::BadSegmentation);
    };
    let sent = if packet.length_on_wire() > u64::from(passage.mtu) {
        each_in_fragments(packet, &segments, passage, answers)
    } else {
        each_whole(packet, &segments, passage, answers)
    };
    match sent {
        Some(()) => Verdict::ForwardFragments { server: passage.way.server },
        None => Verdict::Drop(DropReason::BadLength),
    }
}

fn each_whole(
    packet: &Packet<'_>,
    segments: &Segments<'_>,
    passage: &Passage,
    answers: &mut Answers<'_>,
) -> Option<()> {
    let link = packet.link_header();
    let prefix = link.len() + passage.outer.length();
    for segment in segments.iter() {
        let identification = passage.outer.identification(answers.identification);
        let length = prefix + segment.length();
        let frame = answers.outputs.push(length, passage.way.egress(), packet.meta.vlan);
        let (front, inner) = frame.split_at_mut_checked(prefix)?;
        segment.emit(inner)?;
        passage.outer.emit(front, link, identification, inner)?;
        passage.way.address(front);
    }
    Some(())
}

fn each_in_fragments(
    packet: &Packet<'_>,
    segments: &Segments<'_>,
    passage: &Passage,
    answers: &mut Answers<'_>,
) -> Option<()> {
    let mut room = answers.outputs.take_scratch();
    let sent = segments.iter().try_for_each(|segment| {
        room.clear();
        room.resize(segment.length(), 0);
        segment.emit(&mut room)?;
        fragment::transmit(packet.link_header(), &room, packet.meta, passage, answers)
    });
    answers.outputs.keep_scratch(room);
    sent
}
