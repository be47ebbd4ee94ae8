//! Which service a packet belongs to.

use super::*;
use crate::configuration::MarkSubject;
use crate::frame::InterfaceId;

fn found(now: &Configuration, protocol: Protocol, port: u16) -> Option<ServiceKey> {
    now.lookup(protocol, ip("192.0.2.80"), port, None).map(|service| *service.key())
}

#[test]
fn a_service_is_found_by_protocol_address_and_port() {
    let now = configured(&[add_service(web()), add_service(udp("192.0.2.80", 53))]);
    assert_eq!(found(&now, Protocol::Tcp, 80), Some(web()));
    assert_eq!(found(&now, Protocol::Udp, 53), Some(udp("192.0.2.80", 53)));
    assert_eq!(found(&now, Protocol::Udp, 80), None);
    assert_eq!(found(&now, Protocol::Sctp, 80), None);
    assert_eq!(found(&now, Protocol::Tcp, 8080), None);
    assert!(now.lookup(Protocol::Tcp, ip("192.0.2.81"), 80, None).is_none());
}

#[test]
fn ftp_takes_its_data_connections_before_the_catch_all() {
    let catch_all = tcp("192.0.2.80", 0);
    let ftp = tcp("192.0.2.80", 21);
    let now = configured(&[
        add_service(web()),
        add_service(ftp),
        Command::AddService { service: persistent(catch_all, 60) },
    ]);
    assert_eq!(found(&now, Protocol::Tcp, 80), Some(web()));
    assert_eq!(found(&now, Protocol::Tcp, 20), Some(ftp));
    assert_eq!(found(&now, Protocol::Tcp, 1024), Some(ftp));
    assert_eq!(found(&now, Protocol::Tcp, 1023), Some(catch_all));
    let without = now.apply(&[Command::RemoveService { service: ftp }]).expect("removes");
    assert_eq!(found(&without, Protocol::Tcp, 1024), Some(catch_all));
    assert_eq!(found(&without, Protocol::Udp, 1024), None);
}

#[test]
fn a_mark_comes_first_if_a_service_has_it() {
    let now = configured(&[add_service(web()), add_service(mark(7))]);
    let by = |given| {
        now.lookup(Protocol::Tcp, ip("192.0.2.80"), 80, given).map(|service| *service.key())
    };
    assert_eq!(by(Some(7)), Some(mark(7)));
    assert_eq!(by(Some(8)), Some(web()));
    assert_eq!(by(Some(0)), Some(web()));
    assert!(now.lookup(Protocol::Udp, ip("198.51.100.1"), 9, Some(7)).is_some());
    assert!(now.lookup(Protocol::Udp, ip("2001:db8::1"), 9, Some(7)).is_none(), "another family");
}

#[test]
fn an_address_is_virtual_as_long_as_any_service_has_it() {
    let dns = udp("192.0.2.80", 53);
    let both = configured(&[add_service(web()), add_service(dns)]);
    assert!(both.is_virtual_address(ip("192.0.2.80")));
    let one = both.apply(&[Command::RemoveService { service: web() }]).expect("removes");
    assert!(one.is_virtual_address(ip("192.0.2.80")));
    let none = one.apply(&[Command::RemoveService { service: dns }]).expect("removes");
    assert!(!none.is_virtual_address(ip("192.0.2.80")));
}

#[test]
fn a_mark_covers_what_fits_every_condition_of_one_match() {
    let condition = |protocol, address: &str, prefix_length, ports| MarkMatch {
        protocol,
        address: ip(address),
        prefix_length,
        ports,
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface: None,
        vlan: None,
    };
    let web = condition(Some(Protocol::Tcp), "192.0.2.7", Some(24), Some((80, 443)));
    let now = configured(&[
        Command::DefineMark { mark: 9, matches: vec![condition(None, "0.0.0.0", Some(0), None)] },
        Command::DefineMark {
            mark: 5,
            matches: vec![
                web,
                condition(None, "2001:db8::5", None, None),
                condition(None, "198.51.100.4", None, None),
            ],
        },
    ]);
    let of = |protocol, address: &str, port| now.mark_of(&subject(protocol, address, port));
    assert_eq!(of(Protocol::Tcp, "192.0.2.255", 80), Some(5), "the smallest mark wins");
    assert_eq!(of(Protocol::Tcp, "192.0.2.0", 443), Some(5));
    assert_eq!(of(Protocol::Tcp, "192.0.3.0", 443), Some(9));
    assert_eq!(of(Protocol::Tcp, "192.0.2.0", 444), Some(9));
    assert_eq!(of(Protocol::Udp, "192.0.2.0", 443), Some(9));
    assert_eq!(of(Protocol::Sctp, "2001:db8::5", 1), Some(5));
    assert_eq!(of(Protocol::Sctp, "2001:db8::4", 1), None);
    assert_eq!(of(Protocol::Sctp, "198.51.100.4", 1), Some(5));
    assert_eq!(of(Protocol::Sctp, "198.51.100.5", 1), Some(9));
    let less = now.apply(&[Command::DefineMark { mark: 9, matches: vec![] }]).expect("forgets");
    assert_eq!(less.mark_of(&subject(Protocol::Udp, "192.0.2.0", 443)), None);
}

fn subject(protocol: Protocol, address: &str, port: u16) -> MarkSubject {
    let destination = ip(address);
    let source = match destination {
        IpAddr::V4(_) => ip("203.0.113.9"),
        IpAddr::V6(_) => ip("2001:db8:ffff::9"),
    };
    let (interface, vlan) = (Some(InterfaceId(3)), Some(7));
    MarkSubject { protocol, source, source_port: 40_000, destination, port, interface, vlan }
}

#[test]
fn a_mark_looks_at_where_a_packet_comes_from() {
    let any = MarkMatch {
        protocol: None,
        address: ip("0.0.0.0"),
        prefix_length: Some(0),
        ports: None,
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface: None,
        vlan: None,
    };
    let network = (Some(ip("203.0.113.0")), Some(24));
    let (source, source_prefix_length) = network;
    let covers = |fitting: MarkMatch, other: MarkMatch| {
        for (one, expected) in [(fitting, Some(1)), (other, None)] {
            let define = Command::DefineMark { mark: 1, matches: vec![one] };
            let marked = configured(&[define]);
            let found = marked.mark_of(&subject(Protocol::Tcp, "192.0.2.1", 80));
            assert_eq!(found, expected, "{:?}", marked.marks());
        }
    };
    covers(
        MarkMatch { source, source_prefix_length, ..any.clone() },
        MarkMatch { source, source_prefix_length: Some(30), ..any.clone() },
    );
    covers(
        MarkMatch { source: Some(ip("203.0.113.9")), ..any.clone() },
        MarkMatch { source: Some(ip("203.0.113.8")), ..any.clone() },
    );
    covers(
        MarkMatch { source_ports: Some((40_000, 40_001)), ..any.clone() },
        MarkMatch { source_ports: Some((40_001, 40_002)), ..any.clone() },
    );
    covers(
        MarkMatch { interface: Some(3), ..any.clone() },
        MarkMatch { interface: Some(4), ..any.clone() },
    );
    covers(MarkMatch { vlan: Some(7), ..any.clone() }, MarkMatch { vlan: Some(0), ..any });
}

fn range(address: &str, prefix_length: Option<u8>, ports: (u16, u16)) -> ServiceKey {
    ServiceKey::Range { protocol: Protocol::Tcp, address: ip(address), prefix_length, ports }
}

#[test]
fn the_narrowest_service_on_a_range_takes_a_packet() {
    let exact =
        ServiceKey::Address { protocol: Protocol::Tcp, address: ip("192.0.2.5"), port: 8080 };
    let catch_all =
        ServiceKey::Address { protocol: Protocol::Tcp, address: ip("192.0.2.5"), port: 0 };
    let wide = range("192.0.2.0", Some(24), (1, 65_535));
    let narrow = range("192.0.2.4", Some(30), (8000, 9000));
    let ports = range("192.0.2.5", Some(32), (8000, 9000));
    let few = range("192.0.2.5", None, (8100, 8110));
    let keys = [wide, catch_all, ports, narrow, few, exact];
    let commands: Vec<_> =
        keys.iter().map(|&key| Command::AddService { service: persistent(key, 60) }).collect();
    let now = configured(&commands);
    let of = |now: &Configuration, address: &str, port| {
        now.lookup(Protocol::Tcp, ip(address), port, None).map(|service| *service.key())
    };
    assert_eq!(of(&now, "192.0.2.5", 8080), Some(exact));
    assert_eq!(of(&now, "192.0.2.5", 8105), Some(few));
    assert_eq!(of(&now, "192.0.2.5", 8111), Some(ports));
    assert_eq!(of(&now, "192.0.2.6", 8111), Some(narrow));
    assert_eq!(of(&now, "192.0.2.6", 80), Some(wide));
    assert_eq!(of(&now, "192.0.2.5", 80), Some(wide), "before the catch-all");
    assert_eq!(of(&now, "192.0.3.5", 80), None);
    assert_eq!(now.lookup(Protocol::Udp, ip("192.0.2.5"), 8111, None).map(|it| *it.key()), None);
    assert!(now.is_virtual_address(ip("192.0.2.200")));
    // A prefix as long as the address is none: one identity.
    let again = range("192.0.2.5", None, (8000, 9000));
    assert!(now.service(&again).is_some());
    let less = now.apply(&[Command::RemoveService { service: again }]).expect("removes");
    assert_eq!(of(&less, "192.0.2.5", 8111), Some(narrow));
    let less = less.apply(&[Command::RemoveService { service: wide }]).expect("removes");
    assert_eq!(of(&less, "192.0.2.5", 80), Some(catch_all));
}

#[test]
fn services_on_ranges_are_checked() {
    let refused = |key, field: &str| {
        let add = Command::AddService { service: persistent(key, 60) };
        let issues = Configuration::default().apply(&[add]).expect_err("is refused");
        assert_eq!(issues[0].field, field, "{issues:?}");
    };
    refused(range("192.0.2.1", Some(24), (80, 90)), "address");
    refused(range("192.0.2.0", Some(33), (80, 90)), "prefixLength");
    refused(range("192.0.2.1", None, (90, 80)), "ports");
    refused(range("192.0.2.1", None, (0, 80)), "ports[0]");
}
