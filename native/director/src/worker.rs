//! The loop of a worker: it owns an engine and a port and shares neither.
//!
//! A turn is: commands, one wait, one look at the clock, one bounded batch of frames, due timers,
//! events. Configurations and ways to servers are swapped whole, between batches.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use afpacket::memory::prefer_huge_pages;
use engine::configuration::Configuration;
use engine::frame::{InterfaceId, Outputs};
use engine::hand_over::Turn;
use engine::hop::{Egress, Hop};
use engine::time::Instant;
use engine::{Engine, Limits};
use wire::ethernet::MacAddress;

use crate::adoption::Adoptions;
use crate::clients::{ClientWays, Enquiry};
use crate::clock::{Clock, until};
use crate::event::Event;
use crate::events::EventSender;
use crate::fast_path::{FastFlows, FastPathShare};
use crate::hand_over::{Exchange, Origin};
use crate::hops::{HopTable, KnownWays};
use crate::linger::Linger;
use crate::losses::Losses;
use crate::overload::{Overload, SeparatorShare};
use crate::pending::{Pending, PendingLimits, Whom};
use crate::port::{Offload, Outgoing, PacketPort};
use crate::query::{Query, WorkerStatistics};
use judging::Judging;

mod disposal;
mod handed;
mod judging;

/// Frames of one batch at most.
const BATCH: usize = 128;

/// Commands handled between two batches at most, so that questions do not stop the traffic.
const COMMANDS: usize = 16;

/// Events handed on in one turn at most.
const EVENTS: usize = 256;

/// Interfaces on which virtual addresses are answered for, each with its hardware address.
pub(crate) type Stations = Vec<(InterfaceId, MacAddress)>;

/// What a worker is told to do between batches.
#[derive(Debug)]
pub(crate) enum WorkerCommand<C> {
    /// Use these ways to the servers.
    Hops(Arc<HopTable>),
    /// Use these ways to clients.
    Clients(Vec<(IpAddr, Hop)>),
    /// Ask again for the ways to clients in use: they may have changed.
    DistrustClients,
    /// Use this configuration and these ways, then say so.
    Configure(Arc<Configuration>, Arc<HopTable>, Query<()>),
    /// Let the port do this, then say how it went.
    Port(C, Query<io::Result<()>>),
    /// Answer for virtual addresses on these interfaces, with these hardware addresses.
    Stations(Stations),
    /// Answer a question.
    Ask(crate::query::Question),
    /// Come to an end.
    Stop,
}

/// Whether the worker goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Continue,
    Stop,
}

/// What a worker is made of.
#[derive(Debug)]
pub(crate) struct WorkerParts<P: PacketPort> {
    pub(crate) port: P,
    pub(crate) limits: Limits,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) commands: Receiver<WorkerCommand<P::Control>>,
    pub(crate) events: EventSender,
    /// Where questions for virtual addresses are answered, and with which hardware address.
    pub(crate) stations: Stations,
    /// What it may use of a fast path, where there is one.
    pub(crate) fast_path: Option<FastPathShare>,
    /// What separates known connections from others under overload, where there is such a thing.
    pub(crate) separator: Option<SeparatorShare>,
    /// Where to ask for the ways to clients.
    pub(crate) enquiry: Enquiry,
    /// How long to look on at empty rings at most.
    pub(crate) busy_poll: Duration,
    /// Where frames are handed to other workers and come from them, if there are others.
    pub(crate) exchange: Option<Exchange>,
}

/// One worker.
#[derive(Debug)]
pub(crate) struct Worker<P: PacketPort> {
    engine: Engine,
    port: P,
    clock: Clock,
    commands: Receiver<WorkerCommand<P::Control>>,
    events: EventSender,
    hops: Arc<HopTable>,
    clients: ClientWays,
    pending: Pending,
    outputs: Outputs,
    adoptions: Adoptions,
    fast: FastFlows,
    linger: Linger,
    losses: Losses,
    overload: Overload,
    /// The time by which the last frame was judged.
    judged: Instant,
    exchange: Option<Exchange>,
    /// There may be more to do at once: no sleep before the next batch.
    more: bool,
}

impl<P: PacketPort> Worker<P> {
    pub(crate) fn new(parts: WorkerParts<P>) -> Self {
        let mut engine = Engine::new(parts.limits, parts.seed);
        engine.memory().into_iter().for_each(prefer_huge_pages);
        engine.answer_neighbours(parts.stations);
        engine.use_fast_path(parts.fast_path.as_ref().map_or(0, |share| share.connections));
        let overload = Overload::new(parts.separator, &mut engine);
        Self {
            engine,
            port: parts.port,
            clock: parts.clock,
            commands: parts.commands,
            events: parts.events,
            hops: Arc::default(),
            clients: ClientWays::new(parts.enquiry),
            pending: Pending::new(PendingLimits::default()),
            outputs: Outputs::with_capacity(256 * 1024, BATCH),
            adoptions: Adoptions::default(),
            fast: FastFlows::new(parts.fast_path),
            linger: Linger::new(parts.busy_poll),
            losses: Losses::default(),
            overload,
            judged: Instant::ZERO,
            exchange: parts.exchange,
            more: false,
        }
    }

    /// Works until told to stop, or until everybody who could tell it is gone.
    ///
    /// # Errors
    /// When the port fails for good.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        while self.turn()? == Flow::Continue {}
        Ok(())
    }

    /// One turn of the loop.
    pub(crate) fn turn(&mut self) -> io::Result<Flow> {
        if self.handle_commands()? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        if !self.more {
            self.port.wait(self.idle_time())?;
            self.linger.slept();
        }
        let now = self.clock.now();
        let handled = self.handle_batch(now)?;
        if handled >= BATCH && self.losses.grow(&mut self.port, now) {
            self.engine.strain(now);
        }
        let handed = self.handle_handed(now);
        if let Some(exchange) = &mut self.exchange {
            exchange.wake();
        }
        let congested = self.port.is_congested();
        self.overload.follow(&mut self.engine, handled, congested, now);
        // After a standstill more frames may wait that came before the time of a connection was over.
        self.handle_timeouts(if handled >= BATCH { self.judged } else { now });
        let wishes = self.follow_fast_path(now);
        let events = self.send_events(now);
        // A ring that had frames is looked at again: cheaper than asking the kernel to wait for it.
        self.more = self.linger.looks_on(handled, now)
            || handled + handed > 0
            || wishes
            || events == EVENTS;
        Ok(Flow::Continue)
    }

    fn idle_time(&self) -> Option<Duration> {
        let instants = [
            self.engine.poll_timeout(),
            self.pending.poll_timeout(),
            self.adoptions.poll_timeout(),
            self.fast.poll_timeout(),
            self.overload.poll_timeout(),
        ];
        until(self.clock.now(), instants)
    }

    /// Judges one batch; what is forwarded leaves from the memory it arrived in.
    fn handle_batch(&mut self, now: Instant) -> io::Result<usize> {
        let Self { engine, port, hops, clients, fast, pending, outputs, exchange, judged, .. } =
            self;
        let share = exchange.as_ref().map(|exchange| exchange.share(Turn::Chosen));
        let ways = KnownWays { servers: hops, clients, fast, share };
        let judging = Judging { engine, ways, outputs, pending, exchange, now, judged };
        let handled = port.exchange(BATCH, judging)?;
        self.clients.ask(now);
        self.send_outputs(now);
        Ok(handled)
    }

    /// Sends the frames the engine made itself.
    fn send_outputs(&mut self, now: Instant) {
        let Self { port, pending, outputs, exchange, .. } = self;
        if outputs.frames().is_empty() {
            return;
        }
        port.send(outputs.frames().iter().filter_map(|frame| {
            let octets = outputs.octets(frame);
            let offload = Offload::default();
            match frame.egress {
                Egress::Interface(interface) if frame.handed.is_some() => {
                    let (vlan, waited) = (frame.vlan, Duration::ZERO);
                    let origin = Origin { interface, vlan, offload, waited };
                    exchange.as_mut()?.give(frame.handed?, octets, &origin);
                    None
                }
                Egress::Interface(interface) => {
                    Some(Outgoing { interface, octets, vlan: frame.vlan, offload })
                }
                Egress::Neighbour(server) => {
                    pending.push(Whom::Server(server), octets, frame.vlan, offload, now);
                    None
                }
                Egress::Client(client) => {
                    pending.push(Whom::Client(client), octets, frame.vlan, offload, now);
                    None
                }
            }
        }));
        outputs.clear();
    }

    fn handle_timeouts(&mut self, now: Instant) {
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        self.pending.handle_timeout(now);
        self.clients.handle_timeout(now);
        self.fast.handle_timeout(&mut self.engine, now);
    }

    /// Returns whether there may be more to do.
    fn follow_fast_path(&mut self, now: Instant) -> bool {
        self.fast.follow(&mut self.engine, &self.hops, now)
    }

    fn review_fast_path(&mut self) {
        self.fast.review(&mut self.engine, &self.hops, self.clock.now());
    }

    /// Hands events on; returns how many there were.
    fn send_events(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while count < EVENTS
            && let Some(event) = self.engine.poll_event()
        {
            count += 1;
            if let Some(event) = self.adoptions.handle(Event::from(event), now) {
                self.events.send(event);
            }
        }
        while let Some(event) = self.adoptions.poll_event(now) {
            self.events.send(event);
        }
        self.events.flush();
        count
    }

    fn handle_commands(&mut self) -> io::Result<Flow> {
        for _ in 0..COMMANDS {
            match self.commands.try_recv() {
                Ok(WorkerCommand::Stop) | Err(TryRecvError::Disconnected) => return Ok(Flow::Stop),
                Ok(command) => self.handle_command(command),
                Err(TryRecvError::Empty) => return Ok(Flow::Continue),
            }
        }
        // More may be waiting: look again after one batch, without sleeping.
        self.more = true;
        Ok(Flow::Continue)
    }

    fn handle_command(&mut self, command: WorkerCommand<P::Control>) {
        match command {
            WorkerCommand::Hops(hops) => {
                self.use_hops(hops);
            }
            WorkerCommand::Clients(answers) => self.learn(&answers),
            WorkerCommand::DistrustClients => self.clients.distrust(),
            WorkerCommand::Configure(configuration, hops, done) => {
                self.use_hops(hops);
                let same_servers = configuration.shares_servers_with(self.engine.configuration());
                self.engine.configure(configuration);
                if !same_servers {
                    self.review_fast_path();
                }
                done.answer(());
            }
            WorkerCommand::Port(control, done) => done.answer(self.port.control(control)),
            WorkerCommand::Stations(stations) => self.engine.answer_neighbours(stations),
            WorkerCommand::Ask(question) => self.answer(question),
            WorkerCommand::Stop => {}
        }
    }

    fn use_hops(&mut self, hops: Arc<HopTable>) {
        if Arc::ptr_eq(&self.hops, &hops) {
            return;
        }
        self.port.prepare(hops.interfaces());
        self.hops = hops;
        self.release();
        self.review_fast_path();
    }

    fn learn(&mut self, answers: &[(IpAddr, Hop)]) {
        let ready = answers.iter().filter_map(|(_, hop)| match hop {
            Hop::Ready(next) => Some(next.interface),
            Hop::Resolving { .. } | Hop::Unreachable | Hop::Local => None,
        });
        self.port.prepare(ready);
        self.clients.learn(answers);
        self.release();
    }

    /// Lets the frames go that waited for what is known now.
    fn release(&mut self) {
        let Self { port, pending, hops, clients, fast, .. } = self;
        let ways = KnownWays { servers: hops, clients, fast, share: None };
        pending.release(&ways, |frame| port.send(std::iter::once(frame)));
    }

    /// With what the fast path has carried by now.
    fn answer(&mut self, question: crate::query::Question) {
        let now = self.clock.now();
        if question.is_first_of_its_kind() {
            self.fast.read_all(&mut self.engine, now);
        }
        question.answer(&mut self.engine, now, |engine, only| {
            let mut ports = Vec::new();
            self.port.counters(&mut ports);
            WorkerStatistics {
                engine: engine.statistics_of(only),
                ports,
                pending: self.pending.counters(),
                handed_over: self.exchange.as_ref().map(Exchange::counters).unwrap_or_default(),
            }
        });
    }
}

#[cfg(test)]
mod tests;
