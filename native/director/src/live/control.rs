//! The control thread: follows the kernel's routes and neighbours, hands events on, looks after
//! guards and removed servers.

use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use afpacket::netlink::monitor::{Change, Monitor};
use afpacket::{PollSet, Waker};
use engine::time::Instant;

use super::Shared;
use super::host::Host;
use super::resolver::Resolver;
use crate::adoption::Adoptions;
use crate::clock::{Clock, until};
use crate::event::Event;
use crate::events::EventReceiver;
use crate::forget::Forgetting;
use crate::transaction::{InForce, Outside};
use crate::worker::WorkerCommand;

/// Routes are looked at again once changes have paused for this long, or have gone on for
/// [`DEBOUNCE_MAX`]: a routing daemon that starts changes thousands.
const DEBOUNCE: Duration = Duration::from_millis(20);
const DEBOUNCE_MAX: Duration = Duration::from_millis(200);

/// How often guards are looked after; the kernel does not tell when a filter is removed.
const GUARD_INTERVAL: Duration = Duration::from_secs(1);

/// Messages of the kernel taken in one turn at most.
const MESSAGES: usize = 256;

/// What the control thread is made of.
pub(super) struct ControlParts {
    pub(super) shared: Arc<Shared>,
    pub(super) monitor: Monitor,
    pub(super) receiver: EventReceiver,
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

/// Routes that are to be looked at again.
#[derive(Clone, Copy)]
struct Dirty {
    first: Instant,
    last: Instant,
}

impl Dirty {
    fn due(self) -> Instant {
        (self.last + DEBOUNCE).min(self.first + DEBOUNCE_MAX)
    }
}

struct Control {
    parts: ControlParts,
    poll: PollSet,
    adoptions: Adoptions,
    forgetting: Forgetting,
    dirty: Option<Dirty>,
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
            dirty: None,
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
                self.dirty.map(Dirty::due),
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
        let Self { parts: ControlParts { shared, monitor, .. }, dirty, .. } = self;
        let mut resolver = shared.resolver();
        let (mut changed, mut routes) = (false, false);
        for _ in 0..MESSAGES {
            let more = monitor.poll(|change| {
                let (neighbour, route) = handle_change(&mut resolver, change);
                changed |= neighbour;
                routes |= route;
            });
            if !matches!(more, Ok(true)) {
                break;
            }
        }
        if routes {
            let first = dirty.map_or(now, |dirty| dirty.first);
            *dirty = Some(Dirty { first, last: now });
        }
        if dirty.is_some_and(|dirty| dirty.due() <= now) {
            *dirty = None;
            changed |= resolver.check_routes(now);
        }
        if changed {
            publish(shared, &resolver);
        }
        drop(resolver);
        if routes {
            self.reattach();
            self.tell_interfaces();
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

    fn ask_neighbours(&self, now: Instant) {
        let shared = &self.parts.shared;
        let mut resolver = shared.resolver();
        if resolver.ask(now) {
            publish(shared, &resolver);
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
        for (code, message) in restore(&self.parts.shared) {
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
fn restore(shared: &Shared) -> Vec<(&'static str, String)> {
    let mut in_force = shared.in_force();
    let Some(in_force) = in_force.as_mut() else { return Vec::new() };
    let guards = restore_guards(in_force).map(|message| ("guard-failed", message));
    let fast_path = in_force.outside.restore_fast_path().map(|message| ("fast-path", message));
    guards.into_iter().chain(fast_path).collect()
}

fn restore_guards(in_force: &mut InForce<Host>) -> Option<String> {
    let missing = in_force.outside.unguarded();
    if missing.is_empty() {
        return None;
    }
    let removed = format!("another program removed the ingress guard on {}", missing.join(", "));
    Some(match in_force.expose_again() {
        Ok(()) => format!("{removed}; it was put back"),
        Err(error) => format!("{removed}; it could not be put back: {error}"),
    })
}

/// Takes in one change; whether it changed a way, and whether routes are to be looked at again.
fn handle_change(resolver: &mut Resolver, change: Change) -> (bool, bool) {
    match change {
        Change::Neighbour(neighbour) => (resolver.handle_neighbour(&neighbour), false),
        Change::NeighbourRemoved(neighbour) => {
            (resolver.handle_neighbour_removed(&neighbour), false)
        }
        Change::Link(link) => {
            resolver.handle_link(link);
            (false, true)
        }
        Change::LinkRemoved { interface } => {
            resolver.handle_link_removed(interface);
            (false, true)
        }
        Change::Address(_) | Change::AddressRemoved(_) | Change::Routes => (false, true),
        Change::Overrun => (resolver.read_again().unwrap_or(false), true),
    }
}

/// Gives the workers the ways of now. The resolver is held, so that tables keep their order.
fn publish(shared: &Shared, resolver: &Resolver) {
    let table = resolver.table();
    // A worker that is gone tells of it itself.
    drop(shared.workers.tell_all(|| WorkerCommand::Hops(Arc::clone(&table))));
}

/// Hands an event to whoever embeds the director. What goes wrong there is not ours to die of.
fn sink(event_sink: &(dyn Fn(Event) + Send), event: Event) {
    drop(catch_unwind(AssertUnwindSafe(|| event_sink(event))));
}
