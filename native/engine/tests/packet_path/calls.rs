//! Calls that belong to a server: persistence engine `sip`.

use engine::command::{Command, Persistence, PersistenceEngine, Protocol, SchedulerName};
use engine::hop::ServerId;
use engine::snapshot::{ConnectionFilter, ConnectionRow};
use proptest::prelude::*;

use crate::lab::frames::{Ip, SYN, tcp_segment, udp};
use crate::lab::{Lab, PORT, VIP, VIP6, add_server, key, server, service, set_weight, settings};

const FIRST: &str = "203.0.113.9";
const SECOND: &str = "198.18.7.77";

/// A service over two servers, one datagram at a time unless `with_connections`.
fn lab_of(vip: &str, servers: [&str; 2], with_connections: bool) -> Lab {
    lab_over(Protocol::Udp, vip, servers, with_connections)
}

fn lab_over(protocol: Protocol, vip: &str, servers: [&str; 2], with_connections: bool) -> Lab {
    let key = key(protocol, vip);
    let mut spec = service(key, SchedulerName::Rr, &[]);
    spec.persistence = Some(Persistence { timeout_seconds: 100, prefix_length: None });
    spec.persistence_engine = Some(PersistenceEngine::Sip);
    spec.one_packet = !with_connections;
    Lab::new(&[
        Command::AddService { service: spec },
        add_server(key, servers[0], 1),
        add_server(key, servers[1], 1),
    ])
}

fn lab() -> Lab {
    lab_of(VIP, ["10.0.0.11", "10.0.0.12"], false)
}

fn message(method: &str, call: &str) -> Vec<u8> {
    format!(
        "{method} sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK776\r\n\
         From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.net>\r\n{call}\r\n\
         CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn send(lab: &mut Lab, client: &str, port: u16, method: &str, call: &str) -> ServerId {
    let vip = if client.contains(':') { VIP6 } else { VIP };
    server(&lab.process(&udp(client, port, vip, &message(method, call))))
}

fn templates(lab: &Lab) -> Vec<ConnectionRow> {
    let filter = ConnectionFilter { template: Some(true), ..ConnectionFilter::default() };
    lab.engine.connections(&filter, 0, 100, lab.now).rows
}

#[test]
fn a_call_keeps_its_server_whoever_sends_and_calls_of_one_client_spread() {
    let mut lab = lab();
    let first = send(&mut lab, FIRST, 5060, "REGISTER", "Call-ID: 1@a.example");
    assert_eq!(send(&mut lab, SECOND, 5060, "INVITE", "call-id:1@a.example"), first);
    assert_eq!(send(&mut lab, SECOND, 1024, "BYE", "i: 1@a.example"), first);
    assert_ne!(send(&mut lab, FIRST, 5060, "REGISTER", "Call-ID: 2@a.example"), first);
    let row = &templates(&lab)[0];
    assert_eq!(row.persistence_engine, Some(PersistenceEngine::Sip));
    assert_eq!(row.persistence_data.as_deref(), Some("1@a.example"));
    assert_eq!(row.client, "203.0.113.9:0".parse().unwrap());
    assert_eq!(templates(&lab).len(), 2);
    assert_eq!(lab.engine.statistics().services[0].traffic.connections.0, 4);
    assert_eq!(lab.engine.statistics().connections, 2, "one-packet scheduling leaves templates");
}

#[test]
fn ipv6_likewise() {
    let mut lab = lab_of(VIP6, ["2001:db8:1::11", "2001:db8:1::12"], false);
    let first = send(&mut lab, "2001:db8:c::9", 5060, "INVITE", "Call-ID: 1");
    assert_ne!(send(&mut lab, "2001:db8:c::9", 5060, "INVITE", "Call-ID: 2"), first);
    assert_eq!(send(&mut lab, "2001:db8:d::7", 5061, "ACK", "i: 1"), first);
    lab.wait_ms(300_000);
    assert_eq!(lab.engine.statistics().connections, 0);
}

#[test]
fn a_datagram_without_a_call_follows_its_client() {
    let mut lab = lab();
    let call = send(&mut lab, FIRST, 5060, "INVITE", "Call-ID: 1");
    let client = send(&mut lab, FIRST, 5060, "INVITE", "Subject: none");
    assert_ne!(client, call);
    for port in 1..9 {
        assert_eq!(send(&mut lab, FIRST, port, "INVITE", "Call-ID: "), client);
    }
    assert_eq!(server(&lab.process(&udp(FIRST, 5060, VIP, &[0; 4]))), client);
    let data: Vec<_> = templates(&lab).into_iter().map(|row| row.persistence_data).collect();
    assert_eq!(data, [Some("1".into()), None]);
}

#[test]
fn over_tcp_the_client_decides() {
    let mut lab = lab_over(Protocol::Tcp, VIP, ["10.0.0.11", "10.0.0.12"], true);
    let mut open = |port, call: &str| {
        let segment = tcp_segment(port, PORT, SYN, &message("INVITE", call));
        server(&lab.process(&Ip::new(FIRST, VIP).frame(6, &segment)))
    };
    let first = open(5060, "Call-ID: 1");
    assert_eq!(open(5061, "Call-ID: 2"), first);
    assert_eq!(templates(&lab)[0].persistence_data, None);
}

#[test]
fn a_connection_comes_before_the_call() {
    let mut lab = lab_of(VIP, ["10.0.0.11", "10.0.0.12"], true);
    let first = send(&mut lab, FIRST, 5060, "INVITE", "Call-ID: 1");
    // IPVS: the same addresses and ports are one connection, whatever is in it.
    assert_eq!(send(&mut lab, FIRST, 5060, "INVITE", "Call-ID: 2"), first);
    assert_ne!(send(&mut lab, FIRST, 5061, "INVITE", "Call-ID: 2"), first);
    assert_eq!(send(&mut lab, SECOND, 5060, "INVITE", "Call-ID: 1"), first);
    assert_eq!((templates(&lab).len(), lab.engine.statistics().connections), (2, 5));
}

#[test]
fn a_call_stays_until_its_time_is_over_and_no_datagram_came() {
    let mut lab = lab();
    let first = send(&mut lab, FIRST, 5060, "INVITE", "Call-ID: 1");
    for _ in 0..4 {
        lab.wait_ms(90_000);
        assert_eq!(send(&mut lab, SECOND, 5060, "INFO", "Call-ID: 1"), first);
    }
    lab.wait_ms(110_000);
    assert_eq!(templates(&lab).len(), 0);
    assert_eq!(lab.engine.statistics().connections, 0);
    let server = &lab.engine.statistics().services[0].servers;
    assert_eq!(server.iter().map(|server| server.persistent_connections).sum::<u32>(), 0);
}

#[test]
fn a_call_leaves_a_quiesced_server_only_where_that_is_asked_for() {
    let mut lab = lab();
    let first = send(&mut lab, FIRST, 5060, "INVITE", "Call-ID: 1");
    let at = lab.configuration.server_by_id(first).unwrap().1.address.to_string();
    lab.apply(&[set_weight(key(Protocol::Udp, VIP), &at, 0)]);
    assert_eq!(send(&mut lab, SECOND, 5060, "INFO", "Call-ID: 1"), first);
    lab.apply(&[settings(engine::command::SettingsPatch {
        expire_quiescent_template: Some(true),
        ..Default::default()
    })]);
    let other = send(&mut lab, SECOND, 5060, "INFO", "Call-ID: 1");
    assert_ne!(other, first);
    assert_eq!(send(&mut lab, FIRST, 5060, "INFO", "Call-ID: 1"), other);
}

#[test]
fn a_client_with_many_calls_does_not_outgrow_the_table() {
    let mut lab = lab();
    let limit = lab.engine.statistics().connection_limit;
    for call in 0..=limit {
        lab.process(&udp(FIRST, 5060, VIP, &message("INVITE", &format!("Call-ID: {call}"))));
    }
    assert_eq!(lab.engine.statistics().connections, limit);
}

proptest! {
    /// Octets of any kind behind a UDP header: forwarded, with a template or without.
    #[test]
    fn any_datagram_is_placed(octets in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
        let mut lab = lab();
        let mut datagram = message("INVITE", "Call-ID: 1@a.example");
        let at = at.min(datagram.len());
        datagram.splice(at..at, octets);
        server(&lab.process(&udp(FIRST, 5060, VIP, &datagram)));
        prop_assert_eq!(templates(&lab).len(), 1);
    }
}
