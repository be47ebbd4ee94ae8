//! Tunnels: whatever goes in comes out at the far end, and the outside is right.

use std::net::IpAddr;

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerName, ServerSpec, SettingsPatch, Tunnel,
    TunnelChecksum, TunnelKind,
};
use engine::frame::{ChecksumState, FrameMeta, Segmentation};
use engine::hop::{Hop, NextHop};
use engine::verdict::{DropReason, ReplyReason, Verdict};
use proptest::prelude::*;

use crate::lab::decapsulate::{Arrived, decapsulate};
use crate::lab::frames::{ACK, Ip, pseudo_header, reference_checksum, tcp_segment, udp_datagram};
use crate::lab::{
    CLIENT_SIDE, EGRESS_MAC, Lab, PORT, ROUTER_MAC, SERVER_SIDE, VIP, VIP6, Ways, address, key,
    server_spec, service, settings, sloppy_tcp,
};

pub(crate) const CLIENT: &str = "203.0.113.9";
pub(crate) const CLIENT6: &str = "2001:db8:c::9";

pub(crate) const SHAPES: [(TunnelKind, TunnelChecksum); 6] = [
    (TunnelKind::Ipip, TunnelChecksum::Nocsum),
    (TunnelKind::Gre, TunnelChecksum::Nocsum),
    (TunnelKind::Gre, TunnelChecksum::Csum),
    (TunnelKind::Gue, TunnelChecksum::Nocsum),
    (TunnelKind::Gue, TunnelChecksum::Csum),
    (TunnelKind::Gue, TunnelChecksum::Remcsum),
];

fn tunnel((kind, checksum): (TunnelKind, TunnelChecksum)) -> Tunnel {
    Tunnel { kind, port: (kind == TunnelKind::Gue).then_some(6080), checksum }
}

pub(crate) fn overhead(shape: (TunnelKind, TunnelChecksum), outer_is_ipv4: bool) -> usize {
    let ip = if outer_is_ipv4 { 20 } else { 40 };
    ip + match shape {
        (TunnelKind::Ipip, _) => 0,
        (TunnelKind::Gre, TunnelChecksum::Csum) => 8,
        (TunnelKind::Gre, _) => 4,
        (TunnelKind::Gue, _) => 12,
    }
}

/// A director whose TCP and UDP services, of both families, have one server behind a tunnel.
pub(crate) fn lab(shape: (TunnelKind, TunnelChecksum), outer_is_ipv4: bool, mtu: u32) -> Lab {
    let at = if outer_is_ipv4 { "10.0.0.11" } else { "2001:db8:1::11" };
    let mut lab = Lab::new(&[sloppy_tcp()]);
    for (protocol, vip) in
        [(Protocol::Tcp, VIP), (Protocol::Udp, VIP), (Protocol::Tcp, VIP6), (Protocol::Udp, VIP6)]
    {
        let key = key(protocol, vip);
        let server = ServerSpec {
            forwarding: ForwardingMethod::Tunnelling,
            tunnel: Some(tunnel(shape)),
            ..server_spec(at, 1)
        };
        lab.apply(&[
            Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
            Command::AddServer { service: key, server },
        ]);
    }
    lab.ways = ways(mtu, Some(if outer_is_ipv4 { "10.0.0.1" } else { "2001:db8:1::1" }));
    lab
}

pub(crate) fn ways(mtu: u32, source: Option<&str>) -> Ways {
    let hop = NextHop { interface: SERVER_SIDE, mtu, source: EGRESS_MAC, destination: ROUTER_MAC };
    Ways(Some(Hop::Ready(hop)), source.map(address), None)
}

pub(crate) fn ip(is_ipv4: bool) -> Ip {
    if is_ipv4 { Ip::new(CLIENT, VIP) } else { Ip::new(CLIENT6, VIP6) }
}

/// The packet of a frame, as it is one hop later.
pub(crate) fn aged(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame[14..].to_vec();
    if packet[0] >> 4 == 4 {
        packet[8] -= 1;
        packet[10..12].fill(0);
        let header = usize::from(packet[0] & 15) * 4;
        let checksum = reference_checksum(&packet[..header]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        packet[7] -= 1;
    }
    packet
}

/// Leaves the transport checksum at `at` of a packet open, as a sender with offload does.
fn open_checksum(packet: &mut [u8], header: usize, at: usize) {
    let sum = !reference_checksum(&pseudo_header(packet));
    packet[header + at..header + at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn transport_is_right(packet: &[u8]) -> bool {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
    reference_checksum(&[&pseudo_header(packet), &packet[header..]].concat()) == 0
}

/// The packet in each frame that left; fragments of the outside are put together.
fn arrived(frames: &[Vec<u8>]) -> Vec<Arrived> {
    frames.iter().map(|frame| decapsulate(frame)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_packet_comes_out_one_hop_older(
        shape in prop::sample::select(SHAPES.to_vec()),
        (inner, outer) in any::<(bool, bool)>(),
        data in prop::collection::vec(any::<u8>(), 0..1380),
        (hop_limit, class) in (2_u8.., any::<u8>()),
        partial in any::<bool>(),
    ) {
        let mut frame = {
            let mut ip = ip(inner);
            ip.hop_limit = hop_limit;
            ip.frame(17, &udp_datagram(40000, PORT, &data))
        };
        set_class(&mut frame, class);
        let header = if inner { 34 } else { 54 };
        if partial {
            open_checksum(&mut frame[14..], header - 14, 6);
        }
        let checksum = if partial { ChecksumState::left_to_device(&frame) } else { ChecksumState::Complete };
        let meta = FrameMeta { checksum, ..FrameMeta::plain(CLIENT_SIDE) };
        let outcome = lab(shape, outer, 1500).process_with(&frame, &meta);
        prop_assert!(matches!(outcome.verdict, Verdict::Encapsulate { .. }), "{:?}", outcome.verdict);
        let arrived = decapsulate(&outcome.frames[0]);
        prop_assert_eq!(arrived.outer.hop_limit, hop_limit - 1);
        let congested = class & 3 == 3;
        prop_assert_eq!(arrived.outer.traffic_class, if congested { class & 0xfe } else { class });
        let mut expected = aged(&frame);
        if partial {
            prop_assert!(transport_is_right(&arrived.packet));
            let at = header - 14 + 6;
            expected[at..at + 2].copy_from_slice(&arrived.packet[at..at + 2]);
        }
        prop_assert_eq!(&arrived.packet, &expected);
        let remote = partial && shape.1 == TunnelChecksum::Remcsum;
        prop_assert_eq!(arrived.remote_checksum.is_some(), remote);
        let with_checksum = arrived.udp.map(|(_, checksum)| checksum != 0);
        let wanted = (shape.0 == TunnelKind::Gue).then_some(shape.1 != TunnelChecksum::Nocsum);
        prop_assert_eq!(with_checksum, wanted);
    }

    #[test]
    fn frames_for_several_segments_come_out_as_those(
        shape in prop::sample::select(SHAPES.to_vec()),
        (inner, outer, last_flags) in any::<(bool, bool, bool)>(),
        data in prop::collection::vec(any::<u8>(), 1..9000),
        segment_size in 200_u16..1380,
        tcp in any::<bool>(),
    ) {
        let flags = ACK | if last_flags { 0x89 } else { 0 };
        let transport =
            if tcp { tcp_segment(40000, PORT, flags, &data) } else { udp_datagram(40000, PORT, &data) };
        let mut frame = ip(inner).frame(if tcp { 6 } else { 17 }, &transport);
        let header = if inner { 20 } else { 40 };
        open_checksum(&mut frame[14..], header, if tcp { 16 } else { 6 });
        let transport_header = if tcp { 20 } else { 8 };
        let meta = FrameMeta {
            checksum: ChecksumState::left_to_device(&frame),
            segmentation: Some(Segmentation { segment_size, header_length: 0 }),
            ..FrameMeta::plain(CLIENT_SIDE)
        };
        let outcome = lab(shape, outer, 1500).process_with(&frame, &meta);
        let count = data.len().div_ceil(usize::from(segment_size));
        prop_assert_eq!(outcome.frames.len(), count);
        let mut joined = Vec::<u8>::new();
        for (number, arrived) in arrived(&outcome.frames).iter().enumerate() {
            let packet = &arrived.packet;
            prop_assert!(arrived.outer.length <= 1500);
            prop_assert!(transport_is_right(packet));
            if inner {
                prop_assert_eq!(reference_checksum(&packet[..20]), 0);
                prop_assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), 7 + number);
                prop_assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
            }
            if tcp {
                let sequence = u32::from_be_bytes(packet[header + 4..header + 8].try_into().unwrap());
                prop_assert_eq!(sequence as usize, 1 + joined.len());
                let first = if number == 0 { flags & 0x80 } else { 0 };
                let last = if number + 1 == count { flags & 0x09 } else { 0 };
                prop_assert_eq!(packet[header + 13], ACK | first | last);
            }
            joined.extend(&packet[header + transport_header..]);
        }
        prop_assert_eq!(joined, data);
    }

    #[test]
    fn a_flow_keeps_its_source_port_and_flows_are_spread(port in 1024_u16..60000) {
        let mut lab = lab((TunnelKind::Gue, TunnelChecksum::Nocsum), true, 1500);
        let mut port_of = |client_port, data: &[u8]| {
            let frame = ip(true).frame(17, &udp_datagram(client_port, PORT, data));
            decapsulate(&lab.process(&frame).frames[0]).udp.unwrap().0
        };
        let first = port_of(port, b"one");
        prop_assert_eq!(first, port_of(port, b"another"));
        prop_assert!((32_768..61_000).contains(&first));
        let others: std::collections::BTreeSet<_> = (1..9).map(|n| port_of(port + n, b"")).collect();
        prop_assert!(others.len() >= 7);
    }
}

fn set_class(frame: &mut [u8], class: u8) {
    if frame[12] == 0x08 {
        frame[15] = class;
        frame[24..26].fill(0);
        let checksum = reference_checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    } else {
        frame[14] = 0x60 | class >> 4;
        frame[15] = class << 4;
    }
}

/// A UDP frame whose IP packet has `length` octets.
pub(crate) fn of_length(is_ipv4: bool, length: usize, flags: u16) -> Vec<u8> {
    let header = if is_ipv4 { 28 } else { 48 };
    let mut ip = ip(is_ipv4);
    ip.flags = flags;
    ip.frame(17, &udp_datagram(40000, PORT, &vec![7; length - header]))
}

#[test]
fn what_does_not_fit_inside_is_answered_with_what_does() {
    for shape in SHAPES {
        for (inner, outer) in [(true, true), (true, false), (false, true), (false, false)] {
            let room = 1500 - overhead(shape, outer);
            let mut lab = lab(shape, outer, 1500);
            let fits = lab.process(&of_length(inner, room, 0x4000));
            assert_eq!(decapsulate(&fits.frames[0]).outer.length, 1500, "{shape:?}");
            let outcome = lab.process(&of_length(inner, room + 1, 0x4000));
            assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::TooBig), "{shape:?}");
            let error = &outcome.frames[0][if inner { 34 } else { 54 }..];
            let mtu = u32::from_be_bytes(error[4..8].try_into().unwrap());
            assert_eq!((error[0], mtu as usize), (if inner { 3 } else { 2 }, room));
        }
    }
}

#[test]
fn identification_is_zero_where_nobody_fragments_and_new_otherwise() {
    let mut lab = lab(SHAPES[0], true, 1500);
    let mut outer = |flags| decapsulate(&lab.process(&of_length(true, 100, flags)).frames[0]).outer;
    let whole = outer(0x4000);
    assert!(whole.dont_fragment && whole.identification == 0);
    let (first, second) = (outer(0), outer(0));
    assert!(!first.dont_fragment && first.identification != second.identification);
    lab.apply(&[settings(SettingsPatch { pmtu_disc: Some(false), ..SettingsPatch::default() })]);
    let cut = decapsulate(&lab.process(&of_length(true, 100, 0x4000)).frames[0]).outer;
    assert!(!cut.dont_fragment, "pmtu_disc 0");
}

/// The payload of the outside, put together again.
pub(crate) fn reassembled(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let last = number + 1 == frames.len();
        let packet = &frame[14..];
        assert!(packet.len() <= 1500);
        let (offset, more, data) = if packet[0] >> 4 == 4 {
            assert_eq!(reference_checksum(&packet[..20]), 0);
            let field = u16::from_be_bytes([packet[6], packet[7]]);
            (usize::from(field & 0x1fff) * 8, field & 0x2000 != 0, &packet[20..])
        } else {
            assert_eq!(packet[6], 44);
            assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])), packet.len() - 40);
            let field = u16::from_be_bytes([packet[42], packet[43]]);
            (usize::from(field & 0xfff8), field & 1 != 0, &packet[48..])
        };
        assert_eq!((offset, more), (payload.len(), !last));
        payload.extend(data);
    }
    payload
}

#[test]
fn packets_that_may_be_cut_are_cut_on_the_outside() {
    for outer in [true, false] {
        let mut lab = lab(SHAPES[0], outer, 1500);
        let frame = of_length(true, 4000, 0);
        let outcome = lab.process(&frame);
        assert!(matches!(outcome.verdict, Verdict::ForwardFragments { .. }));
        assert_eq!(outcome.frames.len(), 3);
        assert_eq!(reassembled(&outcome.frames), aged(&frame));
        let meta = FrameMeta {
            checksum: ChecksumState::left_to_device(&frame),
            segmentation: Some(Segmentation { segment_size: 1990, header_length: 0 }),
            ..FrameMeta::plain(CLIENT_SIDE)
        };
        let outcome = lab.process_with(&frame, &meta);
        assert_eq!(outcome.frames.len(), 4, "two segments in two pieces each");
        for pieces in outcome.frames.chunks(2) {
            assert!(transport_is_right(&reassembled(pieces)));
        }
    }
}

#[test]
fn ways_without_room_or_address_lose_the_packet_with_a_reason() {
    let frame = of_length(true, 60, 0x4000);
    let verdict = |lab: &mut Lab| lab.process(&frame).verdict;
    let mut narrow = lab(SHAPES[0], false, 1319);
    assert_eq!(verdict(&mut narrow), Verdict::Drop(DropReason::TunnelMtu));
    let mut narrow = lab(SHAPES[0], true, 87);
    assert_eq!(verdict(&mut narrow), Verdict::Drop(DropReason::TunnelMtu));
    let mut nowhere = lab(SHAPES[0], true, 1500);
    for source in [None, Some("2001:db8:1::1")] {
        nowhere.ways = ways(1500, source);
        assert_eq!(verdict(&mut nowhere), Verdict::Drop(DropReason::NoTunnelSource));
    }
}

#[test]
fn segments_nobody_can_make_are_dropped() {
    let mut lab = lab(SHAPES[0], true, 1500);
    for (data, segment_size) in [(&[7; 100][..], 0), (&[], 100), (&[7; 9000], 1)] {
        let frame = ip(true).frame(17, &udp_datagram(40000, PORT, data));
        let segmentation = Some(Segmentation { segment_size, header_length: 0 });
        let meta = FrameMeta { segmentation, ..FrameMeta::plain(CLIENT_SIDE) };
        let outcome = lab.process_with(&frame, &meta);
        assert_eq!(outcome.verdict, Verdict::Drop(DropReason::BadSegmentation));
    }
}

#[test]
fn what_waits_for_a_neighbour_is_wrapped_already() {
    let mut lab = lab(SHAPES[0], true, 1500);
    lab.ways.0 = Some(Hop::Resolving { mtu: 1500 });
    let frame = of_length(true, 100, 0x4000);
    let outcome = lab.process(&frame);
    assert_eq!(decapsulate(&outcome.frames[0]).packet, aged(&frame));
    let source: IpAddr = address("10.0.0.1");
    assert_eq!(lab.ways.1, Some(source));
}

/// What a router between director and server says of a frame: type, code, second word, quote.
fn error_about(frame: &[u8], router: &str, head: [u8; 8], quote: usize) -> Vec<u8> {
    let packet = &frame[14..];
    let mut message = head.to_vec();
    message.extend(&packet[..quote.min(packet.len())]);
    let checksum = reference_checksum(&message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    Ip::new(router, "10.0.0.1").frame(1, &message)
}

const FRAGMENTATION_NEEDED: [u8; 8] = [3, 4, 0, 0, 0, 0, 0x05, 0x14];

#[test]
fn errors_about_the_directors_own_packets_reach_the_client() {
    for shape in SHAPES {
        let mut lab = lab(shape, true, 1500);
        let frame = of_length(true, 1400, 0x4000);
        let wrapped = lab.process(&frame).frames.remove(0);
        let outcome = lab.process(&error_about(&wrapped, "10.0.0.254", FRAGMENTATION_NEEDED, 128));
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Relayed), "{shape:?}");
        let told = &outcome.frames[0][14..];
        assert_eq!(told[12..20], [198, 51, 100, 1, 203, 0, 113, 9]);
        assert_eq!(reference_checksum(&told[20..]), 0);
        let mtu = usize::from(u16::from_be_bytes([told[26], told[27]]));
        assert_eq!((&told[20..22], mtu), (&[3, 4][..], 1300 - overhead(shape, true)));
        let inside = aged(&frame);
        assert_eq!(told[28..], inside[..told.len() - 28]);
        let expired = error_about(&wrapped, "10.0.0.254", [11, 0, 0, 0, 0, 0, 0, 0], 128);
        let outcome = lab.process(&expired);
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Relayed));
        assert_eq!(outcome.frames[0][34..36], [11, 0]);
    }
}

#[test]
fn errors_that_say_nothing_to_the_client_or_are_not_ours_are_left_to_the_host() {
    let mut lab = lab(SHAPES[0], true, 1500);
    let wrapped = lab.process(&of_length(true, 1400, 0)).frames.remove(0);
    let mut verdict = |frame: &[u8], head, quote| {
        lab.process(&error_about(frame, "10.0.0.254", head, quote)).verdict
    };
    let is_left = |verdict| matches!(verdict, Verdict::Pass(_));
    assert!(is_left(verdict(&wrapped, FRAGMENTATION_NEEDED, 128)), "the client does without");
    let mut other = wrapped.clone();
    other[14 + 19] = 99;
    assert!(is_left(verdict(&other, [11, 0, 0, 0, 0, 0, 0, 0], 128)), "another server");
    assert!(is_left(verdict(&wrapped, [11, 0, 0, 0, 0, 0, 0, 0], 42)), "cut before the ports");
    let mut foreign = wrapped;
    foreign[14 + 15] = 77;
    assert!(is_left(verdict(&foreign, [11, 0, 0, 0, 0, 0, 0, 0], 128)), "another source");
}
