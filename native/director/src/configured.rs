//! What the glue wants to know of a configuration.

use std::net::IpAddr;

use engine::configuration::Configuration;
use engine::hop::ServerId;
use serde::Serialize;

/// Where a real server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ServerPlace {
    /// Its number.
    pub id: ServerId,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

/// The servers frames may go to.
pub(crate) fn servers(
    configuration: &Configuration,
) -> impl Iterator<Item = (ServerId, IpAddr)> + '_ {
    configuration.places()
}

/// Where `server` is.
pub(crate) fn place(configuration: &Configuration, server: ServerId) -> Option<ServerPlace> {
    let (id, address) = configuration.places().find(|(id, _)| *id == server)?;
    Some(ServerPlace { id, address, port: 0 })
}
