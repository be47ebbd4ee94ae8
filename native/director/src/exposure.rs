//! What of a configuration the outside meets: the traffic to take from the host, and the names that
//! keep two directors from taking the same.

use std::collections::BTreeSet;
use std::net::IpAddr;

use afpacket::classifier::ServiceMatch;
use engine::command::{ForwardingMethod, MarkMatch, Protocol, ServiceKey};
use engine::configuration::Configuration;
use engine::snapshot::family_of;

/// The outside of a configuration. Order does not matter; equal outsides are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// What is exposed, with the traffic it stands for.
    exposed: BTreeSet<Exposed>,
    /// Whether packets go into tunnels over IPv4, about which errors may come back.
    tunnels: bool,
}

/// One kind of traffic: to an address or network, by protocol and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exposed {
    address: IpAddr,
    prefix_length: u8,
    protocol: Option<Protocol>,
    ports: (u16, u16),
}

impl Exposure {
    /// The outside of `configuration`: services by address, and the matches of services by mark.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let mut exposed = BTreeSet::new();
        for service in configuration.services() {
            match *service.key() {
                ServiceKey::Address { protocol, address, port } => {
                    exposed.insert(Exposed::service(protocol, address, port));
                }
                ServiceKey::Range { protocol, address, prefix_length, ports } => {
                    let prefix_length = prefix_length.unwrap_or_else(|| width(address));
                    exposed.insert(Exposed {
                        address,
                        prefix_length,
                        protocol: Some(protocol),
                        ports,
                    });
                }
                ServiceKey::Mark { mark, family } => {
                    let marks = configuration.marks().iter().filter(|one| one.mark == mark);
                    let matches = marks.flat_map(|one| &one.matches);
                    let fitting = matches.filter(|one| family_of(one.address) == family);
                    exposed.extend(fitting.map(Exposed::matched));
                }
            }
        }
        let mut servers = configuration.services().flat_map(|service| &service.servers);
        let tunnels = servers.any(|server| {
            server.forwarding == ForwardingMethod::Tunnelling && server.address.is_ipv4()
        });
        Self { exposed, tunnels }
    }

    /// Whether packets go into tunnels over IPv4.
    pub(crate) const fn has_tunnels(&self) -> bool {
        self.tunnels
    }

    /// What either exposes.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let exposed = self.exposed.union(&other.exposed).copied().collect();
        Self { exposed, tunnels: self.tunnels || other.tunnels }
    }

    /// What this exposes and `other` does not.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Exposed> + 'a {
        self.exposed.difference(&other.exposed).copied()
    }

    /// Whether this exposes `one`.
    pub(crate) fn contains(&self, one: &Exposed) -> bool {
        self.exposed.contains(one)
    }

    /// The traffic, as filters know it.
    pub(crate) fn matches(&self) -> impl Iterator<Item = ServiceMatch> + '_ {
        self.exposed.iter().map(|one| ServiceMatch {
            protocol: one.protocol.map(Protocol::number),
            address: one.address,
            prefix_length: one.prefix_length,
            ports: one.ports,
        })
    }
}

impl Exposed {
    const fn service(protocol: Protocol, address: IpAddr, port: u16) -> Self {
        let ports = if port == 0 { (0, u16::MAX) } else { (port, port) };
        Self { address, prefix_length: width(address), protocol: Some(protocol), ports }
    }

    fn matched(one: &MarkMatch) -> Self {
        Self {
            address: one.address,
            prefix_length: one.prefix_length.unwrap_or_else(|| width(one.address)),
            protocol: one.protocol,
            ports: one.ports.unwrap_or((0, u16::MAX)),
        }
    }

    /// The name that at most one living director of a network namespace holds.
    pub(crate) fn claim(&self, interface: &str) -> String {
        let protocol = self.protocol.map_or("any", name);
        let (first, last) = self.ports;
        let Self { address, prefix_length, .. } = self;
        format!("service/{interface}/{protocol}/{address}/{prefix_length}/{first}-{last}")
    }
}

impl std::fmt::Display for Exposed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = self.protocol.map_or("any", name);
        write!(formatter, "{protocol} {}", self.address)?;
        if self.prefix_length != width(self.address) {
            write!(formatter, "/{}", self.prefix_length)?;
        }
        match self.ports {
            (0, u16::MAX) => write!(formatter, " any port"),
            (first, last) if first == last => write!(formatter, " port {first}"),
            (first, last) => write!(formatter, " ports {first} to {last}"),
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}
