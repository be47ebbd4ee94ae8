//! ICMP errors about packets the director wrapped: the client is told, in its own family's words.

use engine::command::{Command, Protocol, TunnelChecksum, TunnelKind};
use engine::verdict::{ReplyReason, Verdict};

use crate::lab::frames::{ACK, DF, Ip, pseudo_header, reference_checksum, tcp_segment};
use crate::lab::{Lab, PORT, VIP6, address, key};
use crate::tunnel::{CLIENT, CLIENT6, SHAPES, ip, lab};

type Shape = (TunnelKind, TunnelChecksum);

const TOO_BIG_V4: [u8; 2] = [3, 4];
const TOO_BIG_V6: [u8; 2] = [2, 0];

/// The packet that leaves for a client's segment that may not be fragmented.
fn wrapped(lab: &mut Lab, inner_is_ipv4: bool) -> Vec<u8> {
    let data = [7; 600];
    let segment = Ip { flags: DF, ..ip(inner_is_ipv4) };
    let frame = segment.frame(6, &tcp_segment(40_000, PORT, ACK, &data));
    let mut outcome = lab.process(&frame);
    assert!(matches!(outcome.verdict, Verdict::Encapsulate { .. }), "{:?}", outcome.verdict);
    outcome.frames.remove(0).split_off(14)
}

/// An error of a router on the way, about `packet`: type, code and the header's second word.
fn error_about(packet: &[u8], [kind, code]: [u8; 2], word: u32, intact: bool) -> Vec<u8> {
    let is_ipv4 = packet[0] >> 4 == 4;
    let (router, own) = match is_ipv4 {
        true => (Ip::new("10.0.0.254", "10.0.0.1"), 1),
        false => (Ip::new("2001:db8:1::fe", "2001:db8:1::1"), 58),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(word.to_be_bytes());
    message.extend(&packet[..packet.len().min(500)]);
    let pseudo = if is_ipv4 { Vec::new() } else { pseudo_header(&router.packet(own, &message)) };
    let sum = reference_checksum(&[pseudo, message.clone()].concat());
    message[2..4].copy_from_slice(&(if intact { sum } else { !sum }).to_be_bytes());
    router.frame(own, &message)
}

/// Type, code and second word of the ICMP error in a frame, which is intact and to the client.
fn told(frame: &[u8], to_ipv4: bool) -> ([u8; 2], u32) {
    assert_eq!(frame[12..14], if to_ipv4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    let (header, client) = if to_ipv4 { (20, CLIENT) } else { (40, CLIENT6) };
    let packet = &frame[14..];
    let message = &packet[header..];
    let at = header - if to_ipv4 { 4 } else { 16 };
    let destination = match address(client) {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    };
    assert_eq!(packet[at..header], destination);
    let pseudo = if to_ipv4 { Vec::new() } else { pseudo_header(packet) };
    assert_eq!(reference_checksum(&[pseudo, message.to_vec()].concat()), 0);
    let word = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
    ([message[0], message[1]], word)
}

fn every_pair(check: impl Fn(Shape, bool, bool)) {
    for shape in SHAPES {
        for (inner, outer) in [(true, true), (true, false), (false, true), (false, false)] {
            check(shape, inner, outer);
        }
    }
}

fn too_big(is_ipv4: bool) -> [u8; 2] {
    if is_ipv4 { TOO_BIG_V4 } else { TOO_BIG_V6 }
}

#[test]
fn the_client_is_told_of_an_mtu_what_is_left_inside() {
    every_pair(|shape, inner, outer| {
        let mut lab = lab(shape, outer, 1500);
        let packet = wrapped(&mut lab, inner);
        let overhead = u32::try_from(crate::tunnel::overhead(shape, outer)).expect("small");
        let outcome = lab.process(&error_about(&packet, too_big(outer), 1400, true));
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Relayed), "{shape:?} {outer}");
        assert_eq!(told(&outcome.frames[0], inner), (too_big(inner), 1400 - overhead));
    });
}

#[test]
fn the_family_of_the_outside_needs_no_services() {
    let mut lab = lab(SHAPES[0], false, 1500);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        lab.apply(&[Command::RemoveService { service: key(protocol, VIP6) }]);
    }
    let packet = wrapped(&mut lab, true);
    let outcome = lab.process(&error_about(&packet, TOO_BIG_V6, 1400, true));
    assert_eq!(told(&outcome.frames[0], true), (TOO_BIG_V4, 1360));
}

#[test]
fn an_ipv6_client_is_never_told_less_than_every_path_takes() {
    for outer in [true, false] {
        let mut lab = lab(SHAPES[0], outer, 1500);
        let packet = wrapped(&mut lab, false);
        let outcome = lab.process(&error_about(&packet, too_big(outer), 1290, true));
        assert_eq!(told(&outcome.frames[0], false), (TOO_BIG_V6, 1280));
    }
}

#[test]
fn other_errors_are_told_as_an_unreachable_server_and_between_ipv4_as_they_are() {
    every_pair(|shape, inner, outer| {
        let mut lab = lab(shape, outer, 1500);
        let packet = wrapped(&mut lab, inner);
        let exceeded = if outer { [11, 0] } else { [3, 0] };
        let outcome = lab.process(&error_about(&packet, exceeded, 0, true));
        let expected = match (inner, outer) {
            (true, true) => [11, 0],
            (true, false) => [3, 1],
            (false, _) => [1, 3],
        };
        assert_eq!(told(&outcome.frames[0], inner), (expected, 0));
    });
}

#[test]
fn errors_that_are_damaged_or_about_nothing_of_ours_are_left_to_the_host() {
    every_pair(|shape, inner, outer| {
        let mut lab = lab(shape, outer, 1500);
        let packet = wrapped(&mut lab, inner);
        let damaged = error_about(&packet, too_big(outer), 1400, false);
        let mut elsewhere = packet.clone();
        let last_of_destination = if outer { 19 } else { 39 };
        elsewhere[last_of_destination] ^= 1;
        let elsewhere = error_about(&elsewhere, too_big(outer), 1400, true);
        let no_mtu = error_about(&packet, too_big(outer), 0, true);
        let nothing_left = error_about(&packet, too_big(outer), 80, true);
        for frame in [damaged, elsewhere, no_mtu, nothing_left] {
            let outcome = lab.process(&frame);
            assert!(matches!(outcome.verdict, Verdict::Pass(_)), "{:?}", outcome.verdict);
            assert!(outcome.frames.is_empty());
        }
    });
}
