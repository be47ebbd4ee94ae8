//! `tcp-long`: long-lived connections that exchange checked records and report what breaks.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cause::{Cause, Failure};
use crate::control::Controls;
use crate::drive::drive;
use crate::options::Options;
use crate::orders::{Chief, Orders};
use crate::payload::{Direction, record_length, run_number};
use crate::record::{AnswerCheck, Record};
use crate::tally::Tally;
use crate::tcp::connect::{connect, source_for};
use crate::tcp::record_stream::RecordStream;
use crate::{Outcome, ProgramError};

#[derive(Debug)]
struct Plan {
    peer: SocketAddr,
    sources: Vec<IpAddr>,
    source_port: u16,
    interval: Duration,
    stall: Duration,
    payload: usize,
    run: u64,
}

/// Opens the connections and keeps them until told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let peer = options.require("connect", "ADDRESS:PORT or [ADDRESS]:PORT")?;
    let connections = usize::try_from(options.count("connections", 1)?)?;
    let open_rate = u32::try_from(options.count("open-rate", 500)?)?;
    let report = options.millis("report-ms", 1000)?;
    let plan = Plan {
        peer,
        sources: options.sources(peer)?,
        source_port: options.get("source-port", "the first source port, 1..65535")?.unwrap_or(0),
        interval: options.millis("interval-ms", 200)?,
        stall: options.millis("stall-ms", 5000)?,
        payload: options.payload_bytes(512)?,
        run: run_number(),
    };
    if plan.source_port != 0 && plan.sources.is_empty() {
        return Err("--source-port needs --source".into());
    }
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    let (plan, tally, chief) = (Rc::new(plan), Tally::new(connections), Chief::new());
    let mut flows = JoinSet::new();
    for id in 0..connections {
        let delay = Duration::from_secs(1) / open_rate * u32::try_from(id)?;
        flows.spawn_local(flow(Rc::clone(&plan), id, delay, tally.clone(), chief.listen()));
    }
    let started = Instant::now();
    drive(&mut flows, &tally, &chief, &mut controls, report).await;
    Ok(tally.summary(started.elapsed()))
}

async fn flow(
    plan: Rc<Plan>,
    id: usize,
    delay: Duration,
    tally: Tally,
    mut orders: watch::Receiver<Orders>,
) {
    tokio::select! {
        () = sleep(delay) => {}
        _ = orders.wait_for(|orders| orders.finish) => return tally.closed(id),
    }
    match live(&plan, id, &tally, &mut orders).await {
        Ok(()) => tally.closed(id),
        Err(failure) => tally.broken(id, &failure),
    }
}

async fn live(
    plan: &Plan,
    id: usize,
    tally: &Tally,
    orders: &mut watch::Receiver<Orders>,
) -> Result<(), Failure> {
    let offset = u16::try_from(id / plan.sources.len().max(1)).unwrap_or(u16::MAX);
    let port = if plan.source_port == 0 { 0 } else { plan.source_port.saturating_add(offset) };
    let stream = connect(plan.peer, source_for(&plan.sources, port, id), plan.stall).await?;
    tally.bound(id, stream.local_addr().map_err(|error| Failure::from_io(&error))?);
    let mut records = RecordStream::new(stream, Some(plan.stall));
    let flow = plan.run.wrapping_add(id as u64);
    let mut check = AnswerCheck::new(flow);
    let mut next = Instant::now();
    for sequence in 0.. {
        let length = record_length(flow, sequence, plan.payload);
        let request = Record { flow, sequence, last: false, name: String::new(), length };
        let sent = Instant::now();
        exchange(&mut records, &request, &mut check).await?;
        tally.record(sent.elapsed());
        if sequence == 0 {
            tally.up(id, check.server().unwrap_or_default());
        }
        next = (next + plan.interval).max(Instant::now());
        if rest(&mut records, next, orders, check.server()).await? {
            break;
        }
    }
    records.close(Direction::Response).await
}

/// Sends one request and checks its answer.
pub(crate) async fn exchange(
    records: &mut RecordStream,
    request: &Record,
    check: &mut AnswerCheck,
) -> Result<(), Failure> {
    records.send(request, Direction::Request).await?;
    let answer = records.receive(Direction::Response).await?;
    let answer =
        answer.ok_or_else(|| Failure::new(Cause::Eof, "closed where an answer was due"))?;
    check.accept(answer, request.length)
}

/// Waits until `next`; true when an order ends this flow before that.
async fn rest(
    records: &mut RecordStream,
    next: Instant,
    orders: &mut watch::Receiver<Orders>,
    server: Option<&str>,
) -> Result<bool, Failure> {
    // What came from the server counts before an order that came at the same time.
    tokio::select! {
        biased;
        failure = records.disturbance() => Err(failure),
        _ = orders.wait_for(|orders| orders.end(server)) => Ok(true),
        () = sleep_until(next) => Ok(false),
    }
}
