//! The order of sorted listings.

use core::cmp::Ordering;
use core::net::IpAddr;

use engine::command::ServiceKey;

use crate::table::{Server, Service};

/// Sorts services and the servers of each.
pub fn sort(services: &mut Vec<Service>) {
    for service in services.iter_mut() {
        merge_sort(&mut service.servers, of_servers);
    }
    merge_sort(services, of_services);
}

/// IPVS: by mark, family, protocol, address, port. A mark is compared as the signed difference.
fn of_services(left: &Service, right: &Service) -> Ordering {
    difference(mark(&left.key), mark(&right.key))
        .then_with(|| left.family().cmp(&right.family()))
        .then_with(|| number(left).cmp(&number(right)))
        .then_with(|| match (place(&left.key), place(&right.key)) {
            (Some((left, left_port)), Some((right, right_port))) => {
                of_addresses(left, right).then(left_port.cmp(&right_port))
            }
            _ => Ordering::Equal,
        })
}

/// IPVS: by family, address, port.
fn of_servers(left: &Server, right: &Server) -> Ordering {
    left.address
        .is_ipv6()
        .cmp(&right.address.is_ipv6())
        .then_with(|| of_addresses(left.address, right.address))
        .then_with(|| left.port.cmp(&right.port))
}

const fn mark(key: &ServiceKey) -> u32 {
    match key {
        ServiceKey::Mark { mark, .. } => *mark,
        _ => 0,
    }
}

fn number(service: &Service) -> u8 {
    service.protocol().map_or(0, engine::command::Protocol::number)
}

const fn place(key: &ServiceKey) -> Option<(IpAddr, u16)> {
    match *key {
        ServiceKey::Address { address, port, .. } => Some((address, port)),
        ServiceKey::Range { address, ports, .. } => Some((address, ports.0)),
        ServiceKey::Mark { .. } => None,
    }
}

/// IPVS: each 32 bits by their signed difference, so that 10.0.0.1 comes after 192.168.0.1.
fn of_addresses(left: IpAddr, right: IpAddr) -> Ordering {
    match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => difference(left.to_bits(), right.to_bits()),
        (IpAddr::V6(left), IpAddr::V6(right)) => {
            let word = |address: u128, shift: u32| {
                u32::try_from(address >> shift & u128::from(u32::MAX)).unwrap_or(0)
            };
            let (left, right) = (left.to_bits(), right.to_bits());
            [96, 64, 32, 0]
                .into_iter()
                .map(|shift| difference(word(left, shift), word(right, shift)))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        }
        _ => left.is_ipv6().cmp(&right.is_ipv6()),
    }
}

fn difference(left: u32, right: u32) -> Ordering {
    left.wrapping_sub(right).cast_signed().cmp(&0)
}

/// The relation is not transitive, so what comes out is the sort's: this is the C library's, which
/// halves, and takes from the left half while it is not greater. The standard library's may panic.
fn merge_sort<T: Clone>(items: &mut Vec<T>, compare: fn(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    merge_sort(items, compare);
    merge_sort(&mut right, compare);
    let capacity = items.len() + right.len();
    let left = core::mem::replace(items, Vec::with_capacity(capacity));
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = if compare(first, second).is_le() { left.next() } else { right.next() };
        items.extend(next);
    }
    items.extend(left);
    items.extend(right);
}
