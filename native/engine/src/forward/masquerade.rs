//! Masquerading: the server's address and port in place of the virtual ones, and in replies the
//! virtual ones in place of the server's (IPVS: `-m`).

use core::net::IpAddr;

use wire::dissect::Upper;
use wire::quoted::quoted;
use wire::rewrite::{self, Checksum, End};
use wire::{icmpv4, icmpv6};

use crate::forward::{Answers, Way, departure};
use crate::hop::{Hops, ServerId};
use crate::packet::Packet;
use crate::reply::Answer;
use crate::verdict::{DropReason, Verdict};

/// An address and a port that packets are given.
pub(crate) type Place = (IpAddr, u16);

/// Sends `packet` on its way to `server`, which is spoken to at `place`.
///
/// What an ICMP error quotes is not rewritten yet (IPVS).
pub(crate) fn transmit(
    packet: &mut Packet<'_>,
    server: ServerId,
    place: Place,
    hops: &impl Hops,
    answers: &mut Answers<'_>,
) -> Verdict {
    if !packet.icmp_checksum_is_good() {
        return Verdict::Drop(DropReason::BadIcmpChecksum);
    }
    departure::transmit(packet, server, hops, answers, |packet| {
        rewrite(packet, End::Destination, place);
    })
}

/// A reply that may go back to its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Return {
    way: Way,
    too_big: bool,
}

impl Return {
    /// Whether `packet`, a reply of `server`, may go back to its client; if not, what becomes of it.
    /// ICMP errors come from the director's address `own`, and quote the packet as it came: the
    /// kernel routes replies before it rewrites them.
    pub(crate) fn of(
        packet: &Packet<'_>,
        server: ServerId,
        own: IpAddr,
        hops: &impl Hops,
        answers: &mut Answers<'_>,
    ) -> Result<Self, Verdict> {
        if !packet.icmp_checksum_is_good() {
            return Err(Verdict::Drop(DropReason::BadIcmpChecksum));
        }
        let client = packet.ip.destination;
        let Some(way) = Way::back(server, client, hops.client_hop(client)) else {
            return Err(answers.answer_from(own, packet, Answer::Unreachable));
        };
        if packet.ip.hop_limit <= 1 {
            return Err(answers.answer_from(own, packet, Answer::HopLimit));
        }
        let too_big = packet.length_on_wire() > u64::from(way.mtu);
        if too_big && !packet.may_be_cut() {
            return Err(answers.answer_from(own, packet, Answer::TooBig { mtu: way.mtu }));
        }
        Ok(Self { way, too_big })
    }

    /// Sends it, as if it came from `place`.
    pub(crate) fn send(
        self,
        packet: &mut Packet<'_>,
        place: Place,
        answers: &mut Answers<'_>,
    ) -> Verdict {
        packet.age();
        rewrite(packet, End::Source, place);
        departure::send(packet, &self.way, self.too_big, answers.outputs)
    }
}

impl Return {
    /// Sends the packet, of no connection, on as it is.
    pub(crate) fn send_on(self, packet: &mut Packet<'_>, answers: &mut Answers<'_>) -> Verdict {
        packet.age();
        departure::send(packet, &self.way.onward(), self.too_big, answers.outputs)
    }
}

fn rewrite(packet: &mut Packet<'_>, end: End, place: Place) {
    // A datagram without checksum gets one, over what is inside it: that can be left to no device.
    if packet.is_udp_without_checksum() {
        packet.complete_checksum();
    }
    let state = match packet.checksum_is_partial() {
        true => Checksum::Partial,
        false => Checksum::Complete,
    };
    let (upper, protocol) = (packet.ip.l4 - packet.ip.l3, packet.ip.protocol);
    let header_length = match packet.ip.upper {
        Upper::Icmpv4 { .. } => icmpv4::HEADER_LEN,
        Upper::Icmpv6 { .. } => icmpv6::HEADER_LEN,
        _ => return rewrite::endpoint(packet.octets_mut(), upper, protocol, end, place, state),
    };
    let octets = packet.octets_mut();
    // What an ICMP error quotes went the other way.
    let other_end = match end {
        End::Source => End::Destination,
        End::Destination => End::Source,
    };
    if let Some(quote) = octets.get_mut(upper + header_length..)
        && let Some(known) = quoted(quote)
    {
        rewrite::quoted(quote, known.upper, other_end, place);
    }
    rewrite::icmp(octets, upper, end, place.0, state);
}
