//! Answers who asks for the hardware address of a virtual address: ARP requests and neighbour
//! solicitations. For a lone director whose host does not have the virtual addresses; two that
//! answer on one link take the traffic from each other.

use engine::configuration::Configuration;
use engine::frame::{FrameMeta, InterfaceId, Outputs};
use engine::hop::Egress;
use wire::ethernet::{self, EtherType, MacAddress};
use wire::icmpv6::ndp;
use wire::{arp, ipv6, protocol};

/// Who answers on which interface; nobody by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answering {
    stations: Vec<(InterfaceId, MacAddress)>,
}

/// An answer, not yet in a frame.
enum Answer {
    Arp(arp::Repr),
    Ndp(ndp::AdvertisementRepr),
}

impl Answering {
    /// Answers on these interfaces, with their hardware addresses.
    pub(crate) const fn new(stations: Vec<(InterfaceId, MacAddress)>) -> Self {
        Self { stations }
    }

    /// Answers `frame` if it asks for a virtual address of `configuration`; whether it did.
    pub(crate) fn answer(
        &self,
        frame: &[u8],
        meta: &FrameMeta,
        configuration: &Configuration,
        outputs: &mut Outputs,
    ) -> bool {
        let station = self.stations.iter().find(|(interface, _)| *interface == meta.interface);
        let Some((_, mac)) = station else { return false };
        let Some(answer) = question(frame, configuration, *mac) else { return false };
        let asker = ethernet::Frame::new_unchecked(frame).source();
        answer.emit(asker, *mac, meta, outputs).is_some()
    }
}

/// What to answer to `frame`, if anything.
fn question(frame: &[u8], configuration: &Configuration, mac: MacAddress) -> Option<Answer> {
    let (ether_type, start) = ethernet::payload(frame).ok()?;
    let packet = frame.get(start..)?;
    match ether_type {
        EtherType::ARP => arp_question(packet, configuration, mac),
        EtherType::IPV6 => ndp_question(packet, configuration, mac),
        _ => None,
    }
}

fn arp_question(packet: &[u8], configuration: &Configuration, mac: MacAddress) -> Option<Answer> {
    let request = arp::Packet::new_checked(packet).ok()?;
    // Who asks for its own address announces it (RFC 5227 §3); nobody waits for an answer.
    let asks = request.operation() == arp::Operation::REQUEST
        && request.sender() != request.target()
        && configuration.is_virtual_address(request.target().into());
    asks.then(|| Answer::Arp(arp::Repr::answer(&request, mac)))
}

fn ndp_question(packet: &[u8], configuration: &Configuration, mac: MacAddress) -> Option<Answer> {
    let ip = ipv6::Packet::new_checked(packet).ok()?;
    // RFC 4861 §7.1.1: anything else was made elsewhere than on this link.
    if ip.next_header() != protocol::ICMPV6 || ip.hop_limit() != ndp::HOP_LIMIT {
        return None;
    }
    let whole = wire::icmpv6::Packet::new_checked(ip.payload()).ok()?;
    let solicitation = ndp::Solicitation::new_checked(ip.payload()).ok()?;
    let target = solicitation.target();
    let asks = whole.checksum_valid(ip.source(), ip.destination())
        && configuration.is_virtual_address(target.into());
    asks.then(|| Answer::Ndp(ndp::AdvertisementRepr::answer(target, ip.source(), mac)))
}

impl Answer {
    fn emit(
        self,
        asker: MacAddress,
        mac: MacAddress,
        meta: &FrameMeta,
        outputs: &mut Outputs,
    ) -> Option<()> {
        let egress = Egress::Interface(meta.interface);
        match self {
            Self::Arp(answer) => {
                let length = ethernet::HEADER_LEN + arp::LEN;
                let out = outputs.push(length, egress, meta.vlan);
                let header =
                    ethernet::Repr { destination: asker, source: mac, ether_type: EtherType::ARP };
                answer.emit(header.emit(out)?).map(drop)
            }
            Self::Ndp(answer) => {
                let length = ethernet::HEADER_LEN + ipv6::HEADER_LEN + ndp::ADVERTISEMENT_LEN;
                let out = outputs.push(length, egress, meta.vlan);
                let destination = if answer.solicited { asker } else { ALL_NODES };
                let header =
                    ethernet::Repr { destination, source: mac, ether_type: EtherType::IPV6 };
                answer.emit(carrier(&answer).emit(header.emit(out)?)?).map(drop)
            }
        }
    }
}

/// Where frames to all nodes go (RFC 2464 section 7).
const ALL_NODES: MacAddress = MacAddress([0x33, 0x33, 0, 0, 0, 1]);

/// The packet an advertisement travels in.
const fn carrier(answer: &ndp::AdvertisementRepr) -> ipv6::Repr {
    ipv6::Repr {
        source: answer.source,
        destination: answer.destination,
        next_header: protocol::ICMPV6,
        hop_limit: ndp::HOP_LIMIT,
        traffic_class: 0,
        payload_len: ndp::ADVERTISEMENT_LEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{VIRTUAL, add_service, virtual_ipv6};
    use std::net::{Ipv4Addr, Ipv6Addr};

    const LINK: InterfaceId = InterfaceId(3);
    const OURS: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const ASKER: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

    fn configuration() -> Configuration {
        Configuration::default().apply(&[add_service(80), virtual_ipv6()]).expect("valid commands")
    }

    /// What is answered to `frame` on `interface`.
    fn answer_on(interface: InterfaceId, frame: &[u8]) -> Option<Vec<u8>> {
        let answering = Answering::new(vec![(LINK, OURS)]);
        let mut outputs = Outputs::default();
        let meta = FrameMeta::plain(interface);
        let answered = answering.answer(frame, &meta, &configuration(), &mut outputs);
        let frame = outputs.frames().first().map(|frame| outputs.octets(frame).to_vec());
        assert_eq!(answered, frame.is_some());
        frame
    }

    fn arp_frame(operation: arp::Operation, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let mut frame = vec![0; 60];
        let header = ethernet::Repr {
            destination: MacAddress::BROADCAST,
            source: ASKER,
            ether_type: EtherType::ARP,
        };
        let message = arp::Repr {
            operation,
            sender_hardware: ASKER,
            sender,
            target_hardware: MacAddress::default(),
            target,
        };
        message.emit(header.emit(&mut frame).expect("room")).expect("room");
        frame
    }

    #[test]
    fn an_arp_request_for_a_virtual_address_is_answered() {
        let sender = Ipv4Addr::new(192, 0, 2, 1);
        let asked = arp_frame(arp::Operation::REQUEST, sender, VIRTUAL);
        let answer = answer_on(LINK, &asked).expect("an answer");
        let header = ethernet::Frame::new_checked(&answer).expect("a frame");
        assert_eq!((header.destination(), header.source()), (ASKER, OURS));
        let answer = arp::Packet::new_checked(header.payload()).expect("an ARP message");
        assert_eq!(answer.operation(), arp::Operation::REPLY);
        assert_eq!((answer.sender_hardware(), answer.sender()), (OURS, VIRTUAL));
        assert_eq!((answer.target_hardware(), answer.target()), (ASKER, sender));
        assert_eq!(answer_on(InterfaceId(4), &asked), None, "not asked to answer there");
    }

    #[test]
    fn announcements_replies_and_other_addresses_are_not_answered() {
        let sender = Ipv4Addr::new(192, 0, 2, 1);
        let request = arp::Operation::REQUEST;
        assert_eq!(answer_on(LINK, &arp_frame(request, VIRTUAL, VIRTUAL)), None);
        assert_eq!(answer_on(LINK, &arp_frame(arp::Operation::REPLY, sender, VIRTUAL)), None);
        assert_eq!(answer_on(LINK, &arp_frame(request, sender, sender.to_bits().into())), None);
        let whole = arp_frame(request, sender, VIRTUAL);
        for end in 0..42 {
            assert_eq!(answer_on(LINK, &whole[..end]), None, "cut at {end}");
        }
    }

    /// A solicitation for `target` from `source`, with a right checksum.
    fn solicitation(source: Ipv6Addr, target: Ipv6Addr, hop_limit: u8) -> Vec<u8> {
        let mut message = [0; ndp::HEADER_LEN];
        message[0] = 135;
        message[8..24].copy_from_slice(&target.octets());
        let destination: Ipv6Addr = "ff02::1:ff00:80".parse().expect("an address");
        let length = u32::try_from(message.len()).expect("short");
        let pseudo_header = wire::checksum::pseudo_header_v6(source, destination, 58, length);
        let sum = !wire::checksum::fold(pseudo_header + wire::checksum::sum(&message));
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut frame = vec![0; 14 + 40 + message.len()];
        let destination_mac = MacAddress([0x33, 0x33, 0xff, 0, 0, 0x80]);
        let header = ethernet::Repr {
            destination: destination_mac,
            source: ASKER,
            ether_type: EtherType::IPV6,
        };
        let ip = ipv6::Repr {
            source,
            destination,
            next_header: 58,
            hop_limit,
            traffic_class: 0,
            payload_len: message.len(),
        };
        let out = header.emit(&mut frame).expect("room");
        ip.emit(out).expect("room").copy_from_slice(&message);
        frame
    }

    #[test]
    fn a_solicitation_for_a_virtual_address_is_answered() {
        let target: Ipv6Addr = "2001:db8::80".parse().expect("an address");
        let asker: Ipv6Addr = "fe80::9".parse().expect("an address");
        let answer = answer_on(LINK, &solicitation(asker, target, 255)).expect("an answer");
        assert_eq!(answer[..6], ASKER.0);
        let ip = ipv6::Packet::new_checked(&answer[14..]).expect("an IPv6 packet");
        assert_eq!((ip.source(), ip.destination(), ip.hop_limit()), (target, asker, 255));
        let message = wire::icmpv6::Packet::new_checked(ip.payload()).expect("ICMPv6");
        assert!(message.checksum_valid(ip.source(), ip.destination()));
        let told = ndp::Advertisement::new_checked(ip.payload()).expect("an advertisement");
        assert_eq!((told.target(), told.target_link_layer_address()), (target, Some(OURS)));
        // Duplicate address detection: everybody is told.
        let answer = answer_on(LINK, &solicitation(Ipv6Addr::UNSPECIFIED, target, 255));
        assert_eq!(answer.expect("an answer")[..6], ALL_NODES.0);
    }

    #[test]
    fn routed_damaged_and_other_solicitations_are_not_answered() {
        let target: Ipv6Addr = "2001:db8::80".parse().expect("an address");
        let asker: Ipv6Addr = "fe80::9".parse().expect("an address");
        assert_eq!(answer_on(LINK, &solicitation(asker, target, 254)), None);
        assert_eq!(answer_on(LINK, &solicitation(asker, asker, 255)), None);
        let mut damaged = solicitation(asker, target, 255);
        damaged[14 + 40 + 2] ^= 1;
        assert_eq!(answer_on(LINK, &damaged), None);
    }
}
