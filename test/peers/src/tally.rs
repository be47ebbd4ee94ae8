//! Long-lived flows: who is up, what broke and why, and the events that tell it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::cause::{Cause, Failure};
use crate::events::emit;
use crate::percentiles::{Percentiles, millis};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Up,
    Closed,
    Broken,
}

#[derive(Clone, Debug)]
struct Flow {
    stage: Stage,
    local: Option<SocketAddr>,
    server: Option<String>,
}

#[derive(Debug)]
struct Inner {
    flows: Vec<Flow>,
    causes: BTreeMap<Cause, u64>,
    records: u64,
    records_reported: u64,
    slowest: Duration,
    round_trips: Percentiles,
    slowest_since_report: Duration,
    connected_told: bool,
}

/// The flows of one program; clones share the same tally.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    inner: Rc<RefCell<Inner>>,
}

#[derive(Serialize)]
struct FlowEvent<'a> {
    id: usize,
    source: Option<String>,
    port: Option<u16>,
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    connections: usize,
    opening: usize,
    up: usize,
    broken: usize,
    closed: usize,
    records: u64,
    records_per_second: f64,
    slowest_ms: f64,
    /// Over the whole run; nothing before the first record.
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Flows that are up, by server.
    servers: BTreeMap<String, u64>,
    causes: BTreeMap<Cause, u64>,
}

impl Tally {
    /// `count` flows, none of them up yet; their ids are 0..count.
    pub(crate) fn new(count: usize) -> Self {
        let inner = Inner {
            flows: vec![Flow { stage: Stage::Opening, local: None, server: None }; count],
            causes: BTreeMap::new(),
            records: 0,
            records_reported: 0,
            slowest: Duration::ZERO,
            round_trips: Percentiles::new(),
            slowest_since_report: Duration::ZERO,
            connected_told: false,
        };
        Self { inner: Rc::new(RefCell::new(inner)) }
    }

    /// The flow has its local address.
    pub(crate) fn bound(&self, id: usize, local: SocketAddr) {
        if let Some(flow) = self.inner.borrow_mut().flows.get_mut(id) {
            flow.local = Some(local);
        }
    }

    /// The first answer came, from this server.
    pub(crate) fn up(&self, id: usize, server: &str) {
        self.change(id, Stage::Up, Some(server));
        self.tell_flow("flow", id, None);
        self.tell_connected();
    }

    /// One checked record went there and back.
    pub(crate) fn record(&self, round_trip: Duration) {
        let mut inner = self.inner.borrow_mut();
        inner.records += 1;
        inner.round_trips.record(round_trip);
        inner.slowest = inner.slowest.max(round_trip);
        inner.slowest_since_report = inner.slowest_since_report.max(round_trip);
    }

    /// The flow ended in good order.
    pub(crate) fn closed(&self, id: usize) {
        self.change(id, Stage::Closed, None);
        self.tell_flow("closed", id, None);
        self.tell_connected();
    }

    /// The flow broke.
    pub(crate) fn broken(&self, id: usize, failure: &Failure) {
        self.change(id, Stage::Broken, None);
        *self.inner.borrow_mut().causes.entry(failure.cause).or_default() += 1;
        self.tell_flow("broken", id, Some(failure));
        self.tell_connected();
    }

    /// Prints a `state` event; rates are since the one before, `elapsed` ago.
    pub(crate) fn report(&self, elapsed: Duration) {
        let mut inner = self.inner.borrow_mut();
        let fresh = inner.records - inner.records_reported;
        let mut state = inner.state();
        let fresh = u32::try_from(fresh).unwrap_or(u32::MAX);
        state.records_per_second = (f64::from(fresh) / elapsed.as_secs_f64() * 10.0).round() / 10.0;
        state.slowest_ms = millis(inner.slowest_since_report);
        inner.records_reported = inner.records;
        inner.slowest_since_report = Duration::ZERO;
        drop(inner);
        emit("state", &state);
    }

    /// Prints the `summary` event, whose rate and slowest record are over the whole run.
    pub(crate) fn summary(&self, elapsed: Duration) -> Outcome {
        let inner = self.inner.borrow();
        let mut state = inner.state();
        let records = u32::try_from(inner.records).unwrap_or(u32::MAX);
        state.records_per_second =
            (f64::from(records) / elapsed.as_secs_f64() * 10.0).round() / 10.0;
        state.slowest_ms = millis(inner.slowest);
        state.servers = inner.servers(&[Stage::Up, Stage::Closed, Stage::Broken]);
        emit("summary", &state);
        Outcome::from_failures(u64::try_from(state.broken + state.opening).unwrap_or(u64::MAX))
    }

    fn change(&self, id: usize, stage: Stage, server: Option<&str>) {
        if let Some(flow) = self.inner.borrow_mut().flows.get_mut(id) {
            flow.stage = stage;
            if let Some(server) = server {
                flow.server = Some(server.to_owned());
            }
        }
    }

    fn tell_flow(&self, event: &str, id: usize, failure: Option<&Failure>) {
        let inner = self.inner.borrow();
        let Some(flow) = inner.flows.get(id) else { return };
        let body = FlowEvent {
            id,
            source: flow.local.map(|local| local.ip().to_string()),
            port: flow.local.map(|local| local.port()),
            server: flow.server.as_deref(),
            cause: failure.map(|failure| failure.cause),
            detail: failure.map(|failure| failure.detail.as_str()),
        };
        emit(event, &body);
    }

    /// `connected`, once: when no flow is opening any more.
    fn tell_connected(&self) {
        let mut inner = self.inner.borrow_mut();
        if inner.connected_told || inner.flows.iter().any(|flow| flow.stage == Stage::Opening) {
            return;
        }
        inner.connected_told = true;
        let state = inner.state();
        drop(inner);
        emit("connected", &state);
    }
}

impl Inner {
    fn count(&self, stage: &Stage) -> usize {
        self.flows.iter().filter(|flow| flow.stage == *stage).count()
    }

    fn servers(&self, stages: &[Stage]) -> BTreeMap<String, u64> {
        let mut servers = BTreeMap::new();
        for flow in self.flows.iter().filter(|flow| stages.contains(&flow.stage)) {
            if let Some(server) = &flow.server {
                *servers.entry(server.clone()).or_default() += 1;
            }
        }
        servers
    }

    fn state(&self) -> State {
        State {
            connections: self.flows.len(),
            opening: self.count(&Stage::Opening),
            up: self.count(&Stage::Up),
            broken: self.count(&Stage::Broken),
            closed: self.count(&Stage::Closed),
            records: self.records,
            records_per_second: 0.0,
            slowest_ms: millis(self.slowest),
            p50_ms: self.round_trips.at(0.5),
            p99_ms: self.round_trips.at(0.99),
            servers: self.servers(&[Stage::Up]),
            causes: self.causes.clone(),
        }
    }
}
