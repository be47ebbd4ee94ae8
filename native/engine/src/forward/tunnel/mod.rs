//! Tunnels: the packet as it is, one hop older, inside a packet to the server.

mod fragment;
mod outer;
mod segments;

use crate::configuration::{Server, Settings};
use crate::forward::{Answers, Way};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::reply::Answer;
use crate::verdict::{DropReason, Verdict};

use outer::{Ends, Outer};

/// What goes into a tunnel, and how.
#[derive(Debug)]
struct Passage {
    way: Way,
    outer: Outer,
    /// Largest packet that fits inside.
    mtu: u32,
}

/// Sends `packet` on its way to `server` inside another packet (IPVS: `-i`).
///
/// The order is the kernel's: route, TTL, MTU; the packet an ICMP "too big" quotes has its TTL
/// decremented already. Unlike direct routing, tunnels carry IPv6 hop-by-hop options.
pub(crate) fn transmit(
    packet: &mut Packet<'_>,
    server: &Server,
    settings: &Settings,
    hops: &impl Hops,
    answers: &mut Answers<'_>,
) -> Verdict {
    let way = match Way::of(server.id, hops.hop(server.id), packet, answers) {
        Ok(way) => way,
        Err(verdict) => return verdict,
    };
    let Some(ends) = Ends::new(hops.source(server.id), server.address) else {
        return Verdict::Drop(DropReason::NoTunnelSource);
    };
    let outer = Outer::of(packet, server.tunnel.unwrap_or_default(), ends, settings.pmtu_disc);
    let Some(mtu) = outer.room(way.mtu) else { return Verdict::Drop(DropReason::TunnelMtu) };
    if packet.ip.hop_limit <= 1 {
        return answers.answer(packet, Answer::HopLimit);
    }
    packet.age();
    if packet.length_on_wire() > u64::from(mtu) && !may_be_cut(packet, settings) {
        return answers.answer(packet, Answer::TooBig { mtu });
    }
    enter(packet, &Passage { way, outer, mtu }, answers)
}

/// IPVS: without `pmtu_disc` an IPv4 packet is cut on the outside even if it says not to.
const fn may_be_cut(packet: &Packet<'_>, settings: &Settings) -> bool {
    packet.is_ipv4() && !(packet.ip.dont_fragment && settings.pmtu_disc)
}

fn enter(packet: &mut Packet<'_>, passage: &Passage, answers: &mut Answers<'_>) -> Verdict {
    if packet.meta.segmentation.is_some() {
        return segments::transmit(packet, passage, answers);
    }
    if !passage.outer.offloads_checksum() {
        packet.complete_checksum();
    }
    // What was put together is cut again behind this, by what came.
    let sent = if packet.length() > u64::from(passage.mtu) && packet.reassembled.is_none() {
        fragment::transmit(packet.link_header(), packet.octets(), packet.meta, passage, answers)
            .map(|()| Verdict::ForwardFragments { server: passage.way.server })
    } else {
        whole(packet, passage, answers)
    };
    sent.unwrap_or(Verdict::Drop(DropReason::BadLength))
}

/// Nothing is copied: the headers go in front of the packet where it lies.
fn whole(packet: &Packet<'_>, passage: &Passage, answers: &mut Answers<'_>) -> Option<Verdict> {
    let link = packet.link_header();
    let identification = passage.outer.identification(answers.identification);
    let prefix = answers.outputs.prefix_mut().room(link.len() + passage.outer.length())?;
    passage.outer.emit(prefix, link, identification, packet.octets())?;
    passage.way.address(prefix);
    Some(Verdict::Encapsulate {
        server: passage.way.server,
        egress: passage.way.egress(),
        from: u32::try_from(packet.ip.l3).ok()?,
        end: u32::try_from(packet.ip.end).ok()?,
    })
}
