//! `sctp-client`: long-lived associations that exchange checked records and report what breaks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::cause::{Cause, Failure};
use crate::control::Controls;
use crate::drive::drive;
use crate::events::{ErrorEvent, emit};
use crate::options::Options;
use crate::orders::{Chief, Orders};
use crate::payload::{Direction, Prng, record_length, run_number};
use crate::record::{AnswerCheck, Record};
use crate::sctp::association::{Arrival, Association, Ends, Happening, WAITING_PACKETS};
use crate::sctp::packet::Head;
use crate::sctp::raw_port::RawPort;
use crate::sctp::warn_of_kernel_sctp;
use crate::tally::Tally;
use crate::{Outcome, ProgramError};

/// Lowest port picked when none is asked for.
const FIRST_PORT: u16 = 20_000;

#[derive(Debug)]
struct Plan {
    peer: SocketAddr,
    source: IpAddr,
    source_port: u16,
    interval: Duration,
    stall: Duration,
    heartbeat: Duration,
    payload: usize,
    run: u64,
}

/// Who gets the packets that arrive at a local port.
type Inboxes = HashMap<u16, mpsc::Sender<Arrival>>;

/// Opens the associations and keeps them until told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let associations = usize::try_from(options.count("associations", 1)?)?;
    let open_rate = u32::try_from(options.count("open-rate", 200)?)?;
    let report = options.millis("report-ms", 1000)?;
    let plan = Rc::new(Plan::from_options(&mut options, associations)?);
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    warn_of_kernel_sctp();
    let port = Rc::new(RawPort::sctp(plan.source)?);
    let errors = RawPort::icmp(plan.source)?;
    let (tally, chief) = (Tally::new(associations), Chief::new());
    let (mut flows, mut inboxes) = (JoinSet::new(), Inboxes::new());
    for id in 0..associations {
        let (inbox, arrivals) = mpsc::channel(WAITING_PACKETS);
        let local_port = plan.source_port + u16::try_from(id)?;
        inboxes.insert(local_port, inbox);
        let ends = Ends { local_port, peer: plan.peer.ip(), peer_port: plan.peer.port() };
        let association = Association::new(ends, Rc::clone(&port), arrivals, plan.heartbeat, None);
        tally.bound(id, SocketAddr::new(plan.source, local_port));
        let delay = Duration::from_secs(1) / open_rate * u32::try_from(id)?;
        let plan = Rc::clone(&plan);
        flows.spawn_local(flow(plan, id, delay, association, tally.clone(), chief.listen()));
    }
    let reader = spawn_local(read(Rc::clone(&plan), port, errors, inboxes));
    let started = Instant::now();
    drive(&mut flows, &tally, &chief, &mut controls, report).await;
    reader.abort();
    Ok(tally.summary(started.elapsed()))
}

impl Plan {
    fn from_options(options: &mut Options, associations: usize) -> Result<Self, ProgramError> {
        let peer: SocketAddr = options.require("connect", "ADDRESS:PORT or [ADDRESS]:PORT")?;
        let [source] = options.sources(peer)?[..] else {
            return Err("--source takes one local address, which SCTP needs".into());
        };
        let run = run_number();
        let room = u64::from(u16::MAX - FIRST_PORT);
        let wanted = u64::try_from(associations)?;
        if wanted > room {
            return Err(format!("--associations {associations}: at most {room} have ports").into());
        }
        // Another first port each run: the last run's associations may still live at the server.
        let picked = Prng::new(run).next() % (room - wanted + 1);
        let picked = FIRST_PORT + u16::try_from(picked)?;
        let source_port =
            options.get("source-port", "the first source port, 1..65535")?.unwrap_or(picked);
        if usize::from(source_port) + associations > usize::from(u16::MAX) {
            return Err(format!("--source-port {source_port}: too high for them all").into());
        }
        Ok(Self {
            peer,
            source,
            source_port,
            interval: options.millis("interval-ms", 200)?,
            stall: options.millis("stall-ms", 5000)?,
            heartbeat: options.millis("heartbeat-ms", 1000)?,
            payload: options.payload_bytes(512)?,
            run,
        })
    }
}

/// Hands packets and errors to the associations they belong to.
async fn read(plan: Rc<Plan>, port: Rc<RawPort>, errors: RawPort, inboxes: Inboxes) {
    let mut packet = Vec::new();
    let result: Result<(), ProgramError> = async {
        loop {
            let (local_port, arrival) = tokio::select! {
                from = port.receive(&mut packet) => {
                    let from = from?;
                    let Some(head) = Head::parse(&packet) else { continue };
                    if (from, head.source_port) != (plan.peer.ip(), plan.peer.port()) {
                        continue;
                    }
                    (head.destination_port, Arrival::Packet(packet.clone()))
                }
                error = errors.receive_unreachable() => {
                    let error = error?;
                    if SocketAddr::new(error.destination, error.destination_port) != plan.peer {
                        continue;
                    }
                    (error.source_port, Arrival::Unreachable { refused: error.refused })
                }
            };
            // Ports that are not ours belong to another program on this host.
            if let Some(inbox) = inboxes.get(&local_port) {
                let _ = inbox.try_send(arrival);
            }
        }
    }
    .await;
    if let Err(error) = result {
        emit("error", &ErrorEvent { message: format!("raw socket: {error}") });
    }
}

async fn flow(
    plan: Rc<Plan>,
    id: usize,
    delay: Duration,
    mut association: Association,
    tally: Tally,
    mut orders: watch::Receiver<Orders>,
) {
    tokio::select! {
        () = sleep(delay) => {}
        _ = orders.wait_for(|orders| orders.finish) => return tally.closed(id),
    }
    match live(&plan, id, &mut association, &tally, &mut orders).await {
        Ok(()) => {
            tally.closed(id);
            // Stay to answer a SHUTDOWN ACK that comes again because our last word was lost.
            spawn_local(async move { while association.next().await.is_some() {} });
        }
        Err(failure) => tally.broken(id, &failure),
    }
}

async fn live(
    plan: &Plan,
    id: usize,
    association: &mut Association,
    tally: &Tally,
    orders: &mut watch::Receiver<Orders>,
) -> Result<(), Failure> {
    association.connect();
    wait_connected(association, plan.stall).await?;
    let flow = plan.run.wrapping_add(id as u64);
    let mut check = AnswerCheck::new(flow);
    let mut next = Instant::now();
    for sequence in 0.. {
        let length = record_length(flow, sequence, plan.payload);
        let request = Record { flow, sequence, last: false, name: String::new(), length };
        let sent = Instant::now();
        exchange(association, &request, &mut check, plan.stall).await?;
        tally.record(sent.elapsed());
        if sequence == 0 {
            tally.up(id, check.server().unwrap_or_default());
        }
        next = (next + plan.interval).max(Instant::now());
        if rest(association, next, orders, check.server()).await? {
            break;
        }
    }
    association.shutdown();
    match happening(association, Instant::now() + plan.stall).await? {
        Happening::Closed => Ok(()),
        other => Err(unexpected(&other)),
    }
}

async fn wait_connected(association: &mut Association, stall: Duration) -> Result<(), Failure> {
    match happening(association, Instant::now() + stall).await {
        Ok(Happening::Connected) => Ok(()),
        Ok(other) => Err(unexpected(&other)),
        Err(failure) if failure.cause == Cause::Timeout => {
            let detail = format!("not set up within {} ms", stall.as_millis());
            Err(Failure::new(Cause::ConnectTimeout, detail))
        }
        Err(failure) => Err(failure),
    }
}

async fn exchange(
    association: &mut Association,
    request: &Record,
    check: &mut AnswerCheck,
    stall: Duration,
) -> Result<(), Failure> {
    let mut body = Vec::new();
    request.put_body(Direction::Request, &mut body);
    association.send(body)?;
    match happening(association, Instant::now() + stall).await? {
        Happening::Message(body) => {
            check.accept(Record::parse(&body, Direction::Response)?, request.length)
        }
        other => Err(unexpected(&other)),
    }
}

/// The next thing that happens, a failure when nothing does until the deadline.
async fn happening(association: &mut Association, deadline: Instant) -> Result<Happening, Failure> {
    match timeout_at(deadline, association.next()).await {
        Err(_) => Err(Failure::new(Cause::Timeout, "no answer within the stall limit")),
        Ok(None) => Err(Failure::new(Cause::Local, "the raw socket failed")),
        Ok(Some(Happening::Failed(failure))) => Err(failure),
        Ok(Some(happening)) => Ok(happening),
    }
}

/// Waits until `next` while the association lives on; true when an order ends this flow.
async fn rest(
    association: &mut Association,
    next: Instant,
    orders: &mut watch::Receiver<Orders>,
    server: Option<&str>,
) -> Result<bool, Failure> {
    // What came from the server counts before an order that came at the same time.
    tokio::select! {
        biased;
        happening = association.next() => Err(match happening {
            Some(Happening::Failed(failure)) => failure,
            Some(other) => unexpected(&other),
            None => Failure::new(Cause::Local, "the raw socket failed"),
        }),
        _ = orders.wait_for(|orders| orders.end(server)) => Ok(true),
        () = sleep_until(next) => Ok(false),
    }
}

fn unexpected(happening: &Happening) -> Failure {
    match happening {
        Happening::Closed => Failure::new(Cause::Eof, "the server shut the association down"),
        Happening::Restarted => Failure::new(Cause::Reset, "the server restarted the association"),
        Happening::Message(_) => Failure::new(Cause::Corrupt, "a record that nobody asked for"),
        Happening::Connected => Failure::new(Cause::Corrupt, "set up twice"),
        Happening::Failed(failure) => failure.clone(),
    }
}
