//! New connections: a server is chosen and remembered.

use core::net::{IpAddr, SocketAddr};

use crate::command::{ForwardingMethod, ServiceKey};
use crate::configuration::{Server, Service};
use crate::connection::{Assignment, ConnectionId, ConnectionKey, Direction, TableFull};
use crate::engine::judge::Judge;
use crate::engine::persistence::{self, Followed, template_key};
use crate::event::{AdoptionCause, Event};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::scheduler::{self, Choice, HashKey};
use crate::verdict::{DropReason, PassReason, Verdict};

/// Source port of an FTP server's data connections: never scheduled (IPVS).
const FTP_DATA: u16 = 20;
/// Port of the FTP service, which catches other ports of its address as well (IPVS).
pub(super) const FTP: u16 = 21;

/// Where a new connection went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) server: &'a Server,
    /// The port it is spoken to.
    pub(super) server_port: u16,
    /// None where nothing is remembered: one-packet scheduling, or a full table.
    pub(super) connection: Option<ConnectionId>,
    pub(super) moved_by_fallback: bool,
}

/// Why a new connection went nowhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotPlaced {
    /// Never scheduled, whatever the servers.
    Ignored(PassReason),
    /// No server takes it.
    NoServer,
    /// There is no room for it.
    Full,
    /// The defence drops one of many.
    Defence,
}

impl<'a, H: Hops> Judge<'a, H> {
    /// Schedules the first packet, or an adopted one, of a connection and sends it on.
    pub(super) fn schedule(
        &mut self,
        packet: &mut Packet<'_>,
        service: &'a Service,
        key: &ConnectionKey,
        adoption: Option<AdoptionCause>,
    ) -> Verdict {
        let call_id = persistence::call_id(service, packet);
        match self.place(service, key, key.virtual_address, call_id) {
            Ok(placed) => {
                self.book(service, key, &placed, adoption);
                if let Some(id) = placed.connection {
                    self.advance(packet, id, Direction::Input);
                }
                let verdict = self.deliver_placed(packet, service, &placed);
                if let Some(id) = placed.connection
                    && self.may_take_fast_path(&verdict)
                {
                    self.consider_fast_path(packet, id, service, placed.server);
                }
                verdict
            }
            Err(NotPlaced::Ignored(reason)) => Verdict::Pass(reason),
            Err(NotPlaced::NoServer) if is_beside_ftp(service, key) => {
                Verdict::Pass(PassReason::FtpService)
            }
            Err(NotPlaced::NoServer) => self.refuse(packet, service),
            Err(NotPlaced::Full) => Verdict::Drop(DropReason::TableFull),
            Err(NotPlaced::Defence) => Verdict::Drop(DropReason::Defence),
        }
    }

    /// Chooses a server and makes the connection entry. `destination` is the packet's own, and
    /// `call_id` what it says of its call where the service follows calls.
    pub(super) fn place(
        &mut self,
        service: &'a Service,
        key: &ConnectionKey,
        destination: IpAddr,
        call_id: Option<&[u8]>,
    ) -> Result<Placed<'a>, NotPlaced> {
        // IPVS asks the defence before anything else.
        if self.defence.drops_packet() {
            return Err(NotPlaced::Defence);
        }
        if key.client_port == FTP_DATA {
            return Err(NotPlaced::Ignored(PassReason::FtpData));
        }
        if let Some(persistence) = service.spec.persistence {
            let follows = Followed { template: template_key(service, key, &persistence), call_id };
            return self.place_persistent(service, key, destination, &follows, &persistence);
        }
        if !accepts_port(service, key.virtual_port) {
            return Err(NotPlaced::NoServer);
        }
        let (server, moved_by_fallback) = self.choose(service, key, destination)?;
        let server_port = persistence::server_port(service, server, key.virtual_port);
        let connection = self.remember_unless_single(service, key, server, server_port)?;
        Ok(Placed { server, server_port, connection, moved_by_fallback })
    }

    /// Counts a packet and sends it where it was placed.
    pub(super) fn deliver_placed(
        &mut self,
        packet: &mut Packet<'_>,
        service: &Service,
        placed: &Placed<'_>,
    ) -> Verdict {
        let Placed { server, server_port, .. } = *placed;
        self.deliver(packet, service, server, server.forwarding, server_port)
    }

    /// Asks the scheduler.
    pub(super) fn choose(
        &mut self,
        service: &'a Service,
        key: &ConnectionKey,
        destination: IpAddr,
    ) -> Result<(&'a Server, bool), NotPlaced> {
        let book = self.books.service(service.id).ok_or(NotPlaced::NoServer)?;
        let hash_key = HashKey { address: key.client, port: key.client_port, destination };
        let Choice { server, moved_by_fallback } =
            scheduler::schedule(service, &mut book.state, &hash_key, self.now);
        let server = server.and_then(|index| service.servers.get(index));
        server.map(|server| (server, moved_by_fallback)).ok_or(NotPlaced::NoServer)
    }

    /// Makes the entry, unless every datagram is scheduled by itself (IPVS: one-packet scheduling).
    pub(super) fn remember_unless_single(
        &mut self,
        service: &Service,
        key: &ConnectionKey,
        server: &Server,
        server_port: u16,
    ) -> Result<Option<ConnectionId>, NotPlaced> {
        if service.spec.one_packet && key.protocol == wire::protocol::UDP {
            return Ok(None);
        }
        self.remember(service, key, server, server_port)
    }

    /// Makes the entry. In a full table a scheduler that needs no memory places without one, but not
    /// where replies need it.
    pub(super) fn remember(
        &mut self,
        service: &Service,
        key: &ConnectionKey,
        server: &Server,
        server_port: u16,
    ) -> Result<Option<ConnectionId>, NotPlaced> {
        let forwarding = server.forwarding;
        let assignment = Assignment { server: server.id, server_port, forwarding };
        let needs_entry = forwarding == ForwardingMethod::Masquerading;
        match self.connections.create(key, assignment, self.now) {
            Ok(id) => {
                server.load.bind();
                if needs_entry {
                    self.hops.expect_reply(key.client);
                }
                Ok(Some(id))
            }
            Err(TableFull { .. }) if service.placement.is_stateless() && !needs_entry => {
                *self.placed_without_entry += 1;
                Ok(None)
            }
            Err(TableFull { .. }) => Err(NotPlaced::Full),
        }
    }

    /// Counts a new connection and tells of its adoption.
    pub(super) fn book(
        &mut self,
        service: &Service,
        key: &ConnectionKey,
        placed: &Placed<'_>,
        adoption: Option<AdoptionCause>,
    ) {
        // Without an entry every packet comes by here: only one-packet scheduling makes each of
        // them a connection (IPVS).
        if placed.connection.is_none() && !service.spec.one_packet {
            return;
        }
        self.books.count_connection(service.id, placed.server.id);
        let Some(book) = self.books.service(service.id) else { return };
        book.moved_by_fallback += u64::from(placed.moved_by_fallback);
        let Some(cause) = adoption else { return };
        if let Some(count) = book.adopted.get_mut(cause as usize) {
            *count += 1;
        }
        self.events.push(Event::Adopted {
            service: *service.key(),
            client: SocketAddr::new(key.client, key.client_port),
            server: SocketAddr::new(placed.server.address, placed.server.port),
            cause,
            fallback: placed.moved_by_fallback,
        });
    }
}

/// Whether a service without persistence takes packets to `port`. Others reach it only through the
/// FTP rule or as a catch-all, and find no server (IPVS).
fn accepts_port(service: &Service, port: u16) -> bool {
    match service.key() {
        ServiceKey::Address { port: own, .. } => *own == port,
        ServiceKey::Range { .. } | ServiceKey::Mark { .. } => true,
    }
}

/// A packet that only the FTP rule brought to the service: the host may know it (IPVS).
fn is_beside_ftp(service: &Service, key: &ConnectionKey) -> bool {
    matches!(service.key(), ServiceKey::Address { port: FTP, .. }) && key.virtual_port != FTP
}
