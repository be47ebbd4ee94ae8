//! The control thread: follows the kernel's links, routes and neighbours, hands events on, looks
//! after guards and removed servers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use afpacket::netlink::monitor::Monitor;
use afpacket::{PollSet, Waker};
use engine::time::Instant;

use super::Shared;
use super::attach::{self, Refusal};
use super::conditions::Conditions;
use super::host::Host;
use super::interfaces::{Device, Interface};
use super::kernel::{self, Changes, News};
use super::resolver::{Resolver, Settled};
use crate::adoption::Adoptions;
use crate::clients::Question;
use crate::clock::{Clock, until};
use crate::event::{DownReason, Event};
use crate::events::EventReceiver;
use crate::forget::Forgetting;
use crate::port::AfPacketControl;
use crate::query::Query;
use crate::transaction::{InForce, Outside};
use crate::worker::WorkerCommand;

/// How often guards are looked after; the kernel does not tell when a filter is removed.
const GUARD_INTERVAL: Duration = Duration::from_secs(1);

/// How many times what the kernel tells is read before that counts as without end.
const CATCH_UP_TURNS: usize = 64;

/// Questions of workers answered in one turn at most.
const QUESTIONS: usize = 16;

/// What the control thread is made of.
pub(super) struct ControlParts {
    pub(super) shared: Arc<Shared>,
    pub(super) monitor: Monitor,
    pub(super) receiver: EventReceiver,
    /// What workers ask about clients.
    pub(super) questions: Receiver<Question>,
    pub(super) event_sink: Box<dyn Fn(Event) + Send>,
    pub(super) clock: Clock,
    pub(super) waker: Arc<Waker>,
}

/// Starts the control thread.
pub(super) fn spawn(parts: ControlParts) -> io::Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name("l4-control".to_owned());
    builder.spawn(move || Control::new(parts).run())
}

struct Control {
    parts: ControlParts,
    poll: PollSet,
    adoptions: Adoptions,
    forgetting: Forgetting,
    changes: Changes,
    guards_due: Instant,
    conditions: Conditions,
    /// Why interfaces could not be taken into use, as told.
    refused: BTreeMap<String, String>,
}

impl Control {
    fn new(parts: ControlParts) -> Self {
        let now = parts.clock.now();
        Self {
            parts,
            poll: PollSet::new(),
            adoptions: Adoptions::default(),
            forgetting: Forgetting::new(now),
            changes: Changes::default(),
            guards_due: now + GUARD_INTERVAL,
            conditions: Conditions::default(),
            refused: BTreeMap::new(),
        }
    }

    fn run(mut self) {
        self.follow_interfaces();
        while !self.parts.shared.closing.load(Ordering::Acquire) {
            self.wait();
            let now = self.parts.clock.now();
            self.follow_kernel(now);
            self.ask_neighbours(now);
            self.answer_workers(now);
            self.look_after_guards(now);
            self.forget_servers(now);
            self.hand_events_on(now);
        }
        self.hand_events_on(self.parts.clock.now());
    }

    fn wait(&mut self) {
        let timeout = until(
            self.parts.clock.now(),
            [
                self.parts.shared.resolver().poll_timeout(),
                self.changes.poll_timeout(),
                self.adoptions.poll_timeout(),
                Some(self.forgetting.poll_timeout()),
                Some(self.guards_due),
            ],
        );
        self.poll.clear();
        self.poll.watch(self.parts.waker.as_fd());
        self.poll.watch(self.parts.monitor.as_fd());
        // A set of two open descriptors is not refused.
        drop(self.poll.wait(timeout));
        self.parts.waker.drain();
    }

    /// Takes in what changed in the kernel.
    fn follow_kernel(&mut self, now: Instant) {
        let (news, _) = self.read_kernel();
        let due = self.changes.add(news, now).or_else(|| {
            let is_awaited = news.links && self.parts.shared.resolver().interfaces().is_awaited();
            if is_awaited { self.changes.take() } else { None }
        });
        let Some(due) = due else { return };
        if due.links {
            self.follow_interfaces();
        }
        let mut resolver = self.parts.shared.resolver();
        if resolver.check_routes(now) {
            publish(&self.parts.shared, &mut resolver);
        }
        drop(resolver);
        if due.addresses {
            self.expose_again();
        }
    }

    /// Reads what the kernel has to tell; returns whether there may be more.
    fn read_kernel(&mut self) -> (News, bool) {
        let ControlParts { shared, monitor, .. } = &mut self.parts;
        let mut resolver = shared.resolver();
        let (news, more) = kernel::read(monitor, &mut resolver);
        if news.ways {
            publish(shared, &mut resolver);
        }
        (news, more)
    }

    /// Reads all that the kernel has to tell. Returns false where that has no end.
    fn catch_up(&mut self, now: Instant) -> bool {
        for _ in 0..CATCH_UP_TURNS {
            let (news, more) = self.read_kernel();
            // Acted on in the next turn, with what comes until then.
            self.changes.collect(news, now);
            if !more {
                return true;
            }
        }
        false
    }

    /// Makes filters and guards anew, which spare what is sent to the host itself.
    fn expose_again(&self) {
        let mut in_force = self.parts.shared.in_force();
        let Some(in_force) = in_force.as_mut() else { return };
        if in_force.exposure().concerns_own_addresses()
            && let Err(error) = in_force.expose_again()
        {
            in_force.outside.report(&error);
        }
    }

    /// Follows the interfaces to the devices they are at now, and tells of them.
    fn follow_interfaces(&mut self) {
        let lost = match self.parts.shared.in_force().as_mut() {
            Some(in_force) => in_force.outside.lost(),
            None => return,
        };
        if !lost.is_empty() && !self.catch_up(self.parts.clock.now()) {
            return;
        }
        let shared = &self.parts.shared;
        let placed = self.settle(&lost);
        let (refusals, served) = {
            let mut in_force = shared.in_force();
            let Some(in_force) = in_force.as_mut() else { return };
            let refusals = attach::follow(in_force, &placed);
            let served = placed.iter().map(|interface| interface.device);
            let served = served.filter(|device| in_force.outside.serves(*device));
            (refusals, served.collect::<BTreeSet<_>>())
        };
        self.tell_refusals(refusals);
        let resolver = self.parts.shared.resolver();
        let mut conditions = resolver.interfaces().conditions(|device| served.contains(&device));
        drop(resolver);
        for (name, reason) in &mut conditions {
            // Not taken into use and no reason why: it was gone before it could be.
            if *reason == Some(DownReason::Failed) && !self.refused.contains_key(name) {
                *reason = Some(DownReason::Gone);
            }
        }
        for event in self.conditions.handle(conditions) {
            sink(&self.parts.event_sink, event);
        }
    }

    /// Decides where the interfaces are, and lets go of what went.
    fn settle(&self, lost: &[(Device, bool)]) -> Vec<Interface> {
        let shared = &self.parts.shared;
        let mut resolver = shared.resolver();
        let Settled { placed, gone, ways_changed } = resolver.settle_interfaces(lost);
        for interface in gone {
            // A worker that is gone tells of it itself.
            drop(shared.workers.tell_all(|| {
                let (query, _answer) = Query::new();
                WorkerCommand::Port(AfPacketControl::Lose(interface), query)
            }));
        }
        if ways_changed {
            publish(shared, &mut resolver);
        }
        placed
    }

    /// Tells why interfaces could not be taken into use, each reason once.
    fn tell_refusals(&mut self, refusals: Vec<Refusal>) {
        let mut refused = BTreeMap::new();
        for Refusal { interface, error } in refusals {
            let (code, message) = (error.code(), error.to_string());
            if self.refused.get(&interface) != Some(&message) {
                let message = message.clone();
                sink(&self.parts.event_sink, Event::Error { code, message });
            }
            refused.insert(interface, message);
        }
        self.refused = refused;
    }

    /// Answers what workers asked about the ways back to clients, and tells them when what they know
    /// is no longer so.
    fn answer_workers(&self, now: Instant) {
        let ControlParts { shared, questions, waker, .. } = &self.parts;
        let mut resolver = shared.resolver();
        let mut answered = 0;
        for Question { worker, clients } in questions.try_iter().take(QUESTIONS) {
            answered += 1;
            resolver.find_clients(worker, &clients, now);
        }
        if answered == QUESTIONS {
            // There may be more; what is answered now must not wait for them.
            waker.wake();
        }
        let workers = &shared.workers;
        // A worker that is gone tells of it itself.
        if resolver.take_outdated() {
            drop(workers.tell_all(|| WorkerCommand::DistrustClients));
        }
        let answers = resolver.take_answers();
        for worker in 0..workers.len() {
            let answers = answers.iter().filter(|answer| answer.worker == worker);
            let answers: Vec<_> = answers.map(|answer| (answer.client, answer.hop)).collect();
            if !answers.is_empty() {
                drop(workers.tell(worker, WorkerCommand::Clients(answers)));
            }
        }
    }

    fn ask_neighbours(&self, now: Instant) {
        let shared = &self.parts.shared;
        let mut resolver = shared.resolver();
        if resolver.ask(now) {
            publish(shared, &mut resolver);
        }
    }

    /// Puts guards back that somebody else removed, and tells of it.
    fn look_after_guards(&mut self, now: Instant) {
        if now < self.guards_due {
            return;
        }
        self.guards_due = now + GUARD_INTERVAL;
        let suspects = suspects(&self.parts.shared);
        // What is missing may have gone with its device, of which the kernel has told by now.
        if !suspects.is_empty() && !self.catch_up(now) {
            return;
        }
        let reread = self.parts.shared.resolver().take_reread();
        if reread || !suspects.is_empty() || !self.refused.is_empty() {
            self.follow_interfaces();
        }
        for (code, message) in restore(&self.parts.shared, &suspects, now) {
            sink(&self.parts.event_sink, Event::Error { code, message });
        }
    }

    fn forget_servers(&mut self, now: Instant) {
        if now < self.forgetting.poll_timeout() {
            return;
        }
        let mut in_force = self.parts.shared.in_force();
        let Some(in_force) = in_force.as_mut() else { return };
        if let Some(next) = self.forgetting.handle_timeout(&in_force.configuration, now)
            && let Err(error) = in_force.replace(Arc::new(next))
        {
            in_force.outside.report(&error);
        }
    }

    fn hand_events_on(&mut self, now: Instant) {
        while let Some(event) = self.parts.receiver.poll_event() {
            let fault = matches!(event, Event::WorkerFault { .. });
            if let Some(event) = self.adoptions.handle(event, now) {
                sink(&self.parts.event_sink, event);
            }
            if fault {
                // Half a director would lose a part of the traffic and tell nobody.
                self.parts.shared.shut_down();
            }
        }
        while let Some(event) = self.adoptions.poll_event(now) {
            sink(&self.parts.event_sink, event);
        }
    }
}

/// The devices that lack their guard or their filter of the fast path.
fn suspects(shared: &Shared) -> Vec<Device> {
    let mut in_force = shared.in_force();
    let Some(in_force) = in_force.as_mut() else { return Vec::new() };
    let host = &mut in_force.outside;
    let lost = host.lost().into_iter().map(|(device, _)| device);
    lost.chain(host.unguarded()).chain(host.without_fast_path()).collect()
}

/// Puts guards and filters of the fast path back where `suspects` still lack them; what there is to
/// tell. The sink is not called in here: it may want to change the configuration, which is held.
fn restore(shared: &Shared, suspects: &[Device], now: Instant) -> Vec<(&'static str, String)> {
    let mut in_force = shared.in_force();
    let Some(in_force) = in_force.as_mut() else { return Vec::new() };
    if in_force.exceeds() && in_force.outside.reducing.is_due(now) {
        in_force.reduce_again();
    }
    let guards = restore_guards(in_force, suspects, now).map(|message| ("guard-failed", message));
    let fast_path = in_force.outside.restore_fast_path(suspects);
    guards.into_iter().chain(fast_path.map(|message| ("fast-path", message))).collect()
}

/// Puts guards back that `suspects` still lack; what there is to tell. Where that fails it is tried
/// again.
fn restore_guards(
    in_force: &mut InForce<Host>,
    suspects: &[Device],
    now: Instant,
) -> Option<String> {
    let mut missing = Vec::new();
    if !suspects.is_empty() {
        missing = in_force.outside.unguarded();
        missing.retain(|device| suspects.contains(device));
    }
    if missing.is_empty() {
        in_force.outside.restoring.succeeded();
        return None;
    }
    if !in_force.outside.restoring.is_due(now) {
        return None;
    }
    let names = in_force.outside.names(&missing).join(", ");
    let removed = format!("another program removed the ingress guard on {names}");
    match in_force.expose_again() {
        Ok(()) => {
            in_force.outside.restoring.succeeded();
            Some(format!("{removed}; it was put back"))
        }
        Err(error) => {
            in_force.outside.restoring.failed(now, &error);
            None
        }
    }
}

/// Gives the workers the ways of now. The resolver is held, so that tables keep their order.
fn publish(shared: &Shared, resolver: &mut Resolver) {
    let table = resolver.table();
    // A worker that is gone tells of it itself.
    drop(shared.workers.tell_all(|| WorkerCommand::Hops(Arc::clone(&table))));
}

/// Hands an event to whoever embeds the director. What goes wrong there is not ours to die of.
fn sink(event_sink: &(dyn Fn(Event) + Send), event: Event) {
    drop(catch_unwind(AssertUnwindSafe(|| event_sink(event))));
}
