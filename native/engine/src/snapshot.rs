//! Read models: plain values that say what the engine holds at one moment.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::command::{
    Family, ForwardingMethod, PersistenceEngine, Protocol, ServerSpec, ServiceKey, ServiceSpec,
};
use crate::hop::ServerId;

/// A number of a configuration and the digest of its content.
///
/// Two directors whose digests are equal place every new connection alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Counts the accepted changes, from 0.
    pub number: u64,
    /// Digest of everything that decides where connections go, server order included.
    pub digest: u64,
}

#[cfg(feature = "serde")]
impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Version", 2)?;
        fields.serialize_field("number", &Counter(self.number))?;
        fields.serialize_field("digest", &alloc::format!("{:016x}", self.digest))?;
        fields.end()
    }
}

/// A counter that only grows. JavaScript reads it exactly below 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Counter(pub u64);

/// Traffic counters, as `ipvsadm -L --stats` prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct Traffic {
    /// Connections scheduled.
    pub connections: Counter,
    /// Packets from clients.
    pub in_packets: Counter,
    /// Packets from servers (0 for direct routing).
    pub out_packets: Counter,
    /// Octets from clients, IP headers included.
    pub in_octets: Counter,
    /// Octets from servers, IP headers included.
    pub out_octets: Counter,
}

/// Averages a second, as `ipvsadm -L --rate` prints them: IPVS's estimate, a quarter of the way to
/// the latest sample every two seconds. Whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct Rates {
    /// Connections scheduled (CPS).
    pub connections: Counter,
    /// Packets from clients (InPPS).
    pub in_packets: Counter,
    /// Packets from servers (OutPPS).
    pub out_packets: Counter,
    /// Octets from clients (InBPS).
    pub in_octets: Counter,
    /// Octets from servers (OutBPS).
    pub out_octets: Counter,
}

/// What the defence does at present, and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct DefenceStatistics {
    /// Whether connections are being dropped (`dropEntry`).
    pub drops_entries: bool,
    /// One of so many packets that would make connections is dropped (`dropPacket`); 0 for none.
    pub drop_rate: u32,
    /// Whether TCP follows the table for times of attack (`secureTcp`).
    pub secures_tcp: bool,
    /// Connections and templates that were dropped.
    pub dropped_entries: Counter,
}

/// A named counter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct NamedCounter {
    /// The reason's stable name.
    pub name: &'static str,
    /// How often.
    pub count: Counter,
}

/// A real server as configured and as observed.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct ServerSnapshot {
    /// Configuration; the port is always given.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub spec: ServerSpec,
    /// Its number.
    pub id: ServerId,
    /// Connections in active states.
    pub active_connections: u32,
    /// Connections in inactive states.
    pub inactive_connections: u32,
    /// Persistence templates.
    pub persistent_connections: u32,
    /// Whether the upper threshold was reached.
    pub overloaded: bool,
    /// Counters.
    pub traffic: Traffic,
    /// Averages a second.
    pub rates: Rates,
}

/// A virtual service as configured and as observed.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct ServiceSnapshot {
    /// Configuration.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub spec: ServiceSpec,
    /// Servers in list order: the newest first, as schedulers walk them.
    pub servers: Vec<ServerSnapshot>,
    /// Counters.
    pub traffic: Traffic,
    /// Averages a second.
    pub rates: Rates,
    /// Connections adopted mid-stream, by cause.
    pub adopted: Vec<NamedCounter>,
    /// New connections that `sh-fallback` or `mh-fallback` moved off an unavailable server.
    pub moved_by_fallback: Counter,
    /// New connections refused because no server could take them.
    pub refused: Counter,
}

/// Everything counted, at one moment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct Statistics {
    /// The configuration the numbers belong to.
    pub version: Version,
    /// Services, in the order they were added.
    pub services: Vec<ServiceSnapshot>,
    /// Totals.
    pub traffic: Traffic,
    /// Averages of the totals a second.
    pub rates: Rates,
    /// Frames forwarded.
    pub forwarded: Counter,
    /// Fragments kept until the others of their packet came.
    pub held: Counter,
    /// Replies of masqueraded servers that went back to clients.
    pub returned: Counter,
    /// Packets of masqueraded servers that belong to no connection and were routed on.
    pub routed: Counter,
    /// Frames left to the host, by reason.
    pub passed: Vec<NamedCounter>,
    /// Frames dropped, by reason.
    pub dropped: Vec<NamedCounter>,
    /// Frames answered by the director itself, by reason.
    pub replied: Vec<NamedCounter>,
    /// Entries in the connection table, templates included.
    pub connections: u32,
    /// Entries the table can hold.
    pub connection_limit: u32,
    /// New connections placed without an entry because the table was full.
    pub placed_without_entry: Counter,
    /// What the fast path has and has carried.
    pub fast_path: FastPathSnapshot,
    /// What the defence against floods does and did.
    pub defence: DefenceStatistics,
    /// Packets that came in fragments.
    pub fragments: FragmentStatistics,
}

/// Connections whose frames something quicker than the director forwards, and what they carried;
/// the traffic counters and [`Statistics::forwarded`] have it, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct FastPathSnapshot {
    /// Connections on the fast path now.
    pub connections: u32,
    /// Frames it forwarded.
    pub packets: Counter,
    /// Octets of their IP packets.
    pub octets: Counter,
    /// Frames it forwarded of connections that were over by then.
    pub unknown: Counter,
}

/// Packets that came in fragments and are put together before they are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct FragmentStatistics {
    /// Packets now some of whose fragments are missing.
    pub waiting: u32,
    /// Packets put together.
    pub reassembled: Counter,
    /// Packets given up because the rest did not come in time.
    pub expired: Counter,
    /// Packets given up to make room for others.
    pub evicted: Counter,
}

/// One entry of the connection table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct ConnectionRow {
    /// Protocol; none for a template of a service by mark.
    pub protocol: Option<Protocol>,
    /// Client address and port; masked, with port 0, for a template.
    pub client: SocketAddr,
    /// Virtual address and port.
    pub virtual_address: SocketAddr,
    /// Real server's address and the port it is spoken to.
    pub server: SocketAddr,
    /// State, as `ipvsadm -L -c` prints it.
    pub state: &'static str,
    /// Milliseconds until it expires.
    pub expires_in_ms: Counter,
    /// Whether it is a persistence template.
    pub template: bool,
    /// Forwarding method.
    pub forwarding: ForwardingMethod,
    /// Packets from the client.
    pub in_packets: Counter,
    /// Of a template that is found by data of packets: what takes them out of packets.
    pub persistence_engine: Option<PersistenceEngine>,
    /// And those data.
    pub persistence_data: Option<String>,
}

/// Which connections to list; all conditions must hold.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields, default))]
pub struct ConnectionFilter {
    /// Of this service's protocol, address and port.
    pub service: Option<ServiceKey>,
    /// Of the real server with this address.
    pub server: Option<IpAddr>,
    /// Of this client address.
    pub client: Option<IpAddr>,
    /// In this state.
    pub state: Option<String>,
    /// Only templates, or only connections.
    pub template: Option<bool>,
}

/// A part of a connection listing.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ConnectionPage {
    /// The rows.
    pub rows: Vec<ConnectionRow>,
    /// Where the next page begins; none after the last.
    pub next: Option<u32>,
}

/// A flow to explain: what a packet's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct Flow {
    /// Protocol.
    pub protocol: Protocol,
    /// Client's address.
    pub client_address: IpAddr,
    /// Client's port.
    pub client_port: u16,
    /// Virtual address.
    pub virtual_address: IpAddr,
    /// Virtual port.
    pub virtual_port: u16,
    /// Number of the interface it comes in by. Without it no mark that names an interface is met.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub interface: Option<u32>,
    /// VLAN it comes in by, 0 for none. Without it no mark that names a VLAN is met.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub vlan: Option<u16>,
}

/// Why a flow goes where it goes; nothing is changed by asking.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct Explanation {
    /// The flow asked about.
    pub flow: Flow,
    /// The configuration that answered.
    pub version: Version,
    /// The service that takes it; none if it passes to the host.
    pub service: Option<ServiceKey>,
    /// The connection it already belongs to.
    pub connection: Option<ConnectionRow>,
    /// The template it would follow.
    pub template: Option<ConnectionRow>,
    /// What the scheduler would answer for a new connection.
    pub schedule: Option<ScheduleExplanation>,
    /// Where the next packet goes; none if nowhere.
    pub server: Option<ServerRef>,
    /// The whole in a sentence.
    pub reason: String,
}

/// A real server, named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ServerRef {
    /// Its number.
    pub id: ServerId,
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Current weight.
    pub weight: u32,
    /// Whether it is overloaded.
    pub overloaded: bool,
}

/// A scheduler's answer, step by step.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct ScheduleExplanation {
    /// Scheduler name.
    pub scheduler: &'static str,
    /// Hash of the flow, for hashing schedulers.
    pub hash: Option<u32>,
    /// Bucket of the table.
    pub bucket: Option<u32>,
    /// Size of the table.
    pub table_size: Option<u32>,
    /// The server the bucket names, available or not.
    pub first_choice: Option<ServerRef>,
    /// Buckets that fallback looked at after the first, in order.
    pub probes: Vec<u32>,
    /// Whether fallback moved the flow off its first choice.
    pub moved_by_fallback: bool,
    /// The answer.
    pub server: Option<ServerRef>,
}

/// Address family of an address.
#[must_use]
pub const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}
