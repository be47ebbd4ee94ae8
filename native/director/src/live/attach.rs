//! Taking devices into use, and giving them up. A device that is gone has taken its sockets and its
//! guard with it; one that comes has neither yet.

use std::collections::BTreeMap;

use afpacket::classifier::Classifier;
use afpacket::{Claim, ClaimError, FastFilter, FastPath, Guard, Presence};
use engine::frame::InterfaceId;

use super::host::{Guarded, Host, HostClaims, give_back, guard_failed};
use super::interfaces::{Device, Interface};
use super::{fast_path, inlets, ownership};
use crate::error::{ApplyError, Remains, StartError};
use crate::event::Event;
use crate::exposure::{Exposed, Exposure};
use crate::port::{AfPacketControl, AfPacketOptions, Inlet};
use crate::query::Query;
use crate::transaction::{InForce, Outside};
use crate::worker::WorkerCommand;

/// An interface that could not be taken into use. It can be tried again.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) interface: String,
    pub(super) error: StartError,
}

/// Follows the interfaces to the devices they are at now.
pub(super) fn follow(in_force: &mut InForce<Host>, placed: &[Interface]) -> Vec<Refusal> {
    let (host, exposure, claims) = in_force.parts();
    let mut left = host.rename(placed);
    // The gone first: their numbers may be others' now.
    let gone: Vec<_> = left.extract_if(.., |guarded| !guarded.presence.holds()).collect();
    for guarded in &gone {
        disclaim(claims, guarded.device);
    }
    gone.into_iter().for_each(forget);
    let new = placed.iter().filter(|interface| !host.serves(interface.device));
    let new: Vec<_> = new.cloned().collect();
    let refusals = new.into_iter().filter_map(|interface| {
        let error = host.attach(&interface, exposure, claims).err()?;
        // Of one that is gone again the kernel tells.
        let is_gone = matches!(host.netlink.link_by_index(interface.link.index), Ok(None));
        (!is_gone).then_some(Refusal { interface: interface.name, error })
    });
    let refusals = refusals.collect();
    for guarded in left {
        let device = guarded.device;
        host.detach(guarded);
        disclaim(claims, device);
    }
    host.tell_stations();
    refusals
}

fn disclaim(claims: &mut BTreeMap<Exposed, HostClaims>, device: Device) {
    for held in claims.values_mut() {
        held.retain(|(claimed, _)| *claimed != device);
    }
}

/// Gives up what went with its device. Its number may be another's by now.
pub(super) fn forget(guarded: Guarded) {
    let Guarded { guard, fast, .. } = guarded;
    guard.forget();
    if let Some(fast) = fast {
        fast.forget();
    }
}

impl Host {
    /// Whether a device is in use.
    pub(super) fn serves(&self, device: Device) -> bool {
        self.guarded.iter().any(|guarded| guarded.device == device)
    }

    /// The devices in use that were away meanwhile, and whether there is one with their number now.
    /// When this returns, the kernel has told what became of them.
    pub(super) fn lost(&mut self) -> Vec<(Device, bool)> {
        let Self { guarded, netlink, .. } = self;
        let lost = guarded.iter().filter(|guarded| !guarded.presence.holds());
        // The kernel may be in the middle of it; it answers once that is done.
        let mut is_back = |index| matches!(netlink.link_by_index(index), Ok(Some(_)));
        lost.map(|guarded| guarded.device).map(|device| (device, is_back(device.index))).collect()
    }

    /// Takes in names and hardware addresses of devices that stay. Returns those that do not.
    fn rename(&mut self, placed: &[Interface]) -> Vec<Guarded> {
        let (mut stay, mut leave) = (Vec::new(), Vec::new());
        for mut guarded in self.guarded.drain(..) {
            match placed.iter().find(|interface| interface.device == guarded.device) {
                Some(interface) => {
                    guarded.name.clone_from(&interface.name);
                    guarded.link.clone_from(&interface.link);
                    stay.push(guarded);
                }
                None => leave.push(guarded),
            }
        }
        self.guarded = stay;
        leave
    }

    /// Takes a device into use: claims first, then guard, then sockets with filters, then workers.
    fn attach(
        &mut self,
        interface: &Interface,
        exposure: &Exposure,
        claims: &mut BTreeMap<Exposed, HostClaims>,
    ) -> Result<(), StartError> {
        let claim = |exposed: &Exposed| claim(exposed, &interface.name, interface.device);
        let new: Vec<Claim> = claims.keys().map(claim).collect::<Result<_, _>>()?;
        let classifier = self.classifier(exposure)?;
        let mut orphans = ownership::orphans(&mut self.netlink, interface.link.index)?;
        let presence = presence(interface)?;
        let guard = self.new_guard(interface, &classifier)?;
        let fast = self.new_fast_filter(interface);
        let inlets = self.new_inlets(interface, &classifier)?;
        // What the kernel keeps drops what we drop, or what nobody serves: until the next time.
        orphans.retain(|orphan| orphan.remove(&mut self.netlink).is_err());
        let Interface { name, device, link } = interface.clone();
        self.guarded.push(Guarded { name, device, link, presence, guard, fast, orphans });
        for (held, claim) in claims.values_mut().zip(new) {
            held.push((interface.device, claim));
        }
        self.hand_out(inlets, InterfaceId(interface.device.index)).map_err(StartError::Apply)
    }

    fn new_guard(
        &mut self,
        interface: &Interface,
        classifier: &Classifier,
    ) -> Result<Guard, ApplyError> {
        let failed = |error| guard_failed(&interface.name, &error);
        let guard = Guard::install(&mut self.netlink, interface.link.index, self.ownership.id());
        let mut guard = guard.map_err(failed)?;
        guard.set(&mut self.netlink, classifier).map_err(failed)?;
        Ok(guard)
    }

    /// The filter of the fast path; where there can be none, the director goes on without.
    fn new_fast_filter(&mut self, interface: &Interface) -> Option<FastFilter> {
        let path = self.fast_path.clone()?;
        let Self { netlink, ownership, .. } = self;
        let index = interface.link.index;
        let error = match fast_path::install(&path, netlink, index, ownership.id()) {
            Ok(filter) => return Some(filter),
            Err(error) => error,
        };
        if matches!(netlink.link_by_index(index), Ok(Some(_))) {
            self.forgo_fast_path(&path, &interface.name, &error);
        }
        None
    }

    fn forgo_fast_path(&mut self, path: &FastPath, name: &str, error: &fast_path::Unavailable) {
        path.close();
        self.give_up_fast_path();
        let message = format!("no fast path on {name}, the director goes on without: {error}");
        self.tell(Event::Error { code: "fast-path", message });
    }

    fn new_inlets(
        &self,
        interface: &Interface,
        classifier: &Classifier,
    ) -> Result<Vec<Inlet>, StartError> {
        let options = AfPacketOptions { fast_path: self.fast_path.clone(), ..self.options.port() };
        let mut inlets = inlets::open(&self.options, &interface.link, &self.admissions)?;
        for inlet in &mut inlets {
            let set = inlet.set_classifier(classifier, &options);
            set.map_err(|error| ApplyError::refused(&error))?;
        }
        Ok(inlets)
    }

    fn hand_out(&self, inlets: Vec<Inlet>, interface: InterfaceId) -> Result<(), ApplyError> {
        let shared = self.shared()?;
        for (worker, inlet) in inlets.into_iter().enumerate() {
            let attach = AfPacketControl::Attach(Box::new(inlet), interface);
            let (query, _answer) = Query::new();
            shared.workers.tell(worker, WorkerCommand::Port(attach, query))?;
        }
        Ok(())
    }

    /// Gives a device up that is still there. What it carries is the host's own afterwards.
    fn detach(&mut self, guarded: Guarded) {
        let device = guarded.device;
        if let Ok(shared) = self.shared() {
            let detach = || AfPacketControl::Detach(InterfaceId(device.index));
            // A worker that is gone tells of it itself.
            drop(shared.workers.request_all(|query| WorkerCommand::Port(detach(), query)));
        }
        let remains = give_back(guarded, &mut self.netlink, self.ownership.id());
        if let Some(Remains { interface, reason, .. }) = remains {
            self.report(&ApplyError::GuardFailed { interface, message: reason });
        }
    }

    /// Tells the workers with which hardware addresses to answer for virtual addresses, where that
    /// has changed.
    fn tell_stations(&mut self) {
        let links = self.guarded.iter().map(|guarded| &guarded.link);
        let stations = inlets::stations(&self.options, links);
        if self.stations == stations {
            return;
        }
        self.stations.clone_from(&stations);
        if let Ok(shared) = self.shared() {
            // A worker that is gone tells of it itself.
            drop(shared.workers.tell_all(|| WorkerCommand::Stations(stations.clone())));
        }
    }
}

/// Claims what is exposed, on one device.
pub(super) fn claim(exposed: &Exposed, name: &str, device: Device) -> Result<Claim, ApplyError> {
    let claim = Claim::acquire(&exposed.claim(device.index));
    claim.map_err(|error| match error {
        ClaimError::Taken { .. } => {
            ApplyError::ServiceInUse { service: exposed.to_string(), interface: name.to_owned() }
        }
        other => ApplyError::refused(&other),
    })
}

/// Begins to watch whether a device stays.
pub(super) fn presence(interface: &Interface) -> Result<Presence, StartError> {
    Presence::of(interface.link.index).map_err(|error| StartError::refused(&error))
}
