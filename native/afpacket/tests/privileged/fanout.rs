//! Two sockets share an interface; each client stays with one of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use afpacket::bpf::Program;
use afpacket::classifier::ServiceMatch;
use afpacket::{ClientHash, Fanout, FanoutGroup, PacketSocket, SocketOptions};

use crate::capture::{send, sender, small};
use crate::frames::{self, TCP, UDP};
use crate::lab::{Lab, eventually, with_lab};

const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const SERVICE6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80);
const MACS: (frames::Mac, frames::Mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

fn open_group(lab: &Lab, hash: ClientHash) -> [PacketSocket; 2] {
    let index = lab.here.index("near");
    let open = |group| {
        let options = SocketOptions {
            ring_frames: 300,
            fanout: Some(Fanout { group, hash }),
            filter: Program::constant(u32::MAX),
            ..small()
        };
        lab.here.run(|| PacketSocket::open(index, &options).unwrap())
    };
    let first = open(FanoutGroup::New);
    let group = first.fanout_group().unwrap().expect("in a group");
    [first, open(FanoutGroup::Join(group))]
}

/// Sends the frames and returns which socket got each.
fn shared(lab: &Lab, hash: ClientHash, frames: &[Vec<u8>]) -> Vec<usize> {
    shared_with_returns(lab, hash, &[], frames)
}

/// As [`shared`], where answers come by from what `returns` fit.
fn shared_with_returns(
    lab: &Lab,
    hash: ClientHash,
    returns: &[ServiceMatch],
    frames: &[Vec<u8>],
) -> Vec<usize> {
    let there = lab.neighbour("near", "far");
    let mut sockets = open_group(lab, hash);
    sockets[1].set_fanout_returns(returns).unwrap();
    send(&mut sender(&there, "far"), frames);
    let mut owners: HashMap<Vec<u8>, usize> = HashMap::new();
    eventually("all frames", || {
        for (number, socket) in sockets.iter_mut().enumerate() {
            let batch = socket.receive(64);
            for octets in (0..batch.len()).filter_map(|index| batch.frame(index)) {
                if octets[..6] == MACS.0 {
                    assert_eq!(owners.insert(octets.to_vec(), number), None, "came twice");
                }
            }
        }
        (owners.len() == frames.len()).then_some(())
    });
    frames.iter().map(|frame| owners[frame]).collect()
}

fn frame(packet: &[u8]) -> Vec<u8> {
    frames::ethernet(MACS.0, MACS.1, packet)
}

/// A segment's ports and sequence number; the rest does not matter here.
fn tcp(ports: (u16, u16), number: u16) -> Vec<u8> {
    let mut segment = vec![0; 20];
    let [s0, s1] = ports.0.to_be_bytes();
    let [d0, d1] = ports.1.to_be_bytes();
    let [n0, n1] = number.to_be_bytes();
    segment[..8].copy_from_slice(&[s0, s1, d0, d1, 0, 0, n0, n1]);
    segment[12] = 0x50;
    segment
}

fn client(number: u16) -> (Ipv4Addr, u16) {
    let [high, low] = number.to_be_bytes();
    (Ipv4Addr::new(10, 1, high, low), 1024 + number * 7)
}

/// For each client: three segments, one of them behind IP options, and an ICMP error about what a
/// server sent it.
fn connection(number: u16) -> Vec<Vec<u8>> {
    let (address, port) = client(number);
    let segment = |count| tcp((port, 80), count);
    let reply = frames::ipv4(TCP, SERVICE, address, &[], 0, &tcp((80, port), number));
    let router = Ipv4Addr::new(10, 9, 9, 9);
    let options = [1, 1, 1, 0];
    vec![
        frame(&frames::ipv4(TCP, address, SERVICE, &[], 0, &segment(1))),
        frame(&frames::ipv4(TCP, address, SERVICE, &[], 0, &segment(2))),
        frame(&frames::ipv4(TCP, address, SERVICE, &options, 0, &segment(3))),
        frame(&frames::ipv4(1, router, SERVICE, &[], 0, &frames::icmp_error(&reply))),
    ]
}

fn connection_over_ipv6(number: u16) -> Vec<Vec<u8>> {
    let address = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, number);
    let port = 1024 + number * 7;
    let reply = frames::ipv6(TCP, SERVICE6, address, &tcp((80, port), number));
    let router = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 9);
    let error = [&[2, 0, 0, 0, 0, 0, 5, 0], reply.as_slice()].concat();
    vec![
        frame(&frames::ipv6(TCP, address, SERVICE6, &tcp((port, 80), 1))),
        frame(&frames::ipv6(TCP, address, SERVICE6, &tcp((port, 80), 2))),
        frame(&frames::ipv6(58, router, SERVICE6, &error)),
    ]
}

/// Every connection on one socket, and both sockets with a fair part.
fn assert_split(owners: &[usize], per_connection: usize) {
    for (number, connection) in owners.chunks(per_connection).enumerate() {
        assert!(
            connection.iter().all(|owner| *owner == connection[0]),
            "connection {number} on {connection:?}"
        );
    }
    let connections = owners.len() / per_connection;
    let on_first = owners.chunks(per_connection).filter(|one| one[0] == 0).count();
    let fair = connections / 4..=connections * 3 / 4;
    assert!(fair.contains(&on_first), "{on_first} of {connections}");
}

#[test]
fn a_connection_and_the_errors_about_it_meet_on_one_socket() {
    with_lab("a_connection_and_the_errors", |lab| {
        let frames: Vec<_> = (0..40).flat_map(connection).collect();
        assert_split(&shared(lab, ClientHash::AddressAndPort, &frames), 4);
    });
}

#[test]
fn a_connection_over_ipv6_and_the_errors_about_it_meet_on_one_socket() {
    with_lab("a_connection_over_ipv6", |lab| {
        let frames: Vec<_> = (0..40).flat_map(connection_over_ipv6).collect();
        assert_split(&shared(lab, ClientHash::AddressAndPort, &frames), 3);
    });
}

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);
const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, 11);

/// What a server sends to a client: an answer, and an error about what the client sent.
fn answers(number: u16) -> Vec<Vec<u8>> {
    let (address, port) = client(number);
    let answer = frames::ipv4(TCP, SERVER, address, &[], 0, &tcp((8080, port), number));
    let request = frames::ipv4(TCP, address, SERVER, &[], 0, &tcp((port, 8080), number));
    let error = frames::ipv4(1, SERVER, address, &[], 0, &frames::icmp_error(&request));
    vec![frame(&answer), frame(&error)]
}

fn answers_over_ipv6(number: u16) -> Vec<Vec<u8>> {
    let address = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, number);
    let port = 1024 + number * 7;
    let answer = frames::ipv6(TCP, SERVER6, address, &tcp((8080, port), number));
    let request = frames::ipv6(TCP, address, SERVER6, &tcp((port, 8080), number));
    let error = [&[1, 4, 0, 0, 0, 0, 0, 0], request.as_slice()].concat();
    vec![frame(&answer), frame(&frames::ipv6(58, SERVER6, address, &error))]
}

/// Whether all of each connection of either family meets, answers and errors of servers included.
fn assert_answers_meet(name: &str, hash: ClientHash) {
    let servers: [IpAddr; 3] = [SERVER.into(), SERVER6.into(), Ipv4Addr::new(10, 0, 0, 12).into()];
    let returns = servers.map(|server| ServiceMatch::service(TCP, server, 8080));
    with_lab(name, |lab| {
        let both = |number| [connection(number), answers(number)].concat();
        let frames: Vec<_> = (0..40).flat_map(both).collect();
        assert_split(&shared_with_returns(lab, hash, &returns, &frames), 6);
    });
    with_lab(name, |lab| {
        let both = |number| [connection_over_ipv6(number), answers_over_ipv6(number)].concat();
        let frames: Vec<_> = (0..40).flat_map(both).collect();
        assert_split(&shared_with_returns(lab, hash, &returns, &frames), 5);
    });
}

#[test]
fn what_servers_answer_meets_the_connection() {
    assert_answers_meet("what_servers_answer", ClientHash::AddressAndPort);
}

#[test]
fn by_address_what_servers_answer_meets_the_connection() {
    assert_answers_meet("by_address_what_servers", ClientHash::ADDRESS);
}

#[test]
fn more_servers_than_a_program_tells_apart_are_taken() {
    with_lab("more_servers_than_a_program", |lab| {
        let _there = lab.neighbour("near", "far");
        let sockets = open_group(lab, ClientHash::ADDRESS);
        for count in [300, 1500, 5000] {
            let server = |number: u32| Ipv4Addr::from_bits(0x0a00_0000 + 2 * number).into();
            let returns: Vec<_> =
                (0..count).map(|number| ServiceMatch::service(TCP, server(number), 8080)).collect();
            sockets[0].set_fanout_returns(&returns).unwrap();
        }
    });
}

#[test]
fn connections_of_one_client_are_shared_by_port() {
    with_lab("connections_of_one_client", |lab| {
        let (address, _) = client(1);
        let segment = |port| frames::ipv4(TCP, address, SERVICE, &[], 0, &tcp((port, 80), 1));
        let frames: Vec<_> = (2000..2060).map(|port| frame(&segment(port))).collect();
        assert_split(&shared(lab, ClientHash::AddressAndPort, &frames), 1);
    });
}

#[test]
fn by_address_all_of_a_client_and_its_fragments_meet() {
    with_lab("by_address_all_of_a_client", |lab| {
        let of_client = |number| {
            let (address, port) = client(number);
            let more =
                frames::ipv4(UDP, address, SERVICE, &[], 0x2000, &[0, 1, 0, 53, 0, 24, 0, 0]);
            let last = frames::ipv4(UDP, address, SERVICE, &[], 1, &[7; 16]);
            let mut all = connection(number);
            all.push(frame(&frames::ipv4(TCP, address, SERVICE, &[], 0, &tcp((port ^ 1, 80), 9))));
            all.extend([frame(&more), frame(&last)]);
            all
        };
        let frames: Vec<_> = (0..30).flat_map(of_client).collect();
        assert_split(&shared(lab, ClientHash::ADDRESS, &frames), 7);
    });
}

#[test]
fn by_network_the_clients_of_a_network_meet() {
    with_lab("by_network", |lab| {
        let hash = ClientHash::Network { ipv4: 24, ipv6: 64 };
        let of_network = |network: u8| {
            let ipv4 = [1, 200].map(|host| {
                let address = Ipv4Addr::new(10, 1, network, host);
                frame(&frames::ipv4(TCP, address, SERVICE, &[], 0, &tcp((host.into(), 80), 1)))
            });
            ipv4.to_vec()
        };
        let frames: Vec<_> = (0..60).flat_map(of_network).collect();
        assert_split(&shared(lab, hash, &frames), 2);
    });
}
