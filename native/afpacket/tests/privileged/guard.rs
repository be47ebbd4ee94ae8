//! The ingress guard: the host hears nothing, the ring everything.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use afpacket::classifier::{Classifier, ServiceMatch};
use afpacket::netlink::Netlink;
use afpacket::{Claim, ClaimError, Guard, GuardError, Sender, claim, guard};

use crate::capture::{before, open_all, send, sender, until};
use crate::frames::{self, UDP, udp_frame};
use crate::lab::{Lab, Namespace, PATIENCE, eventually, with_lab};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const VIRTUAL6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80);

/// A host that has the virtual addresses and listens on port 53 and 54 of both.
struct Host<'l> {
    lab: &'l Lab,
    there: Namespace,
    sender: Sender,
    macs: (frames::Mac, frames::Mac),
    interface: u32,
}

impl<'l> Host<'l> {
    fn new(lab: &'l Lab) -> Self {
        let there = lab.neighbour("near", "far");
        lab.here.ip("addr add 10.0.0.2/24 dev near");
        lab.here.ip("addr add 192.0.2.80/32 dev lo");
        lab.here.add_ipv6("fd00::2", 64, "near");
        lab.here.add_ipv6("fd00::80", 128, "lo");
        let macs = (lab.here.mac("near"), there.mac("far"));
        let (sender, interface) = (sender(&there, "far"), lab.here.index("near"));
        Self { lab, there, sender, macs, interface }
    }

    fn listen(&self, address: &str) -> UdpSocket {
        self.lab.here.run(|| {
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        })
    }

    fn netlink(&self) -> Netlink {
        self.lab.here.run(|| Netlink::open().unwrap())
    }

    fn guard(&self, netlink: &mut Netlink, id: &str) -> Guard {
        let interface = self.interface;
        self.lab.here.run(|| Guard::install(netlink, interface, id).unwrap())
    }

    fn to_port(&self, port: u16) -> Vec<u8> {
        udp_frame(self.macs, (CLIENT, 4000), (VIRTUAL, port))
    }
}

fn nothing_heard(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let heard = socket.recv(&mut [0; 64]);
    socket.set_nonblocking(false).unwrap();
    heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn services(ports: &[u16]) -> Classifier {
    Classifier::new(ports.iter().flat_map(|port| {
        [VIRTUAL.into(), VIRTUAL6.into()].map(|address| ServiceMatch::service(UDP, address, *port))
    }))
}

#[test]
fn the_host_hears_other_ports_only_and_the_ring_hears_all() {
    with_lab("the_host_hears_other_ports_only", |lab| {
        let mut host = Host::new(lab);
        let (guarded, open) = (host.listen("192.0.2.80:53"), host.listen("192.0.2.80:54"));
        let mut ring = open_all(&lab.here, "near");
        let mut netlink = host.netlink();
        let mut guard = host.guard(&mut netlink, "one");
        guard.set(&mut netlink, &services(&[53])).unwrap();
        assert!(guard.is_in_place(&mut netlink).unwrap());

        let (first, second) = (host.to_port(53), host.to_port(54));
        send(&mut host.sender, &[first.clone(), second.clone()]);
        assert!(before(&mut ring, &second).contains(&first));
        // The second frame came behind the first: once it is heard, the first was dropped.
        assert_eq!(open.recv(&mut [0; 64]).unwrap(), 4);
        assert!(nothing_heard(&guarded));

        guard.remove(&mut netlink).unwrap();
        send(&mut host.sender, std::slice::from_ref(&first));
        assert_eq!(guarded.recv(&mut [0; 64]).unwrap(), 4);
    });
}

#[test]
fn datagrams_over_ipv6_are_guarded_behind_extension_headers_too() {
    with_lab("datagrams_over_ipv6_are_guarded", |lab| {
        let mut host = Host::new(lab);
        let (guarded, open) = (host.listen("[fd00::80]:53"), host.listen("[fd00::80]:54"));
        let mut netlink = host.netlink();
        let mut guard = host.guard(&mut netlink, "one");
        let frame = |port, before: &[u8], first| {
            let packet = frames::udp_over_ipv6((CLIENT6, 4000), (VIRTUAL6, port), before, first);
            frames::ethernet(host.macs.0, host.macs.1, &packet)
        };
        // Destination options with padding; a fragment header of a whole packet.
        let options = [UDP, 0, 1, 4, 0, 0, 0, 0];
        let atomic = [UDP, 0, 0, 0, 0, 0, 0, 9];
        let both = [[44, 0, 1, 4, 0, 0, 0, 0], atomic].concat();
        let shapes: [(&[u8], u8); 4] = [(&[], UDP), (&options, 60), (&atomic, 44), (&both, 60)];
        let frames = |port| shapes.map(|(before, first)| frame(port, before, first));
        let (to_guarded, to_open) = (frames(53), frames(54));
        // Without a guard the host hears every shape: the frames are sound.
        send(&mut host.sender, &to_guarded);
        for _ in &shapes {
            assert_eq!(guarded.recv(&mut [0; 64]).unwrap(), 4);
        }
        guard.set(&mut netlink, &services(&[53])).unwrap();
        send(&mut host.sender, &to_guarded);
        send(&mut host.sender, &to_open);
        for _ in &shapes {
            assert_eq!(open.recv(&mut [0; 64]).unwrap(), 4);
        }
        assert!(nothing_heard(&guarded));
    });
}

#[test]
fn a_guard_follows_its_services_and_leaves_no_trace() {
    with_lab("a_guard_follows_its_services", |lab| {
        let mut host = Host::new(lab);
        let (a, b) = (host.listen("192.0.2.80:53"), host.listen("192.0.2.80:54"));
        let mut netlink = host.netlink();
        let mut guard = host.guard(&mut netlink, "one");
        // Many services take several filters; then back to few and to none.
        let many: Vec<u16> = (1000..9000).step_by(2).chain([53]).collect();
        guard.set(&mut netlink, &services(&many)).unwrap();
        assert!(guard::find(&mut netlink, host.interface).unwrap().len() > 1);
        let frames = [host.to_port(53), host.to_port(54)];
        send(&mut host.sender, &frames);
        assert_eq!(b.recv(&mut [0; 64]).unwrap(), 4);
        assert!(nothing_heard(&a));

        guard.set(&mut netlink, &services(&[54])).unwrap();
        assert_eq!(guard::find(&mut netlink, host.interface).unwrap().len(), 1);
        let frames = [host.to_port(54), host.to_port(53)];
        send(&mut host.sender, &frames);
        assert_eq!(a.recv(&mut [0; 64]).unwrap(), 4);
        assert!(nothing_heard(&b));

        guard.set(&mut netlink, &services(&[])).unwrap();
        assert!(guard::find(&mut netlink, host.interface).unwrap().is_empty());
        lab.here.run(|| drop(guard));
        let index = host.interface;
        assert!(lab.here.run(|| guard::find(&mut netlink, index)).unwrap().is_empty());
        let listed = lab.here.words("tc", &["qdisc", "show", "dev", "near"]);
        assert!(!listed.contains("clsact"), "{listed}");
    });
}

#[test]
fn the_guard_of_a_dead_director_is_found_and_removed() {
    with_lab("the_guard_of_a_dead_director", |lab| {
        let mut host = Host::new(lab);
        let listener = host.listen("192.0.2.80:53");
        let mut netlink = host.netlink();
        let claim = |id: &str| Claim::acquire(&Guard::claim_name(id)).unwrap();
        let (dead, living) = lab.here.run(|| (claim("dead"), claim("living")));
        let mut left = host.guard(&mut netlink, "dead");
        left.set(&mut netlink, &services(&[53])).unwrap();
        let mut other = host.guard(&mut netlink, "living");
        other.set(&mut netlink, &services(&[54])).unwrap();
        // Killed: nothing is tidied up, but the kernel frees the name.
        std::mem::forget(left);
        drop(dead);
        // A program another test starts just now holds a copy until its `exec`.
        lab.here.run(|| {
            eventually("the name to be free", || {
                (!claim::is_held(&Guard::claim_name("dead")).unwrap()).then_some(())
            });
        });
        let frame = host.to_port(53);
        send(&mut host.sender, std::slice::from_ref(&frame));

        let found = guard::find(&mut netlink, host.interface).unwrap();
        let orphans: Vec<_> =
            lab.here.run(|| found.iter().filter(|one| one.is_orphan().unwrap()).collect());
        assert_eq!(found.len(), 2);
        assert_eq!(orphans.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["dead"]);
        assert!(nothing_heard(&listener));
        orphans.iter().for_each(|one| one.remove(&mut netlink).unwrap());

        send(&mut host.sender, std::slice::from_ref(&frame));
        assert_eq!(listener.recv(&mut [0; 64]).unwrap(), 4);
        assert!(other.is_in_place(&mut netlink).unwrap());
        drop(living);
        lab.here.run(|| drop(other));
    });
}

#[test]
fn a_guard_that_another_program_removed_is_missed() {
    with_lab("a_guard_that_another_program_removed", |lab| {
        let host = Host::new(lab);
        let mut netlink = host.netlink();
        let mut guard = host.guard(&mut netlink, "one");
        guard.set(&mut netlink, &services(&[53])).unwrap();
        for found in guard::find(&mut netlink, host.interface).unwrap() {
            found.remove(&mut netlink).unwrap();
        }
        assert!(!guard.is_in_place(&mut netlink).unwrap());
        guard.set(&mut netlink, &services(&[53])).unwrap();
        assert!(guard.is_in_place(&mut netlink).unwrap());

        let tc = |words: &str| lab.here.words("tc", &words.split(' ').collect::<Vec<_>>());
        tc("qdisc del dev near clsact");
        assert!(!guard.is_in_place(&mut netlink).unwrap());
        tc("qdisc add dev near clsact");
        lab.here.words(
            "tc",
            &[
                "filter",
                "add",
                "dev",
                "near",
                "ingress",
                "pref",
                "1",
                "protocol",
                "all",
                "bpf",
                "da",
                "bytecode",
                "1,6 0 0 0",
            ],
        );
        guard.set(&mut netlink, &services(&[53])).unwrap();
        assert!(guard.is_in_place(&mut netlink).unwrap());
        assert!(guard.is_behind_others(&mut netlink).unwrap());
        lab.here.run(|| drop(guard));
        assert!(guard::find(&mut netlink, host.interface).unwrap().is_empty());
        // The other program's filter is left alone, and the discipline with it.
        tc("filter del dev near ingress pref 1");
        drop(host.there);
    });
}

#[test]
fn a_claim_has_one_holder_in_a_namespace_and_another_in_the_next() {
    with_lab("a_claim_has_one_holder", |lab| {
        let there = lab.neighbour("near", "far");
        let held = lab.here.run(|| Claim::acquire("service/near/192.0.2.80:80/tcp").unwrap());
        let name = held.name();
        let again = lab.here.run(|| Claim::acquire(name));
        assert!(matches!(again, Err(ClaimError::Taken { .. })));
        there.run(|| Claim::acquire(name)).expect("free in another namespace");
    });
}

#[test]
fn a_guard_id_that_does_not_fit_is_refused() {
    with_lab("a_guard_id_that_does_not_fit", |lab| {
        let host = Host::new(lab);
        let mut netlink = host.netlink();
        for id in ["", "two words", &"x".repeat(guard::ID_LEN_MAX + 1)] {
            let error = Guard::install(&mut netlink, host.interface, id).unwrap_err();
            assert!(matches!(error, GuardError::BadId { .. }), "{error}");
        }
        let error = Guard::install(&mut netlink, 4711, "one").unwrap_err();
        assert!(error.to_string().contains("4711"), "{error}");
        // The ring of an unguarded interface still works.
        let mut ring = open_all(&lab.here, "near");
        let mut sender = sender(&host.there, "far");
        let frame = host.to_port(53);
        send(&mut sender, std::slice::from_ref(&frame));
        until(&mut ring, "the frame", |octets, _| (octets == frame).then_some(()));
    });
}
