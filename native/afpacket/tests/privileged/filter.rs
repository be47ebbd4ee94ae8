//! The classifier's programs in the kernel. What they accept in detail is tested beside them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use afpacket::PacketSocket;
use afpacket::classifier::{Classifier, Precision, ServiceMatch, SocketAudience};

use crate::capture::{before, send, sender, small};
use crate::frames::{self, TCP, UDP, udp_frame};
use crate::lab::with_lab;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 81);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const VIRTUAL6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80);

fn service(address: impl Into<IpAddr>, port: u16) -> ServiceMatch {
    ServiceMatch::service(UDP, address.into(), port)
}

#[test]
fn the_ring_gets_the_services_and_what_concerns_them() {
    with_lab("the_ring_gets_the_services", |lab| {
        let there = lab.neighbour("near", "far");
        let macs = (lab.here.mac("near"), there.mac("far"));
        let index = lab.here.index("near");
        let mut socket = lab.here.run(|| PacketSocket::open(index, &small()).unwrap());
        let services = Classifier::new([service(VIRTUAL, 53), service(VIRTUAL6, 53)]);
        let precision = socket.set_classifier(&services, &SocketAudience::default()).unwrap();
        assert_eq!(precision, Precision::Exact);

        let packet = |protocol, to, options: &[u8], fragment, payload: &[u8]| {
            let packet = frames::ipv4(protocol, CLIENT, to, options, fragment, payload);
            frames::ethernet(macs.0, macs.1, &packet)
        };
        let over_ipv6 = |port, before: &[u8], first| {
            let packet = frames::udp_over_ipv6((CLIENT6, 9), (VIRTUAL6, port), before, first);
            frames::ethernet(macs.0, macs.1, &packet)
        };
        let datagram = frames::udp(9, 53, b"data");
        let echo = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
        let wanted = [
            udp_frame(macs, (CLIENT, 9), (VIRTUAL, 53)),
            packet(UDP, VIRTUAL, &[1, 1, 1, 0], 0, &datagram),
            packet(UDP, VIRTUAL, &[], 0x2000, &datagram),
            packet(UDP, VIRTUAL, &[], 1, &[0; 16]),
            packet(1, VIRTUAL, &[], 0, &echo),
            over_ipv6(53, &[], UDP),
            over_ipv6(54, &[UDP, 0, 1, 4, 0, 0, 0, 0], 60),
            frames::ethernet(macs.0, macs.1, &frames::ipv6(58, CLIENT6, VIRTUAL6, &[1, 0, 0, 0])),
        ];
        let unwanted = [
            udp_frame(macs, (CLIENT, 9), (VIRTUAL, 54)),
            udp_frame(macs, (CLIENT, 9), (OTHER, 53)),
            udp_frame(([2, 9, 9, 9, 9, 9], macs.1), (CLIENT, 9), (VIRTUAL, 53)),
            packet(TCP, VIRTUAL, &[], 0, &datagram),
            packet(UDP, VIRTUAL, &[1, 1, 1, 0], 0, &frames::udp(53, 9, b"data")),
            packet(UDP, OTHER, &[], 1, &[0; 16]),
            packet(1, OTHER, &[], 0, &echo),
            over_ipv6(54, &[], UDP),
        ];
        let last = udp_frame(macs, (CLIENT, 10), (VIRTUAL, 53));
        let all: Vec<_> = unwanted.iter().chain(&wanted).chain([&last]).cloned().collect();
        send(&mut sender(&there, "far"), &all);
        assert_eq!(before(&mut socket, &last), wanted);
    });
}

#[test]
fn a_socket_gets_nothing_before_it_is_told_what() {
    with_lab("a_socket_gets_nothing", |lab| {
        let there = lab.neighbour("near", "far");
        let macs = (lab.here.mac("near"), there.mac("far"));
        let index = lab.here.index("near");
        let mut socket = lab.here.run(|| PacketSocket::open(index, &small()).unwrap());
        let mut sender = sender(&there, "far");
        let (early, last) = (
            udp_frame(macs, (CLIENT, 9), (VIRTUAL, 53)),
            udp_frame(macs, (CLIENT, 10), (VIRTUAL, 53)),
        );
        send(&mut sender, std::slice::from_ref(&early));
        let services = Classifier::new([service(VIRTUAL, 53)]);
        socket.set_classifier(&services, &SocketAudience::default()).unwrap();
        send(&mut sender, std::slice::from_ref(&last));
        assert_eq!(before(&mut socket, &last), [] as [Vec<u8>; 0]);
    });
}

#[test]
fn a_socket_opened_amid_traffic_gets_nothing_it_was_not_told() {
    with_lab("a_socket_opened_amid_traffic", |lab| {
        let there = lab.neighbour("near", "far");
        let index = lab.here.index("near");
        let mut sender = sender(&there, "far");
        let flood = vec![udp_frame(([2; 6], [2; 6]), (CLIENT, 9), (VIRTUAL, 53)); 64];
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    send(&mut sender, &flood);
                }
            });
            let seen: u64 = lab.here.run(|| {
                let opened = || PacketSocket::open(index, &small()).unwrap();
                (0..100).map(|_| opened().statistics().unwrap().frames).sum()
            });
            stop.store(true, Ordering::Relaxed);
            assert_eq!(seen, 0);
        });
    });
}

#[test]
fn any_number_of_services_finds_a_program_the_kernel_takes() {
    with_lab("any_number_of_services", |lab| {
        let there = lab.neighbour("near", "far");
        let macs = (lab.here.mac("near"), there.mac("far"));
        let index = lab.here.index("near");
        let mut socket = lab.here.run(|| PacketSocket::open(index, &small()).unwrap());
        let mut sender = sender(&there, "far");
        let address = |number: u32| Ipv4Addr::from_bits(0xc0a8_0000 + 2 * number);
        let mut precisions = Vec::new();
        for count in [1, 100, 500, 1000, 5000] {
            let services = Classifier::new((0..count).map(|number| service(address(number), 53)));
            precisions.push(socket.set_classifier(&services, &SocketAudience::default()).unwrap());
            let places = [(0, 1), (count / 2, 2), (count - 1, 3)];
            let frames =
                places.map(|(number, port)| udp_frame(macs, (CLIENT, port), (address(number), 53)));
            send(&mut sender, &frames);
            assert_eq!(before(&mut socket, &frames[2]), frames[..2], "{count} services");
        }
        assert_eq!(precisions[0], Precision::Exact);
        assert_eq!(precisions[4], Precision::Everything);
        assert!(precisions.is_sorted());
    });
}

#[test]
fn a_kernel_without_memory_for_the_program_gets_a_coarser_one() {
    with_lab("a_kernel_without_memory", |lab| {
        let there = lab.neighbour("near", "far");
        let macs = (lab.here.mac("near"), there.mac("far"));
        // Older kernels have this little by default and no setting in each namespace.
        if lab.here.run(|| Path::new("/proc/sys/net/core/optmem_max").exists()) {
            lab.here.set("core/optmem_max", "20480");
        }
        let index = lab.here.index("near");
        let mut socket = lab.here.run(|| PacketSocket::open(index, &small()).unwrap());
        let address = |number: u32| Ipv4Addr::from_bits(0xc0a8_0000 + 2 * number);
        let services = Classifier::new((0..500).map(|number| service(address(number), 53)));
        let audience = SocketAudience::default();
        assert_eq!(services.socket_program(&audience).precision, Precision::Exact);
        let found = socket.set_classifier(&services, &audience).unwrap();
        assert!(found > Precision::Exact, "{found:?}");
        let last = udp_frame(macs, (CLIENT, 9), (address(499), 53));
        send(&mut sender(&there, "far"), std::slice::from_ref(&last));
        before(&mut socket, &last);
    });
}
