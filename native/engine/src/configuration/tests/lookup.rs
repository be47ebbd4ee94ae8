//! Which service a packet belongs to.

use super::*;

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
    let of = |protocol, address: &str, port| now.mark_of(protocol, ip(address), port);
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
    assert_eq!(less.mark_of(Protocol::Udp, ip("192.0.2.0"), 443), None);
}
