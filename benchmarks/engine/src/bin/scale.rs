//! What the number of connections does to a packet's cost, to memory, and to expiry.
//!
//! Usage: `scale [--json] [CONNECTIONS...]`; 1,000 and 1,000,000 unless told otherwise. All tables are
//! held at once and take turns.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use afpacket::memory::prefer_huge_pages;
use engine::command::{ForwardingMethod, SchedulerName};
use engine_bench::frames::{ACK, Frame, PORT, SYN, VIP, client, tcp};
use engine_bench::lab::Lab;

/// Frames that are made before, and judged while, the clock runs.
const BATCH: usize = 1024;
/// Frames that a worker takes from its ring at once, under load.
const WORKER_BATCH: usize = 128;
const ROUNDS: usize = 200;
/// Longest timeout of an established connection, and a bit.
const TIMEOUT_NANOS: u64 = 901_000_000_000;

/// What was seen of a table.
struct Seen {
    connections: u32,
    octets_per_connection: f64,
    nanos_per_frame: f64,
    expiry: Expiry,
}

/// All connections fall due at once, while frames go on.
struct Expiry {
    /// The median, and the longest: on a machine that has other work, too, the longest call may be
    /// one that was interrupted.
    median_call: Duration,
    longest_call: Duration,
    calls: usize,
}

fn resident_octets() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok())
    });
    pages.map_or(f64::NAN, |pages| pages * 4096.0)
}

fn frame(number: u32, flags: u8) -> Frame {
    tcp(client(number), (VIP.into(), PORT), flags)
}

/// A director with so many established connections, and the octets each takes.
fn filled(connections: u32) -> (Lab, f64) {
    let before = resident_octets();
    let mut lab = Lab::new(connections, SchedulerName::Sh, ForwardingMethod::DirectRouting);
    lab.engine.memory().into_iter().for_each(prefer_huge_pages);
    for number in 0..connections {
        lab.from_client(&mut frame(number, SYN));
        lab.from_client(&mut frame(number, ACK));
    }
    let held = lab.engine.statistics().connections;
    assert_eq!(held, connections, "every connection has an entry");
    (lab, (resident_octets() - before) / f64::from(connections))
}

/// Numbers without an order a cache could use (Knuth's multiplicative generator, MMIX).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(((self.0 >> 32) * u64::from(limit)) >> 32).unwrap_or(0)
    }
}

/// Nanoseconds for each frame of a batch of known connections.
fn known(lab: &mut Lab, connections: u32, numbers: &mut Numbers) -> f64 {
    let mut frames: Vec<Frame> =
        (0..BATCH).map(|_| frame(numbers.below(connections), ACK)).collect();
    let begun = Instant::now();
    for batch in frames.chunks_mut(WORKER_BATCH) {
        lab.engine.foresee(batch.iter().map(|frame| &frame[..]));
        for frame in batch {
            lab.from_client(frame);
        }
    }
    begun.elapsed().as_secs_f64() * 1e9 / BATCH as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lets everything fall due; between two calls a batch of first packets comes in, as in a worker.
fn expire(lab: &mut Lab, connections: u32) -> Expiry {
    lab.now = engine::time::Instant::from_nanos(lab.now.as_nanos() + TIMEOUT_NANOS);
    let mut took = Vec::new();
    loop {
        let begun = Instant::now();
        let done = lab.engine.handle_timeout(lab.now);
        took.push(begun.elapsed());
        if done {
            break;
        }
        for number in 0..64 {
            lab.from_client(&mut frame(connections + number, ACK));
        }
    }
    took.sort();
    Expiry {
        median_call: took.get(took.len() / 2).copied().unwrap_or_default(),
        longest_call: took.last().copied().unwrap_or_default(),
        calls: took.len(),
    }
}

fn measure(sizes: &[u32]) -> Vec<Seen> {
    let mut tables: Vec<_> = sizes.iter().map(|size| (*size, filled(*size), Vec::new())).collect();
    let mut numbers = Numbers(1);
    for _ in 0..ROUNDS {
        for (connections, (lab, _), took) in &mut tables {
            took.push(known(lab, *connections, &mut numbers));
        }
    }
    tables
        .into_iter()
        .map(|(connections, (mut lab, octets_per_connection), took)| Seen {
            connections,
            octets_per_connection,
            nanos_per_frame: median(took),
            expiry: expire(&mut lab, connections),
        })
        .collect()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn table(seen: &[Seen]) -> String {
    let first = seen.first().map_or(f64::NAN, |first| first.nanos_per_frame);
    let mut text = String::from(
        "| connections | octets each | ns a frame | ratio | all expire: calls | median ms | longest ms |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for Seen { connections, octets_per_connection, nanos_per_frame, expiry } in seen {
        let _ = writeln!(
            text,
            "| {connections} | {octets_per_connection:.1} | {nanos_per_frame:.0} | {:.2} | {} | {:.3} | {:.3} |",
            nanos_per_frame / first,
            expiry.calls,
            milliseconds(expiry.median_call),
            milliseconds(expiry.longest_call),
        );
    }
    text
}

fn json(seen: &[Seen]) -> String {
    let rows: Vec<String> = seen
        .iter()
        .map(|Seen { connections, octets_per_connection, nanos_per_frame, expiry }| {
            format!(
                r#"{{"connections":{connections},"octetsPerConnection":{octets_per_connection:.1},"nanosecondsPerFrame":{nanos_per_frame:.1},"expiry":{{"calls":{},"medianCallMs":{:.4},"longestCallMs":{:.4}}}}}"#,
                expiry.calls,
                milliseconds(expiry.median_call),
                milliseconds(expiry.longest_call),
            )
        })
        .collect();
    format!("[{}]\n", rows.join(","))
}

fn main() -> ExitCode {
    let mut sizes = Vec::new();
    let mut as_json = false;
    for argument in std::env::args().skip(1) {
        match argument.parse() {
            _ if argument == "--json" => as_json = true,
            Ok(size @ 1..=100_000_000) => sizes.push(size),
            _ => {
                let _ = writeln!(
                    std::io::stderr(),
                    "{argument}: a number of connections is needed, 1 to 100000000, or --json"
                );
                return ExitCode::FAILURE;
            }
        }
    }
    if sizes.is_empty() {
        sizes = vec![1000, 1_000_000];
    }
    let seen = measure(&sizes);
    let text = if as_json { json(&seen) } else { table(&seen) };
    if std::io::stdout().write_all(text.as_bytes()).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
