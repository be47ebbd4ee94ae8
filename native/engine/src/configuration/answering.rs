//! Which servers' packets are answers as far as their source tells, and so kept from the host.

use core::net::IpAddr;

use super::Configuration;
use crate::command::{ForwardingMethod, Protocol, ServiceKey};
use crate::hop::ServerId;

/// A masqueraded server, configured or removed and still remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweringServer {
    /// Its number; of several services that have it, one's.
    pub server: ServerId,
    /// Whether one of its services adopts connections: then a packet of no connection may be an answer
    /// to one that is not adopted yet.
    pub adopts: bool,
}

impl Configuration {
    /// The masqueraded server whose answers come from this address and port; one with port 0 answers
    /// from every port, one of a service by mark over every protocol. A search through all services if
    /// `address` is a server's.
    #[must_use]
    pub fn answering_server(
        &self,
        protocol: Protocol,
        address: IpAddr,
        port: u16,
    ) -> Option<AnsweringServer> {
        let is_of = |key: &ServiceKey| match *key {
            ServiceKey::Address { protocol: own, .. } | ServiceKey::Range { protocol: own, .. } => {
                own == protocol
            }
            ServiceKey::Mark { .. } => true,
        };
        let answers = |method, from: (IpAddr, u16)| {
            method == ForwardingMethod::Masquerading
                && (from == (address, port) || from == (address, 0))
        };
        let services = self.services().filter(|service| is_of(service.key()));
        let present = services.flat_map(|service| {
            let servers = service.servers.iter();
            servers.filter(|server| answers(server.forwarding, (server.address, server.port))).map(
                |server| AnsweringServer {
                    server: server.id,
                    adopts: self.is_sloppy(service, protocol),
                },
            )
        });
        let removed = self.removed_servers().filter(|server| {
            is_of(&server.service) && answers(server.forwarding, (server.address, server.port))
        });
        let removed = removed.map(|server| AnsweringServer { server: server.id, adopts: false });
        let adopts_more = |one: AnsweringServer, other: AnsweringServer| AnsweringServer {
            adopts: one.adopts || other.adopts,
            ..one
        };
        present.chain(removed).reduce(adopts_more)
    }
}
