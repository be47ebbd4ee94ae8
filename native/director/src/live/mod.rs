//! A director on the network: threads, packet sockets, guard, neighbours.
//!
//! Workers share nothing but the load of the servers; each has its own engine and its own sockets.
//! One control thread follows the kernel's routes and neighbours and hands events on. Commands and
//! questions come from any thread.

mod attach;
mod conditions;
mod control;
mod exit;
mod fast_path;
mod host;
mod inlets;
mod interfaces;
mod kernel;
mod options;
mod overload;
mod ownership;
mod resolver;
mod ring;
mod start;
mod workers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use afpacket::Waker;
use engine::command::{Command, ServiceKey};
use engine::configuration::Configuration;
use engine::snapshot::{
    ConnectionFilter, ConnectionPage, Counter, Explanation, Flow, Statistics, Version,
};
use serde::Serialize;

use crate::error::{ApplyError, CloseError, Remains, StartError};
use crate::event::Event;
use crate::hand_over::HandOverCounters;
use crate::merge;
use crate::pending::PendingCounters;
use crate::port::InterfaceCounters;
use crate::query::{Query, Question, ROWS_MAX, WorkerStatistics};
use crate::retry::{FailureSnapshot, Failures};
use crate::transaction::InForce;

pub use options::{Spread, StartOptions};
pub use resolver::HopSnapshot;

use exit::Busy;
use host::Host;
use resolver::Resolver;
use workers::Workers;

/// What one interface has carried, over all workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortSnapshot {
    /// Its name; its number when it is gone.
    pub interface: String,
    /// The numbers.
    #[serde(flatten)]
    pub counters: InterfaceCounters,
}

/// Everything counted, at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveStatistics {
    /// What the engines counted.
    #[serde(flatten)]
    pub engine: Statistics,
    /// What the interfaces carried.
    pub ports: Vec<PortSnapshot>,
    /// The ways to the real servers, by address.
    pub hops: Vec<HopSnapshot>,
    /// What became of frames that had to wait for a neighbour.
    pub pending: PendingCounters,
    /// What became of frames that were another worker's.
    pub handed_over: HandOverCounters,
    /// How often a neighbour was given up.
    pub neighbour_failures: Counter,
    /// What fails at the moment and is tried again.
    pub failing: Vec<FailureSnapshot>,
}

/// What all threads of a director share.
#[derive(Debug)]
struct Shared {
    /// None once the director is closed.
    in_force: Mutex<Option<InForce<Host>>>,
    resolver: Mutex<Resolver>,
    failures: Failures,
    workers: Workers,
    waker: Arc<Waker>,
    closing: AtomicBool,
    /// What could not be taken back from the host when the director closed.
    remains: Mutex<Vec<Remains>>,
}

impl Shared {
    fn in_force(&self) -> MutexGuard<'_, Option<InForce<Host>>> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resolver(&self) -> MutexGuard<'_, Resolver> {
        self.resolver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the workers, then takes back what was taken from the host. Frames that arrive in
    /// between are lost rather than answered by the host with a reset.
    fn shut_down(&self) {
        // Held all the while: whoever closes, too, waits until it is done.
        let mut remains = self.remains();
        let in_force = self.in_force().take();
        self.workers.stop();
        if let Some(mut in_force) = in_force {
            *remains = in_force.outside.give_back();
        }
    }

    fn remains(&self) -> MutexGuard<'_, Vec<Remains>> {
        self.remains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A director at work. Dropping it closes it.
#[derive(Debug)]
pub struct Director {
    shared: Arc<Shared>,
    control: Mutex<Option<JoinHandle<()>>>,
}

impl Director {
    /// Starts a director in the network namespace of the calling thread. `event_sink` is called
    /// from a thread of the director and must not wait for long; it may be called until
    /// [`Self::close`] returns.
    ///
    /// # Errors
    /// When an option is wrong, an interface or a right is missing, another director serves one of
    /// the services, or the kernel refuses; nothing is left behind then.
    pub fn start(
        options: StartOptions,
        event_sink: Box<dyn Fn(Event) + Send>,
    ) -> Result<Self, StartError> {
        start::start(options, event_sink)
    }

    /// Changes the configuration, all commands or none. When it returns, every worker has switched.
    ///
    /// # Errors
    /// What is wrong with the commands, or what kept them from being applied; nothing has changed.
    pub fn apply(&self, commands: &[Command]) -> Result<Version, ApplyError> {
        self.shared.in_force().as_mut().ok_or(ApplyError::Closed)?.apply(commands)
    }

    /// The configuration in force; none once the director is closed.
    #[must_use]
    pub fn configuration(&self) -> Option<Arc<Configuration>> {
        self.shared.in_force().as_ref().map(|in_force| Arc::clone(&in_force.configuration))
    }

    /// Everything counted.
    ///
    /// # Errors
    /// When the director is closed or a worker does not answer.
    pub fn statistics(&self) -> Result<LiveStatistics, ApplyError> {
        self.statistics_of(None)
    }

    /// As [`Self::statistics`]; of the services `only` that one, if it is given.
    ///
    /// # Errors
    /// As there.
    pub fn statistics_of(&self, only: Option<ServiceKey>) -> Result<LiveStatistics, ApplyError> {
        let parts = {
            // Held so that all workers answer with the same configuration.
            let _in_force = self.open()?;
            self.ask(|query| Question::Statistics(only, query))?
        };
        let (mut ports, mut pending) = (Vec::new(), PendingCounters::default());
        let mut handed_over = HandOverCounters::default();
        let mut engines = Vec::new();
        for part in parts {
            let WorkerStatistics { engine, ports: of_worker, pending: waiting, .. } = part;
            handed_over.add(&part.handed_over);
            engines.push(engine);
            ports.extend(of_worker);
            pending.add(&waiting);
        }
        let resolver = self.shared.resolver();
        let name = |counters: &InterfaceCounters| {
            let index = counters.interface.0;
            resolver.interfaces().name(index).unwrap_or_else(|| index.to_string())
        };
        let ports = merge::ports(ports);
        Ok(LiveStatistics {
            engine: merge::statistics(engines).ok_or(ApplyError::Closed)?,
            ports: ports
                .into_iter()
                .map(|counters| PortSnapshot { interface: name(&counters), counters })
                .collect(),
            hops: resolver.hops(),
            pending,
            handed_over,
            neighbour_failures: Counter(resolver.failures()),
            failing: self.shared.failures.snapshot(),
        })
    }

    /// A part of the connection tables, from `cursor` (0 at first) on: at most `limit` rows, and at
    /// most 1024 in any case.
    ///
    /// # Errors
    /// When the director is closed or a worker does not answer.
    pub fn connections(
        &self,
        filter: &ConnectionFilter,
        cursor: u32,
        limit: usize,
    ) -> Result<ConnectionPage, ApplyError> {
        drop(self.open()?);
        let workers = &self.shared.workers;
        merge::connections(workers.len(), cursor, limit.min(ROWS_MAX), |worker, cursor, limit| {
            let filter = filter.clone();
            workers.ask_one(worker, |query| Question::Connections(filter, cursor, limit, query))
        })
    }

    /// Why a flow goes where it goes: the answer of the worker that has its connection, if any has.
    ///
    /// # Errors
    /// When the director is closed or a worker does not answer.
    pub fn explain(&self, flow: &Flow) -> Result<Explanation, ApplyError> {
        let parts = {
            let _in_force = self.open()?;
            self.ask(|query| Question::Explain(*flow, query))?
        };
        merge::explanation(parts).ok_or(ApplyError::Closed)
    }

    /// Sets the counters of a service, or of all, to zero.
    ///
    /// # Errors
    /// When the director is closed or a worker does not answer.
    pub fn zero(&self, service: Option<&ServiceKey>) -> Result<(), ApplyError> {
        drop(self.open()?);
        self.ask(|query| Question::Zero(service.copied(), query)).map(drop)
    }

    /// Whether the director was closed, or closed itself after a fault.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.shared.in_force().is_none()
    }

    /// Ends all threads and takes back what was taken from the host. May be called again.
    ///
    /// # Errors
    /// When something stays on the host; the director has closed nevertheless. Says so at every call.
    pub fn close(&self) -> Result<(), CloseError> {
        let _busy = Busy::closing();
        self.shared.closing.store(true, Ordering::Release);
        self.shared.shut_down();
        self.shared.waker.wake();
        self.join_control();
        CloseError::of(self.shared.remains().clone())
    }

    fn join_control(&self) {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(control) = control else { return };
        // The event sink may close the director: its thread cannot wait for its own end.
        if control.thread().id() != thread::current().id() {
            // A panic of the sink has already been told of; there is nothing else to learn.
            drop(control.join());
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, Option<InForce<Host>>>, ApplyError> {
        let in_force = self.shared.in_force();
        if in_force.is_none() { Err(ApplyError::Closed) } else { Ok(in_force) }
    }

    fn ask<T>(&self, question: impl Fn(Query<T>) -> Question) -> Result<Vec<T>, ApplyError> {
        self.shared.workers.ask_all(question)
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        // Whoever wants to know what stays calls it before.
        drop(self.close());
    }
}
