//! What identifies a connection entry.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::entry::Flags;
use crate::command::Family;

/// Identity of a connection, or of a persistence template; both addresses are of one family.
///
/// A template's key names a group of clients (masked address, port 0) and what they may reach
/// (virtual port 0 for all ports); that of a service by mark has protocol 0 and the mark as its
/// virtual address (see [`ConnectionKey::mark_address`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey {
    /// Protocol number; 0 in the template of a service by mark.
    pub protocol: u8,
    /// The client's address.
    pub client: IpAddr,
    /// The client's port; 0 in templates.
    pub client_port: u16,
    /// The address the client speaks to.
    pub virtual_address: IpAddr,
    /// The port the client speaks to.
    pub virtual_port: u16,
}

impl ConnectionKey {
    /// The virtual address in the template of a service by mark (IPVS: the mark is the first 32
    /// bits of the address, and is listed as 0.0.0.MARK).
    #[must_use]
    pub fn mark_address(mark: u32, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits(mark)),
            Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(u128::from(mark) << 96)),
        }
    }

    /// The address family of the connection.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.client {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }
}

/// What a packet from a server shows of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyKey {
    /// Protocol number.
    pub protocol: u8,
    /// The client's address.
    pub client: IpAddr,
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
}

impl ReplyKey {
    /// The client's address as entries keep it, and whether it is an IPv6 one.
    pub(super) fn client_bits(&self) -> (u128, bool) {
        match self.client {
            IpAddr::V4(address) => (u128::from(address.to_bits()), false),
            IpAddr::V6(address) => (address.to_bits(), true),
        }
    }
}

/// A key as entries store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedKey {
    pub(super) client: u128,
    /// IPv4 address, or number of an interned IPv6 address.
    pub(super) virtual_address: u32,
    pub(super) client_port: u16,
    pub(super) virtual_port: u16,
    pub(super) protocol: u8,
    /// [`Flags::IDENTITY`] bits only.
    pub(super) flags: Flags,
}

/// A virtual address on its way into a [`PackedKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VirtualAddress {
    Ipv4(u32),
    Ipv6(u128),
}

impl VirtualAddress {
    /// The virtual address of `key`; mapped to IPv6 (RFC 4291 §2.5.5.2) should only the client
    /// have an IPv6 address, and then the client's likewise.
    pub(super) fn of(key: &ConnectionKey) -> Self {
        match (key.virtual_address, key.client) {
            (IpAddr::V4(address), IpAddr::V4(_)) => Self::Ipv4(address.to_bits()),
            (IpAddr::V4(address), IpAddr::V6(_)) => Self::Ipv6(address.to_ipv6_mapped().to_bits()),
            (IpAddr::V6(address), _) => Self::Ipv6(address.to_bits()),
        }
    }

    /// Packs `key`; `number` is that of the interned address and is not used for IPv4.
    pub(super) fn pack(self, key: &ConnectionKey, number: u32, role: Flags) -> PackedKey {
        let (virtual_address, family) = match self {
            Self::Ipv4(bits) => (bits, Flags::NONE),
            Self::Ipv6(_) => (number, Flags::IPV6),
        };
        let client = match (key.client, self) {
            (IpAddr::V4(address), Self::Ipv4(_)) => u128::from(address.to_bits()),
            (IpAddr::V4(address), Self::Ipv6(_)) => address.to_ipv6_mapped().to_bits(),
            (IpAddr::V6(address), _) => address.to_bits(),
        };
        PackedKey {
            client,
            virtual_address,
            client_port: key.client_port,
            virtual_port: key.virtual_port,
            protocol: key.protocol,
            flags: role.with(family),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_listed_as_an_address() {
        let address = ConnectionKey::mark_address(9, Family::Ipv4);
        assert_eq!(address, "0.0.0.9".parse::<IpAddr>().unwrap());
        let address = ConnectionKey::mark_address(9, Family::Ipv6);
        assert_eq!(address, "0:9::".parse::<IpAddr>().unwrap());
    }
}
