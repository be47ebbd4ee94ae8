//! The steady state allocates nothing, whatever becomes of a frame.

use engine::Limits;
use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerName, ServerSpec, Tunnel, TunnelChecksum,
    TunnelKind,
};
use engine::frame::{ChecksumState, FrameMeta, Outputs, Segmentation};
use engine::verdict::Verdict;

use crate::lab::frames::{ACK, SYN, icmp_error, tcp, udp};
use crate::lab::masquerading::{self, masquerading};
use crate::lab::sent::{Given, SCTP, Shape, UDP, plain};
use crate::lab::{
    CLIENT_SIDE, Lab, PORT, VIP, address, cluster_service, key, server_spec, service, sloppy_tcp,
};

const CLIENT: &str = "203.0.113.9";

/// New, adopted and known connections, ICMP errors, passes and drops.
fn frames() -> Vec<Vec<u8>> {
    (20_000..20_200)
        .flat_map(|port| {
            [
                tcp(CLIENT, port, VIP, SYN),
                tcp(CLIENT, port, VIP, ACK),
                tcp(CLIENT, port + 1000, VIP, ACK),
                icmp_error("192.0.2.254", VIP, CLIENT, port),
                udp(CLIENT, port, VIP, b"x"),
                tcp(CLIENT, port, "198.51.100.77", SYN),
                tcp(CLIENT, port, VIP, SYN)[..30].to_vec(),
            ]
        })
        .collect()
}

#[test]
fn frames_cause_no_heap_allocation() {
    let limits = Limits { connections: 1024, events: 1024, ..Limits::default() };
    let mut lab = Lab::with_limits(limits, &cluster_service());
    lab.apply(&[sloppy_tcp()]);
    let mut frames = frames();
    let mut outputs = Outputs::with_capacity(1 << 16, 64);
    let meta = FrameMeta::plain(CLIENT_SIDE);
    let mut forwarded = 0;
    let allocations = allocation_counter::measure(|| {
        lab.engine.foresee(frames.iter().map(Vec::as_slice));
        for frame in &mut frames {
            let verdict = lab.engine.process(frame, &meta, lab.now, &lab.ways, &mut outputs);
            forwarded += u32::from(matches!(verdict, Verdict::Forward { .. }));
            outputs.clear();
            let _ = lab.engine.poll_event();
            lab.engine.handle_timeout(lab.now);
        }
    });
    assert_eq!(forwarded, 4 * 200);
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn tunnels_cause_no_heap_allocation() {
    let key = key(Protocol::Udp, VIP);
    let tunnel =
        Tunnel { kind: TunnelKind::Gue, port: Some(6080), checksum: TunnelChecksum::Remcsum };
    let forwarding = ForwardingMethod::Tunnelling;
    let server = ServerSpec { forwarding, tunnel: Some(tunnel), ..server_spec("10.0.0.11", 1) };
    let service = service(key, SchedulerName::Rr, &[]);
    let limits = Limits { connections: 1024, events: 1024, ..Limits::default() };
    let add = [Command::AddService { service }, Command::AddServer { service: key, server }];
    let mut lab = Lab::with_limits(limits, &add);
    lab.ways.1 = Some(address("10.0.0.1"));
    let mut outputs = Outputs::with_capacity(1 << 16, 64);
    let plain = FrameMeta::plain(CLIENT_SIDE);
    let several = FrameMeta {
        checksum: ChecksumState::left_to_device(&udp(CLIENT, 1, VIP, &[7; 1400])),
        segmentation: Some(Segmentation { segment_size: 1000, header_length: 42 }),
        ..plain
    };
    let mut frames: Vec<_> =
        (20_000..20_200).map(|port| udp(CLIENT, port, VIP, &[7; 1400])).collect();
    let mut verdicts = (0, 0);
    let allocations = allocation_counter::measure(|| {
        for (number, frame) in frames.iter_mut().enumerate() {
            let meta = if number % 2 == 0 { &plain } else { &several };
            match lab.engine.process(frame, meta, lab.now, &lab.ways, &mut outputs) {
                Verdict::Encapsulate { .. } => verdicts.0 += 1,
                Verdict::ForwardFragments { .. } => verdicts.1 += outputs.frames().len(),
                _ => {}
            }
            outputs.clear();
        }
    });
    assert_eq!((verdicts, allocations.count_total), ((100, 200), 0));
}

/// Frames of the connections of many clients to masqueraded servers, and the answers to them.
fn masqueraded() -> Vec<(Vec<u8>, FrameMeta)> {
    let plain = Shape { data: vec![7; 401], ..plain(SYN) };
    let shapes = [
        plain.clone(),
        Shape { checksum: Given::Open, ..plain.clone() },
        Shape { flags: ACK, checksum: Given::Open, segment_size: Some(100), ..plain.clone() },
        Shape { protocol: UDP, ..plain.clone() },
        Shape { protocol: UDP, checksum: Given::None, ..plain.clone() },
        Shape { protocol: UDP, checksum: Given::Open, segment_size: Some(100), ..plain.clone() },
        Shape { protocol: SCTP, ..plain.clone() },
        Shape { protocol: SCTP, checksum: Given::Open, ..plain },
    ];
    let mut frames = Vec::new();
    for (family, client) in masquerading::CLIENT.into_iter().enumerate() {
        for (number, shape) in (20_000..20_200).zip(shapes.iter().cycle()) {
            let client = (client, number);
            let sent = shape.sent(client, (masquerading::VIPS[family], PORT));
            let answer = shape.sent((masquerading::SERVER[family], 8080), client).by_server();
            frames.extend([(sent.octets, sent.meta), (answer.octets, answer.meta)]);
        }
    }
    frames
}

#[test]
fn masquerading_causes_no_heap_allocation() {
    let mut lab = masquerading(8080);
    let mut frames = masqueraded();
    let mut outputs = Outputs::with_capacity(1 << 16, 64);
    let mut verdicts = (0, 0);
    let allocations = allocation_counter::measure(|| {
        for (frame, meta) in &mut frames {
            match lab.engine.process(frame, meta, lab.now, &lab.ways, &mut outputs) {
                Verdict::Forward { .. } => verdicts.0 += 1,
                Verdict::Return { .. } => verdicts.1 += 1,
                _ => {}
            }
            outputs.clear();
            lab.engine.handle_timeout(lab.now);
        }
    });
    assert_eq!((verdicts, allocations.count_total), ((400, 400), 0));
}
