//! The control thread: follows the kernel's routes and neighbours, hands events on, looks after
//! guards and removed servers.

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
use super::host::Host;
use super::kernel::{self, Changes};
use super::resolver::Resolver;
use crate::adoption::Adoptions;
use crate::clients::Question;
use crate::clock::{Clock, until};
use crate::event::Event;
use crate::events::EventReceiver;
use crate::forget::Forgetting;
use crate::transaction::{InForce, Outside};
use crate::worker::WorkerCommand;

/// How often guards are looked after; the kernel does not tell when a filter is removed.
const GUARD_INTERVAL: Duration = Duration::from_secs(1);

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
    pub(super) interfaces: Vec<String>,
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
    /// Whether each of the interfaces passes frames.
    running: Vec<bool>,
}

impl Control {
    fn new(parts: ControlParts) -> Self {
        let now = parts.clock.now();
        let running = vec![true; parts.interfaces.len()];
        Self {
            parts,
            poll: PollSet::new(),
            adoptions: Adoptions::default(),
            forgetting: Forgetting::new(now),
            changes: Changes::default(),
            guards_due: now + GUARD_INTERVAL,
            running,
        }
    }

    fn run(mut self) {
        self.tell_interfaces();
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
        let Self { parts: ControlParts { shared, monitor, .. }, changes, .. } = self;
        let mut resolver = shared.resolver();
        let news = kernel::read(monitor, &mut resolver);
        let due = changes.add(news, now);
        let ways = news.ways | due.is_some_and(|_| resolver.check_routes(now));
        if ways {
            publish(shared, &mut resolver);
        }
        drop(resolver);
        if news.routes {
            self.reattach();
            self.tell_interfaces();
        }
        if due.is_some_and(|due| due.addresses) {
            self.expose_again();
        }
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

    /// Takes interfaces that were deleted and have come back into use again.
    fn reattach(&self) {
        let errors: Vec<_> = {
            let links: Vec<_> = self.parts.shared.resolver().links().cloned().collect();
            let mut in_force = self.parts.shared.in_force();
            let Some(in_force) = in_force.as_mut() else { return };
            let exposure = in_force.exposure().clone();
            let host = &mut in_force.outside;
            let interfaces = self.parts.interfaces.iter();
            let links = interfaces.filter_map(|name| links.iter().find(|link| link.name == *name));
            let new = links.filter(|link| host.interface(&link.name) != Some(link.index));
            let new: Vec<_> = new.cloned().collect();
            new.iter().filter_map(|link| host.reattach(link, &exposure).err()).collect()
        };
        for error in errors {
            let (code, message) = (error.code(), error.to_string());
            sink(&self.parts.event_sink, Event::Error { code, message });
        }
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

    /// Tells of interfaces that went down or came up since this was called last.
    fn tell_interfaces(&mut self) {
        let links: Vec<_> = {
            let resolver = self.parts.shared.resolver();
            let running = resolver.links().filter(|link| link.up && link.running);
            running.map(|link| link.name.clone()).collect()
        };
        let Self { parts: ControlParts { interfaces, event_sink, .. }, running, .. } = self;
        for (interface, before) in interfaces.iter().zip(running) {
            let runs = links.contains(interface);
            if std::mem::replace(before, runs) != runs {
                let interface = interface.clone();
                sink(
                    event_sink,
                    match runs {
                        true => Event::InterfaceUp { interface },
                        false => Event::InterfaceDown { interface },
                    },
                );
            }
        }
    }

    /// Puts guards back that somebody else removed, and tells of it.
    fn look_after_guards(&mut self, now: Instant) {
        if now < self.guards_due {
            return;
        }
        self.guards_due = now + GUARD_INTERVAL;
        self.reattach();
        for (code, message) in restore(&self.parts.shared, now) {
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

/// Puts missing guards and filters of the fast path back; what there is to tell. The sink is not
/// called in here: it may want to change the configuration, which is held.
fn restore(shared: &Shared, now: Instant) -> Vec<(&'static str, String)> {
    let mut in_force = shared.in_force();
    let Some(in_force) = in_force.as_mut() else { return Vec::new() };
    if in_force.exceeds() && in_force.outside.reducing.is_due(now) {
        in_force.reduce_again();
    }
    let guards = restore_guards(in_force, now).map(|message| ("guard-failed", message));
    let fast_path = in_force.outside.restore_fast_path().map(|message| ("fast-path", message));
    guards.into_iter().chain(fast_path).collect()
}

/// Puts missing guards back; what there is to tell. Where that fails it is tried again.
fn restore_guards(in_force: &mut InForce<Host>, now: Instant) -> Option<String> {
    let missing = in_force.outside.unguarded();
    if missing.is_empty() {
        in_force.outside.restoring.succeeded();
        return None;
    }
    if !in_force.outside.restoring.is_due(now) {
        return None;
    }
    let removed = format!("another program removed the ingress guard on {}", missing.join(", "));
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
