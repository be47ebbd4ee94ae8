//! What the glue wants to know of a configuration.

use std::net::IpAddr;

use engine::configuration::{Configuration, Service};
use engine::hop::ServerId;
use serde::Serialize;

use crate::ways::Target;

/// Where a real server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ServerPlace {
    /// Its number.
    pub id: ServerId,
    /// Its address.
    pub address: IpAddr,
    /// Its port; 0 where packets keep their own.
    pub port: u16,
}

/// The servers of `service`, each with how it is reached.
pub(crate) fn targets(service: &Service) -> impl Iterator<Item = (ServerId, Target)> + '_ {
    let servers = service.servers.iter();
    servers.map(|server| (server.id, Target::server(server.address, server.forwarding)))
}

/// The servers frames may go to.
pub(crate) fn servers(
    configuration: &Configuration,
) -> impl Iterator<Item = (ServerId, IpAddr)> + '_ {
    let services = configuration.services();
    services.flat_map(|service| service.servers.iter().map(|server| (server.id, server.address)))
}

/// Where `server` is, if it is configured.
pub(crate) fn place(configuration: &Configuration, server: ServerId) -> Option<ServerPlace> {
    let (_, server) = configuration.server_by_id(server)?;
    Some(ServerPlace { id: server.id, address: server.address, port: server.port })
}
