//! A virtual service and its real servers.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::server::Server;
use crate::command::{
    Family, ForwardingMethod, Protocol, SchedulerName, ServerKey, ServiceKey, ServiceSpec,
};
use crate::scheduler::{Flags, Placement, Weights};
use crate::snapshot::family_of;

/// Number of a virtual service. Dense: usable as an index; reused, with another generation, once
/// the service is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

/// A virtual service as configured.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its number.
    pub id: ServiceId,
    /// Statistics and scheduler state belong to one id and generation: they start anew when it
    /// differs. Editing keeps it.
    pub generation: u64,
    /// What was said about it.
    pub spec: ServiceSpec,
    /// Its servers in list order: the newest first; editing moves none.
    pub servers: Vec<Server>,
    /// What the scheduler derived from the servers.
    pub placement: Placement,
    /// `wrr`: the weights after each command of the batch that touched the service last.
    pub weight_changes: Vec<Weights>,
    /// Flags of the scheduler.
    pub flags: Flags,
    /// Digest of what decides where its connections go, `sloppy` left out.
    pub(super) digest: u64,
}

impl Service {
    pub(super) fn new(id: ServiceId, generation: u64, spec: ServiceSpec) -> Self {
        let placement = Placement::build(spec.scheduler, family_of_key(&spec.key), &[]);
        let flags = Flags::from(spec.flags.as_slice());
        Self {
            id,
            generation,
            spec,
            servers: Vec::new(),
            placement,
            weight_changes: Vec::new(),
            flags,
            digest: 0,
        }
    }

    /// Identity.
    #[must_use]
    pub const fn key(&self) -> &ServiceKey {
        &self.spec.key
    }

    /// Address family of its clients.
    #[must_use]
    pub const fn family(&self) -> Family {
        family_of_key(&self.spec.key)
    }

    /// The server with this identity, and where it stands in the list.
    #[must_use]
    pub fn server(&self, key: &ServerKey) -> Option<(usize, &Server)> {
        self.servers.iter().enumerate().find(|(_, server)| {
            let port = server_port(&self.spec.key, server.forwarding, key.port);
            (server.address, server.port) == (key.address, port)
        })
    }

    /// Notes the weights after a command that a scheduler hears of: binding it, or adding, editing
    /// or removing a server. Of repetitions the first is enough, for they change nothing.
    pub(super) fn note_weights(&mut self) {
        if self.spec.scheduler != Some(SchedulerName::Wrr) {
            return;
        }
        let weights = Weights::of(&self.servers);
        if self.weight_changes.last() != Some(&weights) {
            self.weight_changes.push(weights);
        }
    }

    /// Makes the loads of the servers follow the thresholds given here.
    pub(super) fn enforce_thresholds(&self) {
        for server in &self.servers {
            server.load.set_thresholds(server.upper_threshold, server.lower_threshold);
        }
    }
}

/// Address family of a service's clients.
pub(super) const fn family_of_key(key: &ServiceKey) -> Family {
    match key {
        ServiceKey::Address { address, .. } | ServiceKey::Range { address, .. } => {
            family_of(*address)
        }
        ServiceKey::Mark { family, .. } => *family,
    }
}

/// The protocol and address of a service by address and port.
pub(super) const fn virtual_address(key: &ServiceKey) -> Option<(Protocol, IpAddr)> {
    match key {
        ServiceKey::Address { protocol, address, .. } => Some((*protocol, *address)),
        ServiceKey::Range { .. } | ServiceKey::Mark { .. } => None,
    }
}

/// The port a server is spoken to at; 0 keeps the packet's own.
///
/// IPVS: direct routing and tunnels leave ports alone, so whatever was asked for becomes the service's
/// port; a service by mark has none, and there the given port is kept. Masquerading can map ports.
pub(super) fn server_port(
    service: &ServiceKey,
    forwarding: ForwardingMethod,
    asked: Option<u16>,
) -> u16 {
    use ForwardingMethod::{DirectRouting, Masquerading, Tunnelling};
    match (service, forwarding) {
        (ServiceKey::Address { port, .. }, DirectRouting | Tunnelling) => *port,
        (ServiceKey::Address { port, .. }, Masquerading) => asked.unwrap_or(*port),
        (ServiceKey::Range { .. } | ServiceKey::Mark { .. }, _) => asked.unwrap_or(0),
    }
}
