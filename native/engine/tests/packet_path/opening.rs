//! What opens a connection, and what an open one makes of quiesced, removed and full.

use engine::Limits;
use engine::command::{Command, Protocol, SchedulerFlag, SchedulerName, ServerKey, SettingsPatch};
use engine::event::{AdoptionCause, Event};
use engine::snapshot::ConnectionFilter;
use engine::verdict::{DropReason, PassReason, Verdict};

use crate::lab::frames::{ACK, FIN, Ip, RST, SYN, sctp, tcp};
use crate::lab::{
    Lab, VIP, add_server, address, cluster_service, key, one_server, server, service, set_weight,
    settings, sloppy_tcp,
};

const CLIENT: &str = "203.0.113.9";

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
