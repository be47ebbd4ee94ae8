use super::*;

fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        alternative_names: Vec::new(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        up: true,
        running: true,
        loopback: false,
        master: None,
    }
}

fn interfaces(names: &[&str], links: Vec<Link>) -> Interfaces {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    Interfaces::new(&names, links)
}

/// `name=number` of those that are at a device, `name:reason` of those that pass no frames.
fn told(interfaces: &mut Interfaces) -> String {
    interfaces.settle();
    let placed = interfaces.placed();
    let placed = placed.iter().map(|one| format!("{}={}", one.name, one.link.index));
    let conditions = interfaces.conditions(|_| true).into_iter();
    let down = conditions.filter_map(|(name, reason)| Some(format!("{name}:{:?}", reason?)));
    placed.chain(down).collect::<Vec<_>>().join(" ")
}

/// A change of links.
enum Step {
    Is(Link),
    Gone(u32),
}

use Step::{Gone, Is};

/// What holds after each step that is settled.
fn walk(interfaces: &mut Interfaces, steps: Vec<Step>) -> String {
    for step in steps {
        match step {
            Is(link) => interfaces.handle(link),
            Gone(index) => interfaces.handle_removed(index),
        }
    }
    told(interfaces)
}

#[test]
fn the_device_with_the_name_is_followed() {
    let tun = || Link { mac: None, ..link(4, "eth0") };
    let other_name = || Link { alternative_names: vec!["eth0".into()], ..link(5, "ens3") };
    let table: Vec<(&str, Vec<Step>, &str)> = vec![
        ("nothing", vec![], "eth0=2"),
        (
            "down",
            vec![Is(Link { up: false, running: false, ..link(2, "eth0") })],
            "eth0=2 eth0:Down",
        ),
        (
            "no carrier",
            vec![Is(Link { running: false, ..link(2, "eth0") })],
            "eth0=2 eth0:NoCarrier",
        ),
        ("back", vec![Is(link(2, "eth0"))], "eth0=2"),
        ("renamed, nobody bears the name", vec![Is(link(2, "old0"))], "eth0=2"),
        ("another bears it", vec![Is(link(3, "eth0"))], "eth0=3"),
        ("that one goes, the first is not looked for", vec![Gone(3)], "eth0:Gone"),
        ("without Ethernet", vec![Is(tun())], "eth0:NotEthernet"),
        ("becomes Ethernet", vec![Is(link(4, "eth0"))], "eth0=4"),
        ("and is so no longer", vec![Is(tun())], "eth0:NotEthernet"),
        ("an alternative name", vec![Gone(4), Is(other_name())], "eth0=5"),
        ("taken away", vec![Is(link(5, "ens3"))], "eth0=5"),
        ("gone", vec![Gone(5)], "eth0:Gone"),
        ("the first has its name again", vec![Is(link(2, "eth0"))], "eth0=2"),
        (
            "only loopback",
            vec![Gone(2), Is(Link { loopback: true, ..link(1, "eth0") })],
            "eth0:NotEthernet",
        ),
    ];
    let mut interfaces = interfaces(&["eth0"], vec![link(2, "eth0")]);
    for (what, steps, expected) in table {
        assert_eq!(walk(&mut interfaces, steps), expected, "{what}");
    }
}

#[test]
fn names_that_are_swapped_change_no_device() {
    let mut interfaces = interfaces(&["eth0", "eth1"], vec![link(2, "eth0"), link(3, "eth1")]);
    let before = interfaces.placed();
    let steps = vec![Is(link(2, "tmp0")), Is(link(3, "eth0")), Is(link(2, "eth1"))];
    assert_eq!(walk(&mut interfaces, steps), "eth0=3 eth1=2");
    let after = interfaces.placed();
    assert_eq!((before[0].device, before[1].device), (after[1].device, after[0].device));
    assert!(interfaces.take_gone().is_empty());
    assert_eq!(interfaces.name(3).as_deref(), Some("eth0"));
}

#[test]
fn a_slow_swap_gives_each_device_back_at_the_end() {
    let mut interfaces = interfaces(&["eth0", "eth1"], vec![link(2, "eth0"), link(3, "eth1")]);
    assert_eq!(walk(&mut interfaces, vec![Is(link(2, "tmp0"))]), "eth0=2 eth1=3");
    assert_eq!(walk(&mut interfaces, vec![Is(link(3, "eth0"))]), "eth0=3 eth1:Gone");
    interfaces.handle(link(2, "eth1"));
    assert!(interfaces.is_awaited());
    assert_eq!(told(&mut interfaces), "eth0=3 eth1=2");
    assert!(!interfaces.is_awaited());
}

#[test]
fn the_same_number_may_be_another_device() {
    let mut interfaces = interfaces(&["eth0"], vec![link(2, "eth0")]);
    let before = interfaces.placed()[0].device;
    assert_eq!(walk(&mut interfaces, vec![Gone(2), Is(link(2, "eth0"))]), "eth0=2");
    let after = interfaces.placed()[0].device;
    assert_ne!(before, after);
    assert_eq!(interfaces.take_gone(), [2]);
    interfaces.handle_lost(before, true);
    assert_eq!(interfaces.take_gone(), [] as [u32; 0], "it is gone already");
    interfaces.handle_lost(after, true);
    assert_eq!(interfaces.take_gone(), [2]);
    assert_eq!(told(&mut interfaces), "eth0=2");
    let again = interfaces.placed()[0].device;
    assert_ne!(again, after);
    interfaces.handle_lost(again, false);
    assert_eq!(told(&mut interfaces), "eth0:Gone");
}

#[test]
fn what_went_unheard_is_found_by_the_list() {
    let mut interfaces = interfaces(&["eth0"], vec![link(2, "eth0"), link(3, "eth1")]);
    interfaces.handle_all(vec![link(3, "eth1"), link(7, "eth0")]);
    assert_eq!(told(&mut interfaces), "eth0=7");
    assert_eq!(interfaces.take_gone(), [2]);
    assert_eq!(interfaces.link(2), None);
}

#[test]
fn one_device_is_one_interface() {
    let both = Link { alternative_names: vec!["ens3".into()], ..link(2, "eth0") };
    let mut interfaces = interfaces(&["eth0", "ens3"], vec![both]);
    assert_eq!(told(&mut interfaces), "eth0=2 ens3:SameDevice");
    assert_eq!(interfaces.name(2).as_deref(), Some("eth0"));
    assert_eq!(walk(&mut interfaces, vec![Is(link(2, "eth0"))]), "eth0=2 ens3:Gone");
}

#[test]
fn what_could_not_be_taken_into_use_passes_nothing() {
    let interfaces = interfaces(&["eth0"], vec![link(2, "eth0")]);
    let failed = ("eth0".to_owned(), Some(DownReason::Failed));
    assert_eq!(interfaces.conditions(|_| false), [failed]);
}
