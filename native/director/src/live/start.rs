//! Starting a director. Whatever fails, everything done before it is undone by being dropped.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, Weak};

use afpacket::capability;
use afpacket::netlink::Netlink;
use afpacket::netlink::link::Link;
use afpacket::netlink::monitor::Monitor;
use afpacket::{Admission, FastPath, SyscallError, Waker};
use engine::frame::InterfaceId;

use super::control::{self, ControlParts};
use super::fast_path;
use super::host::{Host, HostParts};
use super::inlets;
use super::options::StartOptions;
use super::overload;
use super::ownership::Ownership;
use super::resolver::Resolver;
use super::workers::{Address, COMMANDS_MAX, Workers};
use super::{Director, Shared};
use crate::clients::{self, Enquiry};
use crate::clock::Clock;
use crate::error::{ApplyError, StartError};
use crate::event::Event;
use crate::events::{self, EventSender};
use crate::port::{AfPacketOptions, AfPacketPort};
use crate::transaction::InForce;
use crate::worker::WorkerParts;

pub(super) fn start(
    mut options: StartOptions,
    event_sink: Box<dyn Fn(Event) + Send>,
) -> Result<Director, StartError> {
    options.check()?;
    check_capabilities()?;
    // Listening begins before the present state is read, so that no change falls in between.
    let monitor = Monitor::open().map_err(socket)?;
    let mut netlink = Netlink::open().map_err(socket)?;
    let links = find_links(&mut netlink, &options.interfaces)?;
    let waker = Arc::new(Waker::new().map_err(socket)?);
    let wake = Arc::clone(&waker);
    let (sender, receiver) = events::channel(move || wake.wake());
    let wake = Arc::clone(&waker);
    let (enquiry, questions) = clients::enquiry(move || wake.wake());
    let clock = Clock::start();
    let fast_path = fast_path::open(&options)?;
    let admissions = overload::open(&options, fast_path.is_some());
    let (addresses, mut parts) =
        open_workers(&options, clock, &sender, &enquiry, fast_path.as_ref(), &links)?;
    receive(&options, &links, &mut parts, &admissions)?;
    let services = std::mem::take(&mut options.services);
    let interfaces = options.interfaces.clone();
    let workers = Workers::new(addresses);
    let waker_of_director = Arc::clone(&waker);
    let made = Made { options, netlink, clock, workers, events: sender, waker: waker_of_director };
    let shared = share(made, fast_path, admissions)?;
    // From here on dropping the director undoes what was done.
    let director = Director { shared: Arc::clone(&shared), control: Mutex::new(None) };
    if !guard(&shared, &links)? {
        parts.iter_mut().for_each(forgo_fast_path);
    }
    shared.workers.start(parts).map_err(StartError::Thread)?;
    director.apply(&services)?;
    let parts =
        ControlParts { shared, monitor, receiver, questions, event_sink, clock, waker, interfaces };
    let thread = control::spawn(parts).map_err(StartError::Thread)?;
    if let Ok(mut control) = director.control.lock() {
        *control = Some(thread);
    }
    Ok(director)
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

fn find_links(netlink: &mut Netlink, names: &[String]) -> Result<Vec<Link>, StartError> {
    let find = |name: &String| {
        let link = netlink.link_by_name(name).map_err(|error| message(&error))?;
        let Some(link) = link else {
            return Err(StartError::InterfaceNotFound { name: name.clone() });
        };
        if link.mac.is_none() || link.loopback {
            return Err(StartError::InterfaceUnsuitable { name: name.clone() });
        }
        Ok(link)
    };
    names.iter().map(find).collect()
}

type Opened = (Vec<Address>, Vec<WorkerParts<AfPacketPort>>);

/// Makes what each worker is made of.
fn open_workers(
    options: &StartOptions,
    clock: Clock,
    events: &EventSender,
    enquiry: &Enquiry,
    fast_path: Option<&Arc<FastPath>>,
    links: &[Link],
) -> Result<Opened, StartError> {
    let (mut addresses, mut parts) = (Vec::new(), Vec::new());
    for number in 0..options.workers() {
        let waker = Arc::new(Waker::new().map_err(socket)?);
        let port = AfPacketOptions { fast_path: fast_path.cloned(), ..options.port() };
        let port = AfPacketPort::new(port, Arc::clone(&waker));
        let (sender, commands) = sync_channel(COMMANDS_MAX);
        addresses.push(Address { commands: sender, waker });
        parts.push(WorkerParts {
            port,
            limits: options.limits(),
            seed: random(),
            clock,
            commands,
            events: events.clone(),
            stations: inlets::stations(options, links),
            fast_path: fast_path.map(|fast_path| fast_path::share(fast_path, options)),
            separator: None,
            enquiry: enquiry.of(usize::try_from(number).unwrap_or(usize::MAX)),
            busy_poll: options.busy_poll(),
        });
    }
    Ok((addresses, parts))
}

/// Gives each worker its sockets, and what separates known connections from others on them.
fn receive(
    options: &StartOptions,
    links: &[Link],
    parts: &mut [WorkerParts<AfPacketPort>],
    admissions: &[Arc<Admission>],
) -> Result<(), StartError> {
    for link in links {
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

/// What a director shares with its threads, before it is put together.
struct Made {
    options: StartOptions,
    netlink: Netlink,
    clock: Clock,
    workers: Workers,
    events: EventSender,
    waker: Arc<Waker>,
}

fn share(
    made: Made,
    fast_path: Option<Arc<FastPath>>,
    admissions: Vec<Arc<Admission>>,
) -> Result<Arc<Shared>, StartError> {
    let Made { options, netlink, clock, workers, events, waker } = made;
    let ownership = Ownership::acquire().map_err(|error| message(&error))?;
    let resolver = Netlink::open().map_err(socket)?;
    let resolver = Resolver::new(resolver).map_err(|error| message(&error))?;
    Ok(Arc::new_cyclic(|shared: &Weak<Shared>| {
        let shared = Weak::clone(shared);
        let host =
            HostParts { options, netlink, ownership, shared, clock, events, fast_path, admissions };
        let host = Host::new(host);
        Shared {
            in_force: Mutex::new(Some(InForce::new(host))),
            resolver: Mutex::new(resolver),
            workers,
            waker,
            closing: AtomicBool::new(false),
        }
    }))
}

/// Gets guards ready, and the fast path ahead of them. Returns whether the latter is there.
fn guard(shared: &Shared, links: &[Link]) -> Result<bool, StartError> {
    let mut in_force = shared.in_force();
    let host = &mut in_force.as_mut().ok_or(ApplyError::Closed)?.outside;
    for link in links {
        host.guard(link)?;
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

fn message(error: &dyn std::error::Error) -> StartError {
    StartError::Socket { message: error.to_string() }
}

/// A number nobody can guess: it keys the hash of a connection table.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
