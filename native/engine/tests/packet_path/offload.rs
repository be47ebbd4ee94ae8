//! What senders leave to the device: it is still right when the frame leaves, or done.

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerName, ServerKey, ServerSpec, Tunnel,
    TunnelChecksum, TunnelKind,
};
use engine::frame::{ChecksumState, FrameMeta, PartialChecksum, Segmentation};
use engine::verdict::{DropReason, ReplyReason, Verdict};

use crate::crc32c::crc32c;
use crate::lab::decapsulate::decapsulate;
use crate::lab::frames::{
    ACK, Ip, SYN, pseudo_header, reference_checksum, sctp_packet, tcp, tcp_segment, udp_datagram,
};
use crate::lab::{
    CLIENT_SIDE, Lab, PORT, VIP, VIP6, address, key, server, server_spec, service, sloppy_tcp, way,
};

const CLIENT: &str = "203.0.113.9";
const CLIENT6: &str = "2001:db8:c::9";
/// SCTP's INIT.
const INIT: u8 = 1;
/// Data of an SCTP packet that makes a bad Internet checksum of a good CRC32c.
const INIT_CHUNK: [u8; 20] = [INIT, 0, 0, 20, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 7];

/// A director that has one server for `protocol` at `vip`, which is spoken to at port 8080 where it
/// is masqueraded.
fn lab(protocol: Protocol, vip: &str, method: ForwardingMethod) -> Lab {
    let key = key(protocol, vip);
    let at = if vip == VIP { "10.0.0.11" } else { "2001:db8:1::11" };
    let port = (method == ForwardingMethod::Masquerading).then_some(8080);
    let gre = Tunnel { kind: TunnelKind::Gre, port: None, checksum: TunnelChecksum::Nocsum };
    let server = ServerSpec {
        key: ServerKey { address: address(at), port },
        forwarding: method,
        tunnel: (method == ForwardingMethod::Tunnelling).then_some(gre),
        ..server_spec(at, 1)
    };
    let service = service(key, SchedulerName::Rr, &[]);
    let add = [Command::AddService { service }, Command::AddServer { service: key, server }];
    let mut lab = Lab::new(&[&add[..], &[sloppy_tcp()]].concat());
    lab.ways.1 = Some(address(if vip == VIP { "10.0.0.1" } else { "2001:db8:1::1" }));
    lab
}

const METHODS: [ForwardingMethod; 3] =
    [ForwardingMethod::DirectRouting, ForwardingMethod::Masquerading, ForwardingMethod::Tunnelling];

/// The frame as a sender with offload hands it over, and what the port says of it.
fn open(mut frame: Vec<u8>) -> (Vec<u8>, FrameMeta) {
    let checksum = ChecksumState::left_to_device(&frame);
    let ChecksumState::Partial(place) = checksum else { panic!("a transport with a checksum") };
    let at = usize::from(place.start + place.offset);
    // SCTP has no pseudo header.
    if place.offset != 8 {
        let sum = !reference_checksum(&pseudo_header(&frame[14..]));
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    (frame, FrameMeta { checksum, ..FrameMeta::plain(CLIENT_SIDE) })
}

/// The IP packet that reaches the server.
fn arrived(frame: &[u8], method: ForwardingMethod) -> Vec<u8> {
    match method {
        ForwardingMethod::Tunnelling => decapsulate(frame).packet,
        _ => frame[14..].to_vec(),
    }
}

/// Does what the device does that sends the packet: sums up what was left to it.
fn complete(packet: &mut [u8], left: ChecksumState) {
    let ChecksumState::Partial(place) = left else { panic!("nothing is left") };
    let start = usize::from(place.start) - 14;
    let at = start + usize::from(place.offset);
    let sum = reference_checksum(&packet[start..]);
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn ends(vip: &str) -> (Ip, usize) {
    if vip == VIP { (Ip::new(CLIENT, VIP), 20) } else { (Ip::new(CLIENT6, VIP6), 40) }
}

#[test]
fn a_crc32c_left_open_is_there_when_the_frame_leaves() {
    for (vip, method) in [VIP, VIP6].into_iter().flat_map(|vip| METHODS.map(|method| (vip, method)))
    {
        let mut lab = lab(Protocol::Sctp, vip, method);
        let (ip, header) = ends(vip);
        let packet = [&sctp_packet(40000, PORT, INIT)[..12], &INIT_CHUNK].concat();
        let (frame, meta) = open(ip.frame(132, &packet));
        let outcome = lab.process_with(&frame, &meta);
        server(&outcome);
        assert_eq!(outcome.left, ChecksumState::Complete, "{vip} {method:?}");
        let packet = arrived(&outcome.frames[0], method);
        let said = u32::from_le_bytes(packet[header + 8..header + 12].try_into().unwrap());
        assert_eq!(said, crc32c(&packet[header..]), "{vip} {method:?}");
    }
}

#[test]
fn other_checksums_stay_open_and_right_or_are_completed() {
    for (vip, method) in [VIP, VIP6].into_iter().flat_map(|vip| METHODS.map(|method| (vip, method)))
    {
        let (ip, header) = ends(vip);
        for (protocol, transport) in [
            (Protocol::Tcp, tcp_segment(40000, PORT, SYN, &[0x5a; 33])),
            (Protocol::Udp, udp_datagram(40000, PORT, &[0x5a; 33])),
        ] {
            let mut lab = lab(protocol, vip, method);
            let (frame, meta) = open(ip.frame(protocol.number(), &transport));
            let outcome = lab.process_with(&frame, &meta);
            server(&outcome);
            let mut packet = arrived(&outcome.frames[0], method);
            if method == ForwardingMethod::Tunnelling {
                assert_eq!(outcome.left, ChecksumState::Complete);
            } else {
                assert_eq!(outcome.left, meta.checksum);
                complete(&mut packet, outcome.left);
            }
            let covered = [pseudo_header(&packet), packet[header..].to_vec()].concat();
            assert_eq!(reference_checksum(&covered), 0, "{vip} {method:?} {protocol:?}");
        }
    }
}

/// A datagram that carries another packet's header, whose checksum is left open while its own is
/// there, as the kernel sends VXLAN.
fn open_inside() -> (Vec<u8>, FrameMeta) {
    const INSIDE: usize = 34 + 8 + 8;
    let mut inner = tcp_segment(1, 2, ACK, &[9; 40]);
    // Any seed: what the device makes of it keeps the sum of the datagram.
    inner[16..18].copy_from_slice(&[0x12, 0x34]);
    let mut datagram = udp_datagram(40000, PORT, &[&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat());
    let mut complete = datagram.clone();
    let sum = reference_checksum(&inner);
    complete[16 + 16..16 + 18].copy_from_slice(&sum.to_be_bytes());
    let ip = Ip::new(CLIENT, VIP);
    let covered = [pseudo_header(&ip.packet(17, &complete)), complete].concat();
    datagram[6..8].copy_from_slice(&reference_checksum(&covered).to_be_bytes());
    let place = PartialChecksum { start: u16::try_from(INSIDE).unwrap(), offset: 16 };
    let checksum = ChecksumState::Partial(place);
    (ip.frame(17, &datagram), FrameMeta { checksum, ..FrameMeta::plain(CLIENT_SIDE) })
}

#[test]
fn a_checksum_left_open_inside_a_datagram_leaves_the_datagrams_own_alone() {
    for method in METHODS {
        let (frame, meta) = open_inside();
        let outcome = lab(Protocol::Udp, VIP, method).process_with(&frame, &meta);
        server(&outcome);
        let mut packet = arrived(&outcome.frames[0], method);
        if method == ForwardingMethod::Tunnelling {
            assert_eq!(outcome.left, ChecksumState::Complete);
        } else {
            assert_eq!(outcome.left, meta.checksum);
            complete(&mut packet, outcome.left);
        }
        let covered = [pseudo_header(&packet), packet[20..].to_vec()].concat();
        assert_eq!(reference_checksum(&covered), 0, "{method:?}");
    }
}

#[test]
fn a_datagram_without_checksum_gets_one_of_all_that_will_be_inside() {
    let (mut frame, meta) = open_inside();
    frame[40..42].fill(0);
    let mut lab = lab(Protocol::Udp, VIP, ForwardingMethod::Masquerading);
    let outcome = lab.process_with(&frame, &meta);
    server(&outcome);
    assert_eq!(outcome.left, ChecksumState::Complete);
    let packet = &outcome.frames[0][14..];
    let covered = [pseudo_header(packet), packet[20..].to_vec()].concat();
    assert_eq!(reference_checksum(&covered), 0);
    let mut inside = frame[50..].to_vec();
    let sum = reference_checksum(&inside);
    inside[16..18].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(packet[36..], inside);
}

#[test]
fn what_no_device_can_do_is_dropped_with_a_reason() {
    let frame = |protocol: Protocol| {
        let transport = match protocol {
            Protocol::Tcp => tcp_segment(40000, PORT, SYN, &[1; 60]),
            Protocol::Udp => udp_datagram(40000, PORT, &[1; 60]),
            Protocol::Sctp => [&sctp_packet(40000, PORT, INIT)[..12], &INIT_CHUNK].concat(),
        };
        Ip::new(CLIENT, VIP).frame(protocol.number(), &transport)
    };
    for (protocol, start, offset) in [
        (Protocol::Tcp, 34, 6),
        (Protocol::Tcp, 54, 16),
        (Protocol::Tcp, 20, 16),
        (Protocol::Udp, 34, 16),
        (Protocol::Udp, 41, 6),
        (Protocol::Udp, 42, 59),
        (Protocol::Udp, 60_000, 16),
        (Protocol::Udp, 42, u16::MAX),
        (Protocol::Sctp, 34, 6),
        (Protocol::Sctp, 0, 8),
    ] {
        for method in METHODS {
            let checksum = ChecksumState::Partial(PartialChecksum { start, offset });
            let meta = FrameMeta { checksum, ..FrameMeta::plain(CLIENT_SIDE) };
            let verdict = lab(protocol, VIP, method).process_with(&frame(protocol), &meta).verdict;
            let expected = Verdict::Drop(DropReason::BadOffload);
            assert_eq!(verdict, expected, "{protocol:?} {start} {offset} {method:?}");
        }
    }
    for (protocol, segment_size) in [(Protocol::Tcp, 0), (Protocol::Udp, 0), (Protocol::Sctp, 10)] {
        for method in METHODS {
            let segmentation = Some(Segmentation { segment_size, header_length: 54 });
            let meta = FrameMeta { segmentation, ..FrameMeta::plain(CLIENT_SIDE) };
            let verdict = lab(protocol, VIP, method).process_with(&frame(protocol), &meta).verdict;
            assert_eq!(verdict, Verdict::Drop(DropReason::BadSegmentation), "{protocol:?}");
        }
    }
    let (frame, meta) = open_inside();
    let segmentation = Some(Segmentation { segment_size: 20, header_length: 54 });
    let meta = FrameMeta { segmentation, ..meta };
    let mut lab = lab(Protocol::Udp, VIP, ForwardingMethod::DirectRouting);
    let verdict = lab.process_with(&frame, &meta).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::BadSegmentation), "segments of an inner packet");
}

#[test]
fn the_last_octets_inside_a_datagram_may_be_left_open() {
    let frame = Ip::new(CLIENT, VIP).frame(17, &udp_datagram(40000, PORT, &[1; 60]));
    let place = PartialChecksum { start: 42, offset: 58 };
    let meta =
        FrameMeta { checksum: ChecksumState::Partial(place), ..FrameMeta::plain(CLIENT_SIDE) };
    let mut lab = lab(Protocol::Udp, VIP, ForwardingMethod::DirectRouting);
    server(&lab.process_with(&frame, &meta));
}

#[test]
fn fragments_of_a_partial_checksum_carry_a_whole_one() {
    let mut lab = lab(Protocol::Udp, VIP, ForwardingMethod::DirectRouting);
    lab.ways = way(600);
    let mut ip = Ip::new(CLIENT, VIP);
    ip.flags = 0;
    let mut datagram = udp_datagram(40000, PORT, &[0x5a; 1000]);
    let mut pseudo = vec![203, 0, 113, 9, 198, 51, 100, 1, 0, 17];
    pseudo.extend(u16::try_from(datagram.len()).unwrap().to_be_bytes());
    let partial = !reference_checksum(&pseudo);
    datagram[6..8].copy_from_slice(&partial.to_be_bytes());
    let frame = ip.frame(17, &datagram);
    let checksum = ChecksumState::left_to_device(&frame);
    let meta = FrameMeta { checksum, ..FrameMeta::plain(CLIENT_SIDE) };
    let outcome = lab.process_with(&frame, &meta);
    let payload: Vec<u8> = outcome.frames.iter().flat_map(|frame| frame[34..].to_vec()).collect();
    assert_eq!(reference_checksum(&[pseudo, payload].concat()), 0);
}

#[test]
fn a_frame_of_many_segments_is_one_packet_and_fits_by_its_segments() {
    let mut lab = lab(Protocol::Tcp, VIP, ForwardingMethod::DirectRouting);
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    let segment = tcp_segment(40000, PORT, ACK, &[0; 20_000]);
    let frame = Ip::new(CLIENT, VIP).frame(6, &segment);
    let meta = |segment_size| FrameMeta {
        segmentation: Some(Segmentation { segment_size, header_length: 54 }),
        checksum: ChecksumState::left_to_device(&frame),
        ..FrameMeta::plain(CLIENT_SIDE)
    };
    assert_eq!(lab.process_with(&frame, &meta(1460)).frames[0].len(), frame.len());
    let verdict = lab.process_with(&frame, &meta(1461)).verdict;
    assert_eq!(verdict, Verdict::Reply(ReplyReason::TooBig));
}
