//! The discipline that filters hang on: the last director to leave removes what a director made.

use afpacket::classifier::{Classifier, ServiceMatch};
use afpacket::netlink::Netlink;
use afpacket::{Guard, guard};

use crate::frames::UDP;
use crate::lab::{Lab, Namespace, with_lab};

const NEAR: &str = "near";

/// A host with one interface.
struct Host<'l> {
    lab: &'l Lab,
    netlink: Netlink,
    interface: u32,
    _there: Namespace,
}

impl<'l> Host<'l> {
    fn new(lab: &'l Lab) -> Self {
        let there = lab.neighbour(NEAR, "far");
        let netlink = lab.here.run(|| Netlink::open().unwrap());
        Self { lab, netlink, interface: lab.here.index(NEAR), _there: there }
    }

    fn guard(&mut self, id: &str, port: u16) -> Guard {
        let mut guard = Guard::install(&mut self.netlink, self.interface, id).unwrap();
        guard.set(&mut self.netlink, &service(port)).unwrap();
        guard
    }

    fn tc(&self, words: &str) -> String {
        self.lab.here.words("tc", &words.split(' ').collect::<Vec<_>>())
    }

    fn has_discipline(&self) -> bool {
        self.tc("qdisc show dev near").contains("clsact")
    }

    fn commands(&mut self, id: &str) -> Vec<String> {
        let of = |other: &str| other == id;
        guard::removal_commands(&mut self.netlink, self.interface, NEAR, of).unwrap()
    }
}

fn service(port: u16) -> Classifier {
    Classifier::new([ServiceMatch::service(UDP, [192, 0, 2, 80].into(), port)])
}

#[test]
fn whoever_is_the_last_to_leave_removes_what_a_director_made() {
    with_lab("whoever_is_the_last_to_leave", |lab| {
        let mut host = Host::new(lab);
        for maker_first in [true, false] {
            let (maker, other) = (host.guard("maker", 53), host.guard("other", 54));
            let (first, last) = if maker_first { (maker, other) } else { (other, maker) };
            first.remove(&mut host.netlink).unwrap();
            assert!(last.is_in_place(&mut host.netlink).unwrap());
            assert!(host.has_discipline());
            last.remove(&mut host.netlink).unwrap();
            assert!(!host.has_discipline(), "the maker first: {maker_first}");
        }
    });
}

#[test]
fn what_a_killed_director_made_goes_with_its_successor() {
    with_lab("what_a_killed_director_made", |lab| {
        let mut host = Host::new(lab);
        std::mem::forget(host.guard("killed", 53));
        let successor = host.guard("successor", 53);
        let found = guard::find(&mut host.netlink, host.interface).unwrap();
        for one in found.iter().filter(|one| one.id == "killed") {
            one.remove(&mut host.netlink).unwrap();
        }
        successor.remove(&mut host.netlink).unwrap();
        assert!(!host.has_discipline());
    });
}

#[test]
fn the_filters_of_a_killed_director_keep_what_they_hang_on() {
    with_lab("the_filters_of_a_killed_director", |lab| {
        let mut host = Host::new(lab);
        let maker = host.guard("maker", 53);
        std::mem::forget(host.guard("killed", 54));
        maker.remove(&mut host.netlink).unwrap();
        assert_eq!(guard::find(&mut host.netlink, host.interface).unwrap().len(), 1);
        // What a successor does, whenever it comes.
        host.guard("killed", 54).remove(&mut host.netlink).unwrap();
        assert!(!host.has_discipline());
    });
}

#[test]
fn a_discipline_that_another_program_made_or_uses_stays() {
    with_lab("a_discipline_that_another_program", |lab| {
        let mut host = Host::new(lab);
        host.tc("qdisc add dev near clsact");
        host.guard("one", 53).remove(&mut host.netlink).unwrap();
        assert!(host.has_discipline(), "another program made it");
        host.tc("qdisc del dev near clsact");
        for direction in ["ingress", "egress"] {
            let guard = host.guard("one", 53);
            let add = "filter add dev near DIRECTION protocol all pref 9 bpf da bytecode";
            let mut words: Vec<_> = add.split(' ').collect();
            words[4] = direction;
            words.push("1,6 0 0 4294967295");
            lab.here.words("tc", &words);
            guard.remove(&mut host.netlink).unwrap();
            assert!(host.has_discipline(), "another program uses it, {direction}");
            host.tc(&format!("filter del dev near {direction} pref 9"));
            let left = host.tc("filter show dev near egress");
            assert_eq!(left, "", "nothing of a director stays in it");
            host.tc("qdisc del dev near clsact");
        }
    });
}

#[test]
fn directors_that_come_and_go_at_once_do_not_disturb_each_other() {
    with_lab("directors_that_come_and_go_at_once", |lab| {
        let host = Host::new(lab);
        let interface = host.interface;
        std::thread::scope(|scope| {
            for number in 0..3_u16 {
                scope.spawn(move || {
                    lab.here.run(|| {
                        let mut netlink = Netlink::open().unwrap();
                        for round in 0..200 {
                            let id = format!("{number}-{round}");
                            let guard = Guard::install(&mut netlink, interface, &id);
                            let mut guard = guard.unwrap();
                            guard.set(&mut netlink, &service(53 + number)).unwrap();
                            std::thread::yield_now();
                            assert!(guard.is_in_place(&mut netlink).unwrap(), "{id}");
                            guard.remove(&mut netlink).unwrap();
                        }
                    });
                });
            }
        });
        assert!(!host.has_discipline());
    });
}

#[test]
fn what_stays_can_be_removed_by_the_commands_that_are_told() {
    with_lab("what_stays_can_be_removed", |lab| {
        let mut host = Host::new(lab);
        assert_eq!(host.commands("one"), [""; 0], "nothing is left");
        std::mem::forget(host.guard("one", 53));
        assert_eq!(host.commands("one"), ["tc qdisc del dev near clsact"]);
        let other = host.guard("other", 54);
        let commands = host.commands("one");
        assert_eq!(commands.len(), 1, "{commands:?}");
        assert!(commands[0].starts_with("tc filter del dev near ingress pref "), "{commands:?}");
        host.tc(commands[0].strip_prefix("tc ").unwrap());
        assert!(other.is_in_place(&mut host.netlink).unwrap());
        assert_eq!(host.commands("one"), [""; 0]);
        other.remove(&mut host.netlink).unwrap();
        assert!(!host.has_discipline());
    });
}
