//! The kernel's fast path: frames of inserted flows come out at the other side, counted, and nothing
//! of them here; everything else comes here and stays.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
use afpacket::vnet::{PartialChecksum, Segmentation, VnetHeader};
use afpacket::{
    Claim, FastPath, FastPathError, Flow, FlowCounters, Guard, OutgoingFrame, PacketSocket,
    Transport, VlanTag, Way, claim, fast_path, guard,
};

use crate::capture::{send, small, until};
use crate::fast_host::{
    ACK, CLIENT, CLIENT6, VIRTUAL, VIRTUAL6, captured, flow, flow6, nothing_here, of, packet,
    packet6, segment, sent_here, services, with_fast_path,
};
use crate::frames::{self, TCP, UDP};
use crate::lab::eventually;

/// What is counted of frames without FIN.
fn plain(packets: u64, octets: u64) -> FlowCounters {
    FlowCounters { packets, octets, data: packets, fin: 0 }
}

#[test]
fn frames_of_a_flow_go_out_rewritten_and_counted() {
    with_fast_path("frames_of_a_flow_go_out_rewritten", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        path.insert(&flow6(4001), &host.way()).unwrap();
        assert_eq!(path.len(), 2);
        let long = [7; 1200];
        for packet in [
            packet(4000, ACK, &long),
            packet(4000, ACK, b""),
            packet(4000, ACK | 8, b"x"),
            packet6(4001, ACK, &long),
            packet6(4001, ACK, b""),
        ] {
            let frame = host.frame(&packet);
            assert!(host.pass(&frame).is_empty());
        }
        nothing_here(&mut host, &mut socket);
        let counted = |packets, octets| Some(plain(packets, octets));
        assert_eq!(path.counters(&flow(4000)).unwrap(), counted(3, 1240 + 40 + 41));
        assert_eq!(path.counters(&flow(4001)).unwrap(), None);
        assert_eq!(path.withdraw(&flow6(4001)).unwrap(), counted(2, 1260 + 60));
        assert_eq!(path.counters(&flow6(4001)).unwrap(), None);
    });
}

#[test]
fn datagrams_of_a_flow_go_out_and_segments_with_its_ports_do_not() {
    with_fast_path("datagrams_of_a_flow_go_out", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        let [udp, udp6] =
            [flow(4000), flow6(4000)].map(|flow| Flow { transport: Transport::Udp, ..flow });
        path.insert(&udp, &host.way()).unwrap();
        path.insert(&udp6, &host.way()).unwrap();
        // Segments are looked up, too, from now on.
        path.insert(&flow(4001), &host.way()).unwrap();
        assert!(host.pass(&host.frame(&packet(4001, ACK, b"x"))).is_empty());
        let short = frames::udp(4000, 80, b"");
        let packets = [
            frames::ipv4(UDP, CLIENT, VIRTUAL, &[], 0, &frames::udp(4000, 80, &[7; 1200])),
            frames::ipv4(UDP, CLIENT, VIRTUAL, &[], 0, &short),
            frames::udp_over_ipv6((CLIENT6, 4000), (VIRTUAL6, 80), &[], UDP),
        ];
        for packet in &packets {
            let frame = host.frame(packet);
            assert!(host.pass(&frame).is_empty());
        }
        nothing_here(&mut host, &mut socket);
        let counted = |packets, octets| Some(plain(packets, octets));
        assert_eq!(path.counters(&udp).unwrap(), counted(2, 1228 + 28));
        assert_eq!(path.withdraw(&udp6).unwrap(), counted(1, 52));
        let [segment, datagram] = [&packet(4000, ACK, b"x"), &packets[2]].map(|it| host.frame(it));
        for (what, frame) in [("a segment", segment), ("a flow withdrawn", datagram)] {
            send(&mut host.client, std::slice::from_ref(&frame));
            sent_here(&mut socket, &frame, what);
        }
    });
}

#[test]
fn what_changes_a_connection_or_is_out_of_the_ordinary_comes_whole_and_stays() {
    with_fast_path("what_changes_a_connection", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        path.insert(&flow6(4000), &host.way()).unwrap();
        let data = segment(4000, ACK, b"data");
        let mut last_hop = frames::ipv4(TCP, CLIENT, VIRTUAL, &[], 0x4000, &data);
        last_hop[8] = 1;
        last_hop[10..12].fill(0);
        let sum = frames::checksum(&last_hop[..20]).to_be_bytes();
        last_hop[10..12].copy_from_slice(&sum);
        let mut last_hop6 = packet6(4000, ACK, b"data");
        last_hop6[7] = 1;
        let options = [TCP, 0, 1, 4, 0, 0, 0, 0];
        let strange = [
            ("SYN", packet(4000, 2, b"")),
            ("SYN+ACK", packet(4000, ACK | 2, b"")),
            ("FIN alone", packet(4000, 1, b"")),
            ("no flag", packet(4000, 0, b"")),
            ("RST", packet(4000, 4 | ACK, b"")),
            ("another flow", packet(4001, ACK, &[7; 500])),
            ("last hop", last_hop),
            ("first fragment", frames::ipv4(TCP, CLIENT, VIRTUAL, &[], 0x2000, &data)),
            ("later fragment", frames::ipv4(TCP, CLIENT, VIRTUAL, &[], 0x0001, &data)),
            ("options", frames::ipv4(TCP, CLIENT, VIRTUAL, &[1, 1, 1, 0], 0, &data)),
            ("IPv6 SYN", packet6(4000, 2, b"")),
            ("IPv6 RST", packet6(4000, 4 | ACK, b"")),
            ("IPv6 last hop", last_hop6),
            ("IPv6 options", frames::ipv6(60, CLIENT6, VIRTUAL6, &[&options[..], &data].concat())),
        ];
        for (what, packet) in strange {
            let frame = host.frame(&packet);
            send(&mut host.client, std::slice::from_ref(&frame));
            sent_here(&mut socket, &frame, what);
        }
        let octets = host.frame(&packet(4000, ACK, b"tagged"));
        let vlan = Some(VlanTag::new(7));
        let vnet = VnetHeader::default();
        assert_eq!(
            host.client.send([OutgoingFrame { prefix: &[], octets: &octets, vlan, vnet }]).taken,
            1
        );
        let (whole, meta) = captured(&mut socket);
        assert_eq!((whole, meta.vlan), (octets, vlan));
        // To everybody.
        let mut everybody = host.frame(&packet(4000, ACK, b"everybody"));
        everybody[..6].fill(0xff);
        send(&mut host.client, std::slice::from_ref(&everybody));
        sent_here(&mut socket, &everybody, "to everybody");
        // None of them came out before this one does.
        let last = host.frame(&packet(4000, ACK, b"last"));
        assert!(host.pass(&last).is_empty());
    });
}

#[test]
fn ends_go_where_the_way_takes_them() {
    with_fast_path("ends_go_where_the_way_takes_them", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        for (flow, data, end) in [
            (flow(4000), packet(4000, ACK, b"x"), packet(4000, ACK | 1, b"")),
            (flow6(4000), packet6(4000, ACK, b"x"), packet6(4000, ACK | 1, b"")),
        ] {
            path.insert(&flow, &host.way()).unwrap();
            let [data, end] = [data, end].map(|packet| host.frame(&packet));
            for frame in [&data, &end, &data] {
                assert!(host.pass(frame).is_empty());
            }
            nothing_here(&mut host, &mut socket);
            let counters = path.counters(&flow).unwrap().unwrap();
            assert_eq!((counters.packets, counters.data, counters.fin), (3, 1, 1));

            path.insert(&flow, &Way { ends: false, ..host.way() }).unwrap();
            assert!(host.pass(&data).is_empty());
            send(&mut host.client, std::slice::from_ref(&end));
            sent_here(&mut socket, &end, "an end");
        }
    });
}

/// TCP with payload for the device to cut into segments of 1000 octets and to sum up.
fn large(packet: &[u8], headers: u16) -> VnetHeader {
    let kind = if packet[0] >> 4 == 4 { 1 } else { 4 };
    VnetHeader {
        checksum: Some(PartialChecksum { start: headers - 20, offset: 16 }),
        segmentation: Some(Segmentation { kind, segment_size: 1000, header_length: headers }),
    }
}

#[test]
fn a_frame_of_several_segments_stays_one() {
    with_fast_path("a_frame_of_several_segments", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        path.insert(&flow6(4000), &host.way()).unwrap();
        let payload = [7; 12_500];
        for (packet, headers) in
            [(packet(4000, ACK, &payload), 54), (packet6(4000, ACK, &payload), 74)]
        {
            let vnet = large(&packet, headers);
            let octets = host.frame(&packet);
            let frame = OutgoingFrame { prefix: &[], octets: &octets, vlan: None, vnet };
            assert_eq!(host.client.send([frame]).taken, 1);
            let expected = host.forwarded(&octets);
            let seen = until(&mut host.server, "the large frame", |found, meta| {
                (found == expected).then_some(meta.vnet)
            });
            assert_eq!(seen.checksum, vnet.checksum);
            assert_eq!(seen.segmentation.map(|split| split.segment_size), Some(1000));
            let flow = if octets[12] == 8 { flow(4000) } else { flow6(4000) };
            let counted = Some(plain(1, packet.len() as u64));
            assert_eq!(path.counters(&flow).unwrap(), counted);

            // Segments too long for the way: the director has to say so to the sender.
            let narrow = Way { mtu: 900, ..host.way() };
            path.insert(&flow, &narrow).unwrap();
            assert_eq!(host.client.send([frame]).taken, 1);
            sent_here(&mut socket, &octets, "segments too long");
        }
        assert_eq!(path.len(), 2);
    });
}

#[test]
fn a_flow_withdrawn_comes_whole_again() {
    with_fast_path("a_flow_withdrawn", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        let way = host.way();
        for port in 4000..4016 {
            path.insert(&flow(port), &way).unwrap();
        }
        let full = path.insert(&flow(4016), &way).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        // A flow that is there is written again, however full.
        path.insert(&flow(4001), &way).unwrap();
        assert_eq!((path.len(), path.capacity()), (16, 16));

        assert_eq!(path.withdraw(&flow(4000)).unwrap(), Some(FlowCounters::default()));
        assert_eq!(path.withdraw(&flow(4000)).unwrap(), None);
        let withdrawn = host.frame(&packet(4000, ACK, b"withdrawn"));
        send(&mut host.client, std::slice::from_ref(&withdrawn));
        sent_here(&mut socket, &withdrawn, "withdrawn");
        let other = host.frame(&packet(4001, ACK, b"other"));
        assert!(host.pass(&other).is_empty());
        nothing_here(&mut host, &mut socket);

        path.clear();
        assert!(path.is_empty());
        send(&mut host.client, std::slice::from_ref(&other));
        sent_here(&mut socket, &other, "cleared");
        path.insert(&flow(4001), &way).unwrap();
        assert!(host.pass(&other).is_empty());

        path.close();
        assert!(path.is_empty());
        let closed = path.insert(&flow(4001), &way).unwrap_err();
        assert_eq!((closed.kind(), path.len()), (io::ErrorKind::StorageFull, 0));
        send(&mut host.client, std::slice::from_ref(&other));
        sent_here(&mut socket, &other, "closed");
    });
}

#[test]
fn sockets_without_it_get_whole_frames() {
    with_fast_path("sockets_without_it", |mut host, path| {
        let (_guard, filter, mut socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        socket.set_classifier(&services(), &SocketAudience::default()).unwrap();
        let frame = host.frame(&packet(4000, ACK, &[7; 300]));
        assert!(host.pass(&frame).is_empty());
        sent_here(&mut socket, &frame, "the classic filter");
        drop(filter);
    });
}

#[test]
fn any_number_of_services_goes_with_it() {
    with_fast_path("any_number_of_services", |mut host, path| {
        let (_guard, _filter, mut socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        let all = SocketAudience::default();
        // Programs for a few kinds of frames have parts nothing leads to.
        let few = SocketAudience { icmp: false, fragments: false, ..all };
        let many = SocketAudience { neighbours: true, other_hosts: true, ..all };
        let audiences = [all, few, many];
        for count in [0_u16, 100, 400, 1500, 5000] {
            let scattered = (0..count).map(|number| {
                let [high, low] = number.to_be_bytes();
                let address = Ipv4Addr::new(10, high, low, 2 * (low % 100)).into();
                ServiceMatch::service(TCP, address, 1000 + 3 * number)
            });
            let own = ServiceMatch::service(TCP, VIRTUAL.into(), 80);
            let classifier = Classifier::new(scattered.chain([own]));
            for audience in audiences {
                socket.set_classifier_and_fast_path(&classifier, &audience, &path).unwrap();
                let frame = host.frame(&packet(4000, ACK, &[7; 300]));
                assert!(host.pass(&frame).is_empty());
                let other = host.frame(&packet(4001, ACK, &[7; 300]));
                send(&mut host.client, std::slice::from_ref(&other));
                sent_here(&mut socket, &other, "a frame of another flow");
            }
        }
    });
}

#[test]
fn removal_leaves_no_trace_and_the_guard_in_force() {
    with_fast_path("removal_leaves_no_trace", |mut host, path| {
        let (guard, filter, _socket) = host.start(&path);
        assert!(filter.is_in_place(&mut host.netlink).unwrap());
        assert!(!filter.is_behind_others(&mut host.netlink).unwrap());
        assert!(!guard.is_behind_others(&mut host.netlink).unwrap());
        assert_eq!(host.filters(), 2);
        // Once more under the same name: the older one goes, and takes nothing with it.
        let again = path.install(&mut host.netlink, host.near, "one").unwrap();
        assert_eq!(host.filters(), 2);
        assert!(!filter.is_in_place(&mut host.netlink).unwrap());
        let lab = host.lab;
        lab.here.run(|| drop(filter));
        assert!(again.is_in_place(&mut host.netlink).unwrap());
        assert!(!again.is_behind_others(&mut host.netlink).unwrap());
        again.remove(&mut host.netlink).unwrap();
        assert_eq!(host.filters(), 1);
        assert!(guard.is_in_place(&mut host.netlink).unwrap());
        lab.here.run(|| drop(guard));
        assert_eq!(host.filters(), 0);
        let listed = lab.here.words("tc", &["qdisc", "show", "dev", "near"]);
        assert!(!listed.contains("clsact"), "{listed}");
    });
}

#[test]
fn the_guard_comes_behind_whichever_is_first() {
    with_fast_path("the_guard_comes_behind", |mut host, path| {
        let path = Arc::new(path);
        let filter = path.install(&mut host.netlink, host.near, "one").unwrap();
        let guard = host.guard();
        let near = host.near;
        let mut socket = host.lab.here.run(|| PacketSocket::open(near, &small()).unwrap());
        let audience = SocketAudience::default();
        socket.set_classifier_and_fast_path(&services(), &audience, &path).unwrap();
        path.insert(&flow(4000), &host.way()).unwrap();
        let frame = host.frame(&packet(4000, ACK, b"data"));
        assert!(host.pass(&frame).is_empty());
        assert!(!filter.is_behind_others(&mut host.netlink).unwrap());
        filter.remove(&mut host.netlink).unwrap();

        // Another program has taken the place in front of the guard.
        let words = "filter add dev near ingress pref 1 protocol all bpf da bytecode";
        let words: Vec<_> = words.split(' ').chain(["1,6 0 0 0"]).collect();
        host.lab.here.words("tc", &words);
        assert!(guard.is_behind_others(&mut host.netlink).unwrap());
        let error = path.install(&mut host.netlink, host.near, "one").unwrap_err();
        assert!(matches!(error, FastPathError::NoPriority { .. }), "{error}");
        // A second director on the interface, behind both.
        let second = path.install(&mut host.netlink, host.near, "two").unwrap();
        assert!(second.is_behind_others(&mut host.netlink).unwrap());
        let lab = host.lab;
        lab.here.run(|| drop((second, guard)));
    });
}

#[test]
fn the_filter_of_a_dead_director_goes_on_until_a_successor_removes_it() {
    with_fast_path("the_filter_of_a_dead_director", |mut host, path| {
        let claim = host.lab.here.run(|| Claim::acquire(&Guard::claim_name("one")).unwrap());
        let (guard, filter, socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        // Killed: nothing is tidied up, but the kernel closes all descriptors.
        std::mem::forget((guard, filter));
        drop((socket, path, claim));
        host.lab.here.run(|| {
            eventually("the name to be free", || {
                (!claim::is_held(&Guard::claim_name("one")).unwrap()).then_some(())
            });
        });
        let frame = host.frame(&packet(4000, ACK, b"data"));
        assert!(host.pass(&frame).is_empty());

        let found = guard::find(&mut host.netlink, host.near).unwrap();
        assert_eq!(found.len(), 2);
        for one in found {
            assert_eq!(one.id, "one");
            assert!(host.lab.here.run(|| one.is_orphan()).unwrap());
            one.remove(&mut host.netlink).unwrap();
        }
        assert_eq!(host.filters(), 0);
        // The new one begins with no flow.
        let path = FastPath::open(16).unwrap();
        let (_guard, _filter, mut socket) = host.start(&path);
        send(&mut host.client, std::slice::from_ref(&frame));
        sent_here(&mut socket, &frame, "a flow of the dead");
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    with_fast_path("what_does_not_fit", |mut host, path| {
        for id in ["", "two words", &"x".repeat(guard::ID_LEN_MAX + 1)] {
            let error = path.install(&mut host.netlink, host.near, id).unwrap_err();
            assert!(matches!(error, FastPathError::BadId { .. }), "{error}");
        }
        let error = path.install(&mut host.netlink, 4711, "one").unwrap_err();
        assert!(error.to_string().contains("4711"), "{error}");
        for capacity in [0, fast_path::CAPACITY_MAX + 1] {
            let error = FastPath::open(capacity).unwrap_err();
            assert!(error.to_string().contains("1 to 1048576"), "{error}");
        }
        let mixed = of(CLIENT.into(), 1, VIRTUAL6.into());
        let error = path.insert(&mixed, &host.way()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(host.filters(), 0);
    });
}

/// Set for a process that is to be refused.
const REFUSED: &str = "L4_FAST_PATH_REFUSED";

#[test]
fn without_the_right_the_error_says_which() {
    if let Ok(expected) = std::env::var(REFUSED) {
        let error = FastPath::open(16).unwrap_err();
        assert!(matches!(error, FastPathError::NotPermitted { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("bpf(BPF_MAP_CREATE)") && text.contains(&expected), "{text}");
        return;
    }
    let test = "fast_path::without_the_right_the_error_says_which";
    let own = std::env::current_exe().unwrap();
    let ways: [(&[&str], &str); 2] = [
        (&["setpriv", "--bounding-set=-bpf,-sys_admin"], "lacks CAP_BPF"),
        (&["unshare", "--user", "--map-root-user"], "initial user namespace"),
    ];
    for (words, expected) in ways {
        let mut child = Command::new(words[0]);
        child.args(&words[1..]).arg(&own).args(["--exact", test]).env(REFUSED, expected);
        let output = child.output().unwrap_or_else(|why| panic!("{}: {why}", words[0]));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{words:?}: {said}");
    }
}
