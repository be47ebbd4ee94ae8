//! The programs of both sockets in the test machine, against what belongs to whom.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::bpf::Program;
use crate::ebpf::Instruction;
use crate::ebpf::interpret::{ADMISSION_DESCRIPTOR, Input, run};
use crate::socket::socket_filter;

const WORDS: u64 = 1 << 10;
const WHOLE: u32 = u32::MAX;

/// Both sockets' programs, and who is known.
struct Both {
    known_ring: Vec<Instruction>,
    unknown_ring: Vec<Instruction>,
    known: Known<Vec<AtomicU64>>,
}

/// Which of both sockets gets a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ring {
    Known,
    Unknown,
    Neither,
}

impl Both {
    /// Under overload, with the client 198.51.100.7 port 4000 and the client 2001:db8::7 port 4000 known.
    fn new() -> Self {
        let length = usize::try_from(2 * WORDS).expect("small") + 8;
        let memory = (0..length).map(|_| AtomicU64::new(0)).collect();
        let odd = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let keys = std::array::from_fn(|at| odd(at as u64 + 3));
        let known = Known { memory, keys, words: WORDS };
        let lookup = Lookup { memory: ADMISSION_DESCRIPTOR, keys, words: WORDS };
        let program = |admitted| {
            let others = Program::constant(WHOLE);
            let program = socket_filter(&others, None, Some((lookup, admitted)));
            program.expect("known instructions").expect("short jumps")
        };
        let both = Self {
            known_ring: program(Admitted::Known),
            unknown_ring: program(Admitted::Unknown),
            known,
        };
        for client in ["198.51.100.7", "2001:db8::7"] {
            both.known.learn(address(client), 4000, both.known.first());
        }
        both.known.word(offset::OVERLOAD).store(1, Ordering::Relaxed);
        both
    }

    fn allow(&self, frames: u64) {
        self.known.word(offset::GRANTED).store(frames, Ordering::Relaxed);
    }

    fn ring(&self, octets: &[u8]) -> Ring {
        let input =
            Input { octets: octets.to_vec(), admission: &self.known.memory, ..Input::default() };
        let answers =
            [&self.known_ring, &self.unknown_ring].map(|program| run(program, &input).answer);
        match answers {
            [WHOLE, 0] => Ring::Known,
            [0, WHOLE] => Ring::Unknown,
            [0, 0] => Ring::Neither,
            both => panic!("{both:?} for {octets:?}"),
        }
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("address")
}

/// An IP packet in an Ethernet frame.
fn frame(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    framed(&packet(source, destination, protocol, payload))
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
    [&[2; 12][..], &kind, packet].concat()
}

fn packet(source: &str, destination: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (address(source), address(destination)) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
            header.extend(source.octets());
            header.extend(destination.octets());
            [header, payload.to_vec()].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            header.extend(source.octets());
            header.extend(destination.octets());
            [header, payload.to_vec()].concat()
        }
        _ => panic!("one family"),
    }
}

fn ports(source: u16, destination: u16) -> Vec<u8> {
    [source.to_be_bytes(), destination.to_be_bytes(), [0; 2], [0; 2]].concat()
}

const FAMILIES: [(&str, &str, &str, &str); 2] = [
    ("198.51.100.7", "192.0.2.80", "203.0.113.9", "10.0.0.11"),
    ("2001:db8::7", "2001:db8:80::80", "2001:db8:bad::9", "2001:db8:1::11"),
];

#[test]
fn connections_are_told_from_strangers_in_both_directions() {
    let both = Both::new();
    for (client, service, stranger, server) in FAMILIES {
        for protocol in [6, 17, 132] {
            let ring = |source, destination, ports: Vec<u8>| {
                both.ring(&frame(source, destination, protocol, &ports))
            };
            assert_eq!(ring(client, service, ports(4000, 80)), Ring::Known);
            assert_eq!(ring(server, client, ports(8080, 4000)), Ring::Known);
            assert_eq!(ring(stranger, service, ports(4000, 80)), Ring::Unknown);
            assert_eq!(ring(server, stranger, ports(8080, 4000)), Ring::Unknown);
        }
        assert_eq!(both.ring(&frame(stranger, service, 47, &[0; 8])), Ring::Unknown);
    }
}

#[test]
fn without_overload_all_frames_come_by_the_first_socket() {
    let both = Both::new();
    both.known.word(offset::OVERLOAD).store(0, Ordering::Relaxed);
    for (client, service, stranger, _) in FAMILIES {
        for source in [client, stranger] {
            assert_eq!(both.ring(&frame(source, service, 6, &ports(4000, 80))), Ring::Known);
        }
    }
    assert_eq!(both.known.word(offset::USED).load(Ordering::Relaxed), 0);
}

#[test]
fn what_else_known_clients_send_comes_as_far_as_it_is_granted() {
    let both = Both::new();
    let used = || both.known.word(offset::USED).load(Ordering::Relaxed);
    let refused = || both.known.word(offset::REFUSED).load(Ordering::Relaxed);
    let arp = [&[2; 12][..], &[8, 6], &[0; 28]].concat();
    for (number, (client, service, _, server)) in (1..).zip(FAMILIES) {
        let new = frame(client, service, 6, &ports(4001, 80));
        let other = frame(client, service, 47, &[0; 8]);
        let to = frame(server, client, 6, &ports(80, 4001));
        both.allow(used());
        let before = refused();
        assert_eq!([&new, &other, &to, &arp].map(|one| both.ring(one)), [Ring::Neither; 4]);
        assert_eq!(refused() - before, 4, "number {number}");
        both.allow(used() + 4);
        assert_eq!([&new, &other, &to, &arp].map(|one| both.ring(one)), [Ring::Known; 4]);
        assert_eq!(both.ring(&new), Ring::Neither);
        assert_eq!(both.ring(&frame(client, service, 6, &ports(4000, 80))), Ring::Known);
    }
}

#[test]
fn later_fragments_go_by_the_address() {
    let both = Both::new();
    both.allow(2);
    for (client, service, stranger, _) in FAMILIES {
        let fragment = |source| {
            if client.contains(':') {
                // Fragment header: offset 8, next header UDP.
                frame(source, service, 44, &[17, 0, 0, 8, 0, 0, 0, 1, 9, 9, 9, 9])
            } else {
                // The payload would be the known port.
                let mut frame = frame(source, service, 17, &ports(4000, 80));
                frame[14 + 7] = 1;
                frame
            }
        };
        assert_eq!(both.ring(&fragment(client)), Ring::Known);
        assert_eq!(both.ring(&fragment(stranger)), Ring::Unknown);
    }
    assert_eq!(both.known.word(offset::USED).load(Ordering::Relaxed), 2);
}

#[test]
fn icmp_errors_go_by_what_they_quote() {
    let both = Both::new();
    for (client, service, stranger, _) in FAMILIES {
        let (icmp, errors, echo): (u8, &[u8], u8) = if client.contains(':') {
            (58, &[1, 2, 3, 4], 128)
        } else {
            (1, &[3, 4, 5, 11, 12], 8)
        };
        let about = |kind: u8, source: &str, destination: &str, ends: Vec<u8>| {
            let quoted = packet(source, destination, 6, &ends);
            both.ring(&frame(
                stranger,
                service,
                icmp,
                &[vec![kind, 0, 0, 0, 0, 0, 0, 0], quoted].concat(),
            ))
        };
        for kind in errors {
            assert_eq!(about(*kind, service, client, ports(80, 4000)), Ring::Known, "{kind}");
            assert_eq!(about(*kind, client, service, ports(4000, 80)), Ring::Known, "{kind}");
            assert_eq!(about(*kind, service, stranger, ports(80, 4000)), Ring::Unknown, "{kind}");
        }
        assert_eq!(about(echo, service, client, ports(80, 4000)), Ring::Unknown);
    }
}

#[test]
fn neighbours_may_always_ask_as_far_as_it_is_granted() {
    let both = Both::new();
    both.allow(5);
    for kind in [133, 134, 135, 136, 137] {
        let solicitation = frame("fe80::1", "ff02::1", 58, &[kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(both.ring(&solicitation), Ring::Known, "{kind}");
    }
    for kind in [132, 138] {
        let other = frame("fe80::1", "ff02::1", 58, &[kind, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(both.ring(&other), Ring::Unknown, "{kind}");
    }
}

#[test]
fn options_before_the_ports_are_skipped() {
    let both = Both::new();
    let mut octets =
        frame("198.51.100.7", "192.0.2.80", 6, &[vec![1; 4], ports(4000, 80)].concat());
    octets[14] = 0x46;
    assert_eq!(both.ring(&octets), Ring::Known);
}

#[test]
fn renewal_forgets_who_was_not_told_anew() {
    let both = Both::new();
    let known = &both.known;
    let ring = |source| both.ring(&frame(source, "192.0.2.80", 6, &ports(4000, 80)));
    known.clear(known.other());
    known.learn(address("203.0.113.9"), 4000, known.other());
    assert_eq!([ring("198.51.100.7"), ring("203.0.113.9")], [Ring::Known, Ring::Unknown]);
    known.word(offset::FIRST).store(known.other(), Ordering::Release);
    assert_eq!([ring("198.51.100.7"), ring("203.0.113.9")], [Ring::Unknown, Ring::Known]);
}

/// What is taken for known though it is not: the bits of as many ends as there is room for.
#[test]
fn few_strangers_look_known() {
    let both = Both::new();
    let room = u32::try_from(WORDS * 64 / BITS_PER_CONNECTION).expect("small");
    for number in 0..room {
        both.known.learn(IpAddr::V4((0x0a00_0000 + number).into()), 4000, both.known.first());
    }
    let known = |number: u32| {
        let source = std::net::Ipv4Addr::from(0x0b00_0000 + number).to_string();
        both.ring(&frame(&source, "192.0.2.80", 6, &ports(4000, 80))) != Ring::Unknown
    };
    let taken = (0..4096).filter(|number| known(*number)).count();
    assert!(taken < 4096 / 6, "{taken} of 4096");
}

#[test]
fn a_frame_that_ends_in_a_header_is_for_neither() {
    let both = Both::new();
    let whole = frame("198.51.100.7", "192.0.2.80", 6, &ports(4000, 80));
    for length in 14..36 {
        assert_eq!(both.ring(&whole[..length]), Ring::Neither, "{length}");
    }
}

#[test]
fn room_is_made_for_what_is_asked() {
    assert_eq!(words_for(0), WORDS_MIN);
    assert_eq!(words_for(1 << 20), 1 << 19);
    assert_eq!(words_for(u32::MAX), WORDS_MAX);
}
