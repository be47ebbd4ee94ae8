//! Several workers: whatever a flow's packets look like, one worker has the flow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use afpacket::netlink::Netlink;
use afpacket::vnet::VnetHeader;
use afpacket::{OutgoingFrame, Sender, SenderOptions};
use director::live::{Director, LiveStatistics, Spread, StartOptions};
use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerName, ServerKey, ServerSpec, ServiceKey,
    ServiceSpec,
};

use super::lab::{Lab, PORT, VIRTUAL, VIRTUAL_IPV6, privileged, wait_for};
use super::{options, start};

const UDP: u8 = 17;
const FLOWS: u16 = 24;

/// A UDP service of each family over two servers that take turns: a flow that two workers have is two
/// connections.
fn services() -> Vec<Command> {
    let mut commands = Vec::new();
    for address in [IpAddr::V4(VIRTUAL), IpAddr::V6(VIRTUAL_IPV6)] {
        let key = ServiceKey::Address { protocol: Protocol::Udp, address, port: PORT };
        commands.push(Command::AddService {
            service: ServiceSpec {
                key,
                scheduler: Some(SchedulerName::Rr),
                flags: Vec::new(),
                sloppy: None,
                persistence: None,
                persistence_engine: None,
                one_packet: false,
            },
        });
        for number in [1, 2] {
            let address = match address {
                IpAddr::V4(_) => [10, 2, number, 2].into(),
                IpAddr::V6(_) => [0xfd02, number.into(), 0, 0, 0, 0, 0, 2].into(),
            };
            let server = ServerSpec {
                key: ServerKey { address, port: None },
                weight: 1,
                forwarding: ForwardingMethod::DirectRouting,
                tunnel: None,
                upper_threshold: 0,
                lower_threshold: 0,
            };
            commands.push(Command::AddServer { service: key, server });
        }
    }
    commands
}

/// An IPv4 packet; `field` is that of fragments.
fn ipv4(
    addresses: [Ipv4Addr; 2],
    protocol: u8,
    options: &[u8],
    field: u16,
    data: &[u8],
) -> Vec<u8> {
    let header = 20 + options.len();
    let length = u16::try_from(header + data.len()).expect("short").to_be_bytes();
    let first = 0x40 | u8::try_from(header / 4).expect("short");
    let [high, low] = field.to_be_bytes();
    let mut packet = vec![first, 0, length[0], length[1], 0, 9, high, low, 64, protocol, 0, 0];
    packet.extend(addresses.iter().flat_map(Ipv4Addr::octets));
    packet.extend(options);
    let checksum = wire::checksum::of(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
    packet.extend(data);
    packet
}

fn ipv6(addresses: [Ipv6Addr; 2], protocol: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(data.len()).expect("short").to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, protocol, 64];
    packet.extend(addresses.iter().flat_map(Ipv6Addr::octets));
    packet.extend(data);
    packet
}

fn datagram(from: u16, to: u16) -> Vec<u8> {
    let mut datagram = [from, to, 56, 0].map(u16::to_be_bytes).concat();
    datagram.resize(56, 7);
    datagram
}

fn error(kind: u8, quoted: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0, 0, 0, 5, 0x78], quoted].concat()
}

/// The packets of a flow over IPv4, and how many reach a server as packets of the flow.
fn flow(number: u16) -> (Vec<Vec<u8>>, u64) {
    let client = Ipv4Addr::from_bits(0x0a07_0000 + u32::from(number) * 77);
    let (port, to) = (5000 + number, [client, VIRTUAL]);
    let whole = datagram(port, PORT);
    let options = [1, 1, 1, 0];
    let router = Ipv4Addr::from_bits(0xcb00_7101 + u32::from(number));
    let mut packets = vec![
        ipv4(to, UDP, &[], 0, &whole),
        ipv4(to, UDP, &options, 0, &whole),
        ipv4(to, UDP, &[], 3, &whole[24..]),
        ipv4(to, UDP, &[], 0x2000, &whole[..24]),
    ];
    for kind in [3, 4, 11] {
        for options in [&[][..], &options] {
            let answer = ipv4([VIRTUAL, client], UDP, options, 0, &datagram(PORT, port));
            packets.push(ipv4([router, VIRTUAL], 1, &[], 0, &error(kind, &answer)));
        }
    }
    (packets, 9)
}

/// The same over IPv6.
fn flow_over_ipv6(number: u16) -> (Vec<Vec<u8>>, u64) {
    let client = Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, number, number * 7);
    let (port, to) = (5000 + number, [client, VIRTUAL_IPV6]);
    let whole = datagram(port, PORT);
    let behind = |next: u8, data: &[u8]| [&[next, 0, 1, 4, 0, 0, 0, 0], data].concat();
    let fragment = |field: u16, data: &[u8]| {
        let [high, low] = field.to_be_bytes();
        ipv6(to, 44, &[&[UDP, 0, high, low, 0, 0, 0, 9], data].concat())
    };
    let router = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, number);
    let mut packets = vec![
        ipv6(to, UDP, &whole),
        ipv6(to, 60, &behind(UDP, &whole)),
        fragment(24, &whole[24..]),
        fragment(1, &whole[..24]),
        fragment(0, &whole),
    ];
    for kind in [1, 2, 3, 4] {
        let answer = datagram(PORT, port);
        let plain = ipv6([VIRTUAL_IPV6, client], UDP, &answer);
        let quoted = ipv6([VIRTUAL_IPV6, client], 60, &behind(UDP, &answer));
        let back = [router, VIRTUAL_IPV6];
        packets.push(ipv6(back, 58, &error(kind, &plain)));
        packets.push(ipv6(back, 58, &error(kind, &quoted)));
        packets.push(ipv6(back, 60, &behind(58, &error(kind, &plain))));
    }
    (packets, 16)
}

/// Sends packets to the director, from the client's side.
fn send(lab: &Lab, packets: &[Vec<u8>]) {
    let hardware = lab.inside("d", || {
        let mut netlink = Netlink::open().expect("netlink");
        netlink.link_by_name("in0").expect("it answers").expect("it is there").mac
    });
    lab.inside("c", || {
        let mut netlink = Netlink::open().expect("netlink");
        let link = netlink.link_by_name("in0").expect("it answers").expect("it is there");
        let mut sender = Sender::open(link.index, &SenderOptions::default()).expect("a sender");
        let frames: Vec<_> = packets
            .iter()
            .map(|packet| {
                let kind = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
                let addresses = [hardware, link.mac].map(|mac| mac.expect("Ethernet")).concat();
                [&addresses, &kind[..], packet].concat()
            })
            .collect();
        let outgoing = |frame| OutgoingFrame {
            prefix: &[],
            octets: frame,
            vlan: None,
            vnet: VnetHeader::default(),
        };
        let sent = sender.send(frames.iter().map(|frame| outgoing(frame)));
        assert_eq!(sent.lost(), 0);
    });
}

fn forwarded(director: &Director) -> u64 {
    director.statistics().expect("it is at work").engine.forwarded.0
}

/// Sends flows of both families and waits until all that is to be forwarded was.
fn carry(lab: &Lab, spread: Spread) -> LiveStatistics {
    let options = StartOptions {
        workers: Some(4),
        spread,
        ring_frames: Some(128),
        fast_path: Some(false),
        ..options(services())
    };
    let (director, _events) = start(lab, options).expect("it starts");
    let mut expected = 0;
    for number in 0..FLOWS {
        for (packets, more) in [flow(number), flow_over_ipv6(number)] {
            // Errors are about what was said before.
            send(lab, &packets[..1]);
            wait_for("the first", || forwarded(&director) > expected);
            send(lab, &packets[1..]);
            expected += more;
            wait_for("all of the flow", || forwarded(&director) >= expected);
        }
    }
    let statistics = director.statistics().expect("it is at work");
    assert_eq!(statistics.engine.forwarded.0, expected);
    statistics
}

fn one_worker_has_a_flow(spread: Spread) {
    let lab = Lab::new();
    let statistics = carry(&lab, spread);
    assert_eq!(statistics.engine.connections, 2 * u32::from(FLOWS));
    let is_one = |one: &engine::snapshot::NamedCounter| {
        one.name.starts_with("icmp") || one.name.starts_with("fragment")
    };
    let refused = |counters: &[engine::snapshot::NamedCounter]| {
        counters.iter().filter(|one| one.count.0 > 0).any(is_one)
    };
    assert!(!refused(&statistics.engine.passed), "{:?}", statistics.engine.passed);
    assert!(!refused(&statistics.engine.dropped), "{:?}", statistics.engine.dropped);
    assert!(statistics.handed_over.frames.0 > 0);
    assert_eq!(statistics.handed_over.full.0, 0);
}

#[test]
fn by_address_one_worker_has_a_flow_whatever_its_packets_look_like() {
    if privileged("by_address_one_worker_has_a_flow_whatever_its_packets_look_like") {
        one_worker_has_a_flow(Spread::Address);
    }
}

#[test]
fn by_port_one_worker_has_a_flow_whatever_its_packets_look_like() {
    if privileged("by_port_one_worker_has_a_flow_whatever_its_packets_look_like") {
        one_worker_has_a_flow(Spread::AddressAndPort);
    }
}
