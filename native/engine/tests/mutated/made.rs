//! Frames that no recording has: traffic of every protocol with what senders leave to the device, and
//! the answers of masqueraded servers.

use std::net::IpAddr;

use engine::command::{ForwardingMethod, Protocol, ServerKey, ServiceKey};
use engine::configuration::Configuration;
use engine::frame::{ChecksumState, FrameMeta, InterfaceId, Segmentation};
use wire::dissect::{Dissection, IpFrame, dissect};
use wire::protocol::{ICMPV4, ICMPV6, SCTP, TCP, UDP};

use crate::{CLIENTS, Frame, SERVERS, good};

const VIPS: [&str; 2] = ["198.51.100.200", "2001:db8:5::200"];
const CLIENT: [&str; 2] = ["203.0.113.200", "2001:db8:c::200"];
const ROUTER: [&str; 2] = ["192.0.2.254", "2001:db8:c::254"];
/// As many services as there are ways to forward, twice.
const PORTS: std::ops::Range<u16> = 80..98;
/// The port behind which masqueraded servers listen.
pub(crate) const MAPPED: u16 = 8080;

/// What one frame of a client is like.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    data: usize,
    /// Left to the device: the checksum, and cutting into segments of this many octets.
    open: bool,
    segment_size: Option<u16>,
    /// IPv4 options, or an IPv6 extension header.
    extended: bool,
    may_be_cut: bool,
    without_checksum: bool,
}

const PLAIN: Shape = Shape {
    data: 37,
    open: false,
    segment_size: None,
    extended: false,
    may_be_cut: false,
    without_checksum: false,
};

const SHAPES: [Shape; 8] = [
    PLAIN,
    Shape { open: true, ..PLAIN },
    Shape { extended: true, ..PLAIN },
    Shape { data: 52, without_checksum: true, ..PLAIN },
    Shape { data: 601, open: true, extended: true, ..PLAIN },
    Shape { data: 1999, may_be_cut: true, ..PLAIN },
    Shape { data: 2000, may_be_cut: true, open: true, ..PLAIN },
    Shape { data: 3001, open: true, segment_size: Some(1000), ..PLAIN },
];

/// What clients send.
pub(crate) fn clients() -> Vec<Frame> {
    let mut frames = Vec::new();
    for family in 0..2 {
        for protocol in [TCP, UDP, SCTP] {
            for port in PORTS {
                for (number, shape) in (0..).zip(SHAPES) {
                    let source = (address(CLIENT[family]), 40_000 + number);
                    let destination = (address(VIPS[family]), port);
                    let packet = packet(protocol, source, destination, shape);
                    frames.push(frame(CLIENTS, packet, shape));
                }
            }
        }
    }
    frames
}

/// What a router says of a frame that the director sent; none about IPv6 on the outside, which IPVS
/// does not look at.
pub(crate) fn error_about(wrapped: &[u8]) -> Option<Frame> {
    let Ok(Dissection::Ip(outer)) = dissect(wrapped) else { return None };
    if outer.source.is_ipv6() {
        return None;
    }
    let about = &wrapped[outer.l3..outer.end.min(outer.l3 + 200)];
    let message = [&[3, 4, 0, 0, 0, 0, 5, 0x14][..], about].concat();
    let packet = ip(ICMPV4, address("10.1.0.254"), outer.source, &message, &[], false);
    Some(frame(SERVERS, packet, PLAIN))
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn transport(protocol: u8, ports: (u16, u16), data: usize) -> Vec<u8> {
    let length = u16::try_from(8 + data).expect("a small number").to_be_bytes();
    let rest: &[u8] = match protocol {
        TCP => &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0],
        UDP => &[length[0], length[1], 0, 0],
        // An INIT, whose chunk is the data.
        _ => &[0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 4],
    };
    let data = (0..data).map(|number| number.to_le_bytes()[0] ^ 0xa5);
    let ports = [ports.0.to_be_bytes(), ports.1.to_be_bytes()];
    ports.as_flattened().iter().chain(rest).copied().chain(data).collect()
}

fn packet(
    protocol: u8,
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    shape: Shape,
) -> Vec<u8> {
    let mut payload = transport(protocol, (source.1, destination.1), shape.data);
    let behind = if shape.extended { vec![protocol, 0, 1, 4, 0, 0, 0, 0] } else { Vec::new() };
    if source.0.is_ipv6() {
        let next_header = if shape.extended { 60 } else { protocol };
        payload.splice(0..0, behind);
        return ip(next_header, source.0, destination.0, &payload, &[], false);
    }
    let options: &[u8] = if shape.extended { &[1, 1, 1, 0] } else { &[] };
    ip(protocol, source.0, destination.0, &payload, options, shape.may_be_cut)
}

/// An IP packet; its checksum is still to be filled in.
fn ip(
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    payload: &[u8],
    options: &[u8],
    may_be_cut: bool,
) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let header = 20 + options.len();
            let length = u16::try_from(header + payload.len()).expect("it fits").to_be_bytes();
            let words = u8::try_from(header / 4).expect("a small number");
            let flags = if may_be_cut { 0 } else { 0x40 };
            let start = [0x40 | words, 0, length[0], length[1], 0, 9, flags, 0, 64, protocol, 0, 0];
            [&start, &source.octets()[..], &destination.octets(), options, payload].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = u16::try_from(payload.len()).expect("it fits").to_be_bytes();
            let start = [0x60, 0, 0, 0, length[0], length[1], protocol, 64];
            [&start, &source.octets()[..], &destination.octets(), payload].concat()
        }
        _ => panic!("one family"),
    }
}

/// The frame of a packet, with its checksums, or with what a sender with offload writes there.
fn frame(from: InterfaceId, packet: Vec<u8>, shape: Shape) -> Frame {
    let ether_type = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let mut octets = [&[2, 0, 0, 0, 13, 0, 2, 0, 0, 0, 12, 1][..], &ether_type, &packet].concat();
    good::repair_ipv4_header(&mut octets);
    let mut meta = FrameMeta::plain(from);
    if shape.open {
        meta.checksum = ChecksumState::left_to_device(&octets);
        good::open(&mut octets);
    } else if !(shape.without_checksum && is_udp_over_ipv4(&octets)) {
        good::seal(&mut octets);
    }
    meta.segmentation = shape
        .segment_size
        .filter(|_| dissected(&octets).protocol != SCTP)
        .map(|segment_size| Segmentation { segment_size, header_length: 54 });
    Frame { octets, meta }
}

fn is_udp_over_ipv4(octets: &[u8]) -> bool {
    let ip = dissected(octets);
    ip.protocol == UDP && ip.source.is_ipv4()
}

fn dissected(octets: &[u8]) -> IpFrame {
    let Ok(Dissection::Ip(ip)) = dissect(octets) else { panic!("a good frame") };
    ip
}

/// What masqueraded servers send in answer to `clients`, and what routers on either side say.
pub(crate) fn answers(configuration: &Configuration) -> Vec<Frame> {
    let mut frames = Vec::new();
    for family in 0..2 {
        for protocol in [TCP, UDP, SCTP] {
            for port in PORTS {
                let servers = masqueraded(configuration, protocol, address(VIPS[family]), port);
                for (number, shape) in (0..).zip(SHAPES) {
                    let ends = Ends {
                        protocol,
                        client: (address(CLIENT[family]), 40_000 + number),
                        virtual_end: (address(VIPS[family]), port),
                        router: address(ROUTER[family]),
                    };
                    servers.iter().for_each(|server| ends.answers(server, shape, &mut frames));
                }
            }
        }
    }
    frames
}

fn masqueraded(
    configuration: &Configuration,
    protocol: u8,
    address: IpAddr,
    port: u16,
) -> Vec<ServerKey> {
    let protocol = Protocol::from_number(protocol).expect("it has ports");
    let key = ServiceKey::Address { protocol, address, port };
    let service = configuration.service(&key).expect("there is one for every port");
    let specs = service.servers.iter().map(|server| server.spec());
    specs
        .filter(|spec| spec.forwarding == ForwardingMethod::Masquerading)
        .map(|spec| spec.key)
        .collect()
}

struct Ends {
    protocol: u8,
    client: (IpAddr, u16),
    virtual_end: (IpAddr, u16),
    router: IpAddr,
}

impl Ends {
    fn answers(&self, server: &ServerKey, shape: Shape, frames: &mut Vec<Frame>) {
        let place = (server.address, MAPPED);
        let answer = packet(self.protocol, place, self.client, shape);
        frames.push(frame(SERVERS, answer, shape));
        if shape.segment_size.is_some() {
            return;
        }
        // The server has no such port; the client's router has lost the client.
        let received = packet(self.protocol, self.client, place, shape);
        frames.push(self.error(SERVERS, server.address, self.client.0, &received));
        let answered = packet(self.protocol, self.virtual_end, self.client, shape);
        frames.push(self.error(CLIENTS, self.router, self.virtual_end.0, &answered));
    }

    /// An ICMP error that quotes `about`, cut as by a host of old or as the kernel does.
    fn error(&self, by: InterfaceId, from: IpAddr, to: IpAddr, about: &[u8]) -> Frame {
        let quote = if self.client.1.is_multiple_of(2) { 28 + 20 } else { 548 };
        let quoted = &about[..about.len().min(quote)];
        let (protocol, head) = if from.is_ipv4() { (ICMPV4, [3, 3]) } else { (ICMPV6, [1, 4]) };
        let message = [&head, &[0; 6][..], quoted].concat();
        frame(by, ip(protocol, from, to, &message, &[], false), PLAIN)
    }
}
