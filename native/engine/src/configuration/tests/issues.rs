//! What is refused, and how it is named.

use super::*;
use IssueCode::*;

/// The configuration commands are judged against: two services, one server each.
fn ground() -> Configuration {
    configured(&[
        add_service(web()),
        add(web(), "10.0.0.1"),
        add_service(tcp("2001:db8::80", 80)),
        add(tcp("2001:db8::80", 80), "2001:db8:1::1"),
    ])
}

/// Code and field of everything wrong with `command`.
fn judged(command: Command) -> Vec<(IssueCode, alloc::string::String)> {
    let issues = ground().apply(&[command]).err().unwrap_or_default();
    for issue in &issues {
        assert!(issue.message.len() > 20, "{issue:?} explains itself");
        assert!(!issue.value.is_empty());
    }
    issues.into_iter().map(|issue| (issue.code, issue.field)).collect()
}

fn refuses(command: Command, code: IssueCode, field: &str) {
    let text = alloc::format!("{command:?}");
    assert_eq!(judged(command), [(code, field.into())], "{text}");
}

fn accepts(command: Command) {
    let text = alloc::format!("{command:?}");
    assert_eq!(judged(command), [], "{text}");
}

fn service_with(change: impl FnOnce(&mut ServiceSpec)) -> Command {
    let mut service = spec(udp("192.0.2.99", 53));
    change(&mut service);
    Command::AddService { service }
}

fn server_with(change: impl FnOnce(&mut ServerSpec)) -> Command {
    let mut server = server("10.0.0.9");
    change(&mut server);
    Command::AddServer { service: web(), server }
}

#[test]
fn duplicates_and_unknowns() {
    refuses(add_service(web()), ServiceExists, "service");
    refuses(add(web(), "10.0.0.1"), ServerExists, "server");
    let unknown = tcp("192.0.2.80", 81);
    refuses(Command::EditService { service: spec(unknown) }, ServiceNotFound, "service");
    refuses(Command::RemoveService { service: unknown }, ServiceNotFound, "service");
    refuses(add(unknown, "10.0.0.2"), ServiceNotFound, "service");
    refuses(remove(unknown, "10.0.0.1"), ServiceNotFound, "service");
    refuses(remove(web(), "10.0.0.2"), ServerNotFound, "server");
    let edit = Command::EditServer { service: web(), server: server("10.0.0.2") };
    refuses(edit, ServerNotFound, "server");
    let weight = Command::SetWeight { service: web(), server: key("10.0.0.2"), weight: 1 };
    refuses(weight, ServerNotFound, "server");
}

#[test]
fn addresses_that_cannot_be_used() {
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1"] {
        refuses(add_service(tcp(address, 80)), InvalidAddress, "address");
        refuses(add(web(), address), InvalidAddress, "address");
    }
    let six = tcp("2001:db8::80", 80);
    for address in ["::", "ff02::1", "::1", "::ffff:10.0.0.1"] {
        refuses(add_service(tcp(address, 80)), InvalidAddress, "address");
        refuses(add(six, address), InvalidAddress, "address");
    }
    refuses(add(six, "fe80::1"), InvalidAddress, "address");
    accepts(add_service(tcp("fe80::1", 80)));
    accepts(add(six, "2001:db8:1::2"));
}

#[test]
fn families_and_address_conflicts() {
    refuses(add(web(), "2001:db8:1::9"), FamilyMismatch, "address");
    let marked = configured(&[add_service(mark(1))]);
    let issues = marked.apply(&[add(mark(1), "2001:db8:1::9")]).expect_err("an IPv4 service");
    assert_eq!(issues[0].code, FamilyMismatch);
    refuses(add_service(udp("10.0.0.1", 53)), AddressConflict, "address");
    refuses(add(web(), "192.0.2.80"), AddressConflict, "address");
    let other = configured(&[add_service(web()), add_service(tcp("192.0.2.81", 80))]);
    let issues = other.apply(&[add(web(), "192.0.2.81")]).expect_err("another's address");
    assert_eq!(issues[0].code, AddressConflict);
}

#[test]
fn service_numbers_have_ranges() {
    let persistence = |timeout_seconds, prefix_length| {
        service_with(|it| {
            it.persistence = Some(Persistence { timeout_seconds, prefix_length });
        })
    };
    refuses(persistence(0, None), OutOfRange, "persistence.timeoutSeconds");
    refuses(persistence(2_678_401, None), OutOfRange, "persistence.timeoutSeconds");
    refuses(persistence(360, Some(33)), OutOfRange, "persistence.prefixLength");
    accepts(persistence(1, Some(0)));
    accepts(persistence(2_678_400, Some(32)));
    let six = |length| {
        let persistence = Persistence { timeout_seconds: 1, prefix_length: Some(length) };
        service_with(|it| {
            it.key = udp("2001:db8::53", 53);
            it.persistence = Some(persistence);
        })
    };
    accepts(six(128));
    refuses(six(129), OutOfRange, "persistence.prefixLength");
    refuses(add_service(mark(0)), OutOfRange, "mark");
    accepts(add_service(mark(u32::MAX)));
}

#[test]
fn service_options_that_contradict_each_other() {
    refuses(service_with(|it| it.key = udp("192.0.2.99", 0)), InvalidCombination, "port");
    accepts(Command::AddService { service: persistent(udp("192.0.2.99", 0), 60) });
    let one_packet = |key| {
        service_with(|it| {
            it.key = key;
            it.one_packet = true;
        })
    };
    refuses(one_packet(tcp("192.0.2.99", 53)), InvalidCombination, "onePacket");
    accepts(one_packet(udp("192.0.2.99", 53)));
    accepts(one_packet(mark(7)));
    let flags = |scheduler| {
        service_with(|it| {
            it.scheduler = scheduler;
            it.flags = vec![SchedulerFlag::ShPort];
        })
    };
    refuses(flags(Some(SchedulerName::Rr)), InvalidCombination, "flags[0]");
    refuses(flags(None), InvalidCombination, "flags[0]");
    accepts(flags(Some(SchedulerName::Sh)));
    accepts(service_with(|it| it.scheduler = None));
}

#[test]
fn server_numbers_have_ranges() {
    const TOO_MUCH: u32 = 1 << 31;
    refuses(server_with(|it| it.weight = TOO_MUCH), OutOfRange, "weight");
    accepts(server_with(|it| it.weight = TOO_MUCH - 1));
    refuses(server_with(|it| it.upper_threshold = TOO_MUCH), OutOfRange, "upperThreshold");
    let lower = server_with(|it| (it.upper_threshold, it.lower_threshold) = (4, 5));
    refuses(lower, OutOfRange, "lowerThreshold");
    refuses(server_with(|it| it.lower_threshold = 1), OutOfRange, "lowerThreshold");
    accepts(server_with(|it| (it.upper_threshold, it.lower_threshold) = (5, 5)));
    let weight = Command::SetWeight { service: web(), server: key("10.0.0.1"), weight: TOO_MUCH };
    refuses(weight, OutOfRange, "weight");
    let edit = Command::EditServer { service: web(), server: limited("10.0.0.1", 1, 2) };
    refuses(edit, OutOfRange, "lowerThreshold");
}

#[test]
fn marks_and_settings() {
    let define = |mark, address: &str, prefix_length, ports| Command::DefineMark {
        mark,
        matches: vec![MarkMatch {
            protocol: None,
            address: ip(address),
            prefix_length,
            ports,
            source: None,
            source_prefix_length: None,
            source_ports: None,
            interface: None,
            vlan: None,
        }],
    };
    refuses(define(0, "192.0.2.0", Some(24), None), OutOfRange, "mark");
    refuses(define(1, "192.0.2.0", Some(33), None), OutOfRange, "matches[0].prefixLength");
    refuses(define(1, "2001:db8::", Some(129), None), OutOfRange, "matches[0].prefixLength");
    refuses(define(1, "192.0.2.0", None, Some((2, 1))), OutOfRange, "matches[0].ports");
    accepts(define(1, "0.0.0.0", Some(0), Some((1, 1))));
    let set = |settings| Command::Settings { settings };
    let none = SettingsPatch::default;
    let reuse = SettingsPatch { conn_reuse_mode: Some(4), ..none() };
    refuses(set(reuse), OutOfRange, "connReuseMode");
    let timeout = SettingsPatch { tcp_timeout_seconds: Some(0), ..none() };
    refuses(set(timeout), OutOfRange, "tcpTimeoutSeconds");
    let timeout = SettingsPatch { tcp_fin_timeout_seconds: Some(2_678_401), ..none() };
    refuses(set(timeout), OutOfRange, "tcpFinTimeoutSeconds");
    let timeout = SettingsPatch { udp_timeout_seconds: Some(0), ..none() };
    refuses(set(timeout), OutOfRange, "udpTimeoutSeconds");
    accepts(set(SettingsPatch { conn_reuse_mode: Some(0), ..none() }));
}

#[test]
fn all_problems_of_a_batch_are_told_at_once() {
    let bad = ServerSpec { weight: 1 << 31, ..limited("127.0.0.1", 1, 2) };
    let issues = ground()
        .apply(&[
            add(web(), "10.0.0.2"),
            Command::AddServer { service: web(), server: bad },
            add(web(), "10.0.0.2"),
            Command::RemoveService { service: mark(9) },
            add(web(), "10.0.0.3"),
        ])
        .expect_err("three bad commands");
    let told: Vec<_> = issues.iter().map(|it| (it.command, it.code, it.field.as_str())).collect();
    assert_eq!(
        told,
        [
            (1, InvalidAddress, "address"),
            (1, OutOfRange, "weight"),
            (1, OutOfRange, "lowerThreshold"),
            (2, ServerExists, "server"),
            (3, ServiceNotFound, "service"),
        ]
    );
}

#[test]
fn later_commands_are_judged_as_if_a_bad_one_were_not_there() {
    let issues = Configuration::default()
        .apply(&[add_service(mark(0)), add(mark(0), "10.0.0.1"), add_service(web())])
        .expect_err("the first is bad");
    let told: Vec<_> = issues.iter().map(|it| (it.command, it.code)).collect();
    assert_eq!(told, [(0, OutOfRange), (1, ServiceNotFound)]);
}

#[test]
fn messages_name_the_service_the_value_and_the_way_out() {
    let issues = ground().apply(&[add_service(web())]).expect_err("a duplicate");
    assert_eq!(issues[0].value, "tcp 192.0.2.80:80");
    assert_eq!(issues[0].message, "tcp 192.0.2.80:80 exists already; edit it, or remove it first");
    let edit = Command::EditServer { service: web(), server: limited("10.0.0.1", 1, 2) };
    let issues = ground().apply(&[edit]).expect_err("thresholds the wrong way round");
    assert_eq!(issues[0].value, "2");
    assert_eq!(
        issues[0].message,
        "lowerThreshold is 2; it may not exceed upperThreshold, which is 1"
    );
}

#[test]
fn without_strict_addresses_what_ipvs_accepts_is_accepted() {
    let lax = SettingsPatch { strict_addresses: Some(false), ..SettingsPatch::default() };
    let lax = ground().apply(&[Command::Settings { settings: lax }]).unwrap();
    let mapped = |port| {
        server_with(|server| {
            server.forwarding = ForwardingMethod::Masquerading;
            server.key.port = Some(port);
        })
    };
    refuses(mapped(0), OutOfRange, "port");
    for command in [
        add_service(tcp("127.0.0.1", 80)),
        add_service(tcp("0.0.0.0", 80)),
        add_service(tcp("224.0.0.1", 80)),
        add_service(tcp("10.0.0.1", 80)),
        add(web(), "127.0.0.1"),
        add(web(), "192.0.2.80"),
        mapped(0),
    ] {
        let refused = ground().apply(core::slice::from_ref(&command)).unwrap_err();
        assert!(refused[0].message.contains("the setting strictAddresses"), "{refused:?}");
        assert!(lax.apply(core::slice::from_ref(&command)).is_ok(), "{command:?}");
    }
    // IPVS, too: a server must be unicast.
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        let issues = lax.apply(&[add(web(), address)]).unwrap_err();
        assert_eq!(issues[0].code, InvalidAddress, "{address}");
        assert!(!issues[0].message.contains("strictAddresses"), "no setting helps: {issues:?}");
    }
    for address in ["127.0.0.1", "127.8.9.10"] {
        let issues = ground().apply(&[add(web(), address)]).unwrap_err();
        let reason =
            "needs an address of another host, because a director sends nothing to its own";
        assert!(issues[0].message.contains(reason), "{issues:?}");
    }
}

#[test]
fn flags_that_mean_nothing_go_with_any_scheduler() {
    use SchedulerFlag::{Flag1, Flag2, Flag3};
    for scheduler in [None, Some(SchedulerName::Rr), Some(SchedulerName::Mh)] {
        accepts(service_with(|service| {
            service.scheduler = scheduler;
            service.flags = vec![Flag1, Flag2, Flag3];
        }));
    }
}
