//! Answers for the virtual addresses on a LAN that no router leads to the director: ARP (RFC 826)
//! and neighbour discovery (RFC 4861 §7.2.4). Off until an interface is given its address.

use alloc::vec::Vec;
use core::net::IpAddr;

use wire::ethernet::{self, MacAddress};
use wire::icmpv6::ndp::{self, AdvertisementRepr, Solicitation};
use wire::{arp, icmpv6, ipv6, protocol};

use crate::configuration::Configuration;
use crate::forward::write_addresses;
use crate::frame::{FrameMeta, InterfaceId, Outputs};
use crate::hop::Egress;
use crate::packet::Packet;
use crate::verdict::{ReplyReason, Verdict};

/// Where frames to all nodes go (RFC 2464 §7).
const ALL_NODES: MacAddress = MacAddress([0x33, 0x33, 0, 0, 0, 1]);

/// The interfaces on which the director answers, and the hardware address it answers with.
#[derive(Debug, Default)]
pub(super) struct Answering(pub(super) Vec<(InterfaceId, MacAddress)>);

impl Answering {
    pub(super) fn hardware(&self, interface: InterfaceId) -> Option<MacAddress> {
        let found = self.0.iter().find(|(known, _)| *known == interface);
        found.map(|(_, hardware)| *hardware)
    }
}

/// Answers an ARP request for a virtual address; none if it is not one.
pub(super) fn arp(
    frame: &[u8],
    meta: &FrameMeta,
    hardware: MacAddress,
    configuration: &Configuration,
    outputs: &mut Outputs,
) -> Option<Verdict> {
    let (_, at) = ethernet::payload(frame).ok()?;
    let (link, payload) = frame.split_at_checked(at)?;
    let request = arp::Packet::new_checked(payload).ok()?;
    // Who asks for its own address announces it (RFC 5227 §3): nobody waits for an answer.
    let asks =
        request.operation() == arp::Operation::REQUEST && request.sender() != request.target();
    if !asks || !configuration.is_virtual_address(request.target().into()) {
        return None;
    }
    let message = push(link, arp::LEN, request.sender_hardware(), hardware, meta, outputs);
    arp::Repr::answer(&request, hardware).emit(message)?;
    Some(Verdict::Reply(ReplyReason::Neighbour))
}

/// Answers a neighbour solicitation for a virtual address; none if it is not one.
pub(super) fn solicitation(
    packet: &Packet<'_>,
    hardware: MacAddress,
    configuration: &Configuration,
    outputs: &mut Outputs,
) -> Option<Verdict> {
    let (IpAddr::V6(solicitor), IpAddr::V6(asked)) = (packet.ip.source, packet.ip.destination)
    else {
        return None;
    };
    let message = packet.frame.get(packet.ip.l4..packet.ip.end)?;
    let is_whole = icmpv6::Packet::new_checked(message).ok()?.checksum_valid(solicitor, asked);
    let target = Solicitation::new_checked(message).ok()?.target();
    let from_link = packet.ip.hop_limit == ndp::HOP_LIMIT;
    if !is_whole || !from_link || !configuration.is_virtual_address(target.into()) {
        return None;
    }
    let advertisement = AdvertisementRepr::answer(target, solicitor, hardware);
    let to = if advertisement.solicited {
        MacAddress(*packet.frame.get(6..)?.first_chunk()?)
    } else {
        ALL_NODES
    };
    let header = ipv6::Repr {
        source: advertisement.source,
        destination: advertisement.destination,
        next_header: protocol::ICMPV6,
        hop_limit: ndp::HOP_LIMIT,
        traffic_class: 0,
        payload_len: ndp::ADVERTISEMENT_LEN,
    };
    let length = ipv6::HEADER_LEN + ndp::ADVERTISEMENT_LEN;
    let octets = push(packet.link_header(), length, to, hardware, packet.meta, outputs);
    advertisement.emit(header.emit(octets)?)?;
    Some(Verdict::Reply(ReplyReason::Neighbour))
}

/// Whether a packet is a neighbour solicitation.
pub(super) const fn is_solicitation(kind: u8) -> bool {
    kind == icmpv6::kind::NEIGHBOUR_SOLICITATION
}

/// Adds an output frame back to `to` with the link header of the question and room for `length`
/// octets behind it.
fn push<'a>(
    link: &[u8],
    length: usize,
    to: MacAddress,
    from: MacAddress,
    meta: &FrameMeta,
    outputs: &'a mut Outputs,
) -> &'a mut [u8] {
    let frame = outputs.push(link.len() + length, Egress::Interface(meta.interface), meta.vlan);
    let Some((header, payload)) = frame.split_at_mut_checked(link.len()) else {
        return &mut [];
    };
    header.copy_from_slice(link);
    write_addresses(header, to, from);
    payload
}
