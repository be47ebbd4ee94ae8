//! TCP resets the director sends in place of a host that knows no such connection.

use core::net::IpAddr;

use wire::ethernet::EtherType;
use wire::tcp::{self, Flags, HEADER_LEN};
use wire::{checksum, ipv4, ipv6, protocol};

use crate::forward::Answers;
use crate::packet::Packet;
use crate::reply::{HOP_LIMIT, push};
use crate::verdict::{DropReason, ReplyReason, Verdict};

/// DSCP of an octet with ECN: a reset is never ECN-capable (RFC 3168 §6.1.1).
const DSCP: u8 = 0xfc;

/// What a reset says.
#[derive(Clone, Copy)]
struct Reset {
    sequence: u32,
    acknowledgment: u32,
    flags: Flags,
}

impl Reset {
    /// The answer to `segment` of a host without the connection (RFC 9293 §3.10.7.1): in the sequence
    /// that the segment acknowledges, or acknowledging the segment. None to a reset.
    fn to(segment: &tcp::Packet<&[u8]>) -> Option<Self> {
        let flags = segment.flags();
        if flags.rst() {
            return None;
        }
        if flags.ack() {
            let sequence = segment.acknowledgment();
            return Some(Self { sequence, acknowledgment: 0, flags: Flags::RST });
        }
        let data = u32::try_from(segment.payload().len()).ok()?;
        let length = data + u32::from(flags.syn()) + u32::from(flags.fin());
        let acknowledgment = segment.sequence().wrapping_add(length);
        Some(Self { sequence: 0, acknowledgment, flags: Flags::RST | Flags::ACK })
    }

    /// Writes the segment, back between the ports of `segment`, without its checksum.
    fn write(self, out: &mut [u8], segment: (u16, u16)) {
        out.fill(0);
        let mut header = tcp::Packet::new_unchecked(out);
        header.set_source_port(segment.1);
        header.set_destination_port(segment.0);
        header.set_sequence(self.sequence);
        header.set_acknowledgment(self.acknowledgment);
        header.set_data_offset(5);
        header.set_flags(self.flags);
    }
}

/// Answers `packet`, a TCP segment of no connection, with a reset from where it went to, back the way it
/// came. None, and nothing done, where no reset may answer it.
pub(crate) fn answer(packet: &Packet<'_>, answers: &mut Answers<'_>) -> Option<Verdict> {
    if packet.ip.protocol != protocol::TCP {
        return None;
    }
    let segment = packet.frame.get(packet.ip.l4..packet.ip.end)?;
    let segment = tcp::Packet::new_checked(segment).ok()?;
    let reset = Reset::to(&segment)?;
    let ports = (segment.source_port(), segment.destination_port());
    if !answers.limit.take(answers.now) {
        return Some(Verdict::Drop(DropReason::IcmpRateLimit));
    }
    let (out, pseudo_header) = room(packet, answers)?;
    reset.write(out, ports);
    let sum = checksum::fold(pseudo_header + checksum::sum(out));
    tcp::Packet::new_unchecked(out).set_checksum(!sum);
    Some(Verdict::Reply(ReplyReason::TcpReset))
}

/// An output frame back to where `packet` came from: the room for its TCP header, and the sum of the
/// pseudo header.
fn room<'a>(packet: &Packet<'_>, answers: &'a mut Answers<'_>) -> Option<(&'a mut [u8], u32)> {
    let traffic_class = packet.traffic_class() & DSCP;
    match (packet.ip.destination, packet.ip.source) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let identification = answers.identification.ipv4();
            let header = ipv4::Repr {
                source,
                destination,
                protocol: protocol::TCP,
                hop_limit: HOP_LIMIT,
                traffic_class,
                identification,
                dont_fragment: true,
                payload_len: HEADER_LEN,
            };
            let sum = checksum::pseudo_header_v4(source, destination, protocol::TCP, LENGTH);
            let out = push(packet, answers, EtherType::IPV4, ipv4::HEADER_LEN + HEADER_LEN);
            Some((header.emit(out)?, sum))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = ipv6::Repr {
                source,
                destination,
                next_header: protocol::TCP,
                hop_limit: HOP_LIMIT,
                traffic_class,
                payload_len: HEADER_LEN,
            };
            let length = u32::from(LENGTH);
            let sum = checksum::pseudo_header_v6(source, destination, protocol::TCP, length);
            let out = push(packet, answers, EtherType::IPV6, ipv6::HEADER_LEN + HEADER_LEN);
            Some((header.emit(out)?, sum))
        }
        _ => None,
    }
}

/// Octets of the segment.
#[expect(clippy::cast_possible_truncation, reason = "20 fits")]
const LENGTH: u16 = HEADER_LEN as u16;
