//! A real server of a virtual service.

use alloc::sync::Arc;
use core::net::IpAddr;

use super::load::ServerLoad;
use crate::command::{ForwardingMethod, ServerKey, ServerSpec, ServiceKey, Tunnel};
use crate::hop::ServerId;
use crate::snapshot::ServerRef;

/// A real server as configured, with its shared load.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its number. Removing keeps it until it is forgotten; re-adding the same server revives it.
    pub id: ServerId,
    /// Statistics belong to one id and generation: they start anew when it differs.
    pub generation: u64,
    /// Grows with every addition of any server: tells a re-added server from one that stayed.
    pub addition: u64,
    /// Address.
    pub address: IpAddr,
    /// Port; 0 where the packet's own port is kept.
    pub port: u16,
    /// Relative share of new connections; 0 quiesces.
    pub weight: u32,
    /// The weight it was added with, then the last one above 0: what `mh` deals its table by, so
    /// that a pause moves no other client (IPVS).
    pub last_weight: u32,
    /// Forwarding method.
    pub forwarding: ForwardingMethod,
    /// How packets are wrapped, with tunnelling.
    pub tunnel: Option<Tunnel>,
    /// Connections at which the server counts as overloaded; 0 for never.
    pub upper_threshold: u32,
    /// Connections below which an overloaded server takes new ones again; 0 for 3/4 of the upper.
    pub lower_threshold: u32,
    /// Its connections, counted over all engines.
    pub load: Arc<ServerLoad>,
}

impl Server {
    /// Whether a scheduler may pick the server: neither quiesced nor overloaded.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.weight > 0 && !self.load.overloaded()
    }

    /// Gives it another weight.
    pub(super) const fn weigh(&mut self, weight: u32) {
        self.weight = weight;
        if weight > 0 {
            self.last_weight = weight;
        }
    }

    /// The server as an explanation names it.
    #[must_use]
    pub fn reference(&self) -> ServerRef {
        ServerRef {
            id: self.id,
            address: self.address,
            port: self.port,
            weight: self.weight,
            overloaded: self.load.overloaded(),
        }
    }

    /// The command's view of the server; the port is always given.
    #[must_use]
    pub const fn spec(&self) -> ServerSpec {
        ServerSpec {
            key: ServerKey { address: self.address, port: Some(self.port) },
            weight: self.weight,
            forwarding: self.forwarding,
            tunnel: self.tunnel,
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
        }
    }
}

/// A server that was removed while connections may still refer to it.
#[derive(Clone, Debug)]
pub struct RemovedServer {
    /// Its number, kept until it is forgotten.
    pub id: ServerId,
    /// The service it belonged to; that may be gone as well, or be there anew.
    pub service: ServiceKey,
    /// Address.
    pub address: IpAddr,
    /// Port; 0 where the packet's own port was kept.
    pub port: u16,
    /// Forwarding method.
    pub forwarding: ForwardingMethod,
    /// Its connections, counted over all engines.
    pub load: Arc<ServerLoad>,
    /// Generation of the server.
    pub generation: u64,
    /// Generation of the service it belonged to.
    pub service_generation: u64,
}
