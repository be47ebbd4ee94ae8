//! Direct routing: the packet as it is, one hop older, to the server's hardware address.

use crate::forward::{Answers, Way, fragment};
use crate::hop::{Hops, ServerId};
use crate::packet::Packet;
use crate::reply::Answer;
use crate::verdict::{DropReason, Verdict};

/// Sends `packet` on its way to `server` (IPVS: `-g`).
///
/// The order is the kernel's: route, then TTL, then MTU; so the packet an ICMP "too big" quotes has
/// its TTL decremented already, the one a "time exceeded" quotes has not.
pub(crate) fn transmit(
    packet: &mut Packet<'_>,
    server: ServerId,
    hops: &impl Hops,
    answers: &mut Answers<'_>,
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
    if packet.length_on_wire() > u64::from(way.mtu) {
        return too_big(packet, &way, answers);
    }
    way.address(packet.frame);
    way.verdict(packet)
}

/// A packet larger than the way's MTU: cut where the sender allows it, refused otherwise.
fn too_big(packet: &mut Packet<'_>, way: &Way, answers: &mut Answers<'_>) -> Verdict {
    if packet.may_be_cut() {
        return fragment::transmit(packet, way, answers.outputs);
    }
    answers.answer(packet, Answer::TooBig { mtu: way.mtu })
}
