//! Reading an engine: statistics, connection listings, explanations. Nothing here changes it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::command::{ForwardingMethod, PersistenceEngine, Protocol, ServerSpec, ServiceKey};
use crate::configuration::{MarkSubject, Server, Service, in_network};
use crate::connection::{ConnectionId, ConnectionKey};
use crate::counters::named;
use crate::engine::books::ServiceBook;
use crate::engine::{Engine, persistence};
use crate::event::AdoptionCause;
use crate::frame::InterfaceId;
use crate::scheduler::{self, HashKey, State};
use crate::snapshot::{
    ConnectionFilter, ConnectionPage, ConnectionRow, Counter, Explanation, Flow,
    ScheduleExplanation, ServerRef, ServerSnapshot, ServiceSnapshot, Statistics,
};
use crate::time::Instant;

impl Engine {
    /// Everything counted so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics_of(None)
    }

    /// Everything counted so far; of the services `only` that one, if it is given.
    #[must_use]
    pub fn statistics_of(&self, only: Option<&ServiceKey>) -> Statistics {
        let services = self.configuration.selected(only);
        Statistics {
            version: self.configuration.version(),
            services: services.map(|service| self.service(service)).collect(),
            traffic: self.books.total,
            rates: self.books.total_rates(),
            forwarded: Counter(self.verdicts.forwarded().0 + self.fast_path.packets()),
            held: self.verdicts.held(),
            returned: self.verdicts.returned(),
            routed: self.verdicts.routed(),
            passed: self.verdicts.passed(),
            dropped: self.verdicts.dropped(),
            replied: self.verdicts.replied(),
            connections: self.connections.len(),
            connection_limit: self.connections.limit(),
            placed_without_entry: Counter(self.placed_without_entry),
            fast_path: self.fast_path.snapshot(),
            defence: self.defence.statistics(),
            fragments: self.fragments.statistics(),
        }
    }

    /// Up to `limit` connections that pass `filter`, from position `cursor` on; 0 is the start.
    #[must_use]
    pub fn connections(
        &self,
        filter: &ConnectionFilter,
        cursor: u32,
        limit: usize,
        now: Instant,
    ) -> ConnectionPage {
        let mut rows = Vec::new();
        for (id, _) in self.connections.iter_from(cursor, now) {
            if rows.len() == limit {
                return ConnectionPage { rows, next: Some(id.index()) };
            }
            let row = self.row(id, now);
            if passes(filter, &row) {
                rows.push(row);
            }
        }
        ConnectionPage { rows, next: None }
    }

    /// Why the next packet of `flow` would go where it goes.
    #[must_use]
    pub fn explain(&self, flow: &Flow, now: Instant) -> Explanation {
        let key = ConnectionKey {
            protocol: flow.protocol.number(),
            client: flow.client_address,
            client_port: flow.client_port,
            virtual_address: flow.virtual_address,
            virtual_port: flow.virtual_port,
        };
        let (address, port) = (flow.virtual_address, flow.virtual_port);
        let mark = self.configuration.mark_of(&MarkSubject {
            protocol: flow.protocol,
            source: flow.client_address,
            source_port: flow.client_port,
            destination: address,
            port,
            interface: flow.interface.map(InterfaceId),
            vlan: flow.vlan,
        });
        let service = self.configuration.lookup(flow.protocol, address, port, mark);
        let connection = self.connections.lookup(&key, now);
        let template = service.and_then(|service| self.template(service, &key, now));
        let schedule = service.map(|service| self.schedule_explanation(service, &key, now));
        let followed = connection.or(template);
        let server = match followed {
            Some(id) => self.server_of(id).map(Server::reference),
            None => schedule.as_ref().and_then(|schedule| schedule.server),
        };
        Explanation {
            flow: *flow,
            version: self.configuration.version(),
            service: service.map(|service| *service.key()),
            reason: reason(service, connection, template, schedule.as_ref(), server),
            connection: connection.map(|id| self.row(id, now)),
            template: template.map(|id| self.row(id, now)),
            schedule,
            server,
        }
    }

    fn template(
        &self,
        service: &Service,
        key: &ConnectionKey,
        now: Instant,
    ) -> Option<ConnectionId> {
        let persistence = service.spec.persistence?;
        let key = persistence::template_key(service, key, &persistence);
        let id = self.connections.lookup_template(&key, now)?;
        self.server_of(id).map(|_| id)
    }

    fn schedule_explanation(
        &self,
        service: &Service,
        key: &ConnectionKey,
        now: Instant,
    ) -> ScheduleExplanation {
        let state = self.books.read_service(service.id).map(|book| &book.state);
        let hash_key = HashKey {
            address: key.client,
            port: key.client_port,
            destination: key.virtual_address,
        };
        scheduler::explain(service, state.unwrap_or(&State::Stateless), &hash_key, now)
    }

    fn server_of(&self, id: ConnectionId) -> Option<&Server> {
        let server = self.connections.entry(id).server();
        self.configuration.server_by_id(server).map(|(_, server)| server)
    }

    fn service(&self, service: &Service) -> ServiceSnapshot {
        let nothing = ServiceBook::default();
        let book = self.books.read_service(service.id).unwrap_or(&nothing);
        ServiceSnapshot {
            spec: service.spec.clone(),
            servers: service.servers.iter().map(|server| self.server(server)).collect(),
            traffic: book.traffic,
            rates: book.estimator.rates(),
            adopted: named(AdoptionCause::ALL.iter().map(|cause| cause.name()), &book.adopted),
            moved_by_fallback: Counter(book.moved_by_fallback),
            refused: Counter(book.refused),
        }
    }

    fn server(&self, server: &Server) -> ServerSnapshot {
        let spec: ServerSpec = server.spec();
        let (traffic, rates) = self.books.read_server(server.id);
        ServerSnapshot {
            spec,
            id: server.id,
            active_connections: server.load.active(),
            inactive_connections: server.load.inactive(),
            persistent_connections: server.load.persistent(),
            overloaded: server.load.overloaded(),
            traffic,
            rates,
        }
    }

    fn row(&self, id: ConnectionId, now: Instant) -> ConnectionRow {
        let entry = self.connections.entry(id);
        let key = self.connections.key(id);
        // IPVS lists a template that became invalid with ports nobody has.
        let port = |port| if entry.is_disabled() { u16::MAX } else { port };
        let expires_in_ms = self.connections.expires_in(id, now).as_millis();
        let data = self.connections.template_data(id);
        ConnectionRow {
            protocol: Protocol::from_number(key.protocol),
            client: SocketAddr::new(key.client, key.client_port),
            virtual_address: SocketAddr::new(key.virtual_address, port(key.virtual_port)),
            server: SocketAddr::new(self.server_address(id), port(entry.server_port())),
            state: entry.state_name(),
            expires_in_ms: Counter(u64::try_from(expires_in_ms).unwrap_or(u64::MAX)),
            template: entry.is_template(),
            forwarding: self.forwarding(id),
            in_packets: Counter(u64::from(entry.in_packets())),
            persistence_engine: data.map(|_| PersistenceEngine::Sip),
            persistence_data: data.map(|data| String::from_utf8_lossy(data).into_owned()),
        }
    }

    /// How an entry's packets reach its server; of a template, how those of a new connection would.
    fn forwarding(&self, id: ConnectionId) -> ForwardingMethod {
        let entry = self.connections.entry(id);
        let found = self.configuration.server_by_id(entry.server());
        match found.filter(|_| entry.is_template()) {
            Some((_, server)) => server.forwarding,
            None => entry.forwarding(),
        }
    }

    /// Address of an entry's server, configured or removed.
    fn server_address(&self, id: ConnectionId) -> core::net::IpAddr {
        let server = self.connections.entry(id).server();
        let unspecified = || match self.connections.key(id).client {
            core::net::IpAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
            core::net::IpAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        match self.configuration.server_by_id(server) {
            Some((_, server)) => server.address,
            None => self
                .configuration
                .removed_server(server)
                .map_or_else(unspecified, |server| server.address),
        }
    }
}

fn passes(filter: &ConnectionFilter, row: &ConnectionRow) -> bool {
    let of_service = |key: &ServiceKey| match *key {
        ServiceKey::Address { protocol, address, port } => {
            row.protocol == Some(protocol)
                && row.virtual_address.ip() == address
                && (port == 0 || row.virtual_address.port() == port)
        }
        ServiceKey::Range { protocol, address, prefix_length, ports: (first, last) } => {
            let virtual_address = row.virtual_address.ip();
            row.protocol == Some(protocol)
                && in_network(address, prefix_length, virtual_address)
                && (first..=last).contains(&row.virtual_address.port())
        }
        ServiceKey::Mark { mark, family } => {
            row.virtual_address.ip() == ConnectionKey::mark_address(mark, family)
        }
    };
    filter.service.as_ref().is_none_or(of_service)
        && filter.server.is_none_or(|address| row.server.ip() == address)
        && filter.client.is_none_or(|address| row.client.ip() == address)
        && filter.state.as_ref().is_none_or(|state| row.state == state)
        && filter.template.is_none_or(|template| row.template == template)
}

/// The whole explanation in a sentence.
fn reason(
    service: Option<&alloc::sync::Arc<Service>>,
    connection: Option<ConnectionId>,
    template: Option<ConnectionId>,
    schedule: Option<&ScheduleExplanation>,
    server: Option<ServerRef>,
) -> String {
    let place = server.map(|server| SocketAddr::new(server.address, server.port));
    match (connection, template, service, place) {
        (Some(_), _, _, Some(place)) => {
            format!("it belongs to a connection, whose server is {place}")
        }
        (Some(_), _, _, None) => {
            String::from("it belongs to a connection, whose server was removed: dropped")
        }
        (None, Some(_), _, Some(place)) => {
            format!("a persistence template leads its client to {place}")
        }
        (None, _, None, _) => String::from("no virtual service takes it: left to the host"),
        (None, _, Some(_), Some(place)) => scheduled(place, schedule),
        (None, _, Some(_), None) => {
            String::from("no server can take it: a new connection gets \"port unreachable\"")
        }
    }
}

fn scheduled(place: SocketAddr, schedule: Option<&ScheduleExplanation>) -> String {
    let Some(schedule) = schedule else { return format!("it goes to {place}") };
    let name = schedule.scheduler;
    match (schedule.bucket, schedule.first_choice) {
        (Some(bucket), Some(first)) if schedule.moved_by_fallback => {
            let why = if first.weight == 0 { "quiesced" } else { "overloaded" };
            format!(
                "{name} puts it into bucket {bucket}, whose server {} is {why}; \
                 fallback moves it to {place} after {} probes",
                first.address,
                schedule.probes.len(),
            )
        }
        (Some(bucket), _) => {
            format!("{name} puts it into bucket {bucket}, whose server is {place}")
        }
        _ => format!("{name} picks {place}"),
    }
}
