//! What more workers bring: each has an engine of its own, as in a director, and a thread.
//!
//! Usage: `workers [MOST]`; up to as many as there are processors unless told otherwise. Numbers of
//! workers take turns.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use engine::command::{ForwardingMethod, SchedulerName};
use engine_bench::frames::{ACK, Frame, PORT, SYN, VIP, client, tcp};
use engine_bench::lab::Lab;

const CONNECTIONS: u32 = 10_000;
const ROUNDS: usize = 7;
const TURN: Duration = Duration::from_millis(300);

fn frame(number: u32, flags: u8) -> Frame {
    tcp(client(number), (VIP.into(), PORT), flags)
}

/// A worker with established connections, and a frame of each. The clients of each are its own.
fn worker(number: u32) -> (Lab, Vec<Frame>) {
    let mut lab = Lab::new(CONNECTIONS, SchedulerName::Sh, ForwardingMethod::DirectRouting);
    let clients = number * CONNECTIONS..(number + 1) * CONNECTIONS;
    let frames = clients.map(|client| {
        lab.from_client(&mut frame(client, SYN));
        frame(client, ACK)
    });
    let frames = frames.collect();
    (lab, frames)
}

/// Frames a second that so many workers judge together.
fn rate(workers: u32) -> f64 {
    let start = Barrier::new(workers as usize);
    let one = |number: u32| {
        let (mut lab, frames) = worker(number);
        start.wait();
        let begun = Instant::now();
        let mut judged = 0.0;
        while begun.elapsed() < TURN {
            for mut frame in frames.iter().copied() {
                lab.from_client(&mut frame);
            }
            judged += f64::from(CONNECTIONS);
        }
        judged / begun.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|number| scope.spawn(move || one(number))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}

/// The median, the smallest and the largest.
fn spread(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [figures.len() / 2, 0, figures.len() - 1].map(|at| figures.get(at).copied().unwrap_or(f64::NAN))
}

fn measure(counts: &[u32]) -> Vec<Vec<f64>> {
    let mut rates = vec![Vec::new(); counts.len()];
    for _ in 0..ROUNDS {
        for (rates, workers) in rates.iter_mut().zip(counts) {
            rates.push(rate(*workers));
        }
    }
    rates
}

fn table(counts: &[u32], rates: &[Vec<f64>]) -> String {
    let head = "| workers | frames a second, millions | of one worker's |\n|---|---|---|\n";
    let rows = counts.iter().zip(rates).map(|(workers, seen)| {
        let [rate, low, high] = spread(seen.iter().map(|rate| rate / 1e6).collect());
        let alone = rates.first().map_or(&[][..], Vec::as_slice);
        let [ratio, least, most] = spread(seen.iter().zip(alone).map(|(of, one)| of / one).collect());
        format!(
            "| {workers} | {rate:.2} ({low:.2} to {high:.2}) | {ratio:.2} ({least:.2} to {most:.2}) |\n"
        )
    });
    std::iter::once(head.to_owned()).chain(rows).collect()
}

fn main() -> ExitCode {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let most = match std::env::args().nth(1).map(|argument| argument.parse()) {
        None => u32::try_from(processors).unwrap_or(1),
        Some(Ok(most @ 1..=256)) => most,
        Some(_) => {
            let _ = writeln!(std::io::stderr(), "a number of workers is needed, 1 to 256");
            return ExitCode::FAILURE;
        }
    };
    let counts: Vec<u32> =
        (1..=most).filter(|count| count.is_power_of_two() || *count == most).collect();
    let text = format!("{processors} processors\n\n{}", table(&counts, &measure(&counts)));
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
