//! Frames in, verdicts and frames out: the rules of the packet path, refusals included.

use crate::lab::frames::{
    ACK, FIN, Ip, RST, SYN, icmp_error, reference_checksum, sctp, tcp, tcp_segment, udp,
    udp_datagram,
};
use crate::lab::{
    CLIENT_SIDE, DIRECTOR_MAC, EGRESS_MAC, Lab, PORT, ROUTER_MAC, SERVER_SIDE, VIP, VIP6, Ways,
    add_server, address, cluster_service, key, server, server_mac, service, set_weight, settings,
    sloppy_tcp,
};
use engine::Limits;
use engine::command::{Command, Protocol, SchedulerFlag, SchedulerName, ServerKey, SettingsPatch};
use engine::event::{AdoptionCause, Event};
use engine::hop::{Egress, Hop, NextHop};
use engine::snapshot::{ConnectionFilter, Flow};
use engine::verdict::{DropReason, PassReason, ReplyReason, Verdict};

const CLIENT: &str = "203.0.113.9";
const CLIENT6: &str = "2001:db8:c::9";

fn one_server(protocol: Protocol, vip: &str, at: &str) -> Vec<Command> {
    let key = key(protocol, vip);
    vec![
        Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
        add_server(key, at, 1),
    ]
}

fn way(mtu: u32) -> Ways {
    Ways(
        Some(Hop::Ready(NextHop {
            interface: SERVER_SIDE,
            mtu,
            source: EGRESS_MAC,
            destination: ROUTER_MAC,
        })),
        None,
        None,
    )
}

#[test]
fn direct_routing_changes_addresses_and_ttl_only() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let frame = tcp(CLIENT, 40000, VIP, SYN);
    let outcome = lab.process(&frame);
    let id = server(&outcome);
    let Verdict::Forward { egress, .. } = outcome.verdict else { panic!() };
    assert_eq!(egress, Egress::Interface(SERVER_SIDE));
    let out = &outcome.frames[0];
    assert_eq!(out[..6], server_mac(id).0);
    assert_eq!(out[6..12], EGRESS_MAC.0);
    assert_eq!(out[22], 63);
    assert_eq!(reference_checksum(&out[14..34]), 0);
    let mut restored = out.clone();
    restored[..12].copy_from_slice(&frame[..12]);
    restored[22] = 64;
    restored[24..26].copy_from_slice(&frame[24..26]);
    assert_eq!(restored, frame);
}

#[test]
fn ethernet_padding_is_left_behind() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    let frame = udp(CLIENT, 40000, VIP, b"ab");
    let padded = [frame.clone(), vec![0; 14]].concat();
    assert_eq!(lab.process(&padded).frames[0].len(), frame.len());
}

#[test]
fn ipv6_is_forwarded_alike() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP6, "2001:db8:1::11"));
    let outcome = lab.process(&tcp(CLIENT6, 40000, VIP6, SYN));
    assert_eq!(outcome.frames[0][21], 63);
    server(&outcome);
}

#[test]
fn tags_in_the_frame_stay_in_it() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let mut frame = tcp(CLIENT, 40000, VIP, SYN);
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
    let outcome = lab.process(&frame);
    assert_eq!(outcome.frames[0][12..18], [0x81, 0x00, 0x00, 0x64, 0x08, 0x00]);
}

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
fn only_first_packets_open_connections_unless_sloppy() {
    for (flags, sloppy, expected) in [
        (SYN, false, None),
        (SYN | ACK, false, None),
        (ACK, false, Some(PassReason::TcpNotFirst)),
        (FIN | ACK, false, Some(PassReason::TcpNotFirst)),
        (0, false, Some(PassReason::TcpNotFirst)),
        (RST, false, Some(PassReason::TcpNotFirst)),
        (SYN | RST, false, Some(PassReason::TcpNotFirst)),
        (ACK, true, None),
        (FIN | ACK, true, None),
        (0, true, None),
        (RST, true, Some(PassReason::TcpNotFirst)),
    ] {
        let mut lab = Lab::new(&cluster_service());
        if sloppy {
            lab.apply(&[sloppy_tcp()]);
        }
        let verdict = lab.process(&tcp(CLIENT, 40000, VIP, flags)).verdict;
        match expected {
            Some(reason) => assert_eq!(verdict, Verdict::Pass(reason), "{flags:#x} {sloppy}"),
            None => assert!(matches!(verdict, Verdict::Forward { .. }), "{flags:#x} {sloppy}"),
        }
    }
}

#[test]
fn sloppiness_of_the_service_beats_the_global_one() {
    let mut lab = Lab::new(&cluster_service());
    let key = key(Protocol::Tcp, VIP);
    let flags = [SchedulerFlag::ShPort];
    let mut spec = service(key, SchedulerName::Sh, &flags);
    spec.sloppy = Some(true);
    lab.apply(&[Command::EditService { service: spec.clone() }]);
    server(&lab.process(&tcp(CLIENT, 40000, VIP, ACK)));
    spec.sloppy = Some(false);
    lab.apply(&[sloppy_tcp(), Command::EditService { service: spec }]);
    let verdict = lab.process(&tcp(CLIENT, 40001, VIP, ACK)).verdict;
    assert_eq!(verdict, Verdict::Pass(PassReason::TcpNotFirst));
}

#[test]
fn two_directors_send_a_connection_to_the_same_server() {
    let mut first = Lab::new(&cluster_service());
    let mut second = Lab::new(&cluster_service());
    second.apply(&[sloppy_tcp()]);
    for port in 1024..1400 {
        let opened = server(&first.process(&tcp(CLIENT, port, VIP, SYN)));
        let adopted = server(&second.process(&tcp(CLIENT, port, VIP, ACK)));
        assert_eq!(opened, adopted);
        first.wait_ms(10_000_000);
        second.wait_ms(10_000_000);
    }
    let statistics = second.engine.statistics();
    let by_ack = &statistics.services[0].adopted[AdoptionCause::TcpAck as usize];
    assert_eq!((by_ack.name, by_ack.count.0), ("tcp-ack", 376));
    let event = second.engine.poll_event();
    assert!(matches!(event, Some(Event::Adopted { cause: AdoptionCause::TcpAck, .. })));
}

#[test]
fn a_paused_server_keeps_its_connections_and_gets_no_new_ones() {
    let mut lab = Lab::with_limits(
        Limits { connections: 1024, events: 64, ..Limits::default() },
        &cluster_service(),
    );
    let before: Vec<_> =
        (2000..2100).map(|port| server(&lab.process(&tcp(CLIENT, port, VIP, SYN)))).collect();
    let paused = before[0];
    let (_, spec) = lab.configuration.server_by_id(paused).unwrap();
    let pause = set_weight(key(Protocol::Tcp, VIP), &spec.address.to_string(), 0);
    lab.apply(&[pause]);
    for (port, expected) in (2000..2100).zip(&before) {
        assert_eq!(server(&lab.process(&tcp(CLIENT, port, VIP, ACK))), *expected);
    }
    for port in 3000..3200 {
        assert_ne!(server(&lab.process(&tcp(CLIENT, port, VIP, SYN))), paused);
    }
    assert!(lab.engine.statistics().services[0].moved_by_fallback.0 > 0);
    assert_eq!(lab.engine.statistics().services[0].refused.0, 0);
}

#[test]
fn the_last_connection_of_a_paused_server_is_told() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    lab.apply(&[set_weight(key(Protocol::Tcp, VIP), "10.0.0.11", 0)]);
    assert_eq!(lab.engine.poll_event(), None);
    server(&lab.process(&tcp(CLIENT, 40000, VIP, ACK)));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, FIN | ACK)));
    let Some(Event::ServerIdle { remaining: 1, .. }) = lab.engine.poll_event() else { panic!() };
    lab.wait_ms(121_000);
    let Some(Event::ServerIdle { remaining: 0, .. }) = lab.engine.poll_event() else { panic!() };
    assert_eq!(lab.engine.statistics().connections, 0);
}

#[test]
fn packets_of_a_removed_server_are_dropped_until_it_is_back() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let key = key(Protocol::Tcp, VIP);
    let id = server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    let at = ServerKey { address: address("10.0.0.11"), port: None };
    lab.apply(&[Command::RemoveServer { service: key, server: at }]);
    let verdict = lab.process(&tcp(CLIENT, 40000, VIP, ACK)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::ServerRemoved));
    lab.apply(&[add_server(key, "10.0.0.11", 1)]);
    assert_eq!(server(&lab.process(&tcp(CLIENT, 40000, VIP, ACK))), id);
    assert_eq!(lab.engine.statistics().services[0].servers[0].active_connections, 1);
}

#[test]
fn expire_nodest_conn_schedules_anew() {
    let mut lab = Lab::new(&cluster_service());
    let on = SettingsPatch { expire_nodest_conn: Some(true), ..SettingsPatch::default() };
    lab.apply(&[settings(on), sloppy_tcp()]);
    let id = server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    let (_, removed) = lab.configuration.server_by_id(id).unwrap();
    let at = ServerKey { address: removed.address, port: None };
    lab.apply(&[Command::RemoveServer { service: key(Protocol::Tcp, VIP), server: at }]);
    lab.wait_ms(1);
    assert_eq!(lab.engine.statistics().connections, 0);
    assert_ne!(server(&lab.process(&tcp(CLIENT, 40000, VIP, ACK))), id);
}

#[test]
fn a_packet_too_big_for_the_way_is_refused_or_cut() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.ways = way(1280);
    let data = (0..=u8::MAX).cycle().take(3000).collect::<Vec<_>>();
    let datagram = udp_datagram(40000, PORT, &data);
    let mut ip = Ip::new(CLIENT, VIP);
    let refused = lab.process(&ip.frame(17, &datagram));
    assert_eq!(refused.verdict, Verdict::Reply(ReplyReason::TooBig));
    let reply = &refused.frames[0];
    assert_eq!(reply[34..36], [3, 4]);
    assert_eq!(reply[40..42], 1280_u16.to_be_bytes());
    assert_eq!(reply.len(), 14 + 576);
    // The quoted packet has its TTL decremented already.
    assert_eq!(reply[42 + 8], 63);
    ip.flags = 0;
    let cut = lab.process(&ip.frame(17, &datagram));
    assert!(matches!(cut.verdict, Verdict::ForwardFragments { .. }));
    let mut payload = Vec::<u8>::new();
    for (number, fragment) in cut.frames.iter().enumerate() {
        assert!(fragment.len() <= 14 + 1280);
        assert_eq!(reference_checksum(&fragment[14..34]), 0);
        let field = u16::from_be_bytes([fragment[20], fragment[21]]);
        assert_eq!(usize::from(field & 0x1fff) * 8, payload.len());
        assert_eq!(field & 0x2000 != 0, number + 1 < cut.frames.len());
        payload.extend(&fragment[34..]);
    }
    assert_eq!(payload, datagram);
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
fn ways_that_are_not_ready() {
    for (hop, expected) in [
        (Hop::Unreachable, Verdict::Reply(ReplyReason::Unreachable)),
        (Hop::Local, Verdict::Drop(DropReason::ServerIsLocal)),
    ] {
        let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
        lab.ways = Ways(Some(hop), None, None);
        assert_eq!(lab.process(&tcp(CLIENT, 40000, VIP, SYN)).verdict, expected);
    }
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    lab.ways = Ways(Some(Hop::Resolving { mtu: 1500 }), None, None);
    let outcome = lab.process(&tcp(CLIENT, 40000, VIP, SYN));
    let id = server(&outcome);
    let Verdict::Forward { egress, .. } = outcome.verdict else { panic!() };
    assert_eq!(egress, Egress::Neighbour(id));
}

#[test]
fn a_full_table_places_without_entries_where_the_scheduler_can() {
    let mut lab = Lab::with_limits(
        Limits { connections: 4, events: 4, ..Limits::default() },
        &cluster_service(),
    );
    let mut other = Lab::with_limits(
        Limits { connections: 64, events: 4, ..Limits::default() },
        &cluster_service(),
    );
    for port in 6000..6032 {
        let expected = server(&other.process(&tcp(CLIENT, port, VIP, SYN)));
        assert_eq!(server(&lab.process(&tcp(CLIENT, port, VIP, SYN))), expected);
    }
    // Not sloppy: but while the table is full nothing else can be told apart.
    let expected = server(&other.process(&tcp(CLIENT, 6031, VIP, ACK)));
    assert_eq!(server(&lab.process(&tcp(CLIENT, 6031, VIP, ACK))), expected);
    let statistics = lab.engine.statistics();
    assert_eq!((statistics.connections, statistics.connection_limit), (4, 4));
    assert_eq!(statistics.placed_without_entry.0, 29);
    let full = Limits { connections: 1, events: 4, ..Limits::default() };
    let mut lab = Lab::with_limits(full, &one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    server(&lab.process(&tcp(CLIENT, 1, VIP, SYN)));
    let verdict = lab.process(&tcp(CLIENT, 2, VIP, SYN)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::TableFull));
}

#[test]
fn what_is_not_ours_passes() {
    let mut lab = Lab::new(&cluster_service());
    let mut multicast = tcp(CLIENT, 40000, VIP, SYN);
    multicast[0] = 1;
    let mut unknown_type = tcp(CLIENT, 40000, VIP, SYN);
    unknown_type[12..14].copy_from_slice(&[0x88, 0xcc]);
    let mut later_fragment = Ip::new(CLIENT, "198.51.100.2");
    later_fragment.flags = 0x0010;
    for (frame, reason) in [
        (tcp(CLIENT, 40000, "198.51.100.2", SYN), PassReason::NoService),
        (udp(CLIENT, 40000, VIP, b""), PassReason::NoService),
        (Ip::new(CLIENT, VIP).frame(47, &[0; 8]), PassReason::Protocol),
        (Ip::new(CLIENT, VIP).frame(1, &[8, 0, 0, 0, 0, 0, 0, 0]), PassReason::Icmp),
        (tcp(CLIENT, 20, VIP, SYN), PassReason::FtpData),
        (later_fragment.frame(6, &[0; 32]), PassReason::Fragment),
        (multicast, PassReason::OtherHost),
        (unknown_type, PassReason::NotIp),
    ] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Pass(reason));
    }
}

#[test]
fn what_is_malformed_is_dropped_by_name() {
    let mut lab = Lab::new(&cluster_service());
    let good = tcp(CLIENT, 40000, VIP, SYN);
    let changed = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] = value;
        frame
    };
    for (frame, reason) in [
        (good[..20].to_vec(), DropReason::Truncated),
        (Vec::new(), DropReason::Truncated),
        (changed(14, 0x44), DropReason::BadHeader),
        (changed(22, 9), DropReason::BadChecksum),
        (tcp("224.0.0.1", 40000, VIP, SYN), DropReason::BadSource),
        (Ip::new(CLIENT, VIP).frame(6, &[0; 4]), DropReason::TruncatedTransport),
    ] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Drop(reason));
    }
    let dropped = lab.engine.statistics().dropped;
    assert_eq!(dropped.iter().map(|counter| counter.count.0).sum::<u64>(), 6);
}

#[test]
fn sctp_associations_open_with_init_or_sloppily() {
    let mut lab = Lab::new(&one_server(Protocol::Sctp, VIP, "10.0.0.11"));
    server(&lab.process(&sctp(CLIENT, 40000, VIP, 1)));
    let data = lab.process(&sctp(CLIENT, 40001, VIP, 0)).verdict;
    assert_eq!(data, Verdict::Pass(PassReason::SctpNotFirst));
    let on = SettingsPatch { sloppy_sctp: Some(true), ..SettingsPatch::default() };
    lab.apply(&[settings(on)]);
    server(&lab.process(&sctp(CLIENT, 40001, VIP, 0)));
    let bare =
        lab.process(&Ip::new(CLIENT, VIP).frame(132, &[0, 1, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(bare.verdict, Verdict::Drop(DropReason::TruncatedTransport));
    let abort = lab.process(&sctp(CLIENT, 40002, VIP, 6)).verdict;
    assert_eq!(abort, Verdict::Pass(PassReason::SctpNotFirst));
}

#[test]
fn virtual_addresses_are_answered_for_where_asked_to() {
    let mut lab = Lab::new(&cluster_service());
    let mut request = vec![0xff; 6];
    request.extend(ROUTER_MAC.0);
    request.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    request.extend(ROUTER_MAC.0);
    request.extend([192, 0, 2, 254, 0, 0, 0, 0, 0, 0, 198, 51, 100, 1]);
    assert_eq!(lab.process(&request).verdict, Verdict::Pass(PassReason::NotIp));
    lab.engine.answer_neighbours(vec![(CLIENT_SIDE, DIRECTOR_MAC)]);
    let outcome = lab.process(&request);
    assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Neighbour));
    let reply = &outcome.frames[0];
    assert_eq!((&reply[..6], &reply[6..12]), (&ROUTER_MAC.0[..], &DIRECTOR_MAC.0[..]));
    assert_eq!(reply[20..22], [0, 2]);
    assert_eq!((&reply[22..28], &reply[28..32]), (&DIRECTOR_MAC.0[..], &[198, 51, 100, 1][..]));
    let mut other = request.clone();
    other[41] = 2;
    let mut announcement = request.clone();
    announcement[28..32].copy_from_slice(&[198, 51, 100, 1]);
    for frame in [other, announcement] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Pass(PassReason::NotIp));
    }
}

#[test]
fn the_record_route_option_gets_the_virtual_address() {
    let mut lab = Lab::new(&cluster_service());
    let mut ip = Ip::new(CLIENT, VIP);
    ip.options = vec![7, 7, 4, 0, 0, 0, 0, 0];
    let outcome = lab.process(&ip.frame(6, &tcp_segment(40000, PORT, SYN, &[])));
    assert_eq!(outcome.frames[0][34..42], [7, 7, 8, 198, 51, 100, 1, 0]);
    assert_eq!(reference_checksum(&outcome.frames[0][14..42]), 0);
}

#[test]
fn an_explanation_says_what_happens_then() {
    let mut lab = Lab::with_limits(
        Limits { connections: 1024, events: 4, ..Limits::default() },
        &cluster_service(),
    );
    lab.apply(&[set_weight(key(Protocol::Tcp, VIP), "10.0.0.12", 0)]);
    let mut moved = 0;
    for port in 7000..7200 {
        let flow = Flow {
            protocol: Protocol::Tcp,
            client_address: address(CLIENT),
            client_port: port,
            virtual_address: address(VIP),
            virtual_port: PORT,
        };
        let before = lab.engine.explain(&flow, lab.now);
        assert!(before.connection.is_none());
        let schedule = before.schedule.unwrap();
        moved += u32::from(schedule.moved_by_fallback);
        let went = server(&lab.process(&tcp(CLIENT, port, VIP, SYN)));
        assert_eq!(before.server.unwrap().id, went);
        let after = lab.engine.explain(&flow, lab.now);
        assert_eq!(after.server.unwrap().id, went);
        assert_eq!(after.connection.unwrap().state, "SYN_RECV");
    }
    assert!(moved > 20, "{moved}");
}

#[test]
fn connections_are_listed_in_pages() {
    let mut lab = Lab::with_limits(
        Limits { connections: 64, events: 4, ..Limits::default() },
        &cluster_service(),
    );
    for port in 8000..8010 {
        server(&lab.process(&tcp(CLIENT, port, VIP, SYN)));
    }
    let all = ConnectionFilter::default();
    let first = lab.engine.connections(&all, 0, 6, lab.now);
    let rest = lab.engine.connections(&all, first.next.unwrap(), 6, lab.now);
    let mut ports: Vec<_> =
        first.rows.iter().chain(&rest.rows).map(|row| row.client.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, (8000..8010).collect::<Vec<_>>());
    assert_eq!(rest.next, None);
    let none = ConnectionFilter { state: Some("ESTABLISHED".into()), ..all };
    assert!(lab.engine.connections(&none, 0, 6, lab.now).rows.is_empty());
}

#[test]
fn only_a_first_packet_makes_a_finished_connection_give_way() {
    let mut lab = Lab::new(&cluster_service());
    lab.apply(&[sloppy_tcp()]);
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, RST)));
    let state = |lab: &Lab| {
        let all = ConnectionFilter::default();
        lab.engine.connections(&all, 0, 10, lab.now).rows.iter().map(|row| row.state).collect()
    };
    let states: Vec<_> = state(&lab);
    // IPVS: RST in SYN_RECV leaves it there; an ACK establishes, a RST then closes.
    assert_eq!(states, ["SYN_RECV"]);
    server(&lab.process(&tcp(CLIENT, 40000, VIP, ACK)));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, RST)));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, FIN | ACK)));
    let states: Vec<_> = state(&lab);
    assert_eq!(states, ["CLOSE"]);
    assert_eq!(lab.engine.statistics().traffic.connections.0, 1);
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    let states: Vec<_> = state(&lab);
    assert_eq!(states, ["SYN_RECV"]);
    assert_eq!(lab.engine.statistics().traffic.connections.0, 2);
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

#[test]
fn hop_by_hop_options_are_not_carried() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP6, "2001:db8:1::11"));
    let mut payload = vec![17, 0, 1, 4, 0, 0, 0, 0];
    payload.extend(udp_datagram(40000, PORT, b"x"));
    let verdict = lab.process(&Ip::new(CLIENT6, VIP6).frame(0, &payload)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::HopByHop));
}

#[test]
fn later_fragments_carry_only_the_options_meant_for_them() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.ways = way(600);
    let mut ip = Ip::new(CLIENT, VIP);
    ip.flags = 0;
    // Router alert is copied into every fragment, the timestamp is not (RFC 791 §3.1).
    ip.options = vec![0x94, 4, 0, 0, 0x44, 8, 9, 0, 0, 0, 0, 0];
    let cut = lab.process(&ip.frame(17, &udp_datagram(40000, PORT, &[7; 1000])));
    assert_eq!(cut.frames[0][34..46], ip.options);
    assert_eq!(cut.frames[1][34..46], [0x94, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn without_a_service_in_its_family_every_packet_passes() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    lab.apply(&[Command::RemoveService { service: key(Protocol::Tcp, VIP) }]);
    let verdict = lab.process(&tcp(CLIENT, 40000, VIP, ACK)).verdict;
    assert_eq!(verdict, Verdict::Pass(PassReason::NoService));
    lab.apply(&one_server(Protocol::Udp, VIP, "10.0.0.12"));
    let verdict = lab.process(&tcp(CLIENT, 40000, VIP, ACK)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::ServerRemoved));
}

/// A neighbour solicitation for the IPv6 virtual address, with a right checksum.
fn solicitation(source: &str, hop_limit: u8) -> Vec<u8> {
    let mut ip = Ip::new(source, "ff02::1:ff00:1");
    ip.hop_limit = hop_limit;
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(octets(VIP6));
    let pseudo = [&octets(source)[..], &octets("ff02::1:ff00:1"), &[0, 0, 0, 24, 0, 0, 0, 58]];
    let checksum = reference_checksum(&[&pseudo.concat(), &message[..]].concat());
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = ip.frame(58, &message);
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, 1]);
    frame
}

#[test]
fn neighbour_solicitations_are_answered_only_whole_and_from_the_link() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP6, "2001:db8:1::11"));
    lab.engine.answer_neighbours(vec![(CLIENT_SIDE, DIRECTOR_MAC)]);
    let outcome = lab.process(&solicitation("2001:db8:5::fe", 255));
    assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Neighbour));
    let reply = &outcome.frames[0];
    assert_eq!(reply[..6], ROUTER_MAC.0);
    // Solicited and overriding, with the director's hardware address.
    assert_eq!((reply[54], reply[58], &reply[80..86]), (136, 0x60, &DIRECTOR_MAC.0[..]));
    // Duplicate address detection: everybody is told.
    let told = lab.process(&solicitation("::", 255));
    assert_eq!(told.frames[0][..6], [0x33, 0x33, 0, 0, 0, 1]);
    let mut damaged = solicitation("2001:db8:5::fe", 255);
    damaged[57] ^= 1;
    for frame in [solicitation("2001:db8:5::fe", 254), damaged] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Pass(PassReason::OtherHost));
    }
}
