//! What commands change.

use super::*;
use crate::configuration::Settings;
use crate::scheduler::Placement;

#[test]
fn the_newest_server_stands_first() {
    let now = configured(&[add_service(web()), add(web(), "10.0.0.1"), add(web(), "10.0.0.2")]);
    assert_eq!(list(&now, web()), [ip("10.0.0.2"), ip("10.0.0.1")]);
}

#[test]
fn edits_move_no_server() {
    let edited = ServerSpec { weight: 7, ..limited("10.0.0.1", 9, 3) };
    let now = configured(&[
        add_service(web()),
        add(web(), "10.0.0.1"),
        add(web(), "10.0.0.2"),
        Command::EditServer { service: web(), server: edited.clone() },
        Command::SetWeight { service: web(), server: key("10.0.0.2"), weight: 0 },
    ]);
    assert_eq!(list(&now, web()), [ip("10.0.0.2"), ip("10.0.0.1")]);
    let servers = &now.service(&web()).expect("the service").servers;
    assert_eq!(servers[0].weight, 0);
    assert_eq!(
        servers[1].spec(),
        ServerSpec { key: ServerKey { port: Some(80), ..edited.key }, ..edited }
    );
}

#[test]
fn an_edit_resets_what_it_does_not_say() {
    let rich = ServiceSpec {
        flags: vec![SchedulerFlag::ShPort],
        sloppy: Some(true),
        ..persistent(web(), 60)
    };
    let plain = ServiceSpec { scheduler: None, ..spec(web()) };
    let before = configured(&[Command::AddService { service: rich }, add(web(), "10.0.0.1")]);
    let after = before.apply(&[Command::EditService { service: plain.clone() }]).expect("edits");
    let service = after.service(&web()).expect("the service");
    assert_eq!(service.spec, plain);
    assert!(!service.flags.port);
    assert!(matches!(service.placement, Placement::None));
    assert_eq!(service.servers.len(), 1, "servers are not part of the edit");
    let old = before.service(&web()).expect("the service");
    assert_eq!((service.id, service.generation), (old.id, old.generation));
}

#[test]
fn direct_routing_takes_the_port_of_the_service() {
    let asked = ServerSpec {
        key: ServerKey { address: ip("10.0.0.1"), port: Some(8080) },
        ..server("10.0.0.1")
    };
    let now = configured(&[
        add_service(web()),
        Command::AddServer { service: web(), server: asked.clone() },
        Command::AddService { service: persistent(tcp("192.0.2.81", 0), 60) },
        Command::AddServer { service: tcp("192.0.2.81", 0), server: asked.clone() },
        add_service(mark(1)),
        Command::AddServer { service: mark(1), server: asked.clone() },
        add(mark(1), "10.0.0.2"),
    ]);
    let ports = |key| -> Vec<u16> {
        now.service(&key).expect("a service").servers.iter().map(|server| server.port).collect()
    };
    assert_eq!(ports(web()), [80]);
    assert_eq!(ports(tcp("192.0.2.81", 0)), [0]);
    assert_eq!(ports(mark(1)), [0, 8080]);
    let gone = now.apply(&[Command::RemoveServer { service: web(), server: asked.key }]);
    assert!(gone.expect("found by the port it was added with").service(&web()).is_some());
}

#[test]
fn a_refused_batch_leaves_nothing_behind() {
    let before = configured(&[
        add_service(web()),
        Command::AddServer { service: web(), server: limited("10.0.0.1", 2, 0) },
    ]);
    let load = before.service(&web()).expect("the service").servers[0].load.clone();
    load.bind();
    let refused = before.apply(&[
        Command::EditServer { service: web(), server: limited("10.0.0.1", 1, 0) },
        add(web(), "10.0.0.2"),
        remove(web(), "10.0.0.9"),
    ]);
    assert_eq!(refused.expect_err("no such server").len(), 1);
    assert!(!load.overloaded(), "thresholds of a refused batch are not in force");
    assert_eq!(list(&before, web()), [ip("10.0.0.1")]);
    assert_eq!(before.version().number, 1);
}

#[test]
fn clear_takes_the_services_and_leaves_marks_and_settings() {
    let patch = SettingsPatch { sloppy_tcp: Some(true), ..SettingsPatch::default() };
    let matches = vec![MarkMatch {
        protocol: None,
        address: ip("192.0.2.0"),
        prefix_length: Some(24),
        ports: None,
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface: None,
        vlan: None,
    }];
    let now = configured(&[
        add_service(web()),
        add(web(), "10.0.0.1"),
        Command::DefineMark { mark: 1, matches },
        Command::Settings { settings: patch },
        Command::Clear,
    ]);
    assert_eq!(now.services().count(), 0);
    assert!(!now.is_virtual_address(ip("192.0.2.80")));
    assert_eq!(now.marks().len(), 1);
    assert!(now.settings().sloppy_tcp);
    assert!(now.apply(&[add_service(tcp("10.0.0.1", 80))]).is_ok(), "no server has it any more");
}

#[test]
fn settings_change_only_what_they_name() {
    let patch = SettingsPatch { udp_timeout_seconds: Some(10), ..SettingsPatch::default() };
    let now = configured(&[Command::Settings { settings: patch }]);
    assert_eq!(*now.settings(), Settings { udp_timeout_seconds: 10, ..Settings::default() });
}

#[test]
fn sloppiness_is_the_services_own_or_the_global_one() {
    let own = |key, sloppy| Command::AddService { service: ServiceSpec { sloppy, ..spec(key) } };
    let patch = SettingsPatch { sloppy_tcp: Some(true), ..SettingsPatch::default() };
    let now = configured(&[
        own(web(), None),
        own(tcp("192.0.2.81", 80), Some(false)),
        own(udp("192.0.2.80", 53), Some(true)),
        own(mark(1), None),
        Command::Settings { settings: patch },
    ]);
    let sloppy =
        |key: ServiceKey, protocol| now.is_sloppy(now.service(&key).expect("a service"), protocol);
    assert!(sloppy(web(), Protocol::Tcp));
    assert!(!sloppy(tcp("192.0.2.81", 80), Protocol::Tcp));
    assert!(!sloppy(udp("192.0.2.80", 53), Protocol::Udp));
    assert!(sloppy(mark(1), Protocol::Tcp));
    assert!(!sloppy(mark(1), Protocol::Sctp));
}

#[test]
fn the_version_counts_batches_that_are_not_empty() {
    let one = configured(&[add_service(web()), add(web(), "10.0.0.1")]);
    assert_eq!(one.version().number, 1);
    let same = one.apply(&[]).expect("nothing to refuse");
    assert_eq!(same.version(), one.version());
    let two = one.apply(&[add(web(), "10.0.0.2")]).expect("a good command");
    assert_eq!(two.version().number, 2);
}

#[test]
fn services_come_in_the_order_they_were_added() {
    let now = configured(&[
        add_service(tcp("192.0.2.3", 1)),
        add_service(tcp("192.0.2.1", 1)),
        add_service(tcp("192.0.2.2", 1)),
        Command::RemoveService { service: tcp("192.0.2.3", 1) },
        add_service(tcp("192.0.2.3", 1)),
    ]);
    let keys: Vec<_> = now.services().map(|service| *service.key()).collect();
    assert_eq!(keys, [tcp("192.0.2.1", 1), tcp("192.0.2.2", 1), tcp("192.0.2.3", 1)]);
    assert_eq!(now.service_slots(), 3);
}
