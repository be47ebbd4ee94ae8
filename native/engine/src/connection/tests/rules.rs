//! One test a rule, each as short as the rule.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use crate::command::{Family, ForwardingMethod};
use crate::connection::{
    Activity, Assignment, ConnectionEvent, ConnectionId, ConnectionKey, ConnectionTable, Direction,
    Expired, SCTP, SctpEvent, TCP, TcpEvent, Timeouts, UDP,
};
use crate::hop::ServerId;
use crate::time::Instant;

const ROUTED: Assignment = Assignment {
    server: ServerId(5),
    server_port: 80,
    forwarding: ForwardingMethod::DirectRouting,
};
const MASQUERADED: Assignment = Assignment { forwarding: ForwardingMethod::Masquerading, ..ROUTED };

fn key(protocol: u8, client_port: u16) -> ConnectionKey {
    ConnectionKey {
        protocol,
        client: "10.0.0.1".parse().unwrap(),
        client_port,
        virtual_address: "192.0.2.80".parse().unwrap(),
        virtual_port: 80,
    }
}

fn template_key() -> ConnectionKey {
    ConnectionKey { client: "10.0.0.0".parse().unwrap(), ..key(TCP, 0) }
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn table() -> ConnectionTable {
    ConnectionTable::new(16, 42)
}

fn create(table: &mut ConnectionTable, key: ConnectionKey) -> ConnectionId {
    table.create(&key, ROUTED, at(0)).unwrap()
}

fn tcp(table: &mut ConnectionTable, id: ConnectionId, event: TcpEvent, now: Instant) -> Activity {
    let event = ConnectionEvent::Tcp(event);
    table.transition(id, event, Direction::Input, &Timeouts::default(), now)
}

fn expire(table: &mut ConnectionTable, now: Instant) -> Vec<Expired> {
    let mut all = Vec::new();
    assert!(table.expire(now, 1000, |expired| all.push(*expired)));
    all
}

#[test]
fn new_connection_is_inactive_and_lives_three_seconds() {
    let mut table = table();
    let id = create(&mut table, key(TCP, 1));
    assert_eq!(table.entry(id).state_name(), "NONE");
    assert!(!table.entry(id).is_active());
    assert_eq!(table.expires_in(id, at(0)), Duration::from_secs(3));
    assert_eq!(table.lookup(&key(TCP, 1), Instant::from_millis(2999)), Some(id));
    assert_eq!(table.lookup(&key(TCP, 1), at(3)), None);
    let expired = expire(&mut table, at(3));
    assert_eq!((expired[0].key, expired[0].active), (key(TCP, 1), false));
    assert_eq!(expired[0].server, ServerId(5));
}

#[test]
fn direct_routing_walk_of_a_connection() {
    let mut table = table();
    let id = create(&mut table, key(TCP, 1));
    let walk = [
        (TcpEvent::Syn, "SYN_RECV", 60, Activity::Activated),
        (TcpEvent::Ack, "ESTABLISHED", 900, Activity::Unchanged),
        (TcpEvent::Fin, "FIN_WAIT", 120, Activity::Deactivated),
        (TcpEvent::Ack, "FIN_WAIT", 120, Activity::Unchanged),
        (TcpEvent::Rst, "CLOSE", 10, Activity::Unchanged),
    ];
    for (event, state, seconds, activity) in walk {
        assert_eq!(tcp(&mut table, id, event, at(1)), activity);
        assert_eq!(table.entry(id).state_name(), state);
        assert_eq!(table.expires_in(id, at(1)), Duration::from_secs(seconds));
    }
    assert_eq!(expire(&mut table, at(11)).len(), 1);
}

#[test]
fn expiry_tells_whether_the_connection_was_active() {
    let mut table = table();
    let id = create(&mut table, key(TCP, 1));
    let _ = tcp(&mut table, id, TcpEvent::Ack, at(0));
    assert_eq!(expire(&mut table, at(899)), []);
    assert!(expire(&mut table, at(900))[0].active);
}

#[test]
fn a_packet_from_the_server_makes_the_connection_ordinary_for_good() {
    let mut table = table();
    let id = create(&mut table, key(TCP, 1));
    let _ = tcp(&mut table, id, TcpEvent::Ack, at(0));
    assert!(table.entry(id).is_input_only());
    let event = ConnectionEvent::Tcp(TcpEvent::Ack);
    let _ = table.transition(id, event, Direction::Output, &Timeouts::default(), at(0));
    assert!(!table.entry(id).is_input_only());
    // INPUT rows now: CLOSE_WAIT, where the INPUT_ONLY rows say FIN_WAIT.
    let _ = tcp(&mut table, id, TcpEvent::Fin, at(0));
    assert_eq!(table.entry(id).state_name(), "CLOSE_WAIT");
}

#[test]
fn changed_timeouts_take_effect_at_the_next_packet() {
    let mut table = table();
    let id = create(&mut table, key(TCP, 1));
    let _ = tcp(&mut table, id, TcpEvent::Ack, at(0));
    let event = ConnectionEvent::Tcp(TcpEvent::Ack);
    let timeouts = Timeouts::new(7, 8, 9);
    let _ = table.transition(id, event, Direction::Input, &timeouts, at(1));
    assert_eq!(table.expires_in(id, at(1)), Duration::from_secs(7));
    assert_eq!(expire(&mut table, at(8)).len(), 1);
}

#[test]
fn a_rescheduled_connection_is_shadowed_at_once_and_then_ends() {
    let mut table = table();
    let old = create(&mut table, key(TCP, 1));
    let _ = tcp(&mut table, old, TcpEvent::Ack, at(0));
    let new = create(&mut table, key(TCP, 1));
    assert_eq!(table.lookup(&key(TCP, 1), at(1)), Some(new));
    table.expire_now(old, at(1));
    assert_eq!(table.next_deadline(), Some(at(1)));
    assert!(expire(&mut table, at(1))[0].active);
    assert_eq!(table.lookup(&key(TCP, 1), at(1)), Some(new));
    assert_eq!(table.len(), 1);
}

#[test]
fn connections_and_templates_do_not_find_each_other() {
    let mut table = table();
    let template = table.create_template(&key(TCP, 0), ServerId(1), 80, 300, at(0)).unwrap();
    assert_eq!(table.lookup(&key(TCP, 0), at(1)), None);
    assert_eq!(table.lookup_template(&key(TCP, 0), at(1)), Some(template));
    let connection = create(&mut table, key(TCP, 0));
    assert_eq!(table.lookup(&key(TCP, 0), at(1)), Some(connection));
    assert_eq!(table.lookup_template(&key(TCP, 0), at(1)), Some(template));
}

#[test]
fn a_template_is_rearmed_by_new_connections_and_not_by_packets() {
    let mut table = table();
    let template = table.create_template(&template_key(), ServerId(1), 80, 300, at(0)).unwrap();
    let id = create(&mut table, key(TCP, 1));
    table.attach(id, template, at(2));
    assert_eq!(table.expires_in(template, at(2)), Duration::from_secs(300));
    let _ = tcp(&mut table, id, TcpEvent::Rst, at(2));
    assert_eq!(table.expires_in(template, at(2)), Duration::from_secs(300));
    assert_eq!(table.entry(template).controlled(), 1);
    let gone = expire(&mut table, at(12));
    assert_eq!(gone[0].controller, Some(template));
    assert_eq!(table.entry(template).controlled(), 0);
    assert!(expire(&mut table, at(302))[0].template);
}

#[test]
fn a_template_in_use_goes_on_with_sixty_seconds_for_good() {
    let mut table = table();
    let template = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
    let id = create(&mut table, key(TCP, 1));
    table.attach(id, template, at(0));
    let _ = tcp(&mut table, id, TcpEvent::Syn, at(0));
    assert_eq!(expire(&mut table, at(59)), []);
    assert_eq!(table.lookup_template(&template_key(), at(59)), Some(template));
    assert_eq!(table.expires_in(template, at(59)), Duration::from_secs(11));
    assert_eq!(expire(&mut table, at(60)).len(), 1);

    let id = table.create(&key(TCP, 2), ROUTED, at(60)).unwrap();
    table.attach(id, template, at(60));
    assert_eq!(table.expires_in(template, at(60)), Duration::from_secs(60));
}

#[test]
fn a_template_in_use_is_found_before_its_timer_has_fired() {
    let mut table = table();
    let template = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
    let id = create(&mut table, key(TCP, 1));
    table.attach(id, template, at(0));
    let _ = tcp(&mut table, id, TcpEvent::Syn, at(0));
    assert_eq!(table.lookup_template(&template_key(), at(11)), Some(template));
    table.detach(id);
    assert_eq!(table.lookup_template(&template_key(), at(11)), None);
}

#[test]
fn a_disabled_template_is_not_found_but_runs_out_by_itself() {
    let mut table = table();
    let old = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
    table.disable_template(old);
    assert_eq!(table.lookup_template(&template_key(), at(1)), None);
    let new = table.create_template(&template_key(), ServerId(2), 80, 20, at(1)).unwrap();
    assert_eq!(table.lookup_template(&template_key(), at(1)), Some(new));
    assert_eq!(expire(&mut table, at(10))[0].server, ServerId(1));
}

#[test]
fn established_connections_and_answered_flows_assure_their_template() {
    let output = Direction::Output;
    let cases = [
        (TCP, ConnectionEvent::Tcp(TcpEvent::Syn), Direction::Input, "NONE"),
        (TCP, ConnectionEvent::Tcp(TcpEvent::Ack), Direction::Input, "ASSURED"),
        (SCTP, ConnectionEvent::Sctp(SctpEvent::Init), Direction::Input, "NONE"),
        (SCTP, ConnectionEvent::Sctp(SctpEvent::CookieEcho), Direction::Input, "ASSURED"),
        (UDP, ConnectionEvent::Udp, Direction::Input, "NONE"),
        (UDP, ConnectionEvent::Udp, output, "ASSURED"),
    ];
    for (protocol, event, direction, state) in cases {
        let mut table = table();
        let template = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
        let id = create(&mut table, key(protocol, 1));
        table.attach(id, template, at(0));
        let _ = table.transition(id, event, direction, &Timeouts::default(), at(0));
        assert_eq!(table.entry(template).state_name(), state, "{protocol} {event:?}");
    }
}

#[test]
fn a_template_in_use_can_be_neither_expired_nor_removed() {
    let mut table = table();
    let template = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
    let id = create(&mut table, key(TCP, 1));
    table.attach(id, template, at(0));
    table.expire_now(template, at(1));
    assert_eq!(table.expires_in(template, at(1)), Duration::from_secs(9));
    assert_eq!(table.remove(template), None);
    assert_eq!(table.detach(id), Some(template));
    assert!(table.remove(template).is_some());
    assert!(table.remove(id).is_some());
    assert!(table.is_empty());
}

/// Protocol and event, and whether the connection is reusable under each `conn_reuse_mode`.
#[test]
fn reuse_follows_state_and_mode() {
    let tcp = |event| (TCP, ConnectionEvent::Tcp(event));
    let abort = (SCTP, ConnectionEvent::Sctp(SctpEvent::Abort));
    let rows = [
        (tcp(TcpEvent::Rst), ROUTED, [false, true, true, true]),
        (tcp(TcpEvent::Ack), ROUTED, [false; 4]),
        (tcp(TcpEvent::Syn), ROUTED, [false; 4]),
        (abort, ROUTED, [false, true, true, true]),
        ((SCTP, ConnectionEvent::Sctp(SctpEvent::Init)), ROUTED, [false; 4]),
        ((UDP, ConnectionEvent::Udp), ROUTED, [false; 4]),
    ];
    for ((protocol, event), assignment, expected) in rows {
        let mut table = table();
        let id = table.create(&key(protocol, 1), assignment, at(0)).unwrap();
        let _ = table.transition(id, event, Direction::Input, &Timeouts::default(), at(0));
        let answers = [0, 1, 2, 3].map(|mode| table.reusable(id, mode));
        assert_eq!(answers, expected, "{protocol} {event:?}");
    }
}

#[test]
fn reuse_in_fin_wait_needs_bit_one_and_replies_that_go_past() {
    for (assignment, expected) in [(ROUTED, true), (MASQUERADED, false)] {
        let mut table = table();
        let id = table.create(&key(TCP, 1), assignment, at(0)).unwrap();
        let direction = if expected { Direction::Input } else { Direction::Output };
        for event in [TcpEvent::Ack, TcpEvent::Fin] {
            let event = ConnectionEvent::Tcp(event);
            let _ = table.transition(id, event, direction, &Timeouts::default(), at(0));
        }
        assert_eq!(table.entry(id).state_name(), "FIN_WAIT");
        assert_eq!([1, 2, 3].map(|mode| table.reusable(id, mode)), [false, expected, expected]);
    }
}

#[test]
fn a_connection_with_a_template_is_never_reusable() {
    let mut table = table();
    let template = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
    let id = create(&mut table, key(TCP, 1));
    let _ = tcp(&mut table, id, TcpEvent::Rst, at(0));
    assert!(table.reusable(id, 1));
    table.attach(id, template, at(0));
    assert!(!table.reusable(id, 1));
}

#[test]
fn a_full_table_says_so_and_stays_as_it_is() {
    let mut table = ConnectionTable::new(1, 0);
    let id = create(&mut table, key(TCP, 1));
    let full = table.create(&key(TCP, 2), ROUTED, at(0)).unwrap_err();
    assert_eq!(
        full.to_string(),
        "connection table is full: all 1 entries are in use; raise the limit or shorten the timeouts"
    );
    assert!(table.is_full());
    assert_eq!(table.lookup(&key(TCP, 1), at(0)), Some(id));
    assert!(table.create_template(&template_key(), ServerId(1), 0, 10, at(0)).is_err());
}

#[test]
fn listing_goes_on_where_it_stopped() {
    let mut table = table();
    let ids: Vec<_> = (1..=5).map(|port| create(&mut table, key(TCP, port))).collect();
    table.remove(ids[1]);
    table.expire_now(ids[2], at(0));
    let mut listed = Vec::new();
    let mut cursor = 0;
    while let Some((id, _)) = table.iter_from(cursor, at(0)).next() {
        listed.push(id);
        cursor = id.index() + 1;
    }
    assert_eq!(listed, [ids[0], ids[3], ids[4]]);
    assert_eq!(table.iter_from(u32::MAX, at(0)).count(), 0);
}

#[test]
fn packets_are_counted_for_connections_only() {
    let mut table = table();
    let id = create(&mut table, key(TCP, 1));
    let template = table.create_template(&template_key(), ServerId(1), 80, 10, at(0)).unwrap();
    assert!(!table.count_packets(id, 1), "anybody can send one");
    assert!(table.count_packets(id, 1) && !table.count_packets(id, 1), "told once");
    for id in [id, template] {
        assert!(!table.count_packets(id, u32::MAX));
    }
    assert_eq!(table.entry(id).in_packets(), u32::MAX);
    assert_eq!(table.entry(template).controlled(), 0);
    let mut shown = Vec::new();
    assert_eq!(table.confirmed(0, u32::MAX, |key| shown.push(*key)), None);
    assert_eq!(shown, [key(TCP, 1)]);
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        cursor = table.confirmed(from, 3, |key| shown.push(*key));
    }
    assert_eq!(shown, [key(TCP, 1); 2]);
}

#[test]
fn flushing_a_server_takes_its_connections_and_their_templates() {
    let mut table = table();
    let template = table.create_template(&template_key(), ServerId(5), 80, 10, at(0)).unwrap();
    for port in 1..=4 {
        let id = create(&mut table, key(TCP, port));
        table.attach(id, template, at(0));
    }
    let other = Assignment { server: ServerId(6), ..ROUTED };
    let kept = table.create(&key(TCP, 9), other, at(0)).unwrap();
    let mut gone = Vec::new();
    let mut cursor = Some(0);
    while let Some(position) = cursor {
        let is_picked = |server| server == ServerId(5);
        cursor = table.flush(position, 2, is_picked, |expired| gone.push(expired.template));
    }
    assert_eq!(gone, [false, false, false, false, true]);
    assert_eq!(table.lookup(&key(TCP, 9), at(0)), Some(kept));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_mark_template_is_found_by_its_mark() {
    let mut table = table();
    for (family, client) in [(Family::Ipv4, "10.0.0.0"), (Family::Ipv6, "2001:db8::")] {
        let key = |mark| ConnectionKey {
            protocol: 0,
            client: client.parse().unwrap(),
            client_port: 0,
            virtual_address: ConnectionKey::mark_address(mark, family),
            virtual_port: 0,
        };
        let id = table.create_template(&key(9), ServerId(1), 0, 10, at(0)).unwrap();
        assert_eq!(table.lookup_template(&key(9), at(0)), Some(id));
        assert_eq!(table.lookup_template(&key(8), at(0)), None);
        assert_eq!((table.key(id), table.entry(id).state_name()), (key(9), "NONE"));
    }
}
