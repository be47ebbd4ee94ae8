//! ICMP errors: those the director sends, and those about its connections.

use engine::command::{Protocol, SettingsPatch};
use engine::verdict::{DropReason, PassReason, ReplyReason, Verdict};

use crate::lab::frames::{Ip, SYN, icmp_error, reference_checksum, tcp, tcp_segment};
use crate::lab::{
    DIRECTOR_MAC, Lab, PORT, ROUTER_MAC, VIP, VIP6, cluster_service, key, one_server, server,
    set_weight, settings, way,
};

const CLIENT: &str = "203.0.113.9";
const CLIENT6: &str = "2001:db8:c::9";

#[test]
fn replies_go_back_the_way_the_packet_came() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let mut ip = Ip::new(CLIENT, VIP);
    ip.hop_limit = 1;
    let mut frame = ip.frame(6, &tcp_segment(40000, PORT, SYN, &[]));
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
    let outcome = lab.process(&frame);
    assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::HopLimit));
    let out = &outcome.frames[0];
    assert_eq!((&out[..6], &out[6..12]), (&ROUTER_MAC.0[..], &DIRECTOR_MAC.0[..]));
    assert_eq!(out[12..18], [0x81, 0x00, 0x00, 0x64, 0x08, 0x00]);
    // From the virtual address to the client, ICMP time exceeded, quoting the packet.
    assert_eq!(out[30..34], [198, 51, 100, 1]);
    assert_eq!(out[34..38], [203, 0, 113, 9]);
    assert_eq!(out[38..40], [11, 0]);
    assert_eq!(reference_checksum(&out[38..]), 0);
    assert_eq!(out[46..], frame[18..]);
}

#[test]
fn nobody_to_serve_is_port_unreachable_for_tcp_too() {
    for (vip, at, client, kind) in
        [(VIP, "10.0.0.11", CLIENT, [3, 3]), (VIP6, "2001:db8:1::11", CLIENT6, [1, 4])]
    {
        let mut lab = Lab::new(&one_server(Protocol::Tcp, vip, at));
        lab.apply(&[set_weight(key(Protocol::Tcp, vip), at, 0)]);
        let outcome = lab.process(&tcp(client, 40000, vip, SYN));
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::NoServer));
        let header = if vip == VIP { 34 } else { 54 };
        assert_eq!(outcome.frames[0][header..header + 2], kind);
        assert_eq!(lab.engine.statistics().services[0].refused.0, 1);
    }
}

#[test]
fn icmp_errors_follow_the_connection_they_quote() {
    for (vip, at, client, router) in [
        (VIP, "10.0.0.11", CLIENT, "192.0.2.254"),
        (VIP6, "2001:db8:1::11", CLIENT6, "2001:db8:c::254"),
    ] {
        let mut lab = Lab::new(&one_server(Protocol::Tcp, vip, at));
        let id = server(&lab.process(&tcp(client, 40000, vip, SYN)));
        assert_eq!(server(&lab.process(&icmp_error(router, vip, client, 40000))), id);
        let unknown = lab.process(&icmp_error(router, vip, client, 40001)).verdict;
        assert_eq!(unknown, Verdict::Pass(PassReason::IcmpNoConnection));
    }
}

#[test]
fn schedule_icmp_places_errors_of_unknown_connections_by_what_they_quote() {
    let mut lab = Lab::new(&cluster_service());
    let on = SettingsPatch { schedule_icmp: Some(true), ..SettingsPatch::default() };
    lab.apply(&[settings(on)]);
    let mut other = Lab::new(&cluster_service());
    for port in 5000..5050 {
        let error = icmp_error("192.0.2.254", VIP, CLIENT, port);
        let by_icmp = server(&lab.process(&error));
        assert_eq!(by_icmp, server(&other.process(&tcp(CLIENT, port, VIP, SYN))));
    }
}

#[test]
fn no_icmp_error_answers_an_icmp_error() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    lab.ways = way(60);
    let outcome = lab.process(&icmp_error("192.0.2.254", VIP, CLIENT, 40000));
    assert_eq!(outcome.verdict, Verdict::Drop(DropReason::TooBig));
    assert!(outcome.frames.is_empty());
}

#[test]
fn icmp_errors_are_limited() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let limit = SettingsPatch { icmp_errors_per_second: Some(2), ..SettingsPatch::default() };
    lab.apply(&[settings(limit), set_weight(key(Protocol::Tcp, VIP), "10.0.0.11", 0)]);
    let verdicts: Vec<_> =
        (0..3).map(|port| lab.process(&tcp(CLIENT, 40000 + port, VIP, SYN)).verdict).collect();
    assert_eq!(verdicts[1], Verdict::Reply(ReplyReason::NoServer));
    assert_eq!(verdicts[2], Verdict::Drop(DropReason::IcmpRateLimit));
}

#[test]
fn an_error_that_quotes_a_later_fragment_has_no_connection() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    let mut error = icmp_error("192.0.2.254", VIP, CLIENT, 40000);
    let quoted_fragment_offset = 14 + 20 + 8 + 6;
    error[quoted_fragment_offset..quoted_fragment_offset + 2].copy_from_slice(&[0, 10]);
    assert_eq!(lab.process(&error).verdict, Verdict::Pass(PassReason::Icmp));
}
