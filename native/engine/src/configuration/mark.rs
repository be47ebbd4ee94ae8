//! Marks: names for kinds of packets, so that one service can take what several addresses,
//! protocols and ports bring (IPVS: firewall marks).

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::command::{MarkMatch, Protocol};

/// A mark and what carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The mark, not 0.
    pub mark: u32,
    /// A packet that fits any of these carries the mark.
    pub matches: Vec<MarkMatch>,
}

impl Mark {
    /// Whether a packet to `destination` and `port` carries the mark.
    #[must_use]
    pub fn covers(&self, protocol: Protocol, destination: IpAddr, port: u16) -> bool {
        self.matches.iter().any(|it| fits(it, protocol, destination, port))
    }
}

fn fits(condition: &MarkMatch, protocol: Protocol, destination: IpAddr, port: u16) -> bool {
    condition.protocol.is_none_or(|it| it == protocol)
        && condition.ports.is_none_or(|(first, last)| (first..=last).contains(&port))
        && network(destination, prefix_length(condition))
            == network(condition.address, prefix_length(condition))
}

/// The prefix length of a match: the whole address when not given.
pub(super) fn prefix_length(condition: &MarkMatch) -> u8 {
    condition.prefix_length.unwrap_or_else(|| address_length(condition.address))
}

/// Bits of an address of the same family.
pub(super) const fn address_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `address` with all but its first `prefix_length` bits cleared.
pub(super) fn network(address: IpAddr, prefix_length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & !host).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & !host).into())
        }
    }
}

/// All marks, in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// The mark a packet carries; of several, the smallest.
    pub(super) fn of(&self, protocol: Protocol, destination: IpAddr, port: u16) -> Option<u32> {
        self.0.iter().find(|it| it.covers(protocol, destination, port)).map(|it| it.mark)
    }

    /// Whether packets to `destination` may carry a mark, as far as the address decides.
    pub(super) fn may_cover(&self, destination: IpAddr) -> bool {
        let covers = |it: &MarkMatch| {
            network(destination, prefix_length(it)) == network(it.address, prefix_length(it))
        };
        self.0.iter().any(|mark| mark.matches.iter().any(covers))
    }

    pub(super) fn as_slice(&self) -> &[Mark] {
        &self.0
    }

    /// Defines `mark`, replacing what it was; without matches it is forgotten.
    pub(super) fn define(&mut self, mark: u32, matches: &[MarkMatch]) {
        self.0.retain(|it| it.mark != mark);
        if !matches.is_empty() {
            let index = self.0.partition_point(|it| it.mark < mark);
            self.0.insert(index, Mark { mark, matches: matches.to_vec() });
        }
    }
}
