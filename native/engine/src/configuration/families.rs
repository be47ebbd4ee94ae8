//! The address families a director has to do with.

use super::service::Service;
use crate::command::{Family, ForwardingMethod};
use crate::packet::Packet;

/// How much there is of one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    services: u32,
    /// Servers at the far end of tunnels.
    tunnels: u32,
}

/// Which address families have services. IPVS looks at no packet of a family that has none, not
/// even of a connection that is left. Errors about tunnels come in the family of the outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Families {
    ipv4: Use,
    ipv6: Use,
}

impl Families {
    /// Counts a service in.
    pub(super) fn enter(&mut self, service: &Service) {
        self.count(service, |count, more| count.saturating_add(more));
    }

    /// Counts a service out that was counted in.
    pub(super) fn leave(&mut self, service: &Service) {
        self.count(service, |count, less| count.saturating_sub(less));
    }

    fn count(&mut self, service: &Service, change: impl Fn(u32, u32) -> u32) {
        let of_clients = match service.family() {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        };
        of_clients.services = change(of_clients.services, 1);
        let tunnelled = |server: &&super::Server| server.forwarding == ForwardingMethod::Tunnelling;
        for server in service.servers.iter().filter(tunnelled) {
            let outside = if server.address.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
            outside.tunnels = change(outside.tunnels, 1);
        }
    }

    /// Whether `packet` is to be looked at.
    pub(crate) const fn concern(self, packet: &Packet<'_>) -> bool {
        let of_family = if packet.is_ipv4() { self.ipv4 } else { self.ipv6 };
        of_family.services > 0 || (of_family.tunnels > 0 && packet.is_icmp())
    }
}
