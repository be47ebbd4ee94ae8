//! `bulk-client`: streams as much as it can, one way, and reports what arrived.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::bulk::order::{Amount, Order, Receipt, read_name};
use crate::bulk::transfer::{receive, send, within};
use crate::cause::{Cause, Failure};
use crate::control::Controls;
use crate::events::emit;
use crate::options::Options;
use crate::payload::run_number;
use crate::percentiles::bits_per_second;
use crate::tcp::connect::{connect, source_for};
use crate::{Outcome, ProgramError};

/// Time for what is still queued on a slow path to arrive before the receipt.
const DRAIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Upload,
    Download,
}

impl FromStr for Way {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "upload" => Ok(Self::Upload),
            "download" => Ok(Self::Download),
            _ => Err(()),
        }
    }
}

#[derive(Debug)]
struct Plan {
    peer: SocketAddr,
    sources: Vec<IpAddr>,
    stall: Duration,
    way: Way,
    verify: bool,
    amount: Amount,
    run: u64,
    moved: Cell<u64>,
    stop: Cell<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    direction: Way,
    /// Bytes this end sent (upload) or received (download) so far.
    bytes: u64,
    bits_per_second: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    direction: Way,
    streams: u64,
    broken: u64,
    bytes: u64,
    seconds: f64,
    bits_per_second: f64,
    servers: BTreeMap<String, u64>,
    causes: BTreeMap<Cause, u64>,
}

/// Runs the streams to their end.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let streams = options.count("streams", 1)?;
    let report = options.millis("report-ms", 1000)?;
    let plan = Rc::new(Plan::from_options(&mut options)?);
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    let mut running = JoinSet::new();
    for id in 0..streams {
        let plan = Rc::clone(&plan);
        running.spawn_local(async move { plan.stream(id).await });
    }
    let mut summary = Summary::new(plan.way, streams);
    let mut longest = Duration::ZERO;
    let mut ticks = interval_at(Instant::now() + report, report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut moved, mut last) = (0, Instant::now());
    while !running.is_empty() {
        tokio::select! {
            ended = running.join_next() => if let Some(ended) = ended {
                longest = longest.max(summary.add(ended?));
            },
            () = controls.finished() => plan.stop.set(true),
            _ = ticks.tick() => {
                let bytes = plan.moved.get();
                let bits_per_second = bits_per_second(bytes - moved, last.elapsed());
                emit("state", &State { direction: plan.way, bytes, bits_per_second });
                (moved, last) = (bytes, Instant::now());
            }
        }
    }
    summary.seconds = longest.as_secs_f64();
    summary.bits_per_second = bits_per_second(summary.bytes, longest);
    emit("summary", &summary);
    Ok(Outcome::from_failures(summary.broken))
}

impl Plan {
    fn from_options(options: &mut Options) -> Result<Self, ProgramError> {
        let peer = options.require("connect", "ADDRESS:PORT or [ADDRESS]:PORT")?;
        let seconds = options.get::<f64>("seconds", "a number of seconds above 0")?;
        let bytes = options.get("bytes", "a number of bytes for each stream")?;
        let amount = match (seconds, bytes) {
            (Some(_), Some(_)) => return Err("--seconds and --bytes exclude each other".into()),
            (None, Some(bytes)) => Amount::Bytes(bytes),
            (seconds, None) => Amount::Time(Duration::try_from_secs_f64(seconds.unwrap_or(10.0))?),
        };
        Ok(Self {
            peer,
            sources: options.sources(peer)?,
            stall: options.millis("stall-ms", 5000)?,
            way: options.get("direction", "upload or download")?.unwrap_or(Way::Upload),
            verify: options.flag("verify")?,
            amount,
            run: run_number(),
            moved: Cell::new(0),
            stop: Cell::new(false),
        })
    }

    async fn stream(&self, id: u64) -> Result<(String, Receipt), Failure> {
        let source = source_for(&self.sources, 0, usize::try_from(id).unwrap_or(0));
        let mut stream = connect(self.peer, source, self.stall).await?;
        let order = Order {
            download: self.way == Way::Download,
            verify: self.verify,
            stream: self.run.wrapping_add(id),
            amount: self.amount,
        };
        order.write(&mut stream).await.map_err(|error| Failure::from_io(&error))?;
        let name = within(self.stall, read_name(&mut stream)).await?;
        let progress = |bytes: usize| self.moved.set(self.moved.get() + bytes as u64);
        let (receipt, sent) = match self.way {
            Way::Upload => {
                let stop = || self.stop.get();
                let sent = send(&mut stream, &order, self.stall, progress, stop).await?;
                (within(self.stall.max(DRAIN), Receipt::read(&mut stream)).await?, Some(sent))
            }
            Way::Download => {
                let receipt = receive(&mut stream, &order, self.stall, progress).await?;
                let sent = match self.amount {
                    Amount::Bytes(bytes) => Some(bytes),
                    Amount::Time(_) => None,
                };
                (receipt, sent)
            }
        };
        if receipt.corrupt {
            return Err(Failure::new(Cause::Corrupt, "content differs from what was sent"));
        }
        if sent.is_some_and(|sent| sent != receipt.bytes) {
            let detail = format!("{} bytes arrived of {}", receipt.bytes, sent.unwrap_or(0));
            return Err(Failure::new(Cause::Eof, detail));
        }
        Ok((name, receipt))
    }
}

impl Summary {
    fn new(direction: Way, streams: u64) -> Self {
        Self {
            direction,
            streams,
            broken: 0,
            bytes: 0,
            seconds: 0.0,
            bits_per_second: 0.0,
            servers: BTreeMap::new(),
            causes: BTreeMap::new(),
        }
    }

    /// Adds one ended stream; gives how long it took at the receiver.
    fn add(&mut self, ended: Result<(String, Receipt), Failure>) -> Duration {
        match ended {
            Ok((name, receipt)) => {
                self.bytes += receipt.bytes;
                *self.servers.entry(name).or_default() += 1;
                receipt.time
            }
            Err(failure) => {
                self.broken += 1;
                *self.causes.entry(failure.cause).or_default() += 1;
                Duration::ZERO
            }
        }
    }
}
