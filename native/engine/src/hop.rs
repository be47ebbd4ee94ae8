//! Where frames leave: the routes and neighbours of the real servers and of the clients, kept by the
//! caller.

use core::net::IpAddr;

use wire::ethernet::MacAddress;

use crate::connection::ConnectionKey;
use crate::engine::FastCounts;
use crate::frame::InterfaceId;

/// Number of a real server of one service, for as long as anything remembers it. Dense: usable as
/// an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ServerId(pub u32);

/// The way to a real server with its neighbour known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The interface frames leave by.
    pub interface: InterfaceId,
    /// Largest IP packet, in octets, that fits (the path MTU of the route).
    pub mtu: u32,
    /// The interface's own hardware address.
    pub source: MacAddress,
    /// The neighbour's hardware address.
    pub destination: MacAddress,
}

/// What is known of the way to a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Route and neighbour are known.
    Ready(NextHop),
    /// The route is known, the neighbour is being asked for: frames wait with the caller.
    Resolving {
        /// Largest IP packet, in octets, that fits.
        mtu: u32,
    },
    /// The neighbour did not answer, or no route leads there.
    Unreachable,
    /// The address is the director's own.
    Local,
}

impl Hop {
    /// Largest IP packet, in octets, that fits; 0 where nothing goes.
    pub(crate) fn mtu(self) -> usize {
        match self {
            Self::Ready(NextHop { mtu, .. }) | Self::Resolving { mtu } => {
                usize::try_from(mtu).unwrap_or(usize::MAX)
            }
            Self::Unreachable | Self::Local => 0,
        }
    }
}

/// The caller's table of ways to the real servers.
pub trait Hops {
    /// The way to `server`, now. Called once a forwarded frame: it must be an index, not a search.
    fn hop(&self, server: ServerId) -> Hop;

    /// The director's own address on the way to `server`, of the family of the server's address:
    /// where a tunnel to it begins, and what an ICMP error to it comes from. None where there is none.
    fn source(&self, server: ServerId) -> Option<IpAddr>;

    /// The way back to a client, or to whom else a masqueraded server sends. Asked for packets of
    /// masqueraded servers only.
    fn client_hop(&self, client: IpAddr) -> Hop;

    /// Takes a connection back from the fast path ([`crate::Engine::take_fast`]); what that carried
    /// since [`crate::Engine::account`] was told last. None where the fast path has not got it.
    fn recall(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        let _ = connection;
        None
    }

    /// A connection was made whose replies come back here: soon the way to `client` is asked for.
    fn expect_reply(&self, client: IpAddr) {
        let _ = client;
    }
}

/// Where a frame leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// By this interface; the Ethernet header is complete.
    Interface(InterfaceId),
    /// Not yet: it waits for the neighbour of this server; the caller fills in the addresses.
    Neighbour(ServerId),
    /// Not yet: it waits for the way back to this client; the caller fills in the addresses.
    Client(IpAddr),
}
