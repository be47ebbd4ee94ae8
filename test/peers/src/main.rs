//! Traffic programs for the lab: peers that send, check and count real traffic.
//!
//! Every program prints one JSON object a line; README.md lists options and events.
#![forbid(unsafe_code)]

mod bulk;
mod cause;
mod control;
mod drive;
mod events;
mod frames;
mod open_files;
mod options;
mod orders;
mod payload;
mod percentiles;
mod record;
mod sctp;
mod server_counts;
mod tally;
mod tcp;
mod tunnel;
mod udp;

use std::process::ExitCode;

use events::emit;
use options::Options;

const PROGRAMS: &str = "tcp-server, tcp-long, tcp-short, sctp-server, sctp-client, \
                        bulk-server, bulk-client, udp-echo, udp-client, decapsulator, \
                        udp-flood, tcp-flood, forward";

/// What a program's run says about the traffic it saw: the process's exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing broke: status 0.
    Whole,
    /// A connection broke, or data was wrong or lost: status 1.
    Broken,
}

impl Outcome {
    /// `Whole` when `failures` is 0.
    fn from_failures(failures: u64) -> Self {
        if failures == 0 { Self::Whole } else { Self::Broken }
    }
}

/// A program that could not do its work at all: reported as an `error` event, status 2.
type ProgramError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(Outcome::Whole) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => ExitCode::from(1),
        Err(error) => {
            emit("error", &events::ErrorEvent { message: error.to_string() });
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<Outcome, ProgramError> {
    let mut words = std::env::args().skip(1);
    let program = words.next().ok_or_else(|| format!("no program named; one of: {PROGRAMS}"))?;
    let options = Options::parse(words)?;
    open_files::raise_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, dispatch(&program, options));
    runtime.shutdown_background();
    outcome
}

async fn dispatch(program: &str, options: Options) -> Result<Outcome, ProgramError> {
    match program {
        "tcp-server" => tcp::server::run(options).await,
        "tcp-long" => tcp::long::run(options).await,
        "tcp-short" => tcp::short::run(options).await,
        "sctp-server" => sctp::server::run(options).await,
        "sctp-client" => sctp::client::run(options).await,
        "bulk-server" => bulk::server::run(options).await,
        "bulk-client" => bulk::client::run(options).await,
        "udp-echo" => udp::echo::run(options).await,
        "udp-client" => udp::client::run(options).await,
        "decapsulator" => tunnel::server::run(options).await,
        "udp-flood" => frames::flood::run(options),
        "tcp-flood" => frames::forged_flood::run(options),
        "forward" => match frames::forward::run(options)? {},
        other => Err(format!("unknown program {other:?}; one of: {PROGRAMS}").into()),
    }
}
