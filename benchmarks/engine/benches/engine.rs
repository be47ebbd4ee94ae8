//! Time of the hot paths, and of a first packet with each scheduler.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use engine::command::{ForwardingMethod, SchedulerName};
use engine::time::Instant;
use engine_bench::frames::{PORT, SYN, VIP, client, tcp};
use engine_bench::lab::Lab;
use engine_bench::paths::PATHS;

/// First packets that one bench sends, in all: each needs a free entry.
const SAMPLES: u32 = 50;
const SAMPLE_SIZE: u32 = 1000;

const SCHEDULERS: [SchedulerName; 14] = [
    SchedulerName::Rr,
    SchedulerName::Wrr,
    SchedulerName::Lc,
    SchedulerName::Wlc,
    SchedulerName::Lblc,
    SchedulerName::Lblcr,
    SchedulerName::Dh,
    SchedulerName::Sh,
    SchedulerName::Sed,
    SchedulerName::Nq,
    SchedulerName::Mh,
    SchedulerName::Fo,
    SchedulerName::Ovf,
    SchedulerName::Twos,
];

fn main() {
    divan::main();
}

/// Frames of connections that are there, or of none; first packets have a bench of their own.
#[divan::bench(args = PATHS.map(|path| path.name).into_iter().filter(|name| *name != "first-packet"))]
fn path(bencher: Bencher<'_, '_>, name: &str) {
    let path = PATHS.iter().find(|path| path.name == name).expect("the name is from the table");
    let mut step = (path.prepare)();
    let mut number = 0_u32;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        number = number.wrapping_add(1);
        assert!(step(number), "the frame goes the way of the path");
    });
}

/// Not found, scheduled, entered, forwarded.
#[divan::bench(args = SCHEDULERS, sample_count = SAMPLES, sample_size = SAMPLE_SIZE)]
fn first_packet(bencher: Bencher<'_, '_>, scheduler: SchedulerName) {
    let mut lab = Lab::new(1 << 17, scheduler, ForwardingMethod::DirectRouting);
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            tcp(client(number), (VIP.into(), PORT), SYN)
        })
        .bench_local_refs(|frame| black_box(lab.from_client(frame)));
}

/// Looking at the timers when nothing is due.
#[divan::bench]
fn nothing_due(bencher: Bencher<'_, '_>) {
    let mut lab = Lab::new(1 << 17, SchedulerName::Sh, ForwardingMethod::DirectRouting);
    for number in 0..1 << 17 {
        lab.from_client(&mut tcp(client(number), (VIP.into(), PORT), SYN));
    }
    let now: Instant = lab.now;
    bencher.bench_local(|| black_box(lab.engine.handle_timeout(black_box(now))));
}
