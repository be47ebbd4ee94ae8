//! Addresses that can be a service's or a server's.

use core::net::{IpAddr, Ipv6Addr};

use crate::command::IssueCode;
use crate::configuration::Configuration;
use crate::configuration::findings::Findings;

/// What the refusals of `strict_addresses` end with: which setting refuses, and what comes without.
pub(super) const ACCEPTED_WITHOUT: &str = " (the setting strictAddresses refuses it; without it the \
     director accepts it, as IPVS does, and its packets go nowhere)";

/// Whose address is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Virtual,
    Server,
}

/// Refuses addresses that packets cannot have as a destination, or that no route leads to.
///
/// Without `strict_addresses` only what IPVS refuses: it takes any virtual address, and servers that
/// are unicast or the host's own.
pub(super) fn check(now: &Configuration, role: Role, address: IpAddr, findings: &mut Findings) {
    let strict = now.settings().strict_addresses;
    if !strict && (role == Role::Virtual || address.is_loopback()) {
        return;
    }
    let kind = if address.is_unspecified() {
        "the unspecified address"
    } else if address.is_multicast() {
        "a multicast address"
    } else if address.is_loopback() {
        "a loopback address"
    } else if is_broadcast(address) {
        "the broadcast address"
    } else if is_mapped(address) {
        "an IPv4 address mapped into IPv6; write it as IPv4"
    } else if role == Role::Server && is_link_local(address) {
        // IPVS: a link-local address says nothing without an interface.
        "a link-local address"
    } else {
        return;
    };
    let allowed = match role {
        Role::Virtual => "a virtual address must be a unicast address clients can reach",
        Role::Server if address.is_loopback() => {
            "a real server needs an address of another host, because a director sends nothing to its \
             own, also as a last resort"
        }
        Role::Server => "a real server needs a unicast address the director has a route to",
    };
    // IPVS refuses other servers, too.
    let way_out = match role == Role::Virtual || address.is_loopback() {
        true => ACCEPTED_WITHOUT,
        false => "",
    };
    let message = alloc::format!("{address} is {kind}; {allowed}{way_out}");
    findings.refuse(IssueCode::InvalidAddress, "address", address, message);
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if Ipv6Addr::is_unicast_link_local(&address))
}
