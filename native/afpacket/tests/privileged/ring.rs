//! The receive ring and what happens to its interface.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use afpacket::bpf::Program;
use afpacket::{LinkFault, OpenError, PacketSocket, PollSet, SocketOptions};

use crate::capture::{before, open_all, send, sender, small, until};
use crate::frames::{self, udp_frame};
use crate::lab::{PATIENCE, eventually, with_lab};

const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 4000);
const SERVICE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 80), 53);
const MACS: (frames::Mac, frames::Mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

#[test]
fn frames_come_in_order_through_several_turns_of_the_ring() {
    with_lab("frames_come_in_order", |lab| {
        let there = lab.neighbour("near", "far");
        let mut socket = open_all(&lab.here, "near");
        let mut sender = sender(&there, "far");
        let frame = |port| udp_frame(MACS, (CLIENT.0, port), SERVICE);
        for round in 0..20_u16 {
            let sent: Vec<_> = (0..10).map(|number| frame(round * 10 + number)).collect();
            send(&mut sender, &sent);
            let mut seen = Vec::new();
            until(&mut socket, "ten frames", |octets, _| {
                // The machines' own neighbour discovery is on the wire as well.
                if octets[..6] == MACS.0 {
                    seen.push(octets.to_vec());
                }
                (seen.len() == 10).then_some(())
            });
            assert_eq!(seen, sent, "round {round}");
        }
        let statistics = socket.statistics().unwrap();
        assert!(statistics.frames >= 200, "{statistics:?}");
        assert_eq!(statistics.truncated, 0);
    });
}

#[test]
fn own_frames_are_not_received() {
    with_lab("own_frames_are_not_received", |lab| {
        let there = lab.neighbour("near", "far");
        let mut socket = open_all(&lab.here, "near");
        let own = udp_frame(MACS, CLIENT, SERVICE);
        let last = udp_frame(MACS, SERVICE, CLIENT);
        send(&mut sender(&lab.here, "near"), std::slice::from_ref(&own));
        send(&mut sender(&there, "far"), std::slice::from_ref(&last));
        assert!(!before(&mut socket, &last).contains(&own));
    });
}

#[test]
fn frames_longer_than_a_slot_are_counted_and_others_still_come() {
    with_lab("frames_longer_than_a_slot", |lab| {
        let there = lab.neighbour("near", "far");
        lab.here.ip("link set near mtu 9000");
        there.ip("link set far mtu 9000");
        let index = lab.here.index("near");
        let options =
            SocketOptions { slot_octets: 2048, filter: Program::constant(u32::MAX), ..small() };
        let mut socket = lab.here.run(|| PacketSocket::open(index, &options).unwrap());
        let mut sender = sender(&there, "far");
        let datagram = frames::udp(1, 2, &[0; 4000]);
        let long = frames::ipv4(frames::UDP, CLIENT.0, SERVICE.0, &[], 0, &datagram);
        let last = udp_frame(MACS, CLIENT, SERVICE);
        send(&mut sender, &[frames::ethernet(MACS.0, MACS.1, &long), last.clone()]);
        assert!(before(&mut socket, &last).iter().all(|frame| frame.len() < 2048));
        assert_eq!(socket.statistics().unwrap().truncated, 1);
    });
}

#[test]
fn a_full_ring_drops_counts_and_goes_on() {
    with_lab("a_full_ring_drops", |lab| {
        let there = lab.neighbour("near", "far");
        let mut socket = open_all(&lab.here, "near");
        let mut sender = sender(&there, "far");
        let frame = udp_frame(MACS, CLIENT, SERVICE);
        let last = udp_frame(MACS, SERVICE, CLIENT);
        send(&mut sender, &vec![frame; 60]);
        let dropped = eventually("drops", || {
            Some(socket.statistics().unwrap().dropped).filter(|dropped| *dropped >= 45)
        });
        assert!(dropped <= 60 + 20, "{dropped}");
        drop(socket.receive(64));
        send(&mut sender, std::slice::from_ref(&last));
        before(&mut socket, &last);
    });
}

#[test]
fn an_interface_that_goes_down_is_reported_and_comes_back() {
    with_lab("an_interface_that_goes_down", |lab| {
        let there = lab.neighbour("near", "far");
        let mut socket = open_all(&lab.here, "near");
        assert_eq!(socket.take_fault().unwrap(), None);
        lab.here.ip("link set near down");
        let mut set = PollSet::new();
        let number = set.watch(socket.as_fd());
        set.wait(Some(PATIENCE)).unwrap();
        assert!(set.readiness(number).failed);
        assert_eq!(socket.take_fault().unwrap(), Some(LinkFault::Down));
        assert_eq!(socket.take_fault().unwrap(), None);

        let mut back = sender(&lab.here, "near");
        let frame = udp_frame(MACS, CLIENT, SERVICE);
        let plain = afpacket::OutgoingFrame {
            prefix: &[],
            octets: &frame,
            vlan: None,
            vnet: afpacket::vnet::VnetHeader::default(),
        };
        assert_eq!(back.send([plain; 3]).link_down, 3);

        lab.here.ip("link set near up");
        lab.here.until_running("near");
        there.until_running("far");
        send(&mut sender(&there, "far"), std::slice::from_ref(&frame));
        before(&mut socket, &frame);
        assert_eq!(back.send([plain; 3]).taken, 3);
    });
}

#[test]
fn an_interface_that_is_deleted_is_gone() {
    with_lab("an_interface_that_is_deleted", |lab| {
        let _there = lab.neighbour("near", "far");
        let socket = open_all(&lab.here, "near");
        let mut sender = sender(&lab.here, "near");
        lab.here.ip("link del near");
        let fault = eventually("fault", || socket.take_fault().unwrap());
        assert_eq!(fault, LinkFault::Gone);
        let frame = udp_frame(MACS, CLIENT, SERVICE);
        let plain = afpacket::OutgoingFrame {
            prefix: &[],
            octets: &frame,
            vlan: None,
            vnet: afpacket::vnet::VnetHeader::default(),
        };
        assert_eq!(sender.send([plain]).link_down, 1);
    });
}

#[test]
fn an_interface_that_does_not_exist_is_refused() {
    with_lab("an_interface_that_does_not_exist", |lab| {
        let error = lab.here.run(|| PacketSocket::open(4711, &small()).unwrap_err());
        assert!(matches!(&error, OpenError::Syscall { interface: 4711, .. }));
        let text = error.to_string();
        assert!(text.contains("4711") && text.contains("does not exist"), "{text}");
    });
}
