//! What one engine counts and remembers for each service and each server.

use alloc::vec::Vec;

use crate::configuration::{Configuration, Server, Service, ServiceId};
use crate::counters::{count_in, count_out};
use crate::estimator::Estimator;
use crate::event::AdoptionCause;
use crate::hop::ServerId;
use crate::scheduler::State;
use crate::snapshot::{Rates, Traffic};

/// The book of a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceBook {
    generation: u64,
    pub(crate) state: State,
    pub(crate) traffic: Traffic,
    pub(crate) estimator: Estimator,
    pub(crate) adopted: [u64; AdoptionCause::ALL.len()],
    pub(crate) moved_by_fallback: u64,
    pub(crate) refused: u64,
}

/// The book of a server.
#[derive(Clone, Debug, Default)]
struct ServerBook {
    generation: u64,
    traffic: Traffic,
    estimator: Estimator,
}

/// All books, indexed by the dense numbers of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) total: Traffic,
    total_estimator: Estimator,
    services: Vec<ServiceBook>,
    /// What random choices of schedulers begin with.
    seed: u64,
    servers: Vec<ServerBook>,
}

impl Books {
    /// Empty books of an engine with this `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Makes room for everything `new` knows and carries scheduler state over from `old`, so that
    /// no packet ever finds its book missing.
    pub(crate) fn reconcile(&mut self, old: &Configuration, new: &Configuration) {
        // The books of what a change did not touch are right.
        for service in new.changes_since(old).filter_map(|(_, service)| service) {
            let index = service.id.0 as usize;
            if self.services.len() <= index {
                self.services.resize_with(index + 1, ServiceBook::default);
            }
            if let Some(book) = self.services.get_mut(index) {
                let old = old.service(service.key()).map(|old| &**old);
                reconcile_service(book, old, service, self.seed);
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

    pub(crate) fn read_service(&self, id: ServiceId) -> Option<&ServiceBook> {
        self.services.get(id.0 as usize)
    }

    pub(crate) fn read_server(&self, id: ServerId) -> (Traffic, Rates) {
        let book = self.servers.get(id.0 as usize);
        book.map(|book| (book.traffic, book.estimator.rates())).unwrap_or_default()
    }

    /// Averages a second of the totals.
    pub(crate) fn total_rates(&self) -> Rates {
        self.total_estimator.rates()
    }

    /// Takes a sample of up to `budget` books from position `cursor` on, which is 0 at first.
    /// Answers where to go on.
    pub(crate) fn sample(&mut self, cursor: usize, budget: usize) -> Option<usize> {
        if cursor == 0 {
            self.total_estimator.sample(&self.total);
        }
        let Self { services, servers, .. } = self;
        let all = services.len() + servers.len();
        let of_services = services.iter_mut().map(|book| (&mut book.estimator, &book.traffic));
        let of_servers = servers.iter_mut().map(|book| (&mut book.estimator, &book.traffic));
        of_services
            .chain(of_servers)
            .skip(cursor)
            .take(budget)
            .for_each(|(estimator, traffic)| estimator.sample(traffic));
        let next = cursor + budget;
        (next < all).then_some(next)
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

    /// Counts packets from clients that something else forwarded, likewise.
    pub(crate) fn count_carried(
        &mut self,
        service: ServiceId,
        server: ServerId,
        packets: u64,
        octets: u64,
    ) {
        let service = self.services.get_mut(service.0 as usize).map(|book| &mut book.traffic);
        let server = self.servers.get_mut(server.0 as usize).map(|book| &mut book.traffic);
        for traffic in [Some(&mut self.total), service, server].into_iter().flatten() {
            traffic.in_packets.0 += packets;
            traffic.in_octets.0 += octets;
        }
    }

    /// Counts a packet from a server likewise.
    pub(crate) fn count_out(&mut self, service: ServiceId, server: ServerId, octets: u64) {
        count_out(&mut self.total, octets);
        if let Some(book) = self.services.get_mut(service.0 as usize) {
            count_out(&mut book.traffic, octets);
        }
        if let Some(book) = self.servers.get_mut(server.0 as usize) {
            count_out(&mut book.traffic, octets);
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
            self.total_estimator = Estimator::default();
            self.services.iter_mut().for_each(zero_service);
            self.servers.iter_mut().for_each(zero_server);
            return;
        };
        if let Some(book) = self.services.get_mut(service.id.0 as usize) {
            zero_service(book);
        }
        for server in &service.servers {
            if let Some(book) = self.servers.get_mut(server.id.0 as usize) {
                zero_server(book);
            }
        }
    }
}

fn zero_server(book: &mut ServerBook) {
    book.traffic = Traffic::default();
    book.estimator = Estimator::default();
}

fn zero_service(book: &mut ServiceBook) {
    book.traffic = Traffic::default();
    book.estimator = Estimator::default();
    book.adopted = Default::default();
    book.moved_by_fallback = 0;
    book.refused = 0;
}

fn reconcile_service(book: &mut ServiceBook, old: Option<&Service>, new: &Service, seed: u64) {
    match old {
        Some(old) if book.generation == new.generation => book.state.reconcile(old, new, seed),
        _ => {
            *book = ServiceBook {
                generation: new.generation,
                state: State::new(new, seed),
                ..ServiceBook::default()
            };
        }
    }
}
