//! The address families a director has to do with.

use crate::command::{Family, ForwardingMethod};
use crate::configuration::Configuration;
use crate::packet::Packet;

/// What is there of one family.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    services: bool,
    /// Servers at the far end of tunnels.
    tunnels: bool,
}

/// Which address families have services. IPVS looks at no packet of a family that has none, not
/// even of a connection that is left. Errors about tunnels come in the family of the outside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Families {
    ipv4: Use,
    ipv6: Use,
}

impl Families {
    pub(super) fn of(configuration: &Configuration) -> Self {
        let services = |family| configuration.services().any(|service| service.family() == family);
        let tunnels = |ipv4| {
            let mut servers = configuration.services().flat_map(|service| &service.servers);
            servers.any(|server| {
                server.forwarding == ForwardingMethod::Tunnelling
                    && server.address.is_ipv4() == ipv4
            })
        };
        Self {
            ipv4: Use { services: services(Family::Ipv4), tunnels: tunnels(true) },
            ipv6: Use { services: services(Family::Ipv6), tunnels: tunnels(false) },
        }
    }

    /// Whether `packet` is to be looked at.
    pub(super) const fn concern(self, packet: &Packet<'_>) -> bool {
        let of_family = if packet.is_ipv4() { self.ipv4 } else { self.ipv6 };
        of_family.services || (of_family.tunnels && packet.is_icmp())
    }
}
