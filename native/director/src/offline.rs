//! A director without sockets, privileges or threads: frames and times go in, verdicts and frames
//! come out. The same engine and the same configuration as live, on a clock that stands still until
//! it is told to go on.

mod flow;
mod replay;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::command::{Command, Issue, ServiceKey};
use engine::configuration::Configuration;
use engine::frame::{FrameMeta, Outputs};
use engine::hop::{Egress, Hop, Hops, ServerId};
use engine::snapshot::{ConnectionFilter, ConnectionPage, Explanation, Flow, Statistics, Version};
use engine::time::Instant;
use engine::verdict::Verdict;
use engine::{Engine, Limits};
use serde::Serialize;

use crate::configured::{self, ServerPlace};
use crate::event::Event;
use crate::forget::Forgetting;
use crate::hops::{self, HopTable};
use crate::pending::{Pending, PendingLimits, Whom};
use crate::port::{Offload, Outgoing, part};

pub use flow::FlowError;
pub use replay::ReplayError;

/// Bounds and seed of an offline director.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfflineOptions {
    /// Bounds of the engine.
    pub limits: Limits,
    /// Seed of its random choices; equal seeds and inputs give equal answers.
    pub seed: u64,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfflineResult {
    /// `forward`, `return`, `reply`, `pass` or `drop`.
    pub verdict: &'static str,
    /// Why, for all but `forward` and `return`: the name its counter has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The real server the packet went to, or, for `return`, came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerPlace>,
    /// The frames that leave, in order.
    pub frames: Vec<OfflineFrame>,
    /// Whether a frame waits for its neighbour instead; see [`OfflineDirector::take_released`].
    pub waiting: bool,
}

/// A frame that leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfflineFrame {
    /// The octets from the Ethernet header on.
    pub frame: Vec<u8>,
    /// The interface it leaves by.
    pub interface: u32,
    /// VLAN tag control information that goes in on sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// The director of programs that want to ask, replay or test.
#[derive(Debug)]
pub struct OfflineDirector {
    engine: Engine,
    configuration: Arc<Configuration>,
    now: Instant,
    hops: StatedHops,
    outputs: Outputs,
    pending: Pending,
    released: Vec<OfflineFrame>,
    forgetting: Forgetting,
}

impl OfflineDirector {
    /// A director without services, at time 0.
    #[must_use]
    pub fn new(options: OfflineOptions) -> Self {
        let mut engine = Engine::new(options.limits, options.seed);
        let configuration = Arc::new(Configuration::default());
        engine.configure(Arc::clone(&configuration));
        Self {
            engine,
            configuration,
            now: Instant::ZERO,
            hops: StatedHops::default(),
            outputs: Outputs::default(),
            pending: Pending::new(PendingLimits::default()),
            released: Vec::new(),
            forgetting: Forgetting::new(Instant::ZERO),
        }
    }

    /// Changes the configuration, all commands or none.
    ///
    /// # Errors
    /// Every problem of every command; nothing is changed then.
    pub fn apply(&mut self, commands: &[Command]) -> Result<Version, Vec<Issue>> {
        let next = Arc::new(self.configuration.apply(commands)?);
        let same_servers = next.shares_servers_with(&self.configuration);
        self.configuration = next;
        self.engine.configure(Arc::clone(&self.configuration));
        if !same_servers {
            self.build_hops();
        }
        Ok(self.configuration.version())
    }

    /// The configuration in force.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Judges one frame, at the director's time.
    pub fn process(&mut self, frame: &[u8], meta: &FrameMeta) -> OfflineResult {
        let mut octets = frame.to_vec();
        let mut outputs = std::mem::take(&mut self.outputs);
        let verdict = self.engine.process(&mut octets, meta, self.now, &self.hops, &mut outputs);
        let mut result = self.describe(verdict);
        if let Verdict::Forward { egress, length, .. }
        | Verdict::Return { egress, length, .. }
        | Verdict::Route { egress, length, .. } = verdict
        {
            octets.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            self.put_out(&mut result, &octets, egress, meta.vlan);
        } else if let Verdict::Encapsulate { egress, from, end, .. } = verdict {
            let octets = [outputs.prefix().octets(), part(&octets, from, end)].concat();
            self.put_out(&mut result, &octets, egress, meta.vlan);
        }
        for frame in outputs.frames() {
            self.put_out(&mut result, outputs.octets(frame), frame.egress, frame.vlan);
        }
        outputs.clear();
        self.outputs = outputs;
        result
    }

    /// The time, since the director was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now.saturating_since(Instant::ZERO)
    }

    /// Lets time pass: everything due on the way happens at its time, in order.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.handle_timeout();
        }
        self.now = end;
    }

    fn next_due(&self) -> Option<Instant> {
        let forgetting = Some(self.forgetting.poll_timeout());
        let due = [self.engine.poll_timeout(), self.pending.poll_timeout(), forgetting];
        due.into_iter().flatten().min()
    }

    fn handle_timeout(&mut self) {
        self.pending.handle_timeout(self.now);
        if self.engine.poll_timeout().is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
        }
        if let Some(next) = self.forgetting.handle_timeout(&self.configuration, self.now) {
            self.configuration = Arc::new(next);
            self.engine.configure(Arc::clone(&self.configuration));
        }
    }

    /// States the way to the servers, or back to the client, at `address`, in place of the one that is assumed
    /// ([`hops::assumed`]). Frames that waited for it are in [`Self::take_released`].
    pub fn set_hop(&mut self, address: IpAddr, hop: Hop) {
        self.hops.stated.insert(address, hop);
        self.build_hops();
    }

    /// States the director's own address on the way to the servers at `address`, in place of the one
    /// that is assumed ([`hops::assumed_source`]). One of the other family leads nowhere.
    pub fn set_source(&mut self, address: IpAddr, source: IpAddr) {
        self.hops.sources.insert(address, source);
        self.build_hops();
    }

    /// Takes the frames that left because their neighbour became known, oldest first.
    pub fn take_released(&mut self) -> Vec<OfflineFrame> {
        std::mem::take(&mut self.released)
    }

    /// Why a flow goes where it goes.
    #[must_use]
    pub fn explain(&self, flow: &Flow) -> Explanation {
        self.engine.explain(flow, self.now)
    }

    /// Why a frame goes where it goes; asked about by its flow.
    ///
    /// # Errors
    ///
    /// When the frame has no TCP, UDP or SCTP ports.
    pub fn explain_frame(&self, frame: &[u8]) -> Result<Explanation, FlowError> {
        Ok(self.explain(&flow::of_frame(frame)?))
    }

    /// A part of the connection table, from `cursor` (0 at first) on.
    #[must_use]
    pub fn connections(
        &self,
        filter: &ConnectionFilter,
        cursor: u32,
        limit: usize,
    ) -> ConnectionPage {
        self.engine.connections(filter, cursor, limit, self.now)
    }

    /// Everything counted.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics_of(None)
    }

    /// As [`Self::statistics`]; of the services `only` that one, if it is given.
    #[must_use]
    pub fn statistics_of(&self, only: Option<&ServiceKey>) -> Statistics {
        self.engine.statistics_of(only)
    }

    /// Sets the counters of a service, or of all, to zero.
    pub fn zero(&mut self, service: Option<&ServiceKey>) {
        self.engine.zero(service);
    }

    /// Takes what has happened, oldest first; one adoption an event.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.engine.poll_event()).map(Event::from).collect()
    }

    fn describe(&self, verdict: Verdict) -> OfflineResult {
        let (verdict, reason, server) = match verdict {
            Verdict::Forward { server, .. }
            | Verdict::Encapsulate { server, .. }
            | Verdict::ForwardFragments { server } => ("forward", None, Some(server)),
            Verdict::Hold => ("hold", None, None),
            Verdict::Return { server, .. } | Verdict::ReturnFragments { server } => {
                ("return", None, Some(server))
            }
            Verdict::Route { server, .. } | Verdict::RouteFragments { server } => {
                ("route", None, Some(server))
            }
            Verdict::Reply(reason) => ("reply", Some(reason.name()), None),
            Verdict::Pass(reason) => ("pass", Some(reason.name()), None),
            Verdict::Drop(reason) => ("drop", Some(reason.name()), None),
        };
        let server = server.and_then(|server| configured::place(&self.configuration, server));
        OfflineResult { verdict, reason, server, frames: Vec::new(), waiting: false }
    }

    fn put_out(
        &mut self,
        result: &mut OfflineResult,
        octets: &[u8],
        egress: Egress,
        vlan: Option<u16>,
    ) {
        let whom = match egress {
            Egress::Interface(interface) => {
                let frame = octets.to_vec();
                result.frames.push(OfflineFrame { frame, interface: interface.0, vlan });
                return;
            }
            Egress::Neighbour(server) => Whom::Server(server),
            Egress::Client(client) => Whom::Client(client),
        };
        result.waiting = true;
        self.pending.push(whom, octets, vlan, Offload::default(), self.now);
    }

    fn build_hops(&mut self) {
        let Self { hops, configuration, pending, released, .. } = self;
        hops.state(configured::servers(configuration));
        pending.release(hops, |frame| {
            let Outgoing { interface, octets, vlan, .. } = frame;
            released.push(OfflineFrame { frame: octets.to_vec(), interface: interface.0, vlan });
        });
    }
}

/// The ways of a director without a network: what was stated, and for the rest what is assumed.
#[derive(Debug, Default)]
struct StatedHops {
    table: HopTable,
    stated: HashMap<IpAddr, Hop>,
    sources: HashMap<IpAddr, IpAddr>,
}

impl StatedHops {
    fn state(&mut self, servers: impl Iterator<Item = (ServerId, IpAddr)>) {
        let mut table = HopTable::new();
        for (server, address) in servers {
            let source = self.sources.get(&address).copied();
            table.set(server, self.to(address));
            table.set_source(server, Some(source.unwrap_or_else(|| hops::assumed_source(address))));
        }
        self.table = table;
    }

    fn to(&self, address: IpAddr) -> Hop {
        let stated = self.stated.get(&address).copied();
        stated.unwrap_or_else(|| Hop::Ready(hops::assumed(address)))
    }
}

impl Hops for StatedHops {
    fn hop(&self, server: ServerId) -> Hop {
        self.table.hop(server)
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        self.table.source(server)
    }

    fn client_hop(&self, client: IpAddr) -> Hop {
        self.to(client)
    }
}

#[cfg(test)]
mod tests;
