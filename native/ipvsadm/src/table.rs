//! What a director answers, as far as listings need it.

use core::net::IpAddr;

use engine::command::{
    Family, ForwardingMethod, PersistenceEngine, Protocol, ServiceKey, TunnelChecksum, TunnelKind,
};
use serde::{Deserialize, Serialize};

/// Answer to `snapshot`.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    configuration: Configuration,
    statistics: Statistics,
}

#[derive(Clone, Debug, Deserialize)]
struct Configuration {
    settings: Timeouts,
}

#[derive(Clone, Debug, Deserialize)]
struct Statistics {
    services: Vec<Service>,
}

impl Snapshot {
    /// The timeouts of `ipvsadm --set`.
    #[must_use]
    pub const fn timeouts(&self) -> Timeouts {
        self.configuration.settings
    }

    /// The services, in the order they were added; their servers in list order.
    #[must_use]
    pub fn into_services(self) -> Vec<Service> {
        self.statistics.services
    }
}

/// Seconds of idleness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Established TCP.
    pub tcp_timeout_seconds: u32,
    /// TCP in FIN_WAIT.
    pub tcp_fin_timeout_seconds: u32,
    /// UDP.
    pub udp_timeout_seconds: u32,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Identity.
    #[serde(flatten)]
    pub key: ServiceKey,
    /// Scheduler, if it has one.
    pub scheduler: Option<String>,
    /// Flags of the scheduler.
    pub flags: Vec<String>,
    /// Persistence.
    pub persistence: Option<Persistence>,
    /// What names a client in place of its address.
    pub persistence_engine: Option<PersistenceEngine>,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// Servers in list order.
    pub servers: Vec<Server>,
    /// Counters.
    pub traffic: Counts,
    /// Averages a second.
    pub rates: Counts,
}

impl Service {
    /// Address family.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.key {
            ServiceKey::Mark { family, .. } => family,
            ServiceKey::Address { address, .. } | ServiceKey::Range { address, .. } => {
                match address {
                    IpAddr::V4(_) => Family::Ipv4,
                    IpAddr::V6(_) => Family::Ipv6,
                }
            }
        }
    }

    /// Protocol, unless the service is by mark.
    #[must_use]
    pub const fn protocol(&self) -> Option<Protocol> {
        match self.key {
            ServiceKey::Mark { .. } => None,
            ServiceKey::Address { protocol, .. } | ServiceKey::Range { protocol, .. } => {
                Some(protocol)
            }
        }
    }
}

/// Persistence of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// Seconds.
    pub timeout_seconds: u32,
    /// Leading bits of the client's address; all when absent.
    #[serde(default)]
    pub prefix_length: Option<u8>,
}

/// A real server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Weight.
    pub weight: u32,
    /// Forwarding method.
    pub forwarding: ForwardingMethod,
    /// Tunnel.
    pub tunnel: Option<Tunnel>,
    /// Upper threshold.
    pub upper_threshold: u32,
    /// Lower threshold.
    pub lower_threshold: u32,
    /// Connections in active states.
    pub active_connections: u64,
    /// Connections in inactive states.
    pub inactive_connections: u64,
    /// Persistence templates.
    pub persistent_connections: u64,
    /// Counters.
    pub traffic: Counts,
    /// Averages a second.
    pub rates: Counts,
}

/// A tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tunnel {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: TunnelKind,
    /// UDP port.
    pub port: Option<u16>,
    /// Checksum.
    pub checksum: TunnelChecksum,
}

/// Counters, or averages a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each says it all")]
pub struct Counts {
    pub connections: u64,
    pub in_packets: u64,
    pub out_packets: u64,
    pub in_octets: u64,
    pub out_octets: u64,
}

/// An entry of the connection table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Protocol; none for a template of a service by mark.
    pub protocol: Option<Protocol>,
    /// Client's address and port.
    pub client: core::net::SocketAddr,
    /// Virtual address and port.
    pub virtual_address: core::net::SocketAddr,
    /// Server's address and port.
    pub server: core::net::SocketAddr,
    /// State.
    pub state: String,
    /// Milliseconds until it expires.
    pub expires_in_ms: u64,
    /// Whether it is a persistence template.
    pub template: bool,
    /// Packets from the client.
    pub in_packets: u64,
    /// What took the data of a template out of packets.
    pub persistence_engine: Option<PersistenceEngine>,
    /// Data of packets that a template is found by.
    pub persistence_data: Option<String>,
}

/// A page of the connection table.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// Its entries.
    pub rows: Vec<Connection>,
    /// Where the next one begins.
    pub cursor: Option<u64>,
}
