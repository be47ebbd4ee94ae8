//! Starting a director. Whatever fails, everything done before it is undone by being dropped.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use afpacket::capability;
use afpacket::netlink::Netlink;
use afpacket::netlink::monitor::Monitor;
use afpacket::{Admission, FastPath, SyscallError, Waker};
use engine::frame::InterfaceId;

use super::control::{self, ControlParts};
use super::exit::{self, Busy};
use super::fast_path;
use super::host::{Host, HostParts};
use super::inlets;
use super::interfaces::{Interface, Interfaces};
use super::options::StartOptions;
use super::overload;
use super::ownership::Ownership;
use super::resolver::Resolver;
use super::workers::{Address, COMMANDS_MAX, Workers};
use super::{Director, Shared};
use crate::clients::{self, Enquiry, Question};
use crate::clock::Clock;
use crate::error::{ApplyError, StartError};
use crate::event::{DownReason, Event};
use crate::events::{self, EventReceiver, EventSender};
use crate::port::{AfPacketOptions, AfPacketPort};
use crate::retry::Failures;
use crate::transaction::InForce;
use crate::worker::WorkerParts;

pub(super) fn start(
    options: StartOptions,
    event_sink: Box<dyn Fn(Event) + Send>,
) -> Result<Director, StartError> {
    options.check()?;
    check_capabilities()?;
    let busy = Busy::starting().map_err(socket)?;
    let _busy = busy.ok_or(ApplyError::Closed)?;
    let (director, ears) = match bring_up(options.clone()) {
        // The fast path is the first to do without.
        Err(error) if error.lacks_descriptor() && options.fast_path.is_none() => {
            bring_up(StartOptions { fast_path: Some(false), ..options })
        }
        other => other,
    }?;
    let thread = control::spawn(ears.parts(&director, event_sink)).map_err(StartError::Thread)?;
    *director.control.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(director)
}

/// What the control thread of a director listens to.
struct Ears {
    monitor: Monitor,
    receiver: EventReceiver,
    questions: Receiver<Question>,
    clock: Clock,
    waker: Arc<Waker>,
}

impl Ears {
    fn parts(self, director: &Director, event_sink: Box<dyn Fn(Event) + Send>) -> ControlParts {
        let Self { monitor, receiver, questions, clock, waker } = self;
        let shared = Arc::clone(&director.shared);
        ControlParts { shared, monitor, receiver, questions, event_sink, clock, waker }
    }
}

/// A director at work, but for its control thread.
fn bring_up(mut options: StartOptions) -> Result<(Director, Ears), StartError> {
    // Listening begins before the present state is read, so that no change falls in between.
    let monitor = Monitor::open().map_err(socket)?;
    let netlink = Netlink::open().map_err(socket)?;
    let resolver = Netlink::open().map_err(socket)?;
    let waker = Arc::new(Waker::new().map_err(socket)?);
    let wake = Arc::clone(&waker);
    let (events, receiver) = events::channel(move || wake.wake());
    let failures = Failures::new(events.clone());
    let resolver = Resolver::new(resolver, &options.interfaces, failures.clone());
    let resolver = resolver.map_err(|error| message(&error))?;
    let placed = find(resolver.interfaces())?;
    let wake = Arc::clone(&waker);
    let (enquiry, questions) = clients::enquiry(move || wake.wake());
    let clock = Clock::start();
    let fast_path = fast_path::open(&options)?;
    let admissions = overload::open(&options, fast_path.is_some());
    let around = Around { clock, events: &events, failures: &failures, enquiry: &enquiry };
    let (addresses, mut parts) = open_workers(&options, &placed, &around, fast_path.as_ref())?;
    receive(&options, &placed, &mut parts, &admissions)?;
    let services = std::mem::take(&mut options.services);
    // A sender for each worker and interface, and what watches each device that is new.
    let spare = (parts.len() + 1) * placed.len();
    let stations = inlets::stations(&options, placed.iter().map(|one| &one.link));
    let ownership = Ownership::acquire().map_err(|error| message(&error))?;
    let host = HostParts {
        options,
        netlink,
        ownership,
        shared: Weak::new(),
        clock,
        events,
        failures,
        fast_path,
        admissions,
        stations,
    };
    let shared = share(host, resolver, Workers::new(addresses), Arc::clone(&waker));
    // From here on dropping the director undoes what was done.
    let director = Director { shared: Arc::clone(&shared), control: Mutex::new(None) };
    exit::register(&shared);
    if !guard(&shared, &placed)? {
        parts.iter_mut().for_each(forgo_fast_path);
    }
    shared.workers.start(parts).map_err(StartError::Thread)?;
    director.apply(&services)?;
    spare_descriptors(spare)?;
    Ok((director, Ears { monitor, receiver, questions, clock, waker }))
}

/// Makes sure that there are descriptors for senders, which are opened when the way to a server is
/// known, and for watching devices that come: a director that cannot send must not take traffic.
fn spare_descriptors(count: usize) -> Result<(), StartError> {
    let spare: Result<Vec<_>, _> = (0..count).map(|_| Waker::new()).collect();
    spare.map(drop).map_err(socket)
}

fn check_capabilities() -> Result<(), StartError> {
    match capability::missing().as_slice() {
        [] => Ok(()),
        missing => {
            let names: Vec<_> = missing.iter().map(|capability| capability.name()).collect();
            let call = format!("a director needs {}", names.join(" and "));
            Err(StartError::MissingCapability { call, advice: capability::advice() })
        }
    }
}

/// The interfaces at their devices, if every name leads to one that a director can use.
fn find(interfaces: &Interfaces) -> Result<Vec<Interface>, StartError> {
    for (name, reason) in interfaces.conditions(|_| true) {
        match reason {
            Some(DownReason::Gone) => return Err(StartError::InterfaceNotFound { name }),
            Some(DownReason::NotEthernet) => return Err(StartError::InterfaceUnsuitable { name }),
            Some(DownReason::SameDevice) => return Err(StartError::InterfaceTwice { name }),
            Some(DownReason::Down | DownReason::NoCarrier | DownReason::Failed) | None => {}
        }
    }
    Ok(interfaces.placed())
}

type Opened = (Vec<Address>, Vec<WorkerParts<AfPacketPort>>);

/// What all workers get alike.
struct Around<'s> {
    clock: Clock,
    events: &'s EventSender,
    failures: &'s Failures,
    enquiry: &'s Enquiry,
}

/// Makes what each worker is made of.
fn open_workers(
    options: &StartOptions,
    placed: &[Interface],
    around: &Around<'_>,
    fast_path: Option<&Arc<FastPath>>,
) -> Result<Opened, StartError> {
    let Around { clock, events, failures, enquiry } = *around;
    let (mut addresses, mut parts) = (Vec::new(), Vec::new());
    let wakers = (0..options.workers()).map(|_| Waker::new().map(Arc::new));
    let wakers = wakers.collect::<Result<Vec<_>, _>>().map_err(socket)?;
    let mut exchanges = options.exchanges(&wakers).into_iter();
    for (number, waker) in wakers.into_iter().enumerate() {
        let port = AfPacketOptions { fast_path: fast_path.cloned(), ..options.port() };
        let port = AfPacketPort::new(port, Arc::clone(&waker)).telling(failures.clone());
        let (sender, commands) = sync_channel(COMMANDS_MAX);
        addresses.push(Address { commands: sender, waker });
        parts.push(WorkerParts {
            port,
            limits: options.limits(),
            seed: random(),
            clock,
            commands,
            events: events.clone(),
            stations: inlets::stations(options, placed.iter().map(|one| &one.link)),
            fast_path: fast_path.map(|fast_path| fast_path::share(fast_path, options)),
            separator: None,
            enquiry: enquiry.of(number),
            busy_poll: options.busy_poll(),
            exchange: exchanges.next(),
        });
    }
    Ok((addresses, parts))
}

/// Gives each worker its sockets, and what separates known connections from others on them.
fn receive(
    options: &StartOptions,
    placed: &[Interface],
    parts: &mut [WorkerParts<AfPacketPort>],
    admissions: &[Arc<Admission>],
) -> Result<(), StartError> {
    for Interface { link, .. } in placed {
        let inlets = inlets::open(options, link, admissions)?;
        for (parts, inlet) in parts.iter_mut().zip(inlets) {
            parts.port.attach(inlet, InterfaceId(link.index));
        }
    }
    for (parts, admission) in parts.iter_mut().zip(admissions) {
        parts.separator = Some(overload::share(admission, options));
    }
    Ok(())
}

fn share(host: HostParts, resolver: Resolver, workers: Workers, waker: Arc<Waker>) -> Arc<Shared> {
    let failures = host.failures.clone();
    Arc::new_cyclic(|shared: &Weak<Shared>| {
        let host = Host::new(HostParts { shared: Weak::clone(shared), ..host });
        Shared {
            in_force: Mutex::new(Some(InForce::new(host))),
            resolver: Mutex::new(resolver),
            failures,
            workers,
            waker,
            closing: AtomicBool::new(false),
            remains: Mutex::new(Vec::new()),
        }
    })
}

/// Gets guards ready, and the fast path ahead of them. Returns whether the latter is there.
fn guard(shared: &Shared, placed: &[Interface]) -> Result<bool, StartError> {
    let mut in_force = shared.in_force();
    let host = &mut in_force.as_mut().ok_or(ApplyError::Closed)?.outside;
    for interface in placed {
        host.guard(interface)?;
    }
    if let Err(error) = host.open_fast_path() {
        host.close_fast_path();
        fast_path::forgo(&host.options, &error)?;
    }
    Ok(host.fast_path.is_some())
}

/// Has a worker forward everything itself.
fn forgo_fast_path(parts: &mut WorkerParts<AfPacketPort>) {
    parts.fast_path = None;
    parts.port.forgo_fast_path();
}

fn socket(error: SyscallError) -> StartError {
    message(&error)
}

fn message(error: &(dyn std::error::Error + 'static)) -> StartError {
    StartError::refused(error)
}

/// A number nobody can guess: it keys the hash of a connection table.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
