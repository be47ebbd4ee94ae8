//! What one engine counts and remembers for each service and each server.

use alloc::vec::Vec;

use crate::configuration::{Configuration, Server, Service, ServiceId};
use crate::counters::count_in;
use crate::event::AdoptionCause;
use crate::hop::ServerId;
use crate::scheduler::State;
use crate::snapshot::Traffic;

/// The book of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceBook {
    generation: u64,
    pub(crate) state: State,
    pub(crate) traffic: Traffic,
    pub(crate) adopted: [u64; AdoptionCause::ALL.len()],
    pub(crate) moved_by_fallback: u64,
    pub(crate) refused: u64,
}

/// The book of a server.
#[derive(Clone, Debug, Default)]
struct ServerBook {
    generation: u64,
    traffic: Traffic,
}

/// All books, indexed by the dense numbers of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) total: Traffic,
    services: Vec<ServiceBook>,
    servers: Vec<ServerBook>,
}

impl Books {
    /// Makes room for everything `new` knows and carries scheduler state over from `old`, so that
    /// no packet ever finds its book missing.
    pub(crate) fn reconcile(&mut self, old: &Configuration, new: &Configuration) {
        for service in new.services() {
            let index = service.id.0 as usize;
            if self.services.len() <= index {
                self.services.resize_with(index + 1, ServiceBook::default);
            }
            if let Some(book) = self.services.get_mut(index) {
                reconcile_service(book, old.service(service.key()).map(|old| &**old), service);
            }
            for server in &service.servers {
                self.reconcile_server(server);
            }
        }
    }

    fn reconcile_server(&mut self, server: &Server) {
        let index = server.id.0 as usize;
        if self.servers.len() <= index {
            self.servers.resize_with(index + 1, ServerBook::default);
        }
        if let Some(book) = self.servers.get_mut(index)
            && book.generation != server.generation
        {
            *book = ServerBook { generation: server.generation, ..ServerBook::default() };
        }
    }

    pub(crate) fn service(&mut self, id: ServiceId) -> Option<&mut ServiceBook> {
        self.services.get_mut(id.0 as usize)
    }

    pub(crate) fn read_service(&self, id: ServiceId) -> ServiceBook {
        self.services.get(id.0 as usize).cloned().unwrap_or_default()
    }

    pub(crate) fn read_server(&self, id: ServerId) -> Traffic {
        self.servers.get(id.0 as usize).map(|book| book.traffic).unwrap_or_default()
    }

    /// Counts a packet from a client: for its server, its service and the whole (IPVS).
    pub(crate) fn count_in(&mut self, service: ServiceId, server: ServerId, octets: u64) {
        count_in(&mut self.total, octets);
        if let Some(book) = self.services.get_mut(service.0 as usize) {
            count_in(&mut book.traffic, octets);
        }
        if let Some(book) = self.servers.get_mut(server.0 as usize) {
            count_in(&mut book.traffic, octets);
        }
    }

    /// Counts a new connection likewise.
    pub(crate) fn count_connection(&mut self, service: ServiceId, server: ServerId) {
        self.total.connections.0 += 1;
        if let Some(book) = self.services.get_mut(service.0 as usize) {
            book.traffic.connections.0 += 1;
        }
        if let Some(book) = self.servers.get_mut(server.0 as usize) {
            book.traffic.connections.0 += 1;
        }
    }

    /// Sets the traffic counters of one service and its servers to zero, or all of them.
    pub(crate) fn zero(&mut self, service: Option<&Service>) {
        let Some(service) = service else {
            self.total = Traffic::default();
            self.services.iter_mut().for_each(zero_service);
            self.servers.iter_mut().for_each(|book| book.traffic = Traffic::default());
            return;
        };
        if let Some(book) = self.services.get_mut(service.id.0 as usize) {
            zero_service(book);
        }
        for server in &service.servers {
            if let Some(book) = self.servers.get_mut(server.id.0 as usize) {
                book.traffic = Traffic::default();
            }
        }
    }
}

fn zero_service(book: &mut ServiceBook) {
    book.traffic = Traffic::default();
    book.adopted = Default::default();
    book.moved_by_fallback = 0;
    book.refused = 0;
}

fn reconcile_service(book: &mut ServiceBook, old: Option<&Service>, new: &Service) {
    match old {
        Some(old) if book.generation == new.generation => book.state.reconcile(old, new),
        _ => {
            *book = ServiceBook {
                generation: new.generation,
                state: State::new(new),
                ..ServiceBook::default()
            };
        }
    }
}
