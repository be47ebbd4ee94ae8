//! Who has which server number: present servers, removed ones still remembered, free numbers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::load::ServerLoad;
use super::server::{RemovedServer, Server};
use super::service::{Service, ServiceId};
use super::table::Table;
use crate::command::ServiceKey;
use crate::hop::ServerId;

/// What makes a re-added server the same one.
type Identity = (ServiceKey, IpAddr, u16);

/// What a server number stands for.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// Nothing.
    Free,
    /// A server that is configured.
    Present { service: ServiceId, index: usize },
    /// A server that was removed while connections may still refer to it.
    Removed(Arc<RemovedServer>),
}

/// All server numbers. IPVS: removed servers lie in the "trash" and are revived from there.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    slots: Vec<Slot>,
    free: Vec<ServerId>,
    removed: Table<Identity, ServerId>,
}

/// What a server brings along when it is added.
#[derive(Debug)]
pub(super) struct Enrolment {
    pub(super) id: ServerId,
    pub(super) load: Arc<ServerLoad>,
    /// The generation it had, if statistics go on.
    pub(super) generation: Option<u64>,
}

impl Roster {
    /// What `id` stands for.
    pub(super) fn slot(&self, id: ServerId) -> &Slot {
        usize::try_from(id.0).ok().and_then(|index| self.slots.get(index)).unwrap_or(&Slot::Free)
    }

    /// One more than the largest number in use.
    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// The removed servers that are still remembered, by number.
    pub(super) fn removed(&self) -> impl Iterator<Item = &RemovedServer> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Removed(server) => Some(&**server),
            Slot::Free | Slot::Present { .. } => None,
        })
    }

    /// A number and a load for a server of `service`: its old ones if it is remembered.
    ///
    /// IPVS: statistics go on as well unless the service is a new one by the same name.
    pub(super) fn enrol(&mut self, service: &Service, address: IpAddr, port: u16) -> Enrolment {
        let remembered = self.removed.remove(&(*service.key(), address, port));
        if let Some(id) = remembered
            && let Slot::Removed(server) = self.slot(id)
        {
            let generation =
                (server.service_generation == service.generation).then_some(server.generation);
            return Enrolment { id, load: Arc::clone(&server.load), generation };
        }
        let id = self.free.pop().unwrap_or_else(|| self.extend());
        Enrolment { id, load: Arc::default(), generation: None }
    }

    fn extend(&mut self) -> ServerId {
        // More than 2^32 servers do not fit any memory; the last number would be shared.
        let id = ServerId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.slots.push(Slot::Free);
        id
    }

    /// Remembers `server` as removed from `service`.
    pub(super) fn dismiss(&mut self, service: &Service, server: &Server) {
        let removed = RemovedServer {
            id: server.id,
            service: *service.key(),
            address: server.address,
            port: server.port,
            forwarding: server.forwarding,
            load: Arc::clone(&server.load),
            generation: server.generation,
            service_generation: service.generation,
        };
        self.removed.insert((removed.service, removed.address, removed.port), removed.id);
        self.set(server.id, Slot::Removed(Arc::new(removed)));
    }

    /// Whether it is written down where the servers of `service` stand.
    pub(super) fn knows(&self, service: &Service) -> bool {
        service.servers.iter().enumerate().all(|(position, server)| {
            matches!(*self.slot(server.id), Slot::Present { service: owner, index }
                if owner == service.id && index == position)
        })
    }

    /// Writes down where the servers of `service` stand.
    pub(super) fn place(&mut self, service: &Service) {
        for (index, server) in service.servers.iter().enumerate() {
            self.set(server.id, Slot::Present { service: service.id, index });
        }
    }

    /// Frees the number of a removed server; others keep theirs.
    pub(super) fn forget(&mut self, id: ServerId) {
        let Slot::Removed(server) = self.slot(id) else { return };
        let identity = (server.service, server.address, server.port);
        self.removed.remove(&identity);
        self.set(id, Slot::Free);
        self.free.push(id);
    }

    fn set(&mut self, id: ServerId, slot: Slot) {
        if let Some(place) = usize::try_from(id.0).ok().and_then(|index| self.slots.get_mut(index))
        {
            *place = slot;
        }
    }
}
