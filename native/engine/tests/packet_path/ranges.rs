//! Services on ranges, and marks that look at where packets come from.

use engine::command::{Command, MarkMatch, Protocol, SchedulerName, ServiceKey};
use engine::frame::{FrameMeta, InterfaceId};
use engine::verdict::{PassReason, Verdict};

use crate::lab::frames::{Ip, SYN, tcp_segment};
use crate::lab::{CLIENT_SIDE, Lab, add_server, address, server, service};

const CLIENT: &str = "203.0.113.9";

fn syn(vip: &str, port: u16) -> Vec<u8> {
    Ip::new(CLIENT, vip).frame(6, &tcp_segment(40_000, port, SYN, &[]))
}

#[test]
fn a_network_and_its_ports_are_one_service() {
    let key = ServiceKey::Range {
        protocol: Protocol::Tcp,
        address: address("198.51.100.0"),
        prefix_length: Some(24),
        ports: (8000, 8099),
    };
    let mut lab = Lab::new(&[
        Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
        add_server(key, "10.0.0.11", 1),
        add_server(key, "10.0.0.12", 1),
    ]);
    let servers: Vec<_> = [("198.51.100.1", 8000), ("198.51.100.2", 8000), ("198.51.100.2", 8099)]
        .into_iter()
        .map(|(vip, port)| server(&lab.process(&syn(vip, port))))
        .collect();
    assert_ne!(servers[0], servers[1]);
    assert_eq!(servers[0], servers[2]);
    let sent = lab.process(&syn("198.51.100.2", 8050));
    assert_eq!(sent.frames[0][36..38], 8050_u16.to_be_bytes(), "the port stays");
    for (vip, port) in [("198.51.100.1", 8100), ("198.51.101.1", 8000)] {
        let verdict = lab.process(&syn(vip, port)).verdict;
        assert_eq!(verdict, Verdict::Pass(PassReason::NoService));
    }
    let statistics = lab.engine.statistics();
    assert_eq!(statistics.services[0].traffic.connections.0, 4);
}

#[test]
fn a_mark_tells_interfaces_and_vlans_apart() {
    let matched = |interface, vlan| MarkMatch {
        protocol: None,
        address: address("198.51.100.1"),
        prefix_length: None,
        ports: None,
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface,
        vlan,
    };
    let family = engine::command::Family::Ipv4;
    let key = |mark| ServiceKey::Mark { mark, family };
    let mut lab = Lab::new(&[
        Command::DefineMark {
            mark: 1,
            matches: vec![matched(Some(CLIENT_SIDE.0), Some(0)), matched(Some(9), None)],
        },
        Command::DefineMark { mark: 2, matches: vec![matched(None, Some(7))] },
        Command::AddService { service: service(key(1), SchedulerName::Rr, &[]) },
        Command::AddService { service: service(key(2), SchedulerName::Rr, &[]) },
        add_server(key(1), "10.0.0.11", 1),
        add_server(key(2), "10.0.0.12", 1),
    ]);
    let mut to = |interface: InterfaceId, vlan, port| {
        let meta = FrameMeta { vlan, ..FrameMeta::plain(interface) };
        let outcome = lab.process_with(&syn("198.51.100.1", port), &meta);
        match outcome.verdict {
            Verdict::Forward { server, .. } => Ok(server.0),
            other => Err(other),
        }
    };
    assert_eq!(to(CLIENT_SIDE, None, 1), Ok(0));
    assert_eq!(to(InterfaceId(9), Some(5), 2), Ok(0));
    assert_eq!(to(CLIENT_SIDE, Some(0x2007), 3), Ok(1), "the priority does not count");
    let passed = Err(Verdict::Pass(PassReason::NoService));
    assert_eq!(to(CLIENT_SIDE, Some(5), 4), passed);
}
