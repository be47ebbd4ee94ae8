//! The fast path: what is offered, what is taken back, what is counted.

use engine::command::{Command, Protocol};
use engine::connection::ConnectionKey;
use engine::frame::FrameMeta;
use engine::{FastCounts, FastFlow, FastPathChange, Limits};

use crate::lab::frames::{ACK, FIN, RST, SYN, tcp, udp};
use crate::lab::{
    CLIENT_SIDE, Lab, PORT, VIP, address, key, least_connections, one_server, server, set_weight,
    sloppy_tcp,
};

const CLIENT: &str = "203.0.113.9";
const CLIENT_PORT: u16 = 20_000;
const FLOWS: u32 = 2;
/// Segments within half a second that make a connection worth it.
const LIVELY: u32 = 8;
/// The same of datagrams.
const LIVELY_DATAGRAMS: u32 = 450;
/// While frames are lost.
const LIVELY_UNDER_STRAIN: u32 = 8;

/// So many segments or datagrams, none with FIN.
const fn data(packets: u64, octets: u64) -> FastCounts {
    FastCounts { packets, octets, data: packets, fin: 0 }
}

fn connection(client_port: u16) -> ConnectionKey {
    ConnectionKey {
        protocol: 6,
        client: address(CLIENT),
        client_port,
        virtual_address: address(VIP),
        virtual_port: PORT,
    }
}

/// With a scheduler that compares active connections: they are not offered with their SYN.
fn lab() -> Lab {
    let mut lab = Lab::new(&least_connections());
    lab.apply(&[sloppy_tcp()]);
    lab.engine.use_fast_path(FLOWS);
    lab
}

/// So many segments of a connection within a moment.
fn send(lab: &mut Lab, client_port: u16, segments: u32) {
    for _ in 0..segments {
        lab.process(&tcp(CLIENT, client_port, VIP, ACK));
    }
}

/// The offers and returns since the last call.
fn changes(lab: &mut Lab) -> Vec<FastPathChange> {
    std::iter::from_fn(|| lab.engine.poll_fast_path()).collect()
}

fn establish(lab: &mut Lab, client_port: u16) {
    lab.process(&tcp(CLIENT, client_port, VIP, SYN));
    lab.process(&tcp(CLIENT, client_port, VIP, ACK));
    lab.wait_ms(501);
}

/// A connection that was offered, and its offer.
fn offered(lab: &mut Lab, client_port: u16) -> FastFlow {
    establish(lab, client_port);
    send(lab, client_port, LIVELY);
    match changes(lab).as_slice() {
        [FastPathChange::Offer(flow)] => *flow,
        other => panic!("one offer expected: {other:?}"),
    }
}

fn taken(lab: &mut Lab, client_port: u16) -> FastFlow {
    let flow = offered(lab, client_port);
    assert!(lab.engine.take_fast(&flow, lab.now));
    flow
}

fn returned(lab: &mut Lab) -> Vec<ConnectionKey> {
    changes(lab)
        .into_iter()
        .map(|change| match change {
            FastPathChange::Return(key) => key,
            FastPathChange::Offer(flow) => panic!("offered: {flow:?}"),
        })
        .collect()
}

#[test]
fn a_lively_connection_is_offered_with_its_server() {
    let mut lab = lab();
    let flow = offered(&mut lab, CLIENT_PORT);
    assert_eq!((flow.key, flow.interface), (connection(CLIENT_PORT), CLIENT_SIDE));
    let outcome = lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, ACK));
    assert_eq!(server(&outcome), flow.server);
}

/// A director with a UDP service, and so many datagrams of one flow sent through it.
fn datagrams(count: u32) -> Lab {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.engine.use_fast_path(FLOWS);
    for _ in 0..count {
        lab.process(&udp(CLIENT, CLIENT_PORT, VIP, b"x"));
    }
    lab
}

#[test]
fn a_lively_udp_flow_is_offered_and_kept_while_it_carries() {
    assert_eq!(changes(&mut datagrams(LIVELY_DATAGRAMS - 1)), []);
    let mut lab = datagrams(LIVELY_DATAGRAMS);
    let changes_now = changes(&mut lab);
    let [FastPathChange::Offer(flow)] = changes_now.as_slice() else {
        panic!("one offer expected: {changes_now:?}")
    };
    assert_eq!(flow.key, ConnectionKey { protocol: 17, ..connection(CLIENT_PORT) });
    assert!(lab.engine.take_fast(flow, lab.now));
    // 300 s without an account would end it.
    for _ in 0..3 {
        lab.wait_ms(250_000);
        assert!(lab.engine.account(flow, &data(1, 100), lab.now));
    }
    assert!(lab.engine.keeps_fast(flow, lab.now));
    // A datagram that comes here all the same changes nothing: no packet of UDP ends a flow.
    lab.process(&udp(CLIENT, CLIENT_PORT, VIP, b"x"));
    assert_eq!(changes(&mut lab), []);
    lab.wait_ms(301_000);
    lab.engine.handle_timeout(lab.now);
    assert_eq!(returned(&mut lab), [flow.key]);
}

#[test]
fn while_frames_are_lost_small_udp_flows_are_offered_too() {
    let mut lab = datagrams(1);
    let send = |lab: &mut Lab, count| {
        for _ in 0..count {
            lab.process(&udp(CLIENT, CLIENT_PORT, VIP, b"x"));
        }
        changes(lab).len()
    };
    lab.engine.strain(lab.now);
    lab.wait_ms(999);
    assert_eq!(send(&mut lab, LIVELY_UNDER_STRAIN - 1), 0, "the first was before the window");
    assert_eq!(send(&mut lab, 1), 1);
    lab.wait_ms(501);
    assert_eq!(send(&mut lab, LIVELY_DATAGRAMS - 1), 0, "the strain is over");
    assert_eq!(send(&mut lab, 1), 1);
}

/// As many as it takes: a few at first, twice as many each time that was not enough.
#[test]
fn the_longer_frames_are_lost_the_more_small_udp_flows_are_offered() {
    const CLIENTS: u16 = 2000;
    let limits = Limits { connections: 4096, ..Limits::default() };
    let mut lab = Lab::with_limits(limits, &one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.engine.use_fast_path(4000);
    let offered = |lab: &mut Lab| {
        for _ in 0..LIVELY_UNDER_STRAIN {
            for port in 0..CLIENTS {
                lab.process(&udp(CLIENT, 20_000 + port, VIP, b"x"));
            }
        }
        changes(lab).len()
    };
    lab.engine.strain(lab.now);
    assert_eq!(offered(&mut lab), 256);
    lab.wait_ms(600);
    assert_eq!(offered(&mut lab), 0, "that was enough");
    lab.engine.strain(lab.now);
    assert_eq!(offered(&mut lab), 512);
    lab.engine.strain(lab.now);
    assert_eq!(offered(&mut lab), 1024);
    lab.wait_ms(1600);
    assert_eq!(offered(&mut lab), 0, "the strain is over");
    lab.engine.strain(lab.now);
    assert_eq!(offered(&mut lab), 256, "another begins as the first");
}

/// Two flows that are watched at the same place, one after the other: the first entry, and that 4,096
/// places on.
#[test]
fn a_flow_found_lively_makes_room_for_the_next() {
    let limits = Limits { connections: 8192, ..Limits::default() };
    let mut lab = Lab::with_limits(limits, &one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.engine.use_fast_path(FLOWS);
    let last = CLIENT_PORT + 4096;
    let mut send = |port: u16, count: u32| {
        for _ in 0..count {
            lab.process(&udp(CLIENT, port, VIP, b"x"));
        }
        changes(&mut lab).len()
    };
    for port in CLIENT_PORT..=last {
        send(port, 1);
    }
    assert_eq!(send(CLIENT_PORT, LIVELY_DATAGRAMS - 2), 0);
    assert_eq!(send(last, LIVELY_DATAGRAMS), 0, "it is not its turn");
    assert_eq!(send(CLIENT_PORT, 1), 1);
    assert_eq!(send(last, LIVELY_DATAGRAMS), 1);
    // Once a window, though there is nothing else to watch.
    assert_eq!(send(last, 3 * LIVELY_DATAGRAMS), 0);
}

#[test]
fn slow_traffic_is_not_offered() {
    let mut lab = lab();
    establish(&mut lab, CLIENT_PORT);
    for _ in 0..20 {
        lab.wait_ms(501);
        send(&mut lab, CLIENT_PORT, LIVELY - 1);
    }
    assert_eq!(changes(&mut lab), []);
}

#[test]
fn a_connection_that_is_not_established_is_not_offered() {
    let mut lab = lab();
    establish(&mut lab, CLIENT_PORT);
    lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, FIN | ACK));
    send(&mut lab, CLIENT_PORT, 3 * LIVELY);
    assert_eq!(changes(&mut lab), []);
}

#[test]
fn without_a_fast_path_nothing_is_offered() {
    let mut lab = Lab::new(&least_connections());
    establish(&mut lab, CLIENT_PORT);
    send(&mut lab, CLIENT_PORT, 3 * LIVELY);
    assert_eq!(changes(&mut lab), []);
}

#[test]
fn tagged_frames_are_not_offered() {
    let mut lab = lab();
    establish(&mut lab, CLIENT_PORT);
    let tagged = FrameMeta { vlan: Some(5), ..FrameMeta::plain(CLIENT_SIDE) };
    for _ in 0..3 * LIVELY {
        lab.process_with(&tcp(CLIENT, CLIENT_PORT, VIP, ACK), &tagged);
    }
    assert_eq!(changes(&mut lab), []);
}

#[test]
fn frames_of_the_fast_path_count_like_others() {
    let mut lab = lab();
    let flow = taken(&mut lab, CLIENT_PORT);
    let before = lab.engine.statistics();
    assert!(lab.engine.account(&flow, &data(2, 120_080), lab.now));
    let after = lab.engine.statistics();
    let service = |statistics: &engine::snapshot::Statistics| statistics.services[0].traffic;
    assert_eq!(service(&after).in_octets.0 - service(&before).in_octets.0, 120_080);
    assert_eq!(service(&after).in_packets.0 - service(&before).in_packets.0, 2);
    assert_eq!(after.traffic.in_octets.0 - before.traffic.in_octets.0, 120_080);
    assert_eq!(after.forwarded.0 - before.forwarded.0, 2);
    assert_eq!((after.fast_path.connections, after.fast_path.packets.0), (1, 2));
    assert_eq!(after.fast_path.octets.0, 120_080);
}

#[test]
fn frames_of_the_fast_path_keep_their_connection() {
    let mut lab = lab();
    let flow = taken(&mut lab, CLIENT_PORT);
    for _ in 0..4 {
        lab.wait_ms(800_000);
        assert!(lab.engine.account(&flow, &data(1, 60_040), lab.now));
    }
    assert_eq!(lab.engine.statistics().connections, 1);
    assert_eq!(changes(&mut lab), []);
    lab.wait_ms(500_000);
    assert!(lab.engine.account(&flow, &FastCounts::default(), lab.now));
    lab.wait_ms(500_000);
    assert_eq!(returned(&mut lab), [connection(CLIENT_PORT)]);
    lab.engine.drop_fast(&flow.key, lab.now);
    lab.wait_ms(0);
    assert_eq!(lab.engine.statistics().connections, 0, "carrying nothing keeps nothing");
    assert_eq!(lab.engine.statistics().fast_path.connections, 0);
}

/// Until it is taken back, a connection that ended on the fast path is followed like any other.
#[test]
fn segments_behind_an_end_begin_the_timeout_anew() {
    let mut lab = lab();
    let flow = taken(&mut lab, CLIENT_PORT);
    let end = FastCounts { packets: 1, octets: 40, data: 0, fin: 1 };
    assert!(!lab.engine.account(&flow, &end, lab.now));
    lab.wait_ms(100_000);
    let late = FastCounts { packets: 1, octets: 40, data: 0, fin: 0 };
    assert!(!lab.engine.account(&flow, &late, lab.now));
    lab.wait_ms(100_000);
    assert_eq!(lab.engine.statistics().connections, 1, "120 s since the last segment");
}

#[test]
fn segments_that_open_or_end_a_connection_bring_it_back() {
    for flags in [FIN | ACK, RST, SYN, 0] {
        let mut lab = lab();
        let flow = taken(&mut lab, CLIENT_PORT);
        lab.carried.borrow_mut().insert(flow.key, data(3, 300));
        lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, ACK));
        assert_eq!(lab.carried.borrow().len(), 1);
        lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, flags));
        assert_eq!(lab.carried.borrow().len(), 0, "flags {flags:#x}");
        let fast_path = lab.engine.statistics().fast_path;
        assert_eq!((fast_path.connections, fast_path.packets.0, fast_path.unknown.0), (0, 3, 0));
        lab.carried.borrow_mut().insert(flow.key, data(1, 100));
        lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, flags));
        assert_eq!(lab.carried.borrow().len(), 1, "it is back already");
        assert_eq!(changes(&mut lab), []);
    }
}

#[test]
fn a_connection_the_fast_path_has_not_got_comes_back_empty() {
    let mut lab = lab();
    taken(&mut lab, CLIENT_PORT);
    lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, FIN | ACK));
    let fast_path = lab.engine.statistics().fast_path;
    assert_eq!((fast_path.connections, fast_path.packets.0), (0, 0));
}

#[test]
fn a_connection_of_a_removed_server_is_not_kept() {
    let mut lab = lab();
    let flow = taken(&mut lab, CLIENT_PORT);
    assert!(lab.engine.keeps_fast(&flow, lab.now));
    lab.apply(&[set_weight(key(Protocol::Tcp, VIP), "10.0.0.11", 0)]);
    assert!(lab.engine.keeps_fast(&flow, lab.now));
    lab.apply(&[Command::Clear]);
    assert!(!lab.engine.keeps_fast(&flow, lab.now));
    assert!(!lab.engine.take_fast(&flow, lab.now));
}

#[test]
fn an_offer_is_not_taken_once_things_have_changed() {
    let mut lab = lab();
    let flow = offered(&mut lab, CLIENT_PORT);
    lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, RST));
    assert!(!lab.engine.take_fast(&flow, lab.now));
    lab.wait_ms(1_000_000);
    assert!(!lab.engine.take_fast(&flow, lab.now));
}

#[test]
fn the_fast_path_has_a_limit_and_what_it_drops_makes_room() {
    let mut lab = lab();
    let first = taken(&mut lab, CLIENT_PORT);
    let third = offered(&mut lab, CLIENT_PORT + 3);
    taken(&mut lab, CLIENT_PORT + 1);
    assert!(!lab.engine.take_fast(&third, lab.now));
    establish(&mut lab, CLIENT_PORT + 2);
    send(&mut lab, CLIENT_PORT + 2, LIVELY);
    assert_eq!(changes(&mut lab), []);
    lab.engine.drop_fast(&first.key, lab.now);
    lab.wait_ms(501);
    send(&mut lab, CLIENT_PORT + 2, LIVELY);
    assert_eq!(changes(&mut lab).len(), 1);
}

#[test]
fn a_connection_the_fast_path_lost_is_offered_again() {
    let mut lab = lab();
    let flow = taken(&mut lab, CLIENT_PORT);
    lab.wait_ms(501);
    send(&mut lab, CLIENT_PORT, LIVELY);
    assert_eq!(changes(&mut lab), [FastPathChange::Offer(flow)]);
    assert_eq!(lab.engine.statistics().fast_path.connections, 0);
    assert!(lab.engine.take_fast(&flow, lab.now));
    assert_eq!(lab.engine.statistics().fast_path.connections, 1);
}

#[test]
fn what_was_forwarded_last_counts_but_wakes_no_ended_connection() {
    let mut lab = lab();
    let flow = taken(&mut lab, CLIENT_PORT);
    lab.process(&tcp(CLIENT, CLIENT_PORT, VIP, RST));
    let before = lab.engine.statistics();
    assert!(!lab.engine.account(&flow, &data(3, 3_000), lab.now));
    let after = lab.engine.statistics();
    assert_eq!(after.traffic.in_packets.0 - before.traffic.in_packets.0, 3);
    assert_eq!(after.fast_path.unknown.0, 0);
    lab.wait_ms(11_000);
    assert_eq!(lab.engine.statistics().connections, 0, "a closed connection stays for 10 s");
    assert!(!lab.engine.account(&flow, &data(2, 2_000), lab.now));
    let late = lab.engine.statistics();
    assert_eq!(late.fast_path.unknown.0, 2);
    assert_eq!(late.traffic.in_packets.0 - after.traffic.in_packets.0, 2, "the server has them");
    lab.apply(&[Command::Clear]);
    assert!(!lab.engine.account(&flow, &data(1, 1_000), lab.now));
    assert_eq!(lab.engine.statistics().fast_path.unknown.0, 3);
    assert_eq!(lab.engine.statistics().fast_path.packets.0, 6);
}
