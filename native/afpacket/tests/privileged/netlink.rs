//! What the kernel tells about links, addresses, routes and neighbours.

use std::net::IpAddr;

use afpacket::Presence;
use afpacket::netlink::Netlink;
use afpacket::netlink::monitor::{Change, Monitor};
use afpacket::netlink::neighbour::NeighbourState;
use afpacket::netlink::route::RouteKind;

use crate::lab::{Lab, Namespace, eventually, with_lab};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn open(lab: &Lab) -> (Netlink, Monitor) {
    lab.here.run(|| (Netlink::open().unwrap(), Monitor::open().unwrap()))
}

/// Waits for a change that `look` has an answer to.
fn change<T>(monitor: &mut Monitor, what: &str, mut look: impl FnMut(Change) -> Option<T>) -> T {
    eventually(what, || {
        let mut answer = None;
        while answer.is_none()
            && monitor.poll(|change| answer = answer.take().or_else(|| look(change))).unwrap()
        {
        }
        answer
    })
}

fn addressed(lab: &Lab) -> Namespace {
    let there = lab.neighbour("near", "far");
    lab.here.ip("addr add 10.0.0.2/24 dev near");
    lab.here.add_ipv6("fd00::2", 64, "near");
    there.ip("addr add 10.0.0.1/24 dev far");
    there.add_ipv6("fd00::1", 64, "far");
    there
}

#[test]
fn links_are_found_by_name_and_index_and_followed() {
    with_lab("links_are_found", |lab| {
        let (mut netlink, mut monitor) = open(lab);
        let there = lab.neighbour("near", "far");
        let near = netlink.link_by_name("near").unwrap().unwrap();
        assert_eq!((near.up, near.loopback, near.mtu), (true, false, 1500));
        assert_eq!(near.mac, Some(lab.here.mac("near")));
        assert_eq!(netlink.link_by_index(near.index).unwrap().unwrap().name, "near");
        assert_eq!(netlink.link_by_name("nobody").unwrap(), None);
        assert_eq!(netlink.link_by_name("a name that no interface can have").unwrap(), None);
        assert_eq!(netlink.link_by_index(4711).unwrap(), None);
        let links = netlink.links().unwrap();
        assert!(links.iter().any(|link| link.loopback && link.name == "lo"));
        assert!(links.iter().any(|link| link.index == near.index));

        there.ip("link set far down");
        change(&mut monitor, "no carrier", |change| match change {
            Change::Link(link) if link.name == "near" && link.up && !link.running => Some(()),
            _ => None,
        });
        lab.here.ip("link set near mtu 1400");
        change(&mut monitor, "the new MTU", |change| match change {
            Change::Link(link) if link.mtu == 1400 => Some(()),
            _ => None,
        });
        lab.here.ip("link del near");
        change(&mut monitor, "the removal", |change| {
            (change == Change::LinkRemoved { interface: near.index }).then_some(())
        });
    });
}

#[test]
fn alternative_names_are_names() {
    with_lab("alternative_names", |lab| {
        let (mut netlink, mut monitor) = open(lab);
        let _there = lab.neighbour("near", "far");
        let index = lab.here.index("near");
        let names = ["short", "a-name-longer-than-names-may-be"];
        for name in names {
            assert_eq!(netlink.link_by_name(name).unwrap(), None);
            lab.here.ip(&format!("link property add dev near altname {name}"));
            change(&mut monitor, "the alternative name", |change| match change {
                Change::Link(link) => (link.index == index && link.has_name(name)).then_some(()),
                _ => None,
            });
            let link = netlink.link_by_name(name).unwrap().unwrap();
            assert_eq!((link.index, link.name.as_str()), (index, "near"));
        }
        let links = netlink.links().unwrap();
        let near = links.iter().find(|link| link.index == index).unwrap();
        assert_eq!(near.alternative_names, names);
        assert!(near.has_name("near") && near.has_name("short") && !near.has_name("far"));
    });
}

#[test]
fn an_interface_that_leaves_a_bridge_is_not_removed() {
    with_lab("leaves_a_bridge", |lab| {
        let _there = lab.neighbour("near", "far");
        lab.here.ip("link add bridge0 type bridge");
        lab.here.ip("link set bridge0 up");
        let (_, mut monitor) = open(lab);
        let index = lab.here.index("near");
        lab.here.ip("link set near master bridge0");
        lab.here.ip("link set near nomaster");
        lab.here.ip("link set near mtu 1400");
        let mut members = Vec::new();
        change(&mut monitor, "what was done last", |change| match change {
            Change::Link(link) if link.index == index => {
                assert!(link.up && link.running, "{link:?}");
                members.push(link.master.is_some());
                (link.mtu == 1400).then_some(())
            }
            other => {
                assert_ne!(other, Change::LinkRemoved { interface: index });
                None
            }
        });
        assert!(members.contains(&true) && members.last() == Some(&false), "{members:?}");
    });
}

#[test]
fn an_interface_that_was_away_is_not_the_one_it_was() {
    with_lab("was_away", |lab| {
        let there = lab.neighbour("near", "far");
        let index = lab.here.index("near");
        let presence = lab.here.run(|| Presence::of(index).unwrap());
        there.ip("link set far down");
        lab.here.ip("link set near down");
        lab.here.ip("link set near name other");
        lab.here.ip("link set other up");
        assert!(presence.holds(), "down, without carrier, renamed");
        lab.here.ip("link set other netns 1");
        assert!(!presence.holds());
        assert!(lab.here.run(|| Presence::of(index)).is_err());
    });
}

#[test]
fn what_chooses_among_routes_is_followed_too() {
    with_lab("chooses_among_routes", |lab| {
        let _there = addressed(lab);
        lab.here.ip("route add 198.51.100.0/24 dev near table 77");
        lab.here.ip("nexthop add id 5 dev near");
        lab.here.ip("nexthop add id 6 via fd00::1 dev near");
        lab.here.ip("route add 203.0.113.0/24 nhid 5");
        lab.here.ip("-6 route add 2001:db8::/32 nhid 6");
        // Without it the kernel tells of the routes as well.
        lab.here.set("ipv4/nexthop_compat_mode", "0");
        let (_, mut monitor) = open(lab);
        for command in [
            "rule add to 198.51.100.0/24 lookup 77",
            "rule del to 198.51.100.0/24 lookup 77",
            "-6 rule add to 2001:db8::/32 lookup 77",
            "-6 rule del to 2001:db8::/32 lookup 77",
            "nexthop replace id 5 via 10.0.0.1 dev near",
            "nexthop replace id 6 via fd00::7 dev near",
            "nexthop del id 5",
        ] {
            lab.here.ip(command);
            change(&mut monitor, command, |change| (change == Change::Routes).then_some(()));
            while monitor.poll(drop).unwrap() {}
        }
        lab.here.set("ipv4/conf/near/ignore_routes_with_linkdown", "1");
        change(&mut monitor, "a setting", |change| (change == Change::Routes).then_some(()));
    });
}

#[test]
fn own_addresses_are_listed_and_followed() {
    with_lab("own_addresses", |lab| {
        let (mut netlink, mut monitor) = open(lab);
        let _there = addressed(lab);
        let index = lab.here.index("near");
        let found = netlink.addresses().unwrap();
        for (text, prefix) in [("10.0.0.2", 24), ("fd00::2", 64)] {
            assert!(
                found.iter().any(|one| {
                    (one.interface, one.address, one.prefix_length)
                        == (index, address(text), prefix)
                }),
                "{text} in {found:?}"
            );
        }
        lab.here.ip("addr del 10.0.0.2/24 dev near");
        change(&mut monitor, "the removal", |change| match change {
            Change::AddressRemoved(one) => (one.address == address("10.0.0.2")).then_some(()),
            _ => None,
        });
    });
}

#[test]
fn routes_tell_interface_gateway_source_and_mtu() {
    with_lab("routes_tell", |lab| {
        let (mut netlink, mut monitor) = open(lab);
        let _there = addressed(lab);
        let index = lab.here.index("near");
        lab.here.ip("route add 198.51.100.0/24 via 10.0.0.1 mtu 1400");
        lab.here.ip("route add unreachable 203.0.113.0/25");
        lab.here.ip("route add blackhole 203.0.113.128/25");
        lab.here.ip("route add prohibit 198.18.0.0/15");
        lab.here.ip("-6 route add 2001:db8::/32 via fd00::1");
        lab.here.ip("route add 192.0.2.0/24 via inet6 fd00::1");
        change(&mut monitor, "new routes", |change| (change == Change::Routes).then_some(()));

        let mut route = |text| netlink.route(address(text)).unwrap();
        let on_link = route("10.0.0.1");
        assert_eq!((on_link.kind, on_link.interface), (RouteKind::Unicast, Some(index)));
        assert_eq!((on_link.gateway, on_link.mtu), (None, None));
        assert_eq!(on_link.source, Some(address("10.0.0.2")));
        let behind = route("198.51.100.7");
        assert_eq!((behind.gateway, behind.mtu), (Some(address("10.0.0.1")), Some(1400)));
        assert_eq!(behind.next_hop(address("198.51.100.7")), address("10.0.0.1"));
        assert_eq!(route("2001:db8::7").gateway, Some(address("fd00::1")));
        assert_eq!(route("192.0.2.7").gateway, Some(address("fd00::1")));
        for text in ["10.0.0.2", "127.0.0.1", "fd00::2", "::1"] {
            assert_eq!(route(text).kind, RouteKind::Local, "{text}");
        }
        for text in ["203.0.113.1", "203.0.113.200", "198.18.0.1", "8.8.8.8", "2001:dead::1"] {
            assert_eq!(route(text).kind, RouteKind::Unreachable, "{text}");
        }
        assert_eq!(route("224.0.0.5").kind, RouteKind::Unreachable);
        assert_eq!(route("10.0.0.255").kind, RouteKind::Other);
    });
}

#[test]
fn a_neighbour_asked_for_is_resolved() {
    with_lab("a_neighbour_asked_for", |lab| {
        let (mut netlink, mut monitor) = open(lab);
        let there = addressed(lab);
        let (index, mac) = (lab.here.index("near"), there.mac("far"));
        for text in ["10.0.0.1", "fd00::1"] {
            let wanted = address(text);
            assert_eq!(netlink.neighbour(index, wanted).unwrap(), None);
            netlink.resolve(index, wanted).unwrap();
            change(&mut monitor, "the hardware address", |change| match change {
                Change::Neighbour(one) if one.address == wanted => {
                    one.usable_mac().filter(|found| *found == mac)
                }
                _ => None,
            });
            let known = netlink.neighbour(index, wanted).unwrap().unwrap();
            assert_eq!((known.mac, known.state), (Some(mac), NeighbourState::Usable));
            assert!(netlink.neighbours().unwrap().iter().any(|one| one.address == wanted));
            // Asking again confirms and disturbs nothing.
            netlink.resolve(index, wanted).unwrap();
            let known = netlink.neighbour(index, wanted).unwrap().unwrap();
            assert_eq!(known.usable_mac(), Some(mac));
        }
    });
}

#[test]
fn a_neighbour_nobody_is_fails_and_one_that_moves_is_followed() {
    with_lab("a_neighbour_nobody_is", |lab| {
        let (mut netlink, mut monitor) = open(lab);
        let there = addressed(lab);
        let index = lab.here.index("near");
        lab.here.set("ipv4/neigh/near/mcast_solicit", "1");
        lab.here.set("ipv4/neigh/near/retrans_time_ms", "50");
        netlink.resolve(index, address("10.0.0.77")).unwrap();
        change(&mut monitor, "the failure", |change| match change {
            Change::Neighbour(one) if one.address == address("10.0.0.77") => {
                assert_eq!(one.usable_mac(), None);
                (one.state == NeighbourState::Failed).then_some(())
            }
            _ => None,
        });

        netlink.resolve(index, address("10.0.0.1")).unwrap();
        let follow = |monitor: &mut Monitor, mac| {
            change(monitor, "the hardware address", |change| match change {
                Change::Neighbour(one) => one.usable_mac().filter(|found| *found == mac),
                _ => None,
            });
        };
        follow(&mut monitor, there.mac("far"));
        lab.here.ip("neigh replace 10.0.0.1 lladdr 02:00:00:00:00:99 dev near");
        follow(&mut monitor, [2, 0, 0, 0, 0, 0x99]);
        lab.here.ip("neigh del 10.0.0.1 dev near");
        change(&mut monitor, "the removal", |change| match change {
            Change::NeighbourRemoved(one) => (one.address == address("10.0.0.1")).then_some(()),
            Change::Neighbour(one) => {
                (one.address == address("10.0.0.1") && one.usable_mac().is_none()).then_some(())
            }
            _ => None,
        });
    });
}

#[test]
fn the_kernels_refusal_names_what_was_asked_for() {
    with_lab("the_kernels_refusal", |lab| {
        let (mut netlink, _) = open(lab);
        let error = netlink.resolve(4711, address("10.0.0.1")).unwrap_err();
        assert_eq!(error.number(), Some(19));
        assert!(error.to_string().contains("resolution of a neighbour"), "{error}");
        // The socket is in step again after an error.
        assert!(netlink.link_by_name("lo").unwrap().is_some());
    });
}

#[test]
fn changes_that_do_not_fit_are_reported_as_an_overrun() {
    with_lab("changes_that_do_not_fit", |lab| {
        let (_, mut monitor) = open(lab);
        let _there = addressed(lab);
        // `ip -batch` adds and removes a neighbour until the socket's room is surely used up.
        let lines = "neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev near\n\
                     neigh replace 10.0.0.9 lladdr 02:00:00:00:00:0a dev near\n";
        let path = std::env::temp_dir().join(format!("l4af-{}.batch", std::process::id()));
        std::fs::write(&path, lines.repeat(10_000)).unwrap();
        lab.here.ip(&format!("-batch {}", path.display()));
        std::fs::remove_file(&path).unwrap();
        change(&mut monitor, "the overrun", |change| (change == Change::Overrun).then_some(()));
    });
}
