//! Packets that leave without another header in front: direct routing and masquerading.

use crate::forward::{Answers, Way, fragment};
use crate::frame::Outputs;
use crate::hop::{Hops, ServerId};
use crate::packet::Packet;
use crate::reply::Answer;
use crate::verdict::{DropReason, Verdict};

/// Sends `packet` on its way to `server`, after `rewrite` changed in it what the method changes.
///
/// The order is the kernel's: route, then TTL, then MTU; so the packet an ICMP "too big" quotes has
/// its TTL decremented already, the one a "time exceeded" quotes has not.
#[inline]
pub(crate) fn transmit(
    packet: &mut Packet<'_>,
    server: ServerId,
    hops: &impl Hops,
    answers: &mut Answers<'_>,
    rewrite: impl FnOnce(&mut Packet<'_>),
) -> Verdict {
    let way = match Way::of(server, hops.hop(server), packet, answers) {
        Ok(way) => way,
        Err(verdict) => return verdict,
    };
    // The kernel's direct routing and NAT lose IPv6 packets with hop-by-hop options.
    if packet.ip.hop_by_hop {
        return Verdict::Drop(DropReason::HopByHop);
    }
    if packet.ip.hop_limit <= 1 {
        return answers.answer(packet, Answer::HopLimit);
    }
    packet.age();
    let too_big = packet.length_on_wire() > u64::from(way.mtu);
    if too_big && !packet.may_be_cut() {
        return answers.answer(packet, Answer::TooBig { mtu: way.mtu });
    }
    rewrite(packet);
    send(packet, &way, too_big, answers.outputs)
}

/// Lets `packet` go as it is now, or in pieces where it was `too_big` for `way`.
#[inline]
pub(crate) fn send(
    packet: &mut Packet<'_>,
    way: &Way,
    too_big: bool,
    outputs: &mut Outputs,
) -> Verdict {
    if too_big {
        return fragment::transmit(packet, way, outputs);
    }
    way.address(packet.frame);
    way.verdict(packet)
}
