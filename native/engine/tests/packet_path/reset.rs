//! Resets to mid-stream segments of no connection, where a director is asked for them.

use engine::command::{Protocol, SettingsPatch};
use engine::verdict::{DropReason, PassReason, ReplyReason, Verdict};
use wire::tcp;

use crate::lab::frames::{ACK, FIN, RST, SYN, sctp, udp};
use crate::lab::sent::{Sent, Shape, plain};
use crate::lab::{DIRECTOR_MAC, Lab, PORT, ROUTER_MAC, VIP, VIP6, address, one_server, settings};

const CLIENTS: [&str; 2] = ["203.0.113.9", "2001:db8:c::9"];
const VIPS: [&str; 2] = [VIP, VIP6];
const PSH: u8 = 8;

/// A director of one server for each protocol and family; it resets where asked to.
fn lab(patch: SettingsPatch) -> Lab {
    let mut lab = Lab::new(&[settings(patch)]);
    for (vip, server) in VIPS.into_iter().zip(["10.0.0.11", "2001:db8:1::11"]) {
        lab.apply(&one_server(Protocol::Tcp, vip, server));
    }
    lab.apply(&one_server(Protocol::Sctp, VIP, "10.0.0.11"));
    lab
}

fn resetting() -> SettingsPatch {
    SettingsPatch { reset_midstream: Some(true), ..SettingsPatch::default() }
}

/// A segment with these numbers.
fn segment(family: usize, flags: u8, (sequence, acknowledgment): (u32, u32)) -> Sent {
    let shape = Shape { extension: 7, class: 0x2b, ..plain(flags) };
    let mut sent = shape.sent((CLIENTS[family], 40_000), (VIPS[family], PORT));
    let at = sent.ip.l4 + 4;
    sent.write(at..at + 4, &sequence.to_be_bytes());
    sent.write(at + 4..at + 8, &acknowledgment.to_be_bytes());
    sent
}

/// What a reset says: flags, sequence, acknowledgment. All else of it is checked.
fn reset(sent: &Sent, lab: &mut Lab) -> (u8, u32, u32) {
    let outcome = sent.through(lab);
    assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::TcpReset));
    assert_eq!(outcome.frames.len(), 1);
    let answer = Sent::new(outcome.frames[0].clone());
    assert_eq!(answer.octets[..12], [ROUTER_MAC.0, DIRECTOR_MAC.0].concat());
    let (source, destination) = (answer.ip.source, answer.ip.destination);
    assert_eq!((source, destination), (sent.ip.destination, sent.ip.source));
    assert_eq!(answer.checksum(), answer.reference());
    assert_eq!(answer.ip.upper.ports(), Some((PORT, 40_000)));
    assert_eq!((answer.ip.hop_limit, answer.ip.end), (64, answer.octets.len()));
    let header = tcp::Packet::new_checked(&answer.octets[answer.ip.l4..]).unwrap();
    assert_eq!((header.header_len(), header.payload()), (20, &[][..]));
    (header.flags().0, header.sequence(), header.acknowledgment())
}

#[test]
fn a_midstream_segment_is_reset_as_its_host_would() {
    let mut lab = lab(resetting());
    for family in [0, 1] {
        // In the sequence it acknowledges (RFC 9293 §3.10.7.1).
        for flags in [ACK, ACK | PSH, ACK | FIN] {
            let sent = segment(family, flags, (77, 0xffff_ff00));
            assert_eq!(reset(&sent, &mut lab), (RST, 0xffff_ff00, 0));
        }
        // Or else acknowledging all of it: 33 octets of data, and the FIN.
        for (flags, length) in [(PSH, 33), (0, 33), (FIN, 34)] {
            let sent = segment(family, flags, (0xffff_fff0, 9));
            let acknowledged = 0xffff_fff0_u32.wrapping_add(length);
            assert_eq!(reset(&sent, &mut lab), (RST | ACK, 0, acknowledged));
        }
    }
    let counted = lab.engine.statistics().replied;
    let resets = counted.iter().find(|counter| counter.name == "tcp-reset").unwrap();
    assert_eq!(resets.count.0, 12);
}

#[test]
fn nothing_else_is_reset() {
    let midstream = segment(0, ACK, (1, 1));
    let passes = Verdict::Pass(PassReason::TcpNotFirst);
    // Not without being asked to.
    assert_eq!(midstream.through(&mut lab(SettingsPatch::default())).verdict, passes);
    let mut lab = lab(resetting());
    for family in [0, 1] {
        for flags in [RST, RST | ACK, RST | FIN] {
            assert_eq!(segment(family, flags, (1, 1)).through(&mut lab).verdict, passes);
        }
        // What begins a connection, and what belongs to one.
        for flags in [SYN, ACK, FIN | ACK] {
            let verdict = segment(family, flags, (1, 1)).through(&mut lab).verdict;
            assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
        }
    }
    // Nothing to an address or a port without a service, nothing of another protocol.
    let elsewhere = plain(ACK).sent((CLIENTS[0], 1), ("198.51.100.77", PORT));
    assert_eq!(elsewhere.through(&mut lab).verdict, Verdict::Pass(PassReason::NoService));
    let elsewhere = plain(ACK).sent((CLIENTS[0], 1), (VIP, PORT + 1));
    assert_eq!(elsewhere.through(&mut lab).verdict, Verdict::Pass(PassReason::NoService));
    let datagram = udp(CLIENTS[0], 1, VIP, b"");
    assert_eq!(lab.process(&datagram).verdict, Verdict::Pass(PassReason::NoService));
    let not_first = Verdict::Pass(PassReason::SctpNotFirst);
    assert_eq!(lab.process(&sctp(CLIENTS[0], 1, VIP, 0)).verdict, not_first);
}

#[test]
fn sloppy_services_adopt_in_place_of_a_reset() {
    let patch = SettingsPatch { sloppy_tcp: Some(true), ..resetting() };
    let verdict = segment(0, ACK, (1, 1)).through(&mut lab(patch)).verdict;
    assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
}

#[test]
fn resets_are_limited_like_errors() {
    let mut lab = lab(SettingsPatch { icmp_errors_per_second: Some(2), ..resetting() });
    let sent = segment(0, ACK, (1, 1));
    reset(&sent, &mut lab);
    reset(&sent, &mut lab);
    assert_eq!(sent.through(&mut lab).verdict, Verdict::Drop(DropReason::IcmpRateLimit));
    lab.wait_ms(1000);
    reset(&sent, &mut lab);
}

#[test]
fn a_reset_goes_back_under_the_tag_of_its_segment() {
    let mut lab = lab(resetting());
    let mut sent = segment(0, ACK, (1, 1));
    sent.meta.vlan = Some(7);
    let outcome = sent.through(&mut lab);
    assert_eq!(outcome.tags, [Some(7)]);
    assert_eq!(Sent::new(outcome.frames[0].clone()).ip.destination, address(CLIENTS[0]));
}
