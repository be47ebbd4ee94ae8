//! `udp-client`: flows of checked datagrams; counts loss and which server answers.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};

use crate::control::Controls;
use crate::options::Options;
use crate::orders::{Chief, Orders};
use crate::payload::{Direction, record_length, run_number};
use crate::record::Record;
use crate::udp::counts::UdpCounts;
use crate::udp::{DATAGRAM_LIMIT, DATAGRAM_PAYLOAD_LIMIT, bind};
use crate::{Outcome, ProgramError};

#[derive(Debug)]
struct Plan {
    peer: SocketAddr,
    sources: Vec<IpAddr>,
    source_port: u16,
    interval: Duration,
    timeout: Duration,
    payload: usize,
    limit: u64,
    run: u64,
}

struct Flow {
    id: u64,
    number: u64,
    sequence: u64,
    socket: UdpSocket,
    local: SocketAddr,
    waiting: BTreeMap<u64, Instant>,
    server: Option<String>,
    plan: Rc<Plan>,
    counts: UdpCounts,
}

/// Runs until every flow has sent `--count` datagrams or it is told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let peer = options.require("connect", "ADDRESS:PORT or [ADDRESS]:PORT")?;
    let flows = options.count("flows", 1)?;
    let allowed_loss = options.get("allow-loss", "a number of datagrams, 0 or more")?.unwrap_or(0);
    let report = options.millis("report-ms", 1000)?;
    let plan = Rc::new(Plan {
        peer,
        sources: options.sources(peer)?,
        source_port: options.get("source-port", "the first source port, 1..65535")?.unwrap_or(0),
        interval: options.millis("interval-ms", 200)?,
        timeout: options.millis("timeout-ms", 1000)?,
        payload: options.payload_bytes(256)?.min(DATAGRAM_PAYLOAD_LIMIT),
        limit: options.count("count", u64::MAX)?,
        run: run_number(),
    });
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    let (counts, chief) = (UdpCounts::new(flows), Chief::new());
    let mut running = JoinSet::new();
    for id in 0..flows {
        let flow = Flow::open(id, Rc::clone(&plan), counts.clone()).await?;
        running.spawn_local(flow.run(chief.listen()));
    }
    let mut ticks = interval_at(Instant::now() + report, report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !running.is_empty() {
        tokio::select! {
            _ = running.join_next() => {}
            () = controls.finished() => chief.finish(),
            _ = ticks.tick() => counts.emit("state"),
        }
    }
    counts.emit("summary");
    Ok(counts.outcome(allowed_loss))
}

impl Flow {
    async fn open(id: u64, plan: Rc<Plan>, counts: UdpCounts) -> Result<Self, ProgramError> {
        let turn = usize::try_from(id)?;
        let any: IpAddr = if plan.peer.is_ipv4() { [0_u8; 4].into() } else { [0_u8; 16].into() };
        let sources = plan.sources.len().max(1);
        let address = plan.sources.get(turn % sources).copied().unwrap_or(any);
        let port = match plan.source_port {
            0 => 0,
            first => first
                .checked_add(u16::try_from(turn / sources)?)
                .ok_or("--source-port is too high for all flows")?,
        };
        let socket = bind(SocketAddr::new(address, port)).await?;
        socket.connect(plan.peer).await?;
        let (local, number) = (socket.local_addr()?, plan.run.wrapping_add(id));
        let (waiting, server) = (BTreeMap::new(), None);
        Ok(Self { id, number, sequence: 0, socket, local, waiting, server, plan, counts })
    }

    async fn run(mut self, mut orders: watch::Receiver<Orders>) {
        // Spread over the interval, so that the flows do not all send at once.
        let phase = Duration::from_micros((self.id * 7919) % micros(self.plan.interval));
        sleep(phase).await;
        let mut ticks = interval(self.plan.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut finish = false;
        let mut datagram = vec![0; DATAGRAM_LIMIT];
        while !finish || !self.waiting.is_empty() {
            tokio::select! {
                _ = ticks.tick() => {
                    self.expire();
                    if self.sequence >= self.plan.limit {
                        finish = true;
                    }
                    if !finish {
                        self.send().await;
                    }
                }
                received = self.socket.recv(&mut datagram) => match received {
                    Ok(length) => self.receive(datagram.get(..length).unwrap_or(&[])),
                    Err(error) => self.fail(&error),
                },
                _ = orders.wait_for(|orders| orders.finish), if !finish => finish = true,
            }
        }
    }

    async fn send(&mut self) {
        let (flow, sequence) = (self.number, self.sequence);
        let length = record_length(flow, sequence, self.plan.payload);
        let request = Record { flow, sequence, last: false, name: String::new(), length };
        let mut body = Vec::new();
        request.put_body(Direction::Request, &mut body);
        self.sequence += 1;
        self.waiting.insert(sequence, Instant::now());
        self.counts.sent();
        if let Err(error) = self.socket.send(&body).await {
            self.fail(&error);
        }
    }

    fn receive(&mut self, body: &[u8]) {
        let answer = match Record::parse(body, Direction::Response) {
            Ok(answer) if answer.flow == self.number && answer.sequence < self.sequence => answer,
            _ => return self.counts.corrupt(),
        };
        let Some(sent) = self.waiting.remove(&answer.sequence) else { return self.counts.late() };
        if answer.length != record_length(self.number, answer.sequence, self.plan.payload) {
            return self.counts.corrupt();
        }
        self.counts.answered(&answer.name, sent.elapsed());
        if self.server.as_ref() != Some(&answer.name) {
            let before = self.server.take();
            self.counts.on_server(self.id, self.local, &answer.name, before.as_deref());
            self.server = Some(answer.name);
        }
    }

    /// An ICMP error ends the wait for the oldest datagram; anything else counts as its loss.
    fn fail(&mut self, error: &std::io::Error) {
        if self.waiting.pop_first().is_none() {
            return;
        }
        match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable => self.counts.refused(),
            _ => self.counts.lost(1),
        }
    }

    fn expire(&mut self) {
        let timeout = self.plan.timeout;
        let before = self.waiting.len();
        self.waiting.retain(|_, sent| sent.elapsed() < timeout);
        self.counts.lost((before - self.waiting.len()) as u64);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}
