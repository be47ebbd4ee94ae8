use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::classifier::interpret::{Input, run_counting};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

const CLIENTS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 1, 2, 3, 4, 5, 6, 7)),
];
const SERVICES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80)),
];
const SERVERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 60)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 0x60)),
];
const ROUTERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 9)),
];

const HASHES: [ClientHash; 3] =
    [ClientHash::ADDRESS, ClientHash::AddressAndPort, ClientHash::Network { ipv4: 24, ipv6: 56 }];

/// An address and a port.
type End = (IpAddr, u16);

/// An IP packet; IPv4 with options if `options`.
fn packet(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8], options: bool) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let first = if options { 0x46 } else { 0x45 };
            let mut packet = vec![first, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0];
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(if options { &[1, 1, 1, 0][..] } else { &[] });
            packet.extend(payload);
            packet
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut packet = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            packet.extend(from.octets());
            packet.extend(to.octets());
            packet.extend(payload);
            packet
        }
        _ => panic!("one family"),
    }
}

fn segment(from: End, to: End, protocol: u8, options: bool) -> Vec<u8> {
    let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    packet(from.0, to.0, protocol, &[ports, vec![0; 16]].concat(), options)
}

fn error(kind: u8, from: IpAddr, to: IpAddr, quoted: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0, 0, 0, 5, 0], quoted].concat();
    packet(from, to, if from.is_ipv4() { 1 } else { 58 }, &message, false)
}

/// What the kernel's machine makes of an IP packet, and in how many instructions.
fn answer(program: &Program, packet: &[u8]) -> (u32, usize) {
    let kind = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
    let octets = [&[2; 12][..], &kind, packet].concat();
    run_counting(program.instructions(), &Input { octets: &octets, packet_type: 0 })
}

/// Every plain packet of a connection between a client and a server that is spoken to as `service`.
fn connection(client: End, service: End, server: End, protocol: u8) -> Vec<Vec<u8>> {
    let router = ROUTERS[usize::from(client.0.is_ipv6())];
    let kinds: &[u8] = if client.0.is_ipv4() { &[3, 4, 11] } else { &[1, 2, 3, 4] };
    let mut packets = Vec::new();
    for options in [false, true] {
        packets.push(segment(client, service, protocol, options));
        packets.push(segment(server, client, protocol, options));
        for kind in kinds {
            let reply = segment(service, client, protocol, options);
            packets.push(error(*kind, router, service.0, &reply));
            let question = segment(client, server, protocol, options);
            packets.push(error(*kind, server.0, client.0, &question));
        }
    }
    packets
}

#[test]
fn plain_packets_of_a_connection_go_where_the_client_is_kept() {
    for hash in HASHES {
        for family in [0, 1] {
            let server = (SERVERS[family], 8080);
            let returns = [TCP, UDP, SCTP].map(|it| ServiceMatch::service(it, server.0, 8080));
            let program = hash.program(&returns);
            for port in 0..200 {
                let client = (CLIENTS[family], 1024 + 7 * port);
                let kept = hash.of(client.0, client.1);
                for protocol in [TCP, UDP, SCTP] {
                    let service = (SERVICES[family], 80);
                    for packet in connection(client, service, server, protocol) {
                        assert_eq!(answer(&program, &packet).0, kept, "{hash:?} {packet:02x?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_server_is_a_client_where_it_does_not_answer() {
    for hash in HASHES {
        for family in [0, 1] {
            let returns = [ServiceMatch::service(TCP, SERVERS[family], 9090)];
            let program = hash.program(&returns);
            let (client, service) = ((SERVERS[family], 40_000), (SERVICES[family], 80));
            let kept = hash.of(client.0, client.1);
            let asks = |protocol, port| segment((client.0, port), service, protocol, false);
            assert_eq!(answer(&program, &asks(TCP, 40_000)).0, kept);
            assert_eq!(answer(&program, &asks(UDP, 40_000)).0, kept, "{hash:?}");
            let by_port = hash.of(client.0, 9090);
            assert_eq!(answer(&program, &asks(UDP, 9090)).0, by_port, "another protocol");
            let back = hash.of(service.0, service.1);
            assert_eq!(answer(&program, &asks(TCP, 9090)).0, back, "it may be an answer");
        }
    }
}

#[test]
fn fragments_of_a_packet_do_not_part() {
    let returns = [ServiceMatch::service(UDP, SERVERS[0], 53)];
    for hash in HASHES {
        let program = hash.program(&returns);
        for from in [CLIENTS[0], SERVERS[0]] {
            let whole = segment((from, 53), (SERVICES[0], 53), UDP, false);
            let fragment = |field: u16| {
                let mut packet = whole.clone();
                packet[6..8].copy_from_slice(&field.to_be_bytes());
                answer(&program, &packet).0
            };
            assert_eq!(fragment(0x2000), fragment(0x0003), "{hash:?}");
            assert_eq!(fragment(0x2003), fragment(0x0003), "{hash:?}");
        }
        assert_eq!(hash.of(CLIENTS[0], 53) == fragment_of(&program), hash != HASHES[1]);
    }
}

/// A fragment of the first client's.
fn fragment_of(program: &Program) -> u32 {
    let mut packet = segment((CLIENTS[0], 53), (SERVICES[0], 53), UDP, false);
    packet[6] = 0x20;
    answer(program, &packet).0
}

#[test]
fn a_frame_costs_some_dozen_instructions() {
    let servers = |count: u32| -> Vec<ServiceMatch> {
        let address = |number| Ipv4Addr::from_bits(0x0a00_0000 + 2 * number).into();
        (0..count).map(|number| ServiceMatch::service(TCP, address(number), 8080)).collect()
    };
    let mut costs = Vec::new();
    for (returns, most) in [(servers(0), 30), (servers(2), 33), (servers(300), 47)] {
        for hash in [ClientHash::ADDRESS, ClientHash::AddressAndPort] {
            let program = hash.program(&returns);
            assert!(program.fits());
            let asks = segment((CLIENTS[0], 40_000), (SERVICES[0], 80), TCP, false);
            let (_, steps) = answer(&program, &asks);
            costs.push((hash, returns.len(), program.instructions().len(), steps));
            assert!(steps <= most, "{costs:?}");
        }
    }
}

#[test]
fn more_servers_than_fit_are_told_by_address_and_then_not_at_all() {
    let servers = |count: u32| -> Vec<ServiceMatch> {
        let address = |number| Ipv4Addr::from_bits(0x0a00_0000 + 2 * number).into();
        let port = |number: u32| u16::try_from(number % 7000).expect("small") + 1;
        (0..count).map(|number| ServiceMatch::service(TCP, address(number), port(number))).collect()
    };
    let hash = ClientHash::ADDRESS;
    assert_eq!(hash.closest_program(&servers(50)), hash.program(&servers(50)));
    let by_address = hash.closest_program(&servers(600));
    assert!(by_address.fits());
    assert_ne!(by_address, hash.program(&[]));
    assert_eq!(hash.closest_program(&servers(5000)), hash.program(&[]));
}
