//! What masqueraded servers send on their own from a service's port: routed on as by a router.

use engine::command::{
    Command, ForwardingMethod, Persistence, Protocol, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, SettingsPatch,
};
use engine::hop::{Egress, Hop};
use engine::verdict::{PassReason, ReplyReason, Verdict};

use crate::lab::frames::{ACK, FIN, Ip, SYN, udp_datagram};
use crate::lab::masquerading::{CLIENT, SERVER, VIPS, masquerading};
use crate::lab::sent::{SCTP, Sent, Shape, TCP, UDP, plain};
use crate::lab::{
    CLIENT_SIDE, DIRECTOR_MAC, Lab, Outcome, PORT, ROUTER_MAC, address, key, server_spec, service,
    settings, way_back,
};

const OWN: [&str; 2] = ["10.0.0.1", "2001:db8:1::1"];
/// Somebody out there who is no client.
const UPSTREAM: [&str; 2] = ["203.0.113.5", "2001:db8:c::5"];
const SERVER_PORT: u16 = 8080;
const FAMILIES: [usize; 2] = [0, 1];
const FROM_SERVER: Verdict = Verdict::Pass(PassReason::FromServer);

/// Masqueraded servers at port 8080 behind services of each protocol and family, none of them sloppy.
fn lab() -> Lab {
    let mut lab = masquerading(SERVER_PORT);
    let strict = SettingsPatch {
        sloppy_tcp: Some(false),
        sloppy_sctp: Some(false),
        ..SettingsPatch::default()
    };
    lab.apply(&[settings(strict)]);
    lab
}

fn shape(protocol: u8, flags: u8) -> Shape {
    Shape { protocol, ..plain(flags) }
}

fn outward(shape: &Shape, family: usize, from: u16) -> Sent {
    shape.sent((SERVER[family], from), (UPSTREAM[family], 123)).by_server()
}

/// Checks that the packet went on as it came, but for its hop and its hardware addresses.
fn is_routed(sent: &Sent, outcome: &Outcome) {
    let Verdict::Route { egress, length, .. } = outcome.verdict else { panic!("{outcome:?}") };
    assert_eq!(egress, Egress::Interface(CLIENT_SIDE));
    let out = Sent::new(outcome.frames[0].clone());
    assert_eq!(length as usize, out.octets.len());
    assert_eq!(out.octets[..12], [ROUTER_MAC.0, DIRECTOR_MAC.0].concat());
    let mut expected = sent.octets[14..].to_vec();
    let hop = if sent.ip.source.is_ipv4() { 8 } else { 7 };
    expected[hop] -= 1;
    if sent.ip.source.is_ipv4() {
        expected[10..12].copy_from_slice(&out.octets[24..26]);
        assert_eq!(crate::lab::frames::reference_checksum(&out.octets[14..34]), 0);
    }
    assert_eq!(out.octets[14..], expected);
}

#[test]
fn what_belongs_to_no_connection_is_routed_on() {
    let mut lab = lab();
    for family in FAMILIES {
        for (protocol, flags) in
            [(UDP, 0), (SCTP, 0), (TCP, SYN), (TCP, ACK), (TCP, FIN | ACK), (TCP, SYN | ACK)]
        {
            let sent = outward(&shape(protocol, flags), family, SERVER_PORT);
            is_routed(&sent, &sent.through(&mut lab));
        }
    }
    assert_eq!(lab.engine.statistics().routed.0, 12);
    assert_eq!(lab.engine.statistics().connections, 0);
}

#[test]
fn answers_are_translated_still() {
    for family in FAMILIES {
        let mut lab = lab();
        let request = shape(UDP, 0).sent((CLIENT[family], 40_000), (VIPS[family], PORT));
        request.through(&mut lab);
        let answer = shape(UDP, 0).sent((SERVER[family], SERVER_PORT), (CLIENT[family], 40_000));
        let outcome = answer.by_server().through(&mut lab);
        assert!(matches!(outcome.verdict, Verdict::Return { .. }), "{outcome:?}");
        assert_eq!(Sent::new(outcome.frames[0].clone()).ip.source, address(VIPS[family]));
    }
}

#[test]
fn what_the_host_sees_is_left_to_it() {
    let mut lab = lab();
    let passes = |lab: &mut Lab, sent: &Sent| {
        let verdict = sent.through(lab).verdict;
        assert_eq!(verdict, FROM_SERVER, "{sent:?}");
    };
    for family in FAMILIES {
        // From another port, and to the host's own addresses.
        passes(&mut lab, &outward(&shape(UDP, 0), family, SERVER_PORT + 1));
        lab.ways.2 = Some(Hop::Local);
        passes(&mut lab, &outward(&shape(UDP, 0), family, SERVER_PORT));
        lab.ways.2 = None;
        // To a virtual address, from where it would come back.
        let to_vip = shape(UDP, 0).sent((SERVER[family], SERVER_PORT), (VIPS[family], PORT + 1));
        passes(&mut lab, &to_vip.by_server());
    }
    // To nobody a router forwards to.
    for (family, to) in [
        (0, "255.255.255.255"),
        (0, "224.0.0.251"),
        (0, "169.254.1.1"),
        (1, "ff02::1"),
        (1, "fe80::1"),
    ] {
        let sent = shape(UDP, 0).sent((SERVER[family], SERVER_PORT), (to, 123));
        passes(&mut lab, &sent.by_server());
    }
    lab.apply(&[settings(SettingsPatch {
        route_servers: Some(false),
        ..SettingsPatch::default()
    })]);
    passes(&mut lab, &outward(&shape(UDP, 0), 0, SERVER_PORT));
    assert_eq!(lab.engine.statistics().routed.0, 0);
}

#[test]
fn where_connections_are_adopted_a_segment_may_be_an_answer_and_waits_for_that() {
    let mut lab = masquerading(SERVER_PORT);
    for family in FAMILIES {
        for sent in [shape(TCP, ACK), shape(SCTP, 0)].map(|s| outward(&s, family, SERVER_PORT)) {
            assert_eq!(sent.through(&mut lab).verdict, FROM_SERVER);
        }
        let sent = outward(&shape(UDP, 0), family, SERVER_PORT);
        is_routed(&sent, &sent.through(&mut lab));
    }
}

#[test]
fn servers_of_every_port_are_routed_from_every_port() {
    let mut lab = Lab::new(&[]);
    for family in FAMILIES {
        let all = ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: address(VIPS[family]),
            port: 0,
        };
        let mut spec = service(all, SchedulerName::Rr, &[]);
        spec.persistence = Some(Persistence { timeout_seconds: 100, prefix_length: None });
        let server = ServerSpec {
            key: ServerKey { address: address(SERVER[family]), port: Some(0) },
            forwarding: ForwardingMethod::Masquerading,
            ..server_spec(SERVER[family], 1)
        };
        lab.apply(&[
            Command::AddService { service: spec },
            Command::AddServer { service: all, server },
        ]);
        for port in [1, 40_000, 65_535] {
            let sent = outward(&plain(SYN), family, port);
            is_routed(&sent, &sent.through(&mut lab));
        }
        // Another protocol is the host's.
        let sent = outward(&shape(UDP, 0), family, 40_000);
        assert_eq!(sent.through(&mut lab).verdict, FROM_SERVER);
    }
}

#[test]
fn a_removed_server_is_routed_while_it_is_remembered() {
    let mut lab = lab();
    let server = ServerKey { address: address(SERVER[0]), port: Some(SERVER_PORT) };
    lab.apply(&[Command::RemoveServer { service: key(Protocol::Udp, VIPS[0]), server }]);
    let sent = outward(&shape(UDP, 0), 0, SERVER_PORT);
    is_routed(&sent, &sent.through(&mut lab));
}

#[test]
fn what_cannot_go_on_is_answered_by_the_director() {
    for family in FAMILIES {
        let mut lab = lab();
        lab.ways.1 = Some(address(OWN[family]));
        let refused = |lab: &mut Lab, shape: &Shape, reason| {
            let outcome = outward(shape, family, SERVER_PORT).through(lab);
            assert_eq!(outcome.verdict, Verdict::Reply(reason));
            let answer = Sent::new(outcome.frames[0].clone());
            let ends = (answer.ip.source, answer.ip.destination);
            assert_eq!(ends, (address(OWN[family]), address(SERVER[family])));
        };
        let last = Shape { hop_limit: 1, ..shape(UDP, 0) };
        refused(&mut lab, &last, ReplyReason::HopLimit);
        lab.ways.2 = Some(way_back(600));
        let big = Shape { data: vec![9; 700], ..shape(UDP, 0) };
        refused(&mut lab, &big, ReplyReason::TooBig);
        lab.ways.2 = Some(Hop::Unreachable);
        refused(&mut lab, &shape(UDP, 0), ReplyReason::Unreachable);
        lab.ways.2 = Some(Hop::Resolving { mtu: 1500 });
        let outcome = outward(&shape(UDP, 0), family, SERVER_PORT).through(&mut lab);
        let Verdict::Route { egress, .. } = outcome.verdict else { panic!("{outcome:?}") };
        assert_eq!(egress, Egress::Client(address(UPSTREAM[family])));
    }
}

#[test]
fn fragments_go_on_as_fragments() {
    let mut lab = lab();
    let datagram = udp_datagram(SERVER_PORT, 123, &[7; 1200]);
    let mut outcome = None;
    for (offset, more, part) in [(0, 0x2000, &datagram[..800]), (100, 0, &datagram[800..])] {
        let mut ip = Ip::new(SERVER[0], UPSTREAM[0]);
        ip.flags = more | offset;
        outcome = Some(lab.process(&ip.frame(UDP, part)));
    }
    let outcome = outcome.unwrap();
    assert!(matches!(outcome.verdict, Verdict::RouteFragments { .. }), "{outcome:?}");
    let parts: Vec<u8> = outcome.frames.iter().flat_map(|frame| frame[34..].to_vec()).collect();
    assert_eq!((outcome.frames.len(), parts), (2, datagram));
}
