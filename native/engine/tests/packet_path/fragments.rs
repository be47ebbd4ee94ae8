//! Packets that come in fragments.

use engine::Limits;
use engine::command::{Command, Protocol, SchedulerName};
use engine::verdict::{DropReason, PassReason, Verdict};

use crate::lab::frames::{Ip, reference_checksum, udp_datagram};
use crate::lab::{Lab, PORT, VIP, VIP6, add_server, key, service};

const CLIENT: &str = "203.0.113.9";
const CLIENT6: &str = "2001:db8:ffff::9";
const MORE: u16 = 0x2000;
const DONT: u16 = 0x4000;

fn udp_service(vip: &str, server: &str) -> Vec<Command> {
    let key = key(Protocol::Udp, vip);
    vec![
        Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
        add_server(key, server, 1),
    ]
}

fn lab() -> Lab {
    Lab::new(&udp_service(VIP, "10.0.0.11"))
}

fn datagram(length: usize) -> Vec<u8> {
    udp_datagram(40_000, PORT, &(0..=u8::MAX).cycle().take(length - 8).collect::<Vec<_>>())
}

/// One IPv4 fragment of `payload`.
fn fragment(payload: &[u8], from: usize, to: usize) -> Vec<u8> {
    fragment_to(VIP, payload, from, to)
}

fn fragment_to(vip: &str, payload: &[u8], from: usize, to: usize) -> Vec<u8> {
    let mut ip = Ip::new(CLIENT, vip);
    ip.flags = u16::try_from(from / 8).unwrap() | if to < payload.len() { MORE } else { 0 };
    ip.frame(17, &payload[from..to.min(payload.len())])
}

/// One IPv6 fragment of `payload`, behind destination options if `options`.
fn fragment6(payload: &[u8], from: usize, to: usize, options: bool) -> Vec<u8> {
    let field = u16::try_from(from).unwrap() | u16::from(to < payload.len());
    let mut octets = if options { vec![44, 0, 1, 4, 0, 0, 0, 0] } else { Vec::new() };
    octets.extend([17, 0]);
    octets.extend(field.to_be_bytes());
    octets.extend([0, 0, 0, 7]);
    octets.extend(&payload[from..to.min(payload.len())]);
    Ip::new(CLIENT6, VIP6).frame(if options { 60 } else { 44 }, &octets)
}

/// The payload that IPv4 fragments carry; all must be good and in order.
fn joined(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(reference_checksum(&frame[14..34]), 0);
        let field = u16::from_be_bytes([frame[20], frame[21]]);
        assert_eq!(usize::from(field & 0x1fff) * 8, payload.len());
        assert_eq!(field & MORE != 0, number + 1 < frames.len());
        assert_eq!(usize::from(u16::from_be_bytes([frame[16], frame[17]])), frame.len() - 14);
        payload.extend(&frame[34..]);
    }
    payload
}

#[test]
fn fragments_in_any_order_leave_as_one_datagram_in_fragments() {
    let datagram = datagram(3000);
    let parts = [(0, 1480), (1480, 2960), (2960, 3000)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let mut lab = lab();
        for number in &order[..2] {
            let (from, to) = parts[*number];
            let held = lab.process(&fragment(&datagram, from, to));
            assert_eq!((held.verdict, held.frames.len()), (Verdict::Hold, 0));
        }
        let (from, to) = parts[order[2]];
        let last = lab.process(&fragment(&datagram, from, to));
        assert!(matches!(last.verdict, Verdict::ForwardFragments { .. }), "{:?}", last.verdict);
        assert_eq!(joined(&last.frames), datagram);
        assert_eq!(last.frames[0].len(), 14 + 1500);
        assert_eq!(last.frames[0][22], 63, "one hop older");
        let statistics = lab.engine.statistics();
        assert_eq!(statistics.held.0, 2);
        assert_eq!(statistics.fragments.reassembled.0, 1);
        assert_eq!(statistics.fragments.waiting, 0);
        assert_eq!(statistics.traffic.in_octets.0, 3020);
    }
}

#[test]
fn what_leaves_is_no_longer_than_what_came() {
    let mut lab = lab();
    let datagram = datagram(108);
    lab.process(&fragment(&datagram, 0, 48));
    let last = lab.process(&fragment(&datagram, 48, 108));
    let lengths: Vec<_> = last.frames.iter().map(|frame| frame.len() - 14).collect();
    assert_eq!(lengths, [76, 72], "IPVS: cut anew at the longest fragment");
    assert_eq!(joined(&last.frames), datagram);
}

#[test]
fn overlapping_fragments_take_their_packet_with_them() {
    let datagram = datagram(96);
    for overlap in [(32, 80), (40, 72), (0, 72)] {
        let mut lab = lab();
        lab.process(&fragment(&datagram, 0, 48));
        let verdict = lab.process(&fragment(&datagram, overlap.0, overlap.1)).verdict;
        assert_eq!(verdict, Verdict::Drop(DropReason::FragmentOverlap), "{overlap:?}");
        assert_eq!(lab.engine.statistics().fragments.waiting, 0);
    }
}

#[test]
fn a_fragment_that_is_there_already_does_no_harm() {
    let mut lab = lab();
    let datagram = datagram(96);
    lab.process(&fragment(&datagram, 0, 24));
    lab.process(&fragment(&datagram, 24, 48));
    for (from, to) in [(0, 24), (24, 48), (0, 48), (8, 40)] {
        let again = lab.process(&fragment(&datagram, from, to));
        assert_eq!(again.verdict, Verdict::Drop(DropReason::FragmentDuplicate));
    }
    assert_eq!(joined(&lab.process(&fragment(&datagram, 48, 96)).frames), datagram);
}

#[test]
fn fragments_that_contradict_each_other_take_their_packet_with_them() {
    let datagram = datagram(96);
    let mut lab = lab();
    lab.process(&fragment(&datagram, 48, 96));
    let beyond = self::datagram(200);
    let verdict = lab.process(&fragment(&beyond, 96, 120)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::FragmentMismatch));
    // RFC 3168 §5.3: fragments with and without ECN.
    lab.process(&fragment(&datagram, 0, 48));
    let mut marked = fragment(&datagram, 48, 96);
    marked[15] |= 2;
    marked[24..26].fill(0);
    let checksum = reference_checksum(&marked[14..34]);
    marked[24..26].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(lab.process(&marked).verdict, Verdict::Drop(DropReason::FragmentMismatch));
}

#[test]
fn fragments_wait_thirty_seconds() {
    let mut lab = lab();
    let datagram = datagram(96);
    lab.process(&fragment(&datagram, 0, 48));
    lab.wait_ms(29_999);
    assert_eq!(lab.engine.statistics().fragments.waiting, 1);
    lab.wait_ms(2);
    let statistics = lab.engine.statistics().fragments;
    assert_eq!((statistics.waiting, statistics.expired.0), (0, 1));
    assert_eq!(lab.process(&fragment(&datagram, 48, 96)).verdict, Verdict::Hold);
}

#[test]
fn where_there_is_no_room_the_oldest_goes() {
    let limits = Limits { connections: 64, events: 64, fragment_octets: 4 * 2048 };
    let mut lab = Lab::with_limits(limits, &udp_service(VIP, "10.0.0.11"));
    let datagram = datagram(96);
    for id in 0..10_u8 {
        let mut first = fragment(&datagram, 0, 48);
        first[19] = id;
        first[24..26].fill(0);
        let checksum = reference_checksum(&first[14..34]);
        first[24..26].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(lab.process(&first).verdict, Verdict::Hold);
    }
    let statistics = lab.engine.statistics().fragments;
    assert_eq!((statistics.waiting, statistics.evicted.0), (2, 8));
    // One packet alone cannot have more than there is.
    let long = self::datagram(60_000);
    let verdicts: Vec<_> = (0..8)
        .map(|part| lab.process(&fragment(&long, part * 1480, (part + 1) * 1480)).verdict)
        .collect();
    assert!(verdicts.contains(&Verdict::Drop(DropReason::FragmentLimit)));
}

#[test]
fn fragments_to_others_pass() {
    let mut lab = lab();
    let datagram = datagram(96);
    let passed = lab.process(&fragment_to("198.51.100.77", &datagram, 0, 48));
    assert_eq!(passed.verdict, Verdict::Pass(PassReason::Fragment));
    // To a port no service has: judged as a whole, then left alone.
    let mut other = datagram.clone();
    other[3] = 99;
    lab.process(&fragment(&other, 0, 48));
    let verdict = lab.process(&fragment(&other, 48, 96)).verdict;
    assert_eq!(verdict, Verdict::Pass(PassReason::NoService));
}

#[test]
fn ipv6_fragments_leave_as_they_came() {
    for options in [false, true] {
        let mut lab = Lab::new(&udp_service(VIP6, "2001:db8:1::11"));
        let datagram = datagram(1408);
        let held = lab.process(&fragment6(&datagram, 1000, 1408, options));
        assert_eq!(held.verdict, Verdict::Hold);
        let whole = lab.process(&fragment6(&datagram, 0, 1000, options));
        assert!(matches!(whole.verdict, Verdict::ForwardFragments { .. }), "{:?}", whole.verdict);
        let mut payload: Vec<u8> = Vec::new();
        for (frame, length) in whole.frames.iter().zip([1000, 408]) {
            assert_eq!((frame[20], frame[21]), (44, 63));
            assert_eq!(frame[58..62], whole.frames[0][58..62], "one identification");
            let field = u16::from_be_bytes([frame[56], frame[57]]);
            assert_eq!(usize::from(field & !7), payload.len());
            let options = if options && payload.is_empty() { 8 } else { 0 };
            assert_eq!(frame.len() - 62, length + options);
            payload.extend(&frame[62..]);
        }
        assert_eq!(payload[if options { 8 } else { 0 }..], datagram);
    }
}

#[test]
fn ipv6_fragments_are_counted_in_eights() {
    let mut lab = Lab::new(&udp_service(VIP6, "2001:db8:1::11"));
    let datagram = datagram(1408);
    let verdict = lab.process(&fragment6(&datagram, 0, 1001, false)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::BadLength));
}

#[test]
fn fragments_too_long_for_the_way_are_answered() {
    let mut lab = Lab::new(&udp_service(VIP6, "2001:db8:1::11"));
    let datagram = datagram(3000);
    lab.process(&fragment6(&datagram, 0, 1600, false));
    let whole = lab.process(&fragment6(&datagram, 1600, 3000, false));
    let reason = engine::verdict::ReplyReason::TooBig;
    assert_eq!(whole.verdict, Verdict::Reply(reason));
}

#[test]
fn dont_fragment_holds_for_the_whole() {
    let mut lab = lab();
    let datagram = datagram(2000);
    for (from, to) in [(0, 1480), (1480, 2000)] {
        let mut ip = Ip::new(CLIENT, VIP);
        let more = if to < 2000 { MORE } else { 0 };
        ip.flags = u16::try_from(from / 8).unwrap() | more | DONT;
        let outcome = lab.process(&ip.frame(17, &datagram[from..to]));
        if to == 2000 {
            // IPVS: the whole has DF and is longer than the way takes.
            let reason = engine::verdict::ReplyReason::TooBig;
            assert_eq!(outcome.verdict, Verdict::Reply(reason));
        }
    }
}
