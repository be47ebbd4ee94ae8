//! What a change of the configuration does to the host: claims, guards, filters, workers.

use std::sync::{Arc, PoisonError, Weak};

use afpacket::classifier::Classifier;
use afpacket::guard::{self, Found, removal_commands};
use afpacket::netlink::link::Link;
use afpacket::netlink::{Netlink, NetlinkError};
use afpacket::{Admission, Claim, FastFilter, FastPath, Guard, Presence};
use engine::configuration::Configuration;

use super::Shared;
use super::attach;
use super::fast_path::{self, Unavailable};
use super::interfaces::{Device, Interface};
use super::options::StartOptions;
use super::ownership::{self, Ownership};
use crate::clock::Clock;
use crate::error::{ApplyError, Remains, StartError};
use crate::event::Event;
use crate::events::EventSender;
use crate::exposure::{Exposed, Exposure};
use crate::port::AfPacketControl;
use crate::query::Query;
use crate::retry::{Failures, Retry};
use crate::transaction::Outside;
use crate::worker::{Stations, WorkerCommand};

/// A device the services' traffic comes in by.
#[derive(Debug)]
pub(super) struct Guarded {
    /// The name of the interface that is at it now, as the director was told.
    pub(super) name: String,
    pub(super) device: Device,
    pub(super) link: Link,
    /// Whether the device is still the one that was guarded.
    pub(super) presence: Presence,
    pub(super) guard: Guard,
    /// In force where the director has a fast path.
    pub(super) fast: Option<FastFilter>,
    /// Left by dead directors. They go once our own guard is in place: until then they keep the
    /// host from answering for the services of a director that was killed.
    pub(super) orphans: Vec<Found>,
}

/// What is claimed for one kind of traffic, by device.
pub(super) type HostClaims = Vec<(Device, Claim)>;

/// What a host is made of.
pub(super) struct HostParts {
    pub(super) options: StartOptions,
    pub(super) netlink: Netlink,
    pub(super) ownership: Ownership,
    pub(super) shared: Weak<Shared>,
    pub(super) clock: Clock,
    pub(super) events: EventSender,
    pub(super) failures: Failures,
    pub(super) fast_path: Option<Arc<FastPath>>,
    pub(super) admissions: Vec<Arc<Admission>>,
    pub(super) stations: Stations,
}

/// The host, as far as it is ours. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) guarded: Vec<Guarded>,
    pub(super) options: StartOptions,
    pub(super) netlink: Netlink,
    pub(super) ownership: Ownership,
    shared: Weak<Shared>,
    clock: Clock,
    events: EventSender,
    /// Giving back what is no longer served.
    pub(super) reducing: Retry,
    /// Putting back guards that somebody removed.
    pub(super) restoring: Retry,
    pub(super) fast_path: Option<Arc<FastPath>>,
    /// What separates known connections from others, for each worker.
    pub(super) admissions: Vec<Arc<Admission>>,
    /// As the workers were told.
    pub(super) stations: Stations,
}

impl Host {
    pub(super) fn new(parts: HostParts) -> Self {
        let HostParts { options, netlink, ownership, shared, clock, events, .. } = parts;
        let HostParts { failures, fast_path, admissions, stations, .. } = parts;
        let retry =
            |what: &str| Retry::new(failures.clone(), ApplyError::GUARD_FAILED, what.to_owned());
        Self {
            guarded: Vec::new(),
            options,
            netlink,
            ownership,
            shared,
            clock,
            events,
            reducing: retry("traffic that is no longer served is still taken from the host"),
            restoring: retry("an ingress guard that another program removed is not back"),
            fast_path,
            admissions,
            stations,
        }
    }

    /// Gets ready to keep traffic of an interface from the host.
    pub(super) fn guard(&mut self, interface: &Interface) -> Result<(), StartError> {
        let presence = attach::presence(interface)?;
        let Interface { name, device, link } = interface.clone();
        let orphans = ownership::orphans(&mut self.netlink, link.index)?;
        let guard = Guard::install(&mut self.netlink, link.index, self.ownership.id());
        let guard = guard.map_err(|error| guard_failed(&name, &error))?;
        self.guarded.push(Guarded { name, device, link, presence, guard, fast: None, orphans });
        Ok(())
    }

    /// Puts the filter of the fast path on every guarded interface, or on none.
    pub(super) fn open_fast_path(&mut self) -> Result<(), Unavailable> {
        let Some(fast_path) = self.fast_path.clone() else { return Ok(()) };
        let Self { guarded, netlink, ownership, .. } = self;
        for Guarded { link, fast, .. } in guarded {
            *fast = Some(fast_path::install(&fast_path, netlink, link.index, ownership.id())?);
        }
        Ok(())
    }

    /// Takes the filters of the fast path away; it is not to be used any more.
    pub(super) fn close_fast_path(&mut self) {
        self.fast_path = None;
        let Self { guarded, netlink, .. } = self;
        for fast in guarded.iter_mut().filter_map(|guarded| guarded.fast.take()) {
            // What stays forwards nothing without flows; closing tries again.
            drop(fast.remove(netlink));
        }
    }

    /// Puts the filter of the fast path back that somebody else removed from one of `suspects`, or
    /// gives the fast path up. Until then the frames of its connections reached nobody, so all of
    /// them go back to the director. What there is to tell.
    pub(super) fn restore_fast_path(&mut self, suspects: &[Device]) -> Option<String> {
        let fast_path = self.fast_path.clone()?;
        let without = self.without_fast_path();
        let device = without.into_iter().find(|device| suspects.contains(device))?;
        let place = self.guarded.iter().position(|guarded| guarded.device == device)?;
        // Without a filter every flow in the map is a stalled connection.
        fast_path.clear();
        let Self { guarded, netlink, ownership, .. } = self;
        let guarded = guarded.get_mut(place)?;
        let interface = guarded.link.index;
        let outcome = match fast_path::install(&fast_path, netlink, interface, ownership.id()) {
            Ok(filter) => {
                guarded.fast = Some(filter);
                "it was put back".to_owned()
            }
            Err(error) => {
                fast_path.close();
                self.give_up_fast_path();
                format!("the director goes on without: {error}")
            }
        };
        let name = self.guarded.get(place).map_or("", |guarded| &guarded.name);
        Some(format!("another program removed the fast path on {name}; {outcome}"))
    }

    /// The devices that lack their filter. A kernel that does not answer says nothing about filters.
    pub(super) fn without_fast_path(&mut self) -> Vec<Device> {
        if self.fast_path.is_none() {
            return Vec::new();
        }
        let Self { guarded, netlink, .. } = self;
        let without = guarded.iter().filter(|Guarded { fast, .. }| {
            !fast.as_ref().is_some_and(|fast| fast.is_in_place(netlink).unwrap_or(true))
        });
        without.map(|guarded| guarded.device).collect()
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.send(event);
        self.events.flush();
    }

    pub(super) fn give_up_fast_path(&mut self) {
        if let Ok(shared) = self.shared() {
            // A worker that is gone tells of it itself.
            drop(shared.workers.tell_all(|| {
                let (query, _answer) = Query::new();
                WorkerCommand::Port(AfPacketControl::ForgoFastPath, query)
            }));
        }
        self.close_fast_path();
    }

    /// The devices whose guard is not listed: somebody has removed it, or they are gone.
    pub(super) fn unguarded(&mut self) -> Vec<Device> {
        let Self { guarded, netlink, .. } = self;
        let missing = guarded.iter().filter(|guarded| {
            // A kernel that does not answer says nothing about the guard.
            !guarded.guard.is_in_place(netlink).unwrap_or(true)
        });
        missing.map(|guarded| guarded.device).collect()
    }

    /// Names of the interfaces that are at these devices.
    pub(super) fn names(&self, devices: &[Device]) -> Vec<String> {
        let named = self.guarded.iter().filter(|guarded| devices.contains(&guarded.device));
        named.map(|guarded| guarded.name.clone()).collect()
    }

    fn set_guards(&mut self, classifier: &Classifier) -> Result<(), ApplyError> {
        let Self { guarded, netlink, .. } = self;
        for Guarded { name, presence, guard, orphans, .. } in guarded {
            if let Err(error) = guard.set(netlink, classifier) {
                // Nothing arrives by a device that is gone; it is guarded when it is back.
                if !presence.holds() {
                    continue;
                }
                return Err(guard_failed(name, &error));
            }
            // What the kernel keeps drops what we drop, or what nobody serves: until the next time.
            orphans.retain(|orphan| orphan.remove(netlink).is_err());
        }
        Ok(())
    }

    fn set_filters(&self, shared: &Shared, classifier: Classifier) -> Result<(), ApplyError> {
        let classifier = Arc::new(classifier);
        let filter =
            |query| WorkerCommand::Port(AfPacketControl::Filter(Arc::clone(&classifier)), query);
        for result in shared.workers.request_all(filter)? {
            result.map_err(|error| ApplyError::refused(&error))?;
        }
        Ok(())
    }

    /// The traffic to take: what comes to the services, what comes back from servers, and errors
    /// about what the director sends into tunnels.
    ///
    /// # Errors
    /// When the kernel does not list the host's own addresses. Guards that do not know them would
    /// take from the host what servers answer to its own questions.
    pub(super) fn classifier(&mut self, exposure: &Exposure) -> Result<Classifier, ApplyError> {
        let classifier = Classifier::new(exposure.matches());
        if !exposure.concerns_own_addresses() {
            return Ok(classifier);
        }
        let own = self.netlink.addresses();
        let own = own.map_err(|error| ApplyError::refused(&error))?;
        let own = own.into_iter().map(|own| own.address);
        let classifier = classifier.with_returns(exposure.returns(), own.clone());
        if !exposure.has_tunnels() {
            return Ok(classifier);
        }
        Ok(classifier.with_icmp_to(own.filter(|address| !address.is_loopback())))
    }

    pub(super) fn shared(&self) -> Result<Arc<Shared>, ApplyError> {
        self.shared.upgrade().ok_or(ApplyError::Closed)
    }
}

impl Outside for Host {
    type Claim = HostClaims;

    fn claim(&mut self, exposed: &Exposed) -> Result<HostClaims, ApplyError> {
        let claim = |guarded: &Guarded| {
            let claim = attach::claim(exposed, &guarded.name, guarded.device)?;
            Ok((guarded.device, claim))
        };
        self.guarded.iter().map(claim).collect()
    }

    fn expose(&mut self, exposure: &Exposure) -> Result<(), ApplyError> {
        let classifier = self.classifier(exposure)?;
        self.set_guards(&classifier)?;
        self.set_filters(&*self.shared()?, classifier)
    }

    fn switch(&mut self, configuration: &Arc<Configuration>) -> Result<(), ApplyError> {
        let shared = self.shared()?;
        let answers = {
            // Held until every worker has the new table in its queue, so that no older table, made
            // for the servers of before, can come in behind it.
            let mut resolver = shared.resolver.lock().unwrap_or_else(PoisonError::into_inner);
            resolver.follow(configuration, self.clock.now());
            let hops = resolver.table();
            shared.workers.send_all(|query: Query<()>| {
                WorkerCommand::Configure(Arc::clone(configuration), Arc::clone(&hops), query)
            })?
        };
        answers.wait().map(drop)
    }

    fn reduced(&mut self, outcome: Result<(), &ApplyError>) {
        match outcome {
            Ok(()) => self.reducing.succeeded(),
            Err(error) => self.reducing.failed(self.clock.now(), error),
        }
    }

    fn report(&mut self, error: &ApplyError) {
        self.tell(Event::Error { code: error.code(), message: error.to_string() });
    }
}

impl Host {
    /// Takes the filters from all interfaces, by the socket of their own network namespace: the
    /// calling thread may be in another one by now. Returns what could not be taken back.
    pub(super) fn give_back(&mut self) -> Vec<Remains> {
        let Self { guarded, netlink, ownership, .. } = self;
        guarded.drain(..).filter_map(|one| give_back(one, netlink, ownership.id())).collect()
    }
}

/// Gives one device back, if it is still the one that was guarded. Returns what stays.
pub(super) fn give_back(guarded: Guarded, netlink: &mut Netlink, id: &str) -> Option<Remains> {
    if !guarded.presence.holds() {
        attach::forget(guarded);
        return None;
    }
    let Guarded { name, guard, fast, orphans, .. } = guarded;
    let (interface, orphan_ids) = (guard.interface(), ownership::ids(&orphans));
    let mut failures = Vec::new();
    if let Some(Err(error)) = fast.map(|fast| fast.remove(netlink)) {
        failures.push(error.to_string());
    }
    let orphans = orphans.into_iter().filter_map(|orphan| orphan.remove(netlink).err());
    failures.extend(orphans.map(|error| error.to_string()));
    if let Err(error) = remove_own(netlink, interface, id) {
        failures.push(error.to_string());
    }
    if let Err(error) = guard.remove(netlink) {
        failures.push(error.to_string());
    }
    let reason = failures.into_iter().next_back()?;
    let of = |other: &str| other == id || orphan_ids.iter().any(|orphan| orphan == other);
    let commands = removal_commands(netlink, interface, &name, of).unwrap_or_default();
    Some(Remains { interface: name, reason, commands })
}

/// Removes what else is left with this director's name, as a filter that could not be removed before.
fn remove_own(netlink: &mut Netlink, interface: u32, id: &str) -> Result<(), NetlinkError> {
    let found = guard::find(netlink, interface)?;
    found.iter().filter(|one| one.id == id).try_for_each(|one| one.remove(netlink))
}

impl Drop for Host {
    fn drop(&mut self) {
        // What stays is told by whoever closes; here a start fails, and that is what is told.
        drop(self.give_back());
    }
}

pub(super) fn guard_failed(interface: &str, error: &dyn std::error::Error) -> ApplyError {
    ApplyError::GuardFailed { interface: interface.to_owned(), message: error.to_string() }
}
