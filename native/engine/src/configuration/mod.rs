//! What the director is told to do: services, real servers, marks, settings.
//!
//! A [`Configuration`] never changes. [`Configuration::apply`] makes the next one out of it, whole
//! or not at all; all engines share it. The one thing shared between configurations is the
//! [`ServerLoad`] of each server, because connections outlive changes.

mod answering;
mod apply;
mod check;
mod directory;
mod families;
mod findings;
mod load;
mod mark;
mod perform;
mod ranges;
mod roster;
mod server;
mod service;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod version;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::command::{ForwardingMethod, Protocol, ServiceKey};
use crate::hop::ServerId;
use crate::snapshot::Version;

pub use answering::AnsweringServer;
pub use load::ServerLoad;
pub use mark::{Mark, MarkSubject};
pub use server::{RemovedServer, Server};
pub use service::{Service, ServiceId};
pub use settings::Settings;

/// Whether `address` lies in the network of `of`; without a prefix length, whether it is that one.
#[must_use]
pub(crate) fn in_network(of: IpAddr, prefix_length: Option<u8>, address: IpAddr) -> bool {
    mark::contains(of, prefix_length.unwrap_or_else(|| mark::address_length(of)), address)
}

use directory::Directory;
pub(crate) use families::Families;
use mark::Marks;
use roster::{Roster, Slot};

/// An immutable configuration. Clones share almost everything.
///
/// The default has no services, no marks and IPVS's settings.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    version: Version,
    settings: Settings,
    /// By [`ServiceId`].
    services: Vec<Option<Arc<Service>>>,
    /// In the order they were added.
    order: Vec<ServiceId>,
    directory: Arc<Directory>,
    roster: Arc<Roster>,
    marks: Arc<Marks>,
    families: Families,
    /// What the services add to the digest.
    digest_of_services: u64,
    /// The last generation or addition number given out.
    serial: u64,
}

impl Configuration {
    /// Number and digest. The number counts accepted batches that were not empty; equal digests
    /// mean that every new connection goes alike.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Global settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All services, in the order they were added.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.order.iter().filter_map(|&id| self.service_by_id(id))
    }

    /// The service with this identity.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.service_by_id(self.directory.get(key)?)
    }

    /// All services as [`Self::services`], or only the one with this identity.
    pub fn selected(&self, only: Option<&ServiceKey>) -> impl Iterator<Item = &Arc<Service>> {
        let one = only.and_then(|key| self.service(key));
        let all = only.is_none().then(|| self.services());
        one.into_iter().chain(all.into_iter().flatten())
    }

    /// The service with this number; an index, not a search.
    #[must_use]
    pub fn service_by_id(&self, id: ServiceId) -> Option<&Arc<Service>> {
        self.services.get(usize::try_from(id.0).ok()?)?.as_ref()
    }

    /// The services that differ from those of `before`, by number: what was, and what is. What a
    /// change leaves alone is shared by both configurations and costs a comparison of pointers.
    pub fn changes_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (Option<&'a Arc<Service>>, Option<&'a Arc<Service>>)> {
        let numbers = 0..self.services.len().max(before.services.len());
        let pairs = numbers.map(|number| {
            let of = |services: &'a [Option<Arc<Service>>]| services.get(number)?.as_ref();
            (of(&before.services), of(&self.services))
        });
        pairs.filter(|pair| match pair {
            (Some(before), Some(now)) => !Arc::ptr_eq(before, now),
            (None, None) => false,
            _ => true,
        })
    }

    /// Whether the same servers are there as in `other`, at the same places; a comparison of pointers,
    /// which may miss it.
    #[must_use]
    pub fn shares_servers_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.roster, &other.roster)
    }

    /// The address families in use.
    pub(crate) const fn families(&self) -> Families {
        self.families
    }

    /// One more than the largest service number: the length of a table indexed by them.
    #[must_use]
    pub const fn service_slots(&self) -> usize {
        self.services.len()
    }

    /// The service that takes a new connection to `address` and `port`, in the order of IPVS: by
    /// mark; by protocol, address and port; FTP's data connections; then, beyond IPVS, the range of
    /// ports of the address, the network (the narrowest first); the catch-all of the address.
    #[must_use]
    pub fn lookup(
        &self,
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        mark: Option<u32>,
    ) -> Option<&Arc<Service>> {
        self.service_by_id(self.directory.lookup(protocol, address, port, mark)?)
    }

    /// Whether a service by address has `address`. What marks cover is not counted.
    #[must_use]
    pub fn is_virtual_address(&self, address: IpAddr) -> bool {
        self.directory.is_virtual(address)
    }

    /// Whether a packet between these may be for a service or from a real server, as far as
    /// addresses decide.
    #[must_use]
    pub fn may_concern(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.directory.is_virtual(destination)
            || self.marks.may_cover(destination)
            || self.directory.is_server(source)
    }

    /// The mark a packet carries; of several, the smallest. Looks through all definitions.
    #[must_use]
    pub fn mark_of(&self, packet: &MarkSubject) -> Option<u32> {
        self.marks.of(packet)
    }

    /// Whether there are marks at all.
    #[must_use]
    pub fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// The marks, in ascending order.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        self.marks.as_slice()
    }

    /// The server with this number if it is configured; an index, not a search.
    #[must_use]
    pub fn server_by_id(&self, id: ServerId) -> Option<(&Arc<Service>, &Server)> {
        let Slot::Present { service, index } = *self.roster.slot(id) else { return None };
        let service = self.service_by_id(service)?;
        Some((service, service.servers.get(index)?))
    }

    /// The server with this number if it was removed and is still remembered.
    #[must_use]
    pub fn removed_server(&self, id: ServerId) -> Option<&RemovedServer> {
        match self.roster.slot(id) {
            Slot::Removed(server) => Some(server),
            Slot::Free | Slot::Present { .. } => None,
        }
    }

    /// Address of the server with this number, configured or removed.
    #[must_use]
    pub fn server_address(&self, id: ServerId) -> Option<IpAddr> {
        match self.server_by_id(id) {
            Some((_, server)) => Some(server.address),
            None => self.removed_server(id).map(|server| server.address),
        }
    }

    /// Whether a real server has `address`.
    #[must_use]
    pub fn is_server_address(&self, address: IpAddr) -> bool {
        self.directory.is_server(address)
    }

    /// A masqueraded server with this address and port whose service has this protocol, or takes
    /// packets by mark. A search through all services if `address` is a server's.
    #[must_use]
    pub fn masqueraded_server(
        &self,
        protocol_number: u8,
        address: IpAddr,
        port: u16,
    ) -> Option<ServerId> {
        if !self.is_server_address(address) {
            return None;
        }
        let has_protocol = |service: &Service| match service.key() {
            ServiceKey::Address { protocol, .. } | ServiceKey::Range { protocol, .. } => {
                protocol.number() == protocol_number
            }
            ServiceKey::Mark { .. } => true,
        };
        let servers = self.services().filter(|service| has_protocol(service));
        let mut servers = servers.flat_map(|service| &service.servers);
        let wanted = |server: &&Server| {
            server.forwarding == ForwardingMethod::Masquerading
                && (server.address, server.port) == (address, port)
        };
        servers.find(wanted).map(|server| server.id)
    }

    /// All servers that were removed and are still remembered, by number.
    pub fn removed_servers(&self) -> impl Iterator<Item = &RemovedServer> {
        self.roster.removed()
    }

    /// The load of a server, configured or removed.
    #[must_use]
    pub fn load(&self, id: ServerId) -> Option<&Arc<ServerLoad>> {
        match self.server_by_id(id) {
            Some((_, server)) => Some(&server.load),
            None => self.removed_server(id).map(|server| &server.load),
        }
    }

    /// One more than the largest server number: the length of a table indexed by them.
    #[must_use]
    pub fn server_slots(&self) -> usize {
        self.roster.len()
    }

    /// Whether a mid-stream packet of `protocol` may create a connection of `service`: what the
    /// service says, else the global setting. Never for UDP, which has no other packets than first.
    #[must_use]
    pub fn is_sloppy(&self, service: &Service, protocol: Protocol) -> bool {
        let by_default = match protocol {
            Protocol::Tcp => self.settings.sloppy_tcp,
            Protocol::Sctp => self.settings.sloppy_sctp,
            Protocol::Udp => return false,
        };
        let possible = match service.key() {
            ServiceKey::Address { protocol: own, .. } | ServiceKey::Range { protocol: own, .. } => {
                *own == protocol
            }
            ServiceKey::Mark { .. } => true,
        };
        possible && service.spec.sloppy.unwrap_or(by_default)
    }

    /// Forgets removed servers: their numbers may be given to others. Numbers of servers that are
    /// configured, or not in use, are left alone; the version stays.
    ///
    /// The caller vouches that nothing refers to them, in any engine, and that no engine still uses
    /// a configuration in which they were present.
    #[must_use]
    pub fn forget(&self, idle: &[ServerId]) -> Self {
        let mut next = self.clone();
        let roster = Arc::make_mut(&mut next.roster);
        idle.iter().for_each(|&id| roster.forget(id));
        next
    }

    /// Makes the shared loads follow this configuration's thresholds again, after one made from it
    /// was given up. [`Self::apply`] does this for the configuration it makes.
    pub fn enforce_thresholds(&self) {
        self.services().for_each(|service| service.enforce_thresholds());
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}
