//! Counts of `tcp-short`: per second and over the whole run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::Outcome;
use crate::cause::{Cause, Failure};
use crate::events::emit;
use crate::percentiles::Percentiles;

/// One connection that did all it should.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) server: String,
    /// Time of the TCP handshake.
    pub(crate) connected: Duration,
    /// Time from connect to the end of the close.
    pub(crate) whole: Duration,
}

#[derive(Debug)]
struct Period {
    since: Instant,
    ok: u64,
    refused: u64,
    failed: BTreeMap<Cause, u64>,
    servers: BTreeMap<String, u64>,
    connect: Percentiles,
    whole: Percentiles,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ShortCounts {
    running: u64,
    second: Period,
    total: Period,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    ok: u64,
    refused: u64,
    failed: &'a BTreeMap<Cause, u64>,
    running: u64,
    per_second: f64,
    servers: &'a BTreeMap<String, u64>,
    connect_p50_ms: Option<f64>,
    connect_p99_ms: Option<f64>,
    whole_p50_ms: Option<f64>,
    whole_p99_ms: Option<f64>,
}

impl ShortCounts {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        Self { running: 0, second: Period::new(), total: Period::new() }
    }

    /// A connection starts.
    pub(crate) fn begin(&mut self) {
        self.running += 1;
    }

    /// A connection ended.
    pub(crate) fn end(&mut self, result: Result<Attempt, Failure>) {
        self.running -= 1;
        match result {
            Ok(attempt) => self.second.ok(attempt),
            Err(failure) => self.second.failed(failure.cause),
        }
    }

    /// Prints the `second` event and starts the next.
    pub(crate) fn report(&mut self) {
        emit("second", &self.second.report(self.running));
        self.total.merge(&self.second);
        self.second = Period::new();
    }

    /// Prints the `summary` event.
    pub(crate) fn summary(&mut self) -> Outcome {
        self.total.merge(&self.second);
        emit("summary", &self.total.report(self.running));
        Outcome::from_failures(self.total.refused + self.total.failed.values().sum::<u64>())
    }
}

impl Period {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            ok: 0,
            refused: 0,
            failed: BTreeMap::new(),
            servers: BTreeMap::new(),
            connect: Percentiles::new(),
            whole: Percentiles::new(),
        }
    }

    fn ok(&mut self, attempt: Attempt) {
        self.ok += 1;
        *self.servers.entry(attempt.server).or_default() += 1;
        self.connect.record(attempt.connected);
        self.whole.record(attempt.whole);
    }

    fn failed(&mut self, cause: Cause) {
        if matches!(cause, Cause::ConnectRefused | Cause::ConnectUnreachable) {
            self.refused += 1;
        } else {
            *self.failed.entry(cause).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.refused += other.refused;
        for (cause, count) in &other.failed {
            *self.failed.entry(*cause).or_default() += count;
        }
        for (server, count) in &other.servers {
            *self.servers.entry(server.clone()).or_default() += count;
        }
        self.connect.merge(&other.connect);
        self.whole.merge(&other.whole);
    }

    fn report(&self, running: u64) -> Report<'_> {
        let ok = f64::from(u32::try_from(self.ok).unwrap_or(u32::MAX));
        Report {
            ok: self.ok,
            refused: self.refused,
            failed: &self.failed,
            running,
            per_second: (ok / self.since.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            servers: &self.servers,
            connect_p50_ms: self.connect.at(0.5),
            connect_p99_ms: self.connect.at(0.99),
            whole_p50_ms: self.whole.at(0.5),
            whole_p99_ms: self.whole.at(0.99),
        }
    }
}
