//! The ways to the real servers, as the packet path sees them: an immutable table, indexed by
//! [`ServerId`], that workers swap between batches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::FastCounts;
use engine::connection::ConnectionKey;
use engine::frame::InterfaceId;
use engine::hand_over::Turn;
use engine::hop::{Hop, Hops, NextHop, ServerId};
use wire::ethernet::MacAddress;

use crate::clients::ClientWays;
use crate::fast_path::FastFlows;
use crate::hand_over::Share;

/// One moment's ways to all real servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HopTable {
    hops: Vec<Hop>,
    sources: Vec<Option<IpAddr>>,
    interfaces: Vec<InterfaceId>,
}

impl HopTable {
    /// An empty table: every server is unreachable.
    #[must_use]
    pub const fn new() -> Self {
        Self { hops: Vec::new(), sources: Vec::new(), interfaces: Vec::new() }
    }

    /// States the way to `server`. Servers never stated are unreachable.
    pub fn set(&mut self, server: ServerId, hop: Hop) {
        let index = index(server);
        if index >= self.hops.len() {
            self.hops.resize(index + 1, Hop::Unreachable);
        }
        self.hops[index] = hop;
        if let Hop::Ready(next) = hop
            && !self.interfaces.contains(&next.interface)
        {
            self.interfaces.push(next.interface);
        }
    }

    /// States the director's own address on the way to `server`.
    pub fn set_source(&mut self, server: ServerId, source: Option<IpAddr>) {
        let index = index(server);
        if index >= self.sources.len() {
            self.sources.resize(index + 1, None);
        }
        self.sources[index] = source;
    }

    /// The interfaces that any way ever stated leaves by.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceId> + '_ {
        self.interfaces.iter().copied()
    }
}

impl Hops for HopTable {
    fn hop(&self, server: ServerId) -> Hop {
        self.hops.get(index(server)).copied().unwrap_or(Hop::Unreachable)
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        self.sources.get(index(server)).copied().flatten()
    }

    /// There are servers only in this table.
    fn client_hop(&self, _client: IpAddr) -> Hop {
        Hop::Unreachable
    }
}

/// All ways that a worker knows, the fast path among them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownWays<'a> {
    pub(crate) servers: &'a HopTable,
    pub(crate) clients: &'a ClientWays,
    pub(crate) fast: &'a FastFlows,
    /// Where several workers share the traffic.
    pub(crate) share: Option<Share>,
}

impl Hops for KnownWays<'_> {
    fn hop(&self, server: ServerId) -> Hop {
        self.servers.hop(server)
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        self.servers.source(server)
    }

    fn client_hop(&self, client: IpAddr) -> Hop {
        self.clients.hop(client)
    }

    fn recall(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        self.fast.recall(connection)
    }

    fn is_one_of_several(&self) -> bool {
        self.share.is_some()
    }

    fn keeper(&self, client: IpAddr, port: u16) -> Option<u32> {
        self.share.and_then(|share| share.keeper(client, port))
    }

    fn turn(&self) -> Turn {
        self.share.map_or(Turn::Chosen, |share| share.turn)
    }

    fn expect_reply(&self, client: IpAddr) {
        self.clients.hop(client);
    }
}

impl FromIterator<(ServerId, Hop)> for HopTable {
    fn from_iter<I: IntoIterator<Item = (ServerId, Hop)>>(hops: I) -> Self {
        let mut table = Self::new();
        for (server, hop) in hops {
            table.set(server, hop);
        }
        table
    }
}

/// A server's number as an index of tables.
pub(crate) fn index(server: ServerId) -> usize {
    usize::try_from(server.0).unwrap_or(usize::MAX)
}

/// A way made up for `address`, for directors without a network: MTU 1500, interface 1, and locally
/// administered hardware addresses of which the neighbour's follows from the IP address.
#[must_use]
pub fn assumed(address: IpAddr) -> NextHop {
    let tail = match address {
        IpAddr::V4(address) => address.octets(),
        // The last four octets, as IPv6 itself does for multicast (RFC 2464 section 7).
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    let family = if address.is_ipv4() { 4 } else { 6 };
    let [a, b, c, d] = tail;
    NextHop {
        interface: InterfaceId(1),
        mtu: 1500,
        source: MacAddress([0x02, 0, 0, 0, 0, 1]),
        destination: MacAddress([0x02, family, a, b, c, d]),
    }
}

/// The director's own address made up for the way to `server`, where nothing else is stated: the
/// IPv4 dummy address (RFC 7600), and one of the IPv6 discard prefix (RFC 6666).
#[must_use]
pub const fn assumed_source(server: IpAddr) -> IpAddr {
    match server {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_servers_are_unreachable() {
        let mut table = HopTable::new();
        assert_eq!(table.hop(ServerId(0)), Hop::Unreachable);
        table.set(ServerId(3), Hop::Local);
        assert_eq!(table.hop(ServerId(2)), Hop::Unreachable);
        assert_eq!(table.hop(ServerId(3)), Hop::Local);
        assert_eq!(table.hop(ServerId(u32::MAX)), Hop::Unreachable);
    }

    #[test]
    fn assumed_addresses_differ_by_server_and_are_locally_administered() {
        let one = assumed([10, 0, 0, 11].into()).destination;
        let other = assumed([10, 0, 0, 12].into()).destination;
        assert_eq!(one, MacAddress([0x02, 4, 10, 0, 0, 11]));
        assert_ne!(one, other);
        let six: IpAddr = "2001:db8::1:2".parse().expect("an address");
        assert_eq!(assumed(six).destination, MacAddress([0x02, 6, 0, 1, 0, 2]));
    }
}
