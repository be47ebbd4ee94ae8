//! Services on a range of ports, of an address or of a network (beyond IPVS).

use alloc::vec::Vec;
use core::net::IpAddr;

use super::mark::{address_length, contains};
use super::service::ServiceId;
use crate::command::{Protocol, ServiceKey};

/// A service on a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    protocol: Protocol,
    address: IpAddr,
    prefix_length: u8,
    ports: (u16, u16),
}

/// All services on ranges, the narrowest first: by network, then by ports, then the lower ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Vec<(Range, ServiceId)>);

impl Ranges {
    /// The narrowest service that takes packets to `address` and `port`. Looks through all.
    pub(super) fn find(&self, protocol: Protocol, address: IpAddr, port: u16) -> Option<ServiceId> {
        let takes = |range: &Range| {
            range.protocol == protocol
                && (range.ports.0..=range.ports.1).contains(&port)
                && contains(range.address, range.prefix_length, address)
        };
        self.0.iter().find(|(range, _)| takes(range)).map(|(_, id)| *id)
    }

    /// Whether any of them has `address`.
    pub(super) fn cover(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(range, _)| contains(range.address, range.prefix_length, address))
    }

    pub(super) fn add(&mut self, key: ServiceKey, id: ServiceId) {
        let Some(range) = range_of(&key) else { return };
        let at = self.0.partition_point(|(other, _)| rank(other) < rank(&range));
        self.0.insert(at, (range, id));
    }

    pub(super) fn remove(&mut self, key: &ServiceKey) {
        if let Some(range) = range_of(key) {
            self.0.retain(|(other, _)| *other != range);
        }
    }
}

/// Where a range stands in the order.
fn rank(range: &Range) -> (u8, u16, u16, IpAddr) {
    let (first, last) = range.ports;
    let free = address_length(range.address).saturating_sub(range.prefix_length);
    (free, last.saturating_sub(first), first, range.address)
}

fn range_of(key: &ServiceKey) -> Option<Range> {
    match *key {
        ServiceKey::Range { protocol, address, prefix_length, ports } => {
            let prefix_length = prefix_length.unwrap_or_else(|| address_length(address));
            Some(Range { protocol, address, prefix_length, ports })
        }
        ServiceKey::Address { .. } | ServiceKey::Mark { .. } => None,
    }
}

/// One key for one identity: a prefix as long as the address is none.
pub(super) fn normal(key: ServiceKey) -> ServiceKey {
    match key {
        ServiceKey::Range { protocol, address, prefix_length: Some(length), ports }
            if length == address_length(address) =>
        {
            ServiceKey::Range { protocol, address, prefix_length: None, ports }
        }
        other => other,
    }
}
