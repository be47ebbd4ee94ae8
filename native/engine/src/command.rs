//! Typed control commands: the one way every front end changes a configuration.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

mod tunnel;

pub use tunnel::{Tunnel, TunnelChecksum, TunnelKind};

/// Transport protocol of a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Protocol {
    /// TCP (RFC 9293).
    Tcp,
    /// UDP (RFC 768).
    Udp,
    /// SCTP (RFC 9260).
    Sctp,
}

impl Protocol {
    /// The protocol number in IP headers.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => wire::protocol::TCP,
            Self::Udp => wire::protocol::UDP,
            Self::Sctp => wire::protocol::SCTP,
        }
    }

    /// The protocol with this number, if services can have it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            wire::protocol::TCP => Some(Self::Tcp),
            wire::protocol::UDP => Some(Self::Udp),
            wire::protocol::SCTP => Some(Self::Sctp),
            _ => None,
        }
    }
}

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Identity of a virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(untagged))]
pub enum ServiceKey {
    /// One protocol, virtual address and virtual port; port 0 catches what no other service has.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address.
        address: IpAddr,
        /// Virtual port; 0 for a catch-all service, which must be persistent.
        port: u16,
    },
    /// A range of ports of an address, or of all addresses of a network (beyond IPVS).
    Range {
        /// Transport protocol.
        protocol: Protocol,
        /// Virtual address; the first one of a network.
        address: IpAddr,
        /// Leading bits of the address that name the network, 1..=32 or 1..=128; all when absent.
        #[cfg_attr(
            feature = "serde",
            serde(rename = "prefixLength", default, skip_serializing_if = "Option::is_none")
        )]
        prefix_length: Option<u8>,
        /// Virtual ports, first and last, 1..=65535.
        ports: (u16, u16),
    },
    /// Whatever a named match gave this mark (IPVS: firewall mark).
    Mark {
        /// The mark, not 0.
        mark: u32,
        /// Address family of the packets.
        family: Family,
    },
}

/// Scheduler of a service, by its IPVS name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum SchedulerName {
    /// Round robin.
    Rr,
    /// Weighted round robin.
    Wrr,
    /// Least connections.
    Lc,
    /// Weighted least connections.
    Wlc,
    /// Locality-based least connections.
    Lblc,
    /// Locality-based least connections with replication.
    Lblcr,
    /// Destination hashing.
    Dh,
    /// Source hashing.
    Sh,
    /// Shortest expected delay.
    Sed,
    /// Never queue.
    Nq,
    /// Maglev hashing.
    Mh,
    /// Weighted fail-over.
    Fo,
    /// Weighted overflow.
    Ovf,
    /// Power of two choices.
    Twos,
}

/// A flag of a scheduler, by its IPVS name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum SchedulerFlag {
    /// `sh`: take another server when the chosen one is unavailable.
    ShFallback,
    /// `sh`: hash the source port as well as the source address.
    ShPort,
    /// `mh`: take another server when the chosen one is unavailable.
    MhFallback,
    /// `mh`: hash the source port as well as the source address.
    MhPort,
    /// A flag that means nothing to the scheduler, kept for those who set it.
    #[cfg_attr(feature = "serde", serde(rename = "flag-1"))]
    Flag1,
    /// As `Flag1`.
    #[cfg_attr(feature = "serde", serde(rename = "flag-2"))]
    Flag2,
    /// As `Flag1`.
    #[cfg_attr(feature = "serde", serde(rename = "flag-3"))]
    Flag3,
}

impl SchedulerFlag {
    /// Its name, as `ipvsadm` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShFallback => "sh-fallback",
            Self::ShPort => "sh-port",
            Self::MhFallback => "mh-fallback",
            Self::MhPort => "mh-port",
            Self::Flag1 => "flag-1",
            Self::Flag2 => "flag-2",
            Self::Flag3 => "flag-3",
        }
    }

    /// The scheduler it is for; none for flags that any may have.
    #[must_use]
    pub const fn scheduler(self) -> Option<SchedulerName> {
        match self {
            Self::ShFallback | Self::ShPort => Some(SchedulerName::Sh),
            Self::MhFallback | Self::MhPort => Some(SchedulerName::Mh),
            Self::Flag1 | Self::Flag2 | Self::Flag3 => None,
        }
    }
}

/// Client stickiness of a service (IPVS persistence).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct Persistence {
    /// Seconds a client stays with its server after its last new connection, 1..=2678400.
    pub timeout_seconds: u32,
    /// Leading bits of the client address that name one client, 1..=32 or 1..=128; all by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub prefix_length: Option<u8>,
}

/// What of a packet names a client of a persistent service, in place of its address (IPVS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PersistenceEngine {
    /// The Call-ID of SIP over UDP; the address where a datagram has none.
    Sip,
}

impl PersistenceEngine {
    /// Its name, as `ipvsadm` spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
        }
    }
}

/// Everything that can be said about a virtual service. Adding and editing both state the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct ServiceSpec {
    /// Identity.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub key: ServiceKey,
    /// Scheduler; none means that every new connection finds no server.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scheduler: Option<SchedulerName>,
    /// Flags of the scheduler.
    #[cfg_attr(feature = "serde", serde(default))]
    pub flags: Vec<SchedulerFlag>,
    /// Whether mid-stream packets may create connections; the global setting when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub sloppy: Option<bool>,
    /// Persistence; none when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub persistence: Option<Persistence>,
    /// What names a client; its address when absent. Without persistence it is kept and does nothing
    /// (IPVS).
    #[cfg_attr(feature = "serde", serde(default))]
    pub persistence_engine: Option<PersistenceEngine>,
    /// One-packet scheduling: each UDP datagram is scheduled anew and leaves no connection.
    #[cfg_attr(feature = "serde", serde(default))]
    pub one_packet: bool,
}

/// Identity of a real server within its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ServerKey {
    /// Address.
    pub address: IpAddr,
    /// Port; the service's port when absent. Only masquerading can use another than that.
    #[cfg_attr(feature = "serde", serde(default))]
    pub port: Option<u16>,
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum ForwardingMethod {
    /// The packet as it is, to the server's hardware address (IPVS: Route, `-g`).
    #[default]
    DirectRouting,
    /// The packet as it is inside a packet to the server (IPVS: Tunnel, `-i`).
    Tunnelling,
    /// The packet with the server's address and port in place of the virtual ones, and its replies
    /// the other way round; they must pass the director (IPVS: Masq, `-m`).
    Masquerading,
}

/// Everything that can be said about a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct ServerSpec {
    /// Identity.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub key: ServerKey,
    /// Relative share of new connections, 0..=2147483647; 0 quiesces. Default 1.
    #[cfg_attr(feature = "serde", serde(default = "default_weight"))]
    pub weight: u32,
    /// Forwarding method; direct routing by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub forwarding: ForwardingMethod,
    /// How packets are wrapped; only with tunnelling, and IPIP when absent there.
    #[cfg_attr(feature = "serde", serde(default))]
    pub tunnel: Option<Tunnel>,
    /// Connections at which the server counts as overloaded; 0 for never.
    #[cfg_attr(feature = "serde", serde(default))]
    pub upper_threshold: u32,
    /// Connections below which an overloaded server takes new ones again; 0 for 3/4 of the upper.
    #[cfg_attr(feature = "serde", serde(default))]
    pub lower_threshold: u32,
}

#[cfg(feature = "serde")]
const fn default_weight() -> u32 {
    1
}

/// One named match of a mark: packets that fit every given condition carry the mark.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct MarkMatch {
    /// Transport protocol; any when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub protocol: Option<Protocol>,
    /// Destination network: address.
    pub address: IpAddr,
    /// Destination network: prefix length; the whole address when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub prefix_length: Option<u8>,
    /// Destination ports, first and last; any when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub ports: Option<(u16, u16)>,
    /// Source network: address, of the family of the destination; any when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub source: Option<IpAddr>,
    /// Source network: prefix length; the whole address when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub source_prefix_length: Option<u8>,
    /// Source ports, first and last; any when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub source_ports: Option<(u16, u16)>,
    /// Number of the interface the packet came in by; any when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub interface: Option<u32>,
    /// VLAN the packet came in by, 1..=4094, 0 for none; any when absent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub vlan: Option<u16>,
}

/// Changes of the global settings; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields, default))]
pub struct SettingsPatch {
    /// Adopt mid-stream TCP connections (`sloppy_tcp`).
    pub sloppy_tcp: Option<bool>,
    /// Adopt mid-stream SCTP associations (`sloppy_sctp`).
    pub sloppy_sctp: Option<bool>,
    /// Let ICMP errors of unknown connections create them (`schedule_icmp`).
    pub schedule_icmp: Option<bool>,
    /// Reschedule connections of removed and quiesced servers (`expire_nodest_conn`).
    pub expire_nodest_conn: Option<bool>,
    /// Ignore persistence templates of quiesced servers (`expire_quiescent_template`).
    pub expire_quiescent_template: Option<bool>,
    /// Whether a SYN on a finished connection is scheduled anew, 0..=3 (`conn_reuse_mode`).
    pub conn_reuse_mode: Option<u8>,
    /// Let tunnels respect "don't fragment" and tell senders what fits (`pmtu_disc`).
    pub pmtu_disc: Option<bool>,
    /// Answer packets of masqueraded servers that belong to no connection with "port unreachable"
    /// (`nat_icmp_send`).
    pub nat_icmp_send: Option<bool>,
    /// Route on what masqueraded servers send from a service's port and belongs to no connection.
    pub route_servers: Option<bool>,
    /// Answer mid-stream TCP packets that belong to no connection with a reset.
    pub reset_midstream: Option<bool>,
    /// Refuse addresses and ports of no use to a director that IPVS accepts.
    pub strict_addresses: Option<bool>,
    /// Seconds an established TCP connection may idle, 1..=2678400 (`ipvsadm --set`).
    pub tcp_timeout_seconds: Option<u32>,
    /// Seconds a TCP connection stays in FIN_WAIT, 1..=2678400 (`ipvsadm --set`).
    pub tcp_fin_timeout_seconds: Option<u32>,
    /// Seconds a UDP flow may idle, 1..=2678400 (`ipvsadm --set`).
    pub udp_timeout_seconds: Option<u32>,
    /// Drop connections of little worth, 0..=3 (`drop_entry`).
    pub drop_entry: Option<u8>,
    /// Drop some packets that would make connections, 0..=3 (`drop_packet`).
    pub drop_packet: Option<u8>,
    /// Let TCP follow the table for times of attack, 0..=3 (`secure_tcp`).
    pub secure_tcp: Option<u8>,
    /// One of so many packets is dropped by `drop_packet` 3, 1 or more (`am_droprate`).
    pub am_droprate: Option<u32>,
    /// Free entries of the connection table below which the defences act by themselves
    /// (`amemthresh`, there in pages of memory).
    pub amemthresh: Option<u32>,
    /// Whether rates are estimated (`run_estimation`).
    pub run_estimation: Option<bool>,
    /// ICMP errors and resets the director makes a second at most; 0 for no limit.
    pub icmp_errors_per_second: Option<u32>,
}

/// A change of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "type", rename_all = "kebab-case"))]
pub enum Command {
    /// Adds a virtual service (`ipvsadm -A`).
    AddService {
        /// The service.
        service: ServiceSpec,
    },
    /// Replaces everything but identity and servers (`ipvsadm -E`).
    EditService {
        /// The service.
        service: ServiceSpec,
    },
    /// Removes a virtual service and its servers (`ipvsadm -D`).
    RemoveService {
        /// Its identity.
        service: ServiceKey,
    },
    /// Removes all virtual services and their servers (`ipvsadm -C`); marks and settings stay.
    Clear,
    /// Adds a real server at the head of the service's list (`ipvsadm -a`).
    AddServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: ServerSpec,
    },
    /// Replaces everything but the identity of a real server (`ipvsadm -e`).
    EditServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: ServerSpec,
    },
    /// Sets only the weight of a real server.
    SetWeight {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: ServerKey,
        /// The new weight.
        weight: u32,
    },
    /// Removes a real server (`ipvsadm -d`).
    RemoveServer {
        /// The service.
        service: ServiceKey,
        /// The server.
        server: ServerKey,
    },
    /// Defines what carries a mark, replacing an earlier definition.
    DefineMark {
        /// The mark, not 0.
        mark: u32,
        /// A packet that fits any of these carries the mark; empty to forget the mark.
        matches: Vec<MarkMatch>,
    },
    /// Changes global settings.
    Settings {
        /// The changes.
        settings: SettingsPatch,
    },
}

/// Kind of a refused command; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum IssueCode {
    /// The service exists already.
    ServiceExists,
    /// There is no such service.
    ServiceNotFound,
    /// The service has this server already.
    ServerExists,
    /// The service has no such server.
    ServerNotFound,
    /// Address families do not fit together.
    FamilyMismatch,
    /// A virtual address that is a server address, or the other way round.
    AddressConflict,
    /// A number outside its range.
    OutOfRange,
    /// An address that cannot be used here (unspecified, multicast, loopback, link-local).
    InvalidAddress,
    /// Options that contradict each other.
    InvalidCombination,
}

/// One problem of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Issue {
    /// Kind.
    pub code: IssueCode,
    /// Which command of the batch, from 0.
    pub command: usize,
    /// Which field of the command, as front ends spell it: `weight`, `address`, `flags[1]`.
    pub field: String,
    /// The refused value, as text.
    pub value: String,
    /// What is wrong and what is allowed.
    pub message: String,
}
