//! Both programs in the test machine, against the conditions written down once more.

use std::sync::atomic::AtomicU64;

use super::flow::{Flow, FlowCounters, Transport, Way};
use super::program::Programs;
use super::table::{BUCKET_WORDS, Inserted, Table};
use crate::bpf::Program;
use crate::ebpf::Instruction;
use crate::ebpf::interpret::{Input, Outcome, run, run_and_change};
use crate::socket::socket_filter;

const REDIRECT: u32 = 7;
const GO_ON: u32 = u32::MAX;
const WHOLE: u32 = u32::MAX;
const WAY: Way = Way {
    interface: 9,
    mtu: 200,
    destination: [4, 4, 4, 4, 4, 4],
    source: [5, 5, 5, 5, 5, 5],
    ends: true,
};
/// Few, so that flows share them.
const BUCKETS: usize = 2;

/// Both programs and a table with the flows of [`ipv4`], [`ipv6`], [`udp`] and [`udp6`].
struct Both {
    traffic: Vec<Instruction>,
    socket: Vec<Instruction>,
    table: Table<Vec<AtomicU64>>,
    protocols: [u64; 2],
}

impl Both {
    fn new() -> Self {
        let memory = (0..BUCKETS * BUCKET_WORDS).map(|_| AtomicU64::new(0)).collect();
        let odd = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let table = Table::new(memory, std::array::from_fn(|at| odd(at as u64 + 3)));
        let (hash, mask) = (*table.hash(), table.mask());
        let programs = Programs { table: 3, protocols: 4, hash, mask };
        let socket =
            socket_filter(&Program::constant(WHOLE), Some(&programs), None).expect("known");
        let both = Self {
            traffic: programs.traffic_filter().expect("short jumps"),
            socket: socket.expect("short jumps"),
            table,
            protocols: [2, 2],
        };
        both.insert(WAY);
        both
    }

    fn flows() -> [Flow; 4] {
        let flow = |transport, source: &str, destination: &str| Flow {
            transport,
            source: source.parse().expect("address"),
            destination: destination.parse().expect("address"),
        };
        [
            flow(Transport::Tcp, "10.0.0.1:4000", "192.0.2.80:80"),
            flow(Transport::Tcp, "[fd00::1]:4000", "[fd00::80]:80"),
            flow(Transport::Udp, "10.0.0.1:4000", "192.0.2.80:53"),
            flow(Transport::Udp, "[fd00::1]:4000", "[fd00::80]:53"),
        ]
    }

    fn insert(&self, way: Way) {
        for flow in Self::flows() {
            let key = flow.key().expect("one family");
            assert_ne!(self.table.insert(&key, &way.words()), Inserted::Full);
        }
    }

    /// What was counted for all flows together.
    fn counters(&self) -> FlowCounters {
        let flows = Self::flows().into_iter();
        let counters = flows.filter_map(|flow| self.table.counters(&flow.key().expect("family")));
        counters.fold(FlowCounters::default(), |sum, one| FlowCounters {
            packets: sum.packets + one.packets,
            octets: sum.octets + one.octets,
            data: sum.data + one.data,
            fin: sum.fin + one.fin,
        })
    }

    /// What the interface's filter does, after the socket's has agreed.
    fn outcome<'m>(&'m self, mut input: Input<'m>) -> Outcome {
        input.map = self.table.memory();
        input.element = BUCKET_WORDS;
        input.protocols = self.protocols;
        let before = self.counters();
        let socket = run(&self.socket, &input);
        assert_eq!(self.counters(), before, "the socket's filter counts nothing");
        let traffic = run(&self.traffic, &input);
        let after = self.counters();
        if traffic.answer == REDIRECT {
            assert_eq!(traffic.redirected, Some(9));
            assert_eq!(socket.answer, 0);
            assert_eq!(after.packets, before.packets + 1);
            assert_eq!(after.octets, before.octets + ip_length(&input.octets));
        } else {
            assert_eq!((traffic.answer, traffic.redirected), (GO_ON, None));
            assert_eq!(traffic.octets, input.octets, "what goes on stays as it was");
            assert_eq!(socket.answer, WHOLE);
            assert_eq!(after, before);
        }
        traffic
    }

    fn forwards(&self, input: Input<'_>) -> bool {
        self.outcome(Input { map: &[], ..input }).answer == REDIRECT
    }
}

fn sum(octets: &[u8]) -> u16 {
    let sum: u32 = octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded twice")
}

/// Octets of the IP packet, as its header has them.
fn ip_length(frame: &[u8]) -> u64 {
    let half = |at: usize| u64::from(frame[at]) << 8 | u64::from(frame[at + 1]);
    if frame[14] >> 4 == 4 { half(16) } else { 40 + half(18) }
}

fn ipv4(payload: usize) -> Vec<u8> {
    let mut frame = vec![2; 12];
    let [l0, l1] = u16::try_from(40 + payload).expect("short").to_be_bytes();
    frame.extend_from_slice(&[8, 0, 0x45, 0, l0, l1, 1, 2, 0x40, 0, 64, 6, 0, 0]);
    frame.extend_from_slice(&[10, 0, 0, 1, 192, 0, 2, 80]);
    let header = (!sum(&frame[14..34])).to_be_bytes();
    frame[24..26].copy_from_slice(&header);
    frame.extend_from_slice(&tcp(payload));
    frame
}

fn ipv6(payload: usize) -> Vec<u8> {
    let mut frame = vec![2; 12];
    let [l0, l1] = u16::try_from(20 + payload).expect("short").to_be_bytes();
    frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, l0, l1, 6, 64]);
    for last in [1, 0x80] {
        frame.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    frame.extend_from_slice(&tcp(payload));
    frame
}

fn tcp(payload: usize) -> Vec<u8> {
    let mut segment = vec![0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    segment.resize(20 + payload, 7);
    segment
}

/// The UDP datagram that [`ipv4`]'s client sends to another port.
fn udp(payload: usize) -> Vec<u8> {
    let mut frame = ipv4(0);
    frame.truncate(34);
    frame[16..18].copy_from_slice(&u16::try_from(28 + payload).expect("short").to_be_bytes());
    frame[23] = 17;
    frame[24..26].fill(0);
    let header = (!sum(&frame[14..34])).to_be_bytes();
    frame[24..26].copy_from_slice(&header);
    frame.extend_from_slice(&datagram(payload));
    frame
}

fn udp6(payload: usize) -> Vec<u8> {
    let mut frame = ipv6(0);
    frame.truncate(54);
    frame[18..20].copy_from_slice(&u16::try_from(8 + payload).expect("short").to_be_bytes());
    frame[20] = 17;
    frame.extend_from_slice(&datagram(payload));
    frame
}

fn datagram(payload: usize) -> Vec<u8> {
    let [l0, l1] = u16::try_from(8 + payload).expect("short").to_be_bytes();
    let mut datagram = vec![0x0f, 0xa0, 0, 53, l0, l1, 0, 0];
    // Where TCP has its flags, all of them.
    datagram.resize(8 + payload, 0xff);
    datagram
}

fn of(octets: Vec<u8>) -> Input<'static> {
    Input { octets, ..Input::default() }
}

/// `frame` with one octet written over.
fn with(frame: Vec<u8>, at: usize, octet: u8) -> Input<'static> {
    let mut frame = frame;
    frame[at] = octet;
    of(frame)
}

#[test]
fn what_is_forwarded_has_new_addresses_one_ttl_less_and_a_true_checksum() {
    let both = Both::new();
    for ttl in 2..=255 {
        for identification in [0, 1, 0x35, 0xfe, 0xff] {
            let mut frame = if ttl % 2 == 0 { ipv4(30) } else { udp(30) };
            frame[18] = identification;
            frame[22] = ttl;
            frame[24..26].fill(0);
            let header = (!sum(&frame[14..34])).to_be_bytes();
            frame[24..26].copy_from_slice(&header);
            let outcome = both.outcome(of(frame.clone()));
            assert_eq!(outcome.answer, REDIRECT);
            assert_eq!(sum(&outcome.octets[14..34]), 0xffff, "TTL {ttl}");
            assert_ne!(outcome.octets[24..26], [0xff, 0xff]);
            frame[..12].copy_from_slice(&[4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5]);
            frame[22] -= 1;
            frame[24..26].copy_from_slice(&outcome.octets[24..26]);
            assert_eq!(outcome.octets, frame);
        }
        for mut frame in [ipv6(30), udp6(30)] {
            frame[21] = ttl;
            let outcome = both.outcome(of(frame.clone()));
            frame[..12].copy_from_slice(&[4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5]);
            frame[21] -= 1;
            assert_eq!((outcome.answer, outcome.octets), (REDIRECT, frame));
        }
    }
}

/// RFC 1624 §3: the carry at the end is where incremental checksums go wrong.
#[test]
fn a_checksum_at_the_carry_stays_true() {
    let both = Both::new();
    for wanted in [0x0000_u16, 0x0001, 0xfefe, 0xfeff, 0xff00, 0xff01, 0xfffe] {
        let mut frame = ipv4(0);
        frame[24..26].fill(0);
        // The identification that brings the checksum about.
        let missing = u32::from(!wanted) + u32::from(!sum(&frame[14..34])) + 0x0102;
        let identification = u16::try_from((missing & 0xffff) + (missing >> 16)).expect("folded");
        frame[18..20].copy_from_slice(&identification.to_be_bytes());
        let header = !sum(&frame[14..34]);
        assert_eq!(header, wanted);
        frame[24..26].copy_from_slice(&header.to_be_bytes());
        let mut octets = both.outcome(of(frame)).octets;
        let found = u16::from_be_bytes([octets[24], octets[25]]);
        octets[24..26].fill(0);
        assert_eq!(found, !sum(&octets[14..34]), "{wanted:#06x}");
    }
}

#[test]
fn anything_out_of_the_ordinary_goes_on_whole() {
    let both = Both::new();
    assert!(both.forwards(of(ipv4(30))) && both.forwards(of(ipv6(30))));
    // ACK and PSH, URG, ECE, CWR: data like any other.
    assert!(both.forwards(with(ipv4(30), 47, 0xf8)) && both.forwards(with(ipv6(30), 67, 0xf8)));
    let strange = [
        ("another machine's", Input { packet_type: 3, ..of(ipv4(30)) }),
        ("broadcast", Input { packet_type: 1, ..of(ipv4(30)) }),
        ("tagged", Input { vlan: true, ..of(ipv4(30)) }),
        ("not IP", with(ipv4(30), 13, 6)),
        ("options", with(ipv4(30), 14, 0x46)),
        ("more fragments", with(ipv4(30), 20, 0x20)),
        ("later fragment", with(ipv4(30), 21, 1)),
        ("TTL 1", with(ipv4(30), 22, 1)),
        ("TTL 0", with(ipv4(30), 22, 0)),
        ("UDP with the ports of a TCP flow", with(ipv4(30), 23, 17)),
        ("TCP with the ports of a UDP flow", with(udp(30), 23, 6)),
        ("SCTP", with(udp(30), 23, 132)),
        ("UDP fragment", with(udp(30), 20, 0x20)),
        ("UDP, TTL 1", with(udp(30), 22, 1)),
        ("UDP to another service", with(udp(30), 37, 54)),
        ("UDP longer than the frame", with(udp(30), 17, 59)),
        ("UDP without a whole header", with(udp(30), 17, 27)),
        ("UDP longer than the way takes", of(udp(173))),
        ("a UDP segment too long", Input { segment_size: 173, ..of(udp(300)) }),
        ("IPv6 UDP with the ports of a TCP flow", with(ipv6(30), 20, 17)),
        ("IPv6 UDP longer than the frame", with(udp6(30), 19, 39)),
        ("IPv6 UDP without a whole header", with(udp6(30), 19, 7)),
        ("IPv6 UDP longer than the way takes", of(udp6(153))),
        ("SYN", with(ipv4(30), 47, 0x02)),
        ("SYN+ACK", with(ipv4(30), 47, 0x12)),
        ("RST", with(ipv4(30), 47, 0x14)),
        ("FIN without ACK", with(ipv4(30), 47, 0x01)),
        ("no flag", with(ipv4(30), 47, 0x00)),
        ("another client", with(ipv4(30), 29, 2)),
        ("another service", with(ipv4(30), 33, 81)),
        ("another client port", with(ipv4(30), 35, 0xa1)),
        ("another service port", with(ipv4(30), 37, 81)),
        ("TCP header too short", with(ipv4(30), 46, 0x40)),
        ("TCP header too long", with(ipv4(30), 46, 0xf0)),
        ("longer than the frame", with(ipv4(30), 17, 71)),
        ("shorter than its headers", with(ipv4(30), 17, 39)),
        ("over 64 KB", with(with(ipv4(30), 16, 0).octets, 17, 0)),
        ("longer than the way takes", of(ipv4(161))),
        ("a segment too long", Input { segment_size: 161, ..of(ipv4(300)) }),
        ("IPv6 of another version", with(ipv6(30), 14, 0x70)),
        ("IPv6 extension header", with(ipv6(30), 20, 0)),
        ("hop limit 1", with(ipv6(30), 21, 1)),
        ("IPv6 SYN", with(ipv6(30), 67, 0x02)),
        ("IPv6 RST", with(ipv6(30), 67, 0x14)),
        ("IPv6 without ACK", with(ipv6(30), 67, 0x08)),
        ("another IPv6 client", with(ipv6(30), 29, 9)),
        ("another IPv6 service", with(ipv6(30), 38, 9)),
        ("IPv6 longer than the frame", with(ipv6(30), 19, 51)),
        ("IPv6 shorter than TCP", with(ipv6(30), 19, 19)),
        ("IPv6 TCP header too long", with(ipv6(30), 66, 0xf0)),
        ("IPv6 longer than the way takes", of(ipv6(141))),
        ("an IPv6 segment too long", Input { segment_size: 141, ..of(ipv6(300)) }),
    ];
    for (what, input) in strange {
        assert!(!both.forwards(input), "{what}");
    }
    for whole in [ipv4(0), ipv6(0), udp(0), udp6(0)] {
        for length in 0..whole.len() {
            assert!(!both.forwards(of(whole[..length].to_vec())), "{length} octets");
        }
    }
}

#[test]
fn only_protocols_that_have_flows_are_looked_up() {
    let mut both = Both::new();
    for protocols in [[0, 0], [1, 0], [0, 1], [1 << 40, 1 << 40]] {
        both.protocols = protocols;
        let frames = [[ipv4(30), ipv6(30)], [udp(30), udp6(30)]];
        for (count, frames) in protocols.iter().zip(frames) {
            for frame in frames {
                assert_eq!(both.forwards(of(frame)), *count > 0, "{protocols:?}");
            }
        }
    }
}

#[test]
fn segments_are_counted_before_and_behind_the_end() {
    let counted = |flags: &[u8]| {
        let both = Both::new();
        for flag in flags {
            assert!(
                both.forwards(with(ipv4(30), 47, *flag))
                    && both.forwards(with(ipv6(30), 67, *flag))
            );
        }
        let FlowCounters { packets, data, fin, .. } = both.counters();
        (packets / 2, data / 2, fin / 2)
    };
    assert_eq!(counted(&[0x10, 0x18]), (2, 2, 0));
    assert_eq!(counted(&[0x11]), (1, 0, 1));
    assert_eq!(counted(&[0x10, 0x11, 0x10, 0x11, 0x10]), (5, 1, 2));
    let both = Both::new();
    assert!(both.forwards(of(udp(30))) && both.forwards(of(udp6(30))));
    assert_eq!((both.counters().data, both.counters().fin), (2, 0));
}

#[test]
fn a_way_that_takes_no_ends_leaves_them_to_the_socket() {
    let both = Both::new();
    both.insert(Way { ends: false, ..WAY });
    for (frame, flags) in [(ipv4(30), 47), (ipv6(30), 67)] {
        assert!(both.forwards(with(frame.clone(), flags, 0x10)));
        assert!(!both.forwards(with(frame, flags, 0x11)));
    }
    assert!(both.forwards(of(udp(30))) && both.forwards(of(udp6(30))));
}

/// Withdrawn and half-written ones, too.
#[test]
fn only_flows_in_the_table_are_forwarded() {
    let both = Both::new();
    let frames = || [ipv4(30), ipv6(30), udp(30), udp6(30)];
    for (flow, frame) in Both::flows().into_iter().zip(frames()) {
        let key = flow.key().expect("one family");
        assert!(both.forwards(of(frame.clone())));
        assert!(both.table.withdraw(&key).is_some());
        assert!(!both.forwards(of(frame.clone())));
        assert_eq!(both.table.insert(&key, &WAY.words()), Inserted::New);
        assert!(both.forwards(of(frame)));
    }
    both.table.clear(|_| {});
    assert!(frames().into_iter().all(|frame| !both.forwards(of(frame))));
}

/// The slot may get another owner after its flow was found, at any of the program's steps: then the
/// frame must not go that one's way.
#[test]
fn a_flow_that_changes_hands_under_the_programs_is_not_forwarded() {
    let both = Both::new();
    let key = Both::flows()[0].key().expect("one family");
    let (mut went, mut stayed) = (0, 0);
    for step in 0.. {
        let change = || {
            both.table.withdraw(&key);
            let other = Way { interface: 77, destination: [7; 6], source: [7; 6], ..WAY };
            let other_key = Flow { source: ([10, 9, 9, 9], 9).into(), ..Both::flows()[0] };
            both.table.insert(&other_key.key().expect("one family"), &other.words());
        };
        let input = Input {
            map: both.table.memory(),
            element: BUCKET_WORDS,
            protocols: both.protocols,
            ..of(ipv4(30))
        };
        let (outcome, steps) = run_and_change(&both.traffic, &input, step, change);
        match outcome.answer {
            REDIRECT => {
                assert_eq!(outcome.redirected, Some(9));
                assert_eq!(outcome.octets[..6], WAY.destination);
                went += 1;
            }
            _ => {
                assert_eq!((outcome.answer, outcome.octets), (GO_ON, ipv4(30)));
                stayed += 1;
            }
        }
        both.table.clear(|_| {});
        both.insert(WAY);
        if step > steps {
            break;
        }
    }
    assert!(went > 10 && stayed > 50, "{went} went, {stayed} stayed");
}

#[test]
fn lengths_up_to_the_ways_limit_are_forwarded() {
    let both = Both::new();
    assert!(both.forwards(of(ipv4(0))) && both.forwards(of(ipv6(0))));
    assert!(both.forwards(of(udp(0))) && both.forwards(of(udp6(0))));
    assert!(both.forwards(of(ipv4(160))) && both.forwards(of(ipv6(140))));
    assert!(both.forwards(of(udp(172))) && both.forwards(of(udp6(152))));
    assert!(both.forwards(Input { segment_size: 172, ..of(udp(3000)) }));
    // Several segments: each of them counts, whatever they are together.
    assert!(both.forwards(Input { segment_size: 160, ..of(ipv4(3000)) }));
    assert!(both.forwards(Input { segment_size: 140, ..of(ipv6(3000)) }));
    // Padding of a short frame.
    let mut padded = ipv4(0);
    padded.resize(60, 0);
    assert!(both.forwards(of(padded)));
}

#[test]
fn octets_of_any_kind_are_judged_alike_by_both() {
    let both = Both::new();
    let mut state = 5_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from((state >> 33) % limit as u64).expect("small")
    };
    let mut counted = [0; 2];
    for _ in 0..40_000 {
        let mut frame = [ipv4, ipv6, udp, udp6][below(4)](below(40));
        for _ in 0..below(3) {
            let at = below(frame.len());
            frame[at] = u8::try_from(below(256)).expect("octet");
        }
        if below(4) == 0 {
            let length = frame.len();
            frame.truncate(length - below(8).min(length));
        }
        counted[usize::from(both.forwards(of(frame)))] += 1;
    }
    assert!(counted.iter().all(|count| *count > 4000), "{counted:?}");
}
