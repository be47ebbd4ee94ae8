//! The steady state allocates nothing, whatever becomes of a frame.

use engine::Limits;
use engine::frame::{FrameMeta, Outputs};

use crate::lab::frames::{ACK, SYN, icmp_error, tcp, udp};
use crate::lab::{CLIENT_SIDE, Lab, VIP, cluster_service, sloppy_tcp};

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
        for frame in &mut frames {
            let verdict = lab.engine.process(frame, &meta, lab.now, &lab.ways, &mut outputs);
            forwarded += u32::from(matches!(verdict, engine::verdict::Verdict::Forward { .. }));
            outputs.clear();
            let _ = lab.engine.poll_event();
            lab.engine.handle_timeout(lab.now);
        }
    });
    assert_eq!(forwarded, 4 * 200);
    assert_eq!(allocations.count_total, 0);
}
