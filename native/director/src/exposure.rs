//! What of a configuration the outside meets: the traffic to take from the host, and the names that
//! keep two directors from taking the same.

use std::collections::BTreeSet;
use std::net::IpAddr;

use afpacket::classifier::ServiceMatch;
use engine::command::{ForwardingMethod, MarkMatch, Protocol, ServiceKey};
use engine::configuration::{Configuration, RemovedServer, Service};
use engine::snapshot::family_of;

/// The outside of a configuration. Order does not matter; equal outsides are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exposure {
    /// What is exposed, with the traffic it stands for.
    exposed: BTreeSet<Exposed>,
    /// Where servers answer from whose answers the director translates.
    returns: BTreeSet<Exposed>,
    /// Whether packets go into tunnels, about which errors may come back.
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
        let tunnels = configuration.services().any(|service| has_tunnels(service));
        let returns = configuration.services().flat_map(|service| answers(service));
        let removed = configuration.removed_servers().filter_map(late_answers);
        Self { exposed, returns: returns.chain(removed).collect(), tunnels }
    }

    /// Whether packets go into tunnels.
    pub(crate) const fn has_tunnels(&self) -> bool {
        self.tunnels
    }

    /// What either exposes.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let exposed = self.exposed.union(&other.exposed).copied().collect();
        let returns = self.returns.union(&other.returns).copied().collect();
        Self { exposed, returns, tunnels: self.tunnels || other.tunnels }
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
        self.exposed.iter().map(Exposed::filter)
    }

    /// The traffic that comes back, as filters know it: by its source.
    pub(crate) fn returns(&self) -> impl Iterator<Item = ServiceMatch> + '_ {
        self.returns.iter().map(Exposed::filter)
    }

    /// Whether what is to be taken depends on the host's own addresses.
    pub(crate) fn concerns_own_addresses(&self) -> bool {
        self.tunnels || !self.returns.is_empty()
    }
}

/// Whether both configurations have the same outside, as far as can be told from what differs
/// between them; what is not found alike here may be so.
pub(crate) fn alike(before: &Configuration, now: &Configuration) -> bool {
    let mut changes = now.changes_since(before).peekable();
    // Servers may have been forgotten where no service differs.
    changes.peek().is_some()
        && before.marks() == now.marks()
        && changes.all(|pair| match pair {
            (Some(before), Some(now)) => {
                before.key() == now.key()
                    && has_tunnels(before) == has_tunnels(now)
                    && answers(before).eq(answers(now))
            }
            _ => false,
        })
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

    fn filter(&self) -> ServiceMatch {
        ServiceMatch {
            protocol: self.protocol.map(Protocol::number),
            address: self.address,
            prefix_length: self.prefix_length,
            ports: self.ports,
        }
    }

    /// The name that at most one living director of a network namespace holds, of the device with that
    /// number: devices change their names, and have several.
    pub(crate) fn claim(&self, interface: u32) -> String {
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

/// Whether packets for `service` may go into tunnels.
fn has_tunnels(service: &Service) -> bool {
    service.servers.iter().any(|server| server.forwarding == ForwardingMethod::Tunnelling)
}

/// Where the servers of `service` answer from whose answers come back to the director.
fn answers(service: &Service) -> impl Iterator<Item = Exposed> + '_ {
    let masqueraded = service.servers.iter().filter(|server| comes_back(server.forwarding));
    masqueraded.map(|server| answer(service.key(), server.address, server.port))
}

/// Where a removed server answers from, for as long as it may have connections.
fn late_answers(server: &RemovedServer) -> Option<Exposed> {
    comes_back(server.forwarding).then(|| answer(&server.service, server.address, server.port))
}

/// What a server answers from; port 0 stands for every port.
fn answer(service: &ServiceKey, address: IpAddr, port: u16) -> Exposed {
    let protocol = match *service {
        ServiceKey::Address { protocol, .. } | ServiceKey::Range { protocol, .. } => Some(protocol),
        // Its matches may be of several protocols.
        ServiceKey::Mark { .. } => None,
    };
    Exposed { protocol, ..Exposed::service(Protocol::Tcp, address, port) }
}

/// With direct routing and tunnels servers answer clients themselves.
fn comes_back(forwarding: ForwardingMethod) -> bool {
    forwarding == ForwardingMethod::Masquerading
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use engine::command::{Command, Family, ServerKey, ServerSpec, ServiceSpec};

    use super::*;
    use crate::testing;

    const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 11));

    /// A service with one server, at `port`, that is reached by `forwarding`.
    fn configuration(key: ServiceKey, port: u16, forwarding: ForwardingMethod) -> Configuration {
        let server = ServerSpec {
            key: ServerKey { address: SERVER, port: Some(port) },
            forwarding,
            ..testing::server_spec(11)
        };
        let service = ServiceSpec { key, ..testing::service_spec(80) };
        let commands =
            [Command::AddService { service }, Command::AddServer { service: key, server }];
        Configuration::default().apply(&commands).expect("valid commands")
    }

    fn masquerading(key: ServiceKey, port: u16) -> Configuration {
        configuration(key, port, ForwardingMethod::Masquerading)
    }

    #[test]
    fn answers_come_from_the_servers_port_by_the_services_protocol() {
        let mark = ServiceKey::Mark { mark: 1, family: Family::Ipv4 };
        for (key, port, protocol, ports) in
            [(testing::service(80), 8080, Some(6), (8080, 8080)), (mark, 0, None, (0, u16::MAX))]
        {
            let wanted = ServiceMatch { protocol, address: SERVER, prefix_length: 32, ports };
            let exposure = Exposure::of(&masquerading(key, port));
            assert_eq!(exposure.returns().collect::<Vec<_>>(), [wanted]);
            assert!(exposure.concerns_own_addresses());
        }
    }

    #[test]
    fn answers_are_neither_claimed_nor_lost_while_configurations_change() {
        let before = Exposure::of(&masquerading(testing::service(80), 8080));
        let after = Exposure::of(&masquerading(testing::service(80), 8081));
        assert_ne!(before, after, "filters have to follow");
        let both = before.union(&after);
        assert_eq!((both.returns().count(), both.matches().count()), (2, 1));
        assert_eq!(both.without(&before).count(), 0);
    }

    #[test]
    fn a_removed_server_may_still_answer() {
        let configuration = masquerading(testing::service(80), 8080);
        let before = Exposure::of(&configuration);
        let server = ServerKey { address: SERVER, port: Some(8080) };
        let remove = Command::RemoveServer { service: testing::service(80), server };
        let configuration = configuration.apply(&[remove]).expect("it is there");
        assert_eq!(Exposure::of(&configuration), before);
        let removed: Vec<_> = configuration.removed_servers().map(|server| server.id).collect();
        assert_eq!(Exposure::of(&configuration.forget(&removed)).returns().count(), 0);
    }

    #[test]
    fn direct_routing_leaves_answers_alone() {
        let key = testing::service(80);
        let exposure = Exposure::of(&configuration(key, 80, ForwardingMethod::DirectRouting));
        assert_eq!(exposure.returns().count(), 0);
        assert!(!exposure.concerns_own_addresses());
    }

    #[test]
    fn only_what_changes_nothing_outside_is_alike() {
        let key = testing::service(80);
        let before = masquerading(key, 80);
        let server = ServerKey { address: SERVER, port: Some(80) };
        let edited = |forwarding| Command::EditServer {
            service: key,
            server: ServerSpec { key: server, forwarding, ..testing::server_spec(11) },
        };
        let weighed = Command::SetWeight { service: key, server, weight: 7 };
        let more = Command::AddServer { service: key, server: testing::server_spec(12) };
        let other = Command::AddService { service: testing::service_spec(81) };
        let gone = Command::RemoveServer { service: key, server };
        let tunnel = Command::AddServer {
            service: key,
            server: ServerSpec {
                forwarding: ForwardingMethod::Tunnelling,
                ..testing::server_spec(13)
            },
        };
        for (command, is_alike) in [
            (weighed, true),
            (more, true),
            (other, false),
            (gone, false),
            (tunnel, false),
            (edited(ForwardingMethod::DirectRouting), false),
        ] {
            let now = before.apply(std::slice::from_ref(&command)).expect("a valid command");
            assert_eq!(alike(&before, &now), is_alike, "{command:?}");
            if is_alike {
                assert_eq!(Exposure::of(&before), Exposure::of(&now));
            }
        }
    }
}
