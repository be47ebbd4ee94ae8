//! Persistence: clients that belong to a server for a while (IPVS templates).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::Upper;

use crate::command::{Persistence, PersistenceEngine, ServiceKey};
use crate::configuration::{Server, Service};
use crate::connection::{ConnectionId, ConnectionKey, TableFull};
use crate::engine::judge::Judge;
use crate::engine::schedule::{FTP, NotPlaced, Placed};
use crate::hop::Hops;
use crate::packet::Packet;

/// What finds a client's template: its key, or with a call (IPVS: persistence engine `sip`) that
/// and the key without the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed<'p> {
    pub(super) template: ConnectionKey,
    pub(super) call_id: Option<&'p [u8]>,
}

impl<'a, H: Hops> Judge<'a, H> {
    /// Places a connection of a persistent service through the client's template, making one where
    /// none is valid.
    pub(super) fn place_persistent(
        &mut self,
        service: &'a Service,
        key: &ConnectionKey,
        destination: IpAddr,
        followed: &Followed<'_>,
        persistence: &Persistence,
    ) -> Result<Placed<'a>, NotPlaced> {
        let (template, server, moved_by_fallback) = match self.valid_template(followed) {
            Some((id, server)) => (Some(id), server, false),
            None => {
                let chosen = self.choose(service, key, destination)?;
                self.make_template(service, chosen, followed, persistence)?
            }
        };
        let server_port = server_port(service, server, key.virtual_port);
        let connection = self.remember_unless_single(service, key, server, server_port)?;
        match (connection, template) {
            (Some(connection), Some(template)) => {
                self.connections.attach(connection, template, self.now);
            }
            // IPVS: a datagram by itself is a new connection all the same.
            (None, Some(template)) => self.connections.refresh(template, self.now),
            (_, None) => {}
        }
        Ok(Placed { server, server_port, connection, moved_by_fallback })
    }

    /// The template of a client and its server, which no weight and no overload can change (IPVS).
    /// One whose server is gone, or quiesced while `expire_quiescent_template` is set, is disabled.
    fn valid_template(&mut self, followed: &Followed<'_>) -> Option<(ConnectionId, &'a Server)> {
        let Followed { template: key, call_id } = followed;
        let id = match call_id {
            Some(data) => self.connections.lookup_keyed_template(key, data, self.now)?,
            None => self.connections.lookup_template(key, self.now)?,
        };
        let configuration = self.configuration;
        let expire_quiescent = configuration.settings().expire_quiescent_template;
        let server = configuration
            .server_by_id(self.connections.entry(id).server())
            .map(|(_, server)| server)
            .filter(|server| !expire_quiescent || server.weight > 0);
        if server.is_none() {
            self.connections.disable_template(id);
        }
        server.map(|server| (id, server))
    }

    /// Makes a template for the scheduler's answer; goes without one in a full table.
    fn make_template(
        &mut self,
        service: &'a Service,
        (server, moved_by_fallback): (&'a Server, bool),
        followed: &Followed<'_>,
        persistence: &Persistence,
    ) -> Result<(Option<ConnectionId>, &'a Server, bool), NotPlaced> {
        let Followed { template: key, call_id } = followed;
        let port = if key.virtual_port == 0 { 0 } else { server.port };
        // Without a call no data: an ordinary template.
        let made = self.connections.create_keyed_template(
            key,
            call_id.unwrap_or_default(),
            (server.id, port),
            persistence.timeout_seconds,
            self.now,
        );
        match made {
            Ok(id) => {
                server.load.bind_template();
                Ok((Some(id), server, moved_by_fallback))
            }
            Err(TableFull { .. }) if service.placement.is_stateless() => {
                Ok((None, server, moved_by_fallback))
            }
            Err(TableFull { .. }) => Err(NotPlaced::Full),
        }
    }
}

/// The port a new connection speaks to its server at: the packet's own, unless the service has a
/// port and the server another (IPVS).
pub(super) fn server_port(service: &Service, server: &Server, virtual_port: u16) -> u16 {
    match service.key() {
        ServiceKey::Address { port, .. } if *port == virtual_port && server.port != 0 => {
            server.port
        }
        ServiceKey::Range { .. } | ServiceKey::Mark { .. }
            if service.spec.persistence.is_none() && server.port != 0 =>
        {
            server.port
        }
        _ => virtual_port,
    }
}

/// The call a datagram is part of, where the service follows calls (IPVS: only over UDP).
pub(super) fn call_id<'p>(service: &Service, packet: &'p Packet<'_>) -> Option<&'p [u8]> {
    match (service.spec.persistence_engine?, packet.ip.upper) {
        (PersistenceEngine::Sip, Upper::Udp { .. }) => {
            let start = packet.ip.l4 + wire::udp::HEADER_LEN;
            wire::sip::call_id(packet.frame.get(start..packet.ip.end)?)
        }
        _ => None,
    }
}

/// The key of the template a client follows (IPVS §4.8).
pub(super) fn template_key(
    service: &Service,
    key: &ConnectionKey,
    persistence: &Persistence,
) -> ConnectionKey {
    let client = masked(key.client, persistence.prefix_length);
    match *service.key() {
        ServiceKey::Mark { mark, family } => ConnectionKey {
            protocol: 0,
            client,
            client_port: 0,
            virtual_address: ConnectionKey::mark_address(mark, family),
            virtual_port: 0,
        },
        // One template for all its ports, as the catch-all has.
        ServiceKey::Range { .. } => {
            ConnectionKey { client, client_port: 0, virtual_port: 0, ..*key }
        }
        ServiceKey::Address { port, .. } => ConnectionKey {
            client,
            client_port: 0,
            // The FTP service has one template for all its ports.
            virtual_port: if port == FTP || port != key.virtual_port { 0 } else { port },
            ..*key
        },
    }
}

/// `address` with everything behind the first `prefix_length` bits cleared.
fn masked(address: IpAddr, prefix_length: Option<u8>) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let bits = u32::from(prefix_length.unwrap_or(32).min(32));
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let bits = u32::from(prefix_length.unwrap_or(128).min(128));
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_keep_the_prefix() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(masked(address("192.0.2.77"), None), address("192.0.2.77"));
        assert_eq!(masked(address("192.0.2.77"), Some(24)), address("192.0.2.0"));
        assert_eq!(masked(address("192.0.2.77"), Some(1)), address("128.0.0.0"));
        assert_eq!(masked(address("2001:db8::7:1"), Some(64)), address("2001:db8::"));
    }
}
