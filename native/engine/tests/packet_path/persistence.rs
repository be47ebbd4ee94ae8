//! Clients that belong to a server: templates, their keys and their end.

use engine::command::{
    Command, Persistence, Protocol, SchedulerName, ServerKey, ServiceKey, SettingsPatch,
};
use engine::snapshot::{ConnectionFilter, ConnectionRow};
use engine::verdict::{ReplyReason, Verdict};

use crate::lab::frames::{Ip, SYN, tcp, tcp_segment};
use crate::lab::{Lab, VIP, add_server, address, key, server, service, set_weight, settings};

fn persistent(port: u16, prefix_length: Option<u8>) -> (ServiceKey, Vec<Command>) {
    let key = ServiceKey::Address { protocol: Protocol::Tcp, address: address(VIP), port };
    let mut spec = service(key, SchedulerName::Rr, &[]);
    spec.persistence = Some(Persistence { timeout_seconds: 100, prefix_length });
    let commands = vec![
        Command::AddService { service: spec },
        add_server(key, "10.0.0.11", 1),
        add_server(key, "10.0.0.12", 1),
    ];
    (key, commands)
}

fn templates(lab: &Lab) -> Vec<ConnectionRow> {
    let filter = ConnectionFilter { template: Some(true), ..ConnectionFilter::default() };
    lab.engine.connections(&filter, 0, 100, lab.now).rows
}

fn to_port(client: &str, client_port: u16, port: u16) -> Vec<u8> {
    Ip::new(client, VIP).frame(6, &tcp_segment(client_port, port, SYN, &[]))
}

#[test]
fn a_client_keeps_its_server_whatever_its_weight() {
    let (key, commands) = persistent(80, None);
    let mut lab = Lab::new(&commands);
    let first = server(&lab.process(&tcp("203.0.113.9", 1000, VIP, SYN)));
    let (_, spec) = lab.configuration.server_by_id(first).unwrap();
    lab.apply(&[set_weight(key, &spec.address.to_string(), 0)]);
    assert_eq!(server(&lab.process(&tcp("203.0.113.9", 1001, VIP, SYN))), first);
    assert_ne!(server(&lab.process(&tcp("203.0.113.10", 1000, VIP, SYN))), first);
    let statistics = lab.engine.statistics();
    let persistent: u32 =
        statistics.services[0].servers.iter().map(|server| server.persistent_connections).sum();
    assert_eq!((persistent, templates(&lab).len()), (2, 2));
}

#[test]
fn neighbours_under_one_prefix_are_one_client() {
    let (_, commands) = persistent(80, Some(24));
    let mut lab = Lab::new(&commands);
    let first = server(&lab.process(&tcp("203.0.113.9", 1000, VIP, SYN)));
    assert_eq!(server(&lab.process(&tcp("203.0.113.200", 1000, VIP, SYN))), first);
    assert_ne!(server(&lab.process(&tcp("203.0.114.9", 1000, VIP, SYN))), first);
    assert_eq!(templates(&lab)[0].client, "203.0.113.0:0".parse().unwrap());
}

#[test]
fn expire_quiescent_template_gives_the_client_another_server() {
    let (key, commands) = persistent(80, None);
    let mut lab = Lab::new(&commands);
    let on = SettingsPatch { expire_quiescent_template: Some(true), ..SettingsPatch::default() };
    lab.apply(&[settings(on)]);
    let first = server(&lab.process(&tcp("203.0.113.9", 1000, VIP, SYN)));
    let (_, spec) = lab.configuration.server_by_id(first).unwrap();
    lab.apply(&[set_weight(key, &spec.address.to_string(), 0)]);
    assert_ne!(server(&lab.process(&tcp("203.0.113.9", 1001, VIP, SYN))), first);
    // The invalid template stays until it runs out, listed with ports nobody has.
    let mut ports: Vec<_> = templates(&lab).iter().map(|row| row.virtual_address.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [80, 65535]);
}

#[test]
fn a_removed_server_leaves_no_valid_template() {
    let (key, commands) = persistent(80, None);
    let mut lab = Lab::new(&commands);
    let first = server(&lab.process(&tcp("203.0.113.9", 1000, VIP, SYN)));
    let (_, spec) = lab.configuration.server_by_id(first).unwrap();
    let at = ServerKey { address: spec.address, port: None };
    lab.apply(&[Command::RemoveServer { service: key, server: at }]);
    assert_ne!(server(&lab.process(&tcp("203.0.113.9", 1001, VIP, SYN))), first);
}

#[test]
fn a_template_outlives_its_timeout_while_it_controls_connections() {
    let (_, commands) = persistent(80, None);
    let mut lab = Lab::new(&commands);
    server(&lab.process(&tcp("203.0.113.9", 1000, VIP, SYN)));
    lab.wait_ms(61_000);
    // SYN_RECV is over after 60 s; the template has 100.
    assert_eq!((templates(&lab).len(), lab.engine.statistics().connections), (1, 1));
    lab.wait_ms(40_000);
    assert_eq!(lab.engine.statistics().connections, 0);
}

#[test]
fn a_catch_all_service_takes_the_ports_nobody_has_under_one_template() {
    let (_, mut commands) = persistent(0, None);
    let exact = key(Protocol::Tcp, VIP);
    commands.push(Command::AddService { service: service(exact, SchedulerName::Rr, &[]) });
    let mut lab = Lab::new(&commands);
    let first = server(&lab.process(&to_port("203.0.113.9", 1000, 8080)));
    assert_eq!(server(&lab.process(&to_port("203.0.113.9", 1000, 22))), first);
    assert_eq!(templates(&lab).len(), 1);
    assert_eq!(templates(&lab)[0].virtual_address.port(), 0);
    let refused = lab.process(&to_port("203.0.113.9", 1000, 80)).verdict;
    assert_eq!(refused, Verdict::Reply(ReplyReason::NoServer));
}
