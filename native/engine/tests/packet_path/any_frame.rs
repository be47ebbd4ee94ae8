//! Whatever octets come in: a verdict, no panic, and nothing longer than its way allows.

use crate::lab::frames::{ACK, FIN, Ip, SYN, icmp_error, sctp, tcp, tcp_segment, udp};
use crate::lab::{
    CLIENT_SIDE, Lab, VIP, VIP6, add_server, address, cluster_service, key, server_spec, service,
    sloppy_tcp,
};
use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerName, ServerSpec, ServiceKey, Tunnel,
    TunnelChecksum, TunnelKind,
};
use engine::frame::{ChecksumState, FrameMeta, PartialChecksum, Segmentation};
use proptest::prelude::*;

const CLIENT: &str = "203.0.113.9";
const CLIENT6: &str = "2001:db8:c::9";
const MTU: usize = 1500;

fn lab(tunnels: bool) -> Lab {
    let mut lab = Lab::new(&cluster_service());
    lab.ways.1 = Some(address("10.0.0.1"));
    for (protocol, vip, at) in [
        (Protocol::Udp, VIP, "10.0.0.11"),
        (Protocol::Sctp, VIP, "10.0.0.11"),
        (Protocol::Tcp, VIP6, "2001:db8:1::11"),
        (Protocol::Udp, VIP6, "2001:db8:1::11"),
    ] {
        let key = key(protocol, vip);
        let service = service(key, SchedulerName::Sh, &[]);
        let server = if tunnels { tunnelled(key) } else { add_server(key, at, 1) };
        lab.apply(&[Command::AddService { service }, server]);
    }
    lab.apply(&[sloppy_tcp()]);
    lab
}

fn tunnelled(service: ServiceKey) -> Command {
    let tunnel =
        Tunnel { kind: TunnelKind::Gue, port: Some(6080), checksum: TunnelChecksum::Remcsum };
    let forwarding = ForwardingMethod::Tunnelling;
    let server = ServerSpec { forwarding, tunnel: Some(tunnel), ..server_spec("10.0.0.11", 1) };
    Command::AddServer { service, server }
}

fn good_frames() -> Vec<Vec<u8>> {
    let mut options = Ip::new(CLIENT, VIP);
    options.options = vec![7, 7, 4, 0, 0, 0, 0, 0];
    let mut no_df = Ip::new(CLIENT, VIP);
    no_df.flags = 0;
    vec![
        tcp(CLIENT, 40000, VIP, SYN),
        tcp(CLIENT, 40000, VIP, FIN | ACK),
        tcp(CLIENT6, 40000, VIP6, SYN),
        udp(CLIENT, 40000, VIP, &[1; 600]),
        udp(CLIENT6, 40000, VIP6, &[1; 2000]),
        sctp(CLIENT, 40000, VIP, 1),
        icmp_error("192.0.2.254", VIP, CLIENT, 40000),
        icmp_error("2001:db8:c::254", VIP6, CLIENT6, 40000),
        options.frame(6, &tcp_segment(40001, 80, SYN, &[])),
        no_df.frame(17, &crate::lab::frames::udp_datagram(40000, 80, &[2; 4000])),
    ]
}

fn meta() -> impl Strategy<Value = FrameMeta> {
    let segmentation =
        proptest::option::of((0_u16.., 0_u16..).prop_map(|(segment_size, header_length)| {
            Segmentation { segment_size, header_length }
        }));
    // Mostly where a transport header and its checksum may lie.
    let start = prop_oneof![Just(34_u16), Just(54), 0..120_u16, any::<u16>()];
    let offset = prop_oneof![Just(16_u16), Just(6), Just(8), any::<u16>()];
    let place = (start, offset).prop_map(|(start, offset)| PartialChecksum { start, offset });
    (proptest::option::of(place), segmentation, proptest::option::of(any::<u16>())).prop_map(
        |(place, segmentation, vlan)| FrameMeta {
            checksum: place.map_or(ChecksumState::Complete, ChecksumState::Partial),
            segmentation,
            vlan,
            ..FrameMeta::plain(CLIENT_SIDE)
        },
    )
}

/// Runs a frame through and checks what comes out.
fn check(lab: &mut Lab, frame: &[u8], meta: &FrameMeta) {
    let outcome = lab.process_with(frame, meta);
    for out in &outcome.frames {
        let link = 14 + 8;
        let whole = meta.segmentation.is_some() && out.len() == frame.len();
        assert!(
            out.len() <= MTU + link || whole,
            "{} octets out: {:?}",
            out.len(),
            outcome.verdict
        );
    }
    let counted = lab.engine.statistics();
    let sum = |counters: &[engine::snapshot::NamedCounter]| -> u64 {
        counters.iter().map(|counter| counter.count.0).sum()
    };
    let verdicts = counted.forwarded.0
        + counted.held.0
        + counted.returned.0
        + sum(&counted.passed)
        + sum(&counted.dropped)
        + sum(&counted.replied);
    assert_eq!(verdicts, 1, "every frame is counted once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_octets(
        frame in proptest::collection::vec(any::<u8>(), 0..200),
        meta in meta(),
        tunnels in any::<bool>(),
    ) {
        check(&mut lab(tunnels), &frame, &meta);
    }

    #[test]
    fn good_frames_with_changes(
        which in 0..10_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        length in any::<proptest::sample::Index>(),
        cut in any::<bool>(),
        meta in meta(),
        tunnels in any::<bool>(),
    ) {
        let mut frame = good_frames().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        if cut {
            frame.truncate(length.index(frame.len()));
        }
        check(&mut lab(tunnels), &frame, &meta);
    }
}

#[test]
fn a_frame_of_64_kilobytes() {
    let data = vec![0; 65_000];
    let frame = Ip::new(CLIENT, VIP).frame(17, &crate::lab::frames::udp_datagram(40000, 80, &data));
    for tunnels in [false, true] {
        check(&mut lab(tunnels), &frame, &FrameMeta::plain(CLIENT_SIDE));
    }
}
