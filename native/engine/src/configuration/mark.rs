//! Marks: names for kinds of packets, so that one service can take what several addresses,
//! protocols and ports bring (IPVS: firewall marks).

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::command::{MarkMatch, Protocol};
use crate::frame::InterfaceId;

/// A mark and what carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The mark, not 0.
    pub mark: u32,
    /// A packet that fits any of these carries the mark.
    pub matches: Vec<MarkMatch>,
}

impl Mark {
    /// Whether a packet carries the mark.
    #[must_use]
    pub fn covers(&self, packet: &MarkSubject) -> bool {
        self.matches.iter().any(|it| fits(it, packet))
    }
}

/// What marks are found by: a packet's headers and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkSubject {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Source port.
    pub source_port: u16,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port.
    pub port: u16,
    /// Interface it came in by; where none is known, no condition on interfaces is met.
    pub interface: Option<InterfaceId>,
    /// VLAN it came in by, 0 for none; where nothing is known, no condition on VLANs is met.
    pub vlan: Option<u16>,
}

fn fits(condition: &MarkMatch, packet: &MarkSubject) -> bool {
    let within = |ports: Option<(u16, u16)>, port| {
        ports.is_none_or(|(first, last)| (first..=last).contains(&port))
    };
    condition.protocol.is_none_or(|it| it == packet.protocol)
        && within(condition.ports, packet.port)
        && within(condition.source_ports, packet.source_port)
        && condition.interface.is_none_or(|it| packet.interface == Some(InterfaceId(it)))
        && condition.vlan.is_none_or(|it| packet.vlan == Some(it))
        && contains(condition.address, prefix_length(condition), packet.destination)
        && condition.source.is_none_or(|source| {
            let length = condition.source_prefix_length;
            contains(source, length.unwrap_or_else(|| address_length(source)), packet.source)
        })
}

/// Whether `address` lies in the network of `of` with that prefix length.
pub(super) fn contains(of: IpAddr, prefix_length: u8, address: IpAddr) -> bool {
    network(address, prefix_length) == network(of, prefix_length)
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
    pub(super) fn of(&self, packet: &MarkSubject) -> Option<u32> {
        self.0.iter().find(|it| it.covers(packet)).map(|it| it.mark)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether packets to `destination` may carry a mark, as far as the address decides.
    pub(super) fn may_cover(&self, destination: IpAddr) -> bool {
        let covers = |it: &MarkMatch| contains(it.address, prefix_length(it), destination);
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
