//! What can be wrong with a virtual service.

use alloc::format;
use core::net::IpAddr;

use super::address::{self, ACCEPTED_WITHOUT, Role};
use super::globals;
use crate::command::{
    Family, IssueCode, Persistence, Protocol, SchedulerName, ServiceKey, ServiceSpec,
};
use crate::configuration::Configuration;
use crate::configuration::findings::{Findings, Named};
use crate::configuration::in_network;
use crate::configuration::mark::{address_length, network};
use crate::configuration::service::family_of_key;
use crate::connection::MAX_TIMEOUT_SECONDS;
use crate::scheduler::MH_SERVERS_MAX;

/// `AddService`.
pub(super) fn addition(now: &Configuration, spec: &ServiceSpec, findings: &mut Findings) {
    if now.service(&spec.key).is_some() {
        let name = Named(&spec.key);
        let message = format!("{name} exists already; edit it, or remove it first");
        findings.refuse(IssueCode::ServiceExists, "service", name, message);
    }
    match spec.key {
        ServiceKey::Mark { mark, .. } => {
            findings.range("mark", mark, 1..=u64::from(u32::MAX));
        }
        ServiceKey::Address { address, .. } => {
            address::check(now, Role::Virtual, address, findings);
            conflict(now, address, None, findings);
        }
        ServiceKey::Range { address, prefix_length, ports, .. } => {
            address::check(now, Role::Virtual, address, findings);
            range(address, prefix_length, ports, findings);
            conflict(now, address, prefix_length, findings);
        }
    }
    options(spec, findings);
}

/// Network and ports of a service on a range.
fn range(
    address: IpAddr,
    prefix_length: Option<u8>,
    (first, last): (u16, u16),
    findings: &mut Findings,
) {
    globals::ports("ports", Some((first, last)), findings);
    findings.range("ports[0]", first, 1..=u64::from(u16::MAX));
    let Some(length) = prefix_length else { return };
    findings.range("prefixLength", length, 1..=u64::from(address_length(address)));
    let start = network(address, length);
    if start != address {
        let message = format!("{address} is inside its network; give the first address, {start}");
        findings.refuse(IssueCode::InvalidAddress, "address", address, message);
    }
}

/// `EditService`.
pub(super) fn edit(now: &Configuration, spec: &ServiceSpec, findings: &mut Findings) {
    known(now, &spec.key, findings);
    if spec.scheduler == Some(SchedulerName::Mh)
        && let Some(service) = now.service(&spec.key)
        && service.servers.len() > MH_SERVERS_MAX
    {
        let message = format!(
            "{} has {} servers; mh can place over {MH_SERVERS_MAX}: remove some, or choose another \
             scheduler",
            Named(&spec.key),
            service.servers.len(),
        );
        findings.refuse(IssueCode::OutOfRange, "scheduler", "mh", message);
    }
    options(spec, findings);
}

/// Every command that needs the service to exist.
pub(super) fn known(now: &Configuration, key: &ServiceKey, findings: &mut Findings) {
    if now.service(key).is_none() {
        let name = Named(key);
        let message = format!("there is no service {name}; add it first");
        findings.refuse(IssueCode::ServiceNotFound, "service", name, message);
    }
}

/// A virtual address that is a server's would make the director forward what it just forwarded.
fn conflict(
    now: &Configuration,
    address: IpAddr,
    prefix_length: Option<u8>,
    findings: &mut Findings,
) {
    let servers = now.services().flat_map(|service| &service.servers);
    let inside = match prefix_length {
        None => now.directory.is_server(address).then_some(address),
        Some(_) => servers
            .map(|server| server.address)
            .find(|server| in_network(address, prefix_length, *server)),
    };
    let strict = now.settings().strict_addresses;
    if let Some(address) = inside.filter(|_| strict) {
        let message = format!(
            "{address} is the address of a real server; a virtual address must be another \
             one{ACCEPTED_WITHOUT}"
        );
        findings.refuse(IssueCode::AddressConflict, "address", address, message);
    }
}

fn options(spec: &ServiceSpec, findings: &mut Findings) {
    if let Some(persistence) = &spec.persistence {
        check_persistence(persistence, family_of_key(&spec.key), findings);
    }
    if let ServiceKey::Address { port: 0, .. } = spec.key
        && spec.persistence.is_none()
    {
        let message = "port 0 catches every port and needs persistence, so that the ports of one \
                       client stay together; give a port or persistence";
        findings.refuse(IssueCode::InvalidCombination, "port", 0, message);
    }
    if let ServiceKey::Address { protocol: Protocol::Tcp | Protocol::Sctp, .. }
    | ServiceKey::Range { protocol: Protocol::Tcp | Protocol::Sctp, .. } = spec.key
        && spec.one_packet
    {
        let message = "one-packet scheduling is only for UDP services and services by mark";
        findings.refuse(IssueCode::InvalidCombination, "onePacket", true, message);
    }
    foreign_flags(spec, findings);
}

fn check_persistence(persistence: &Persistence, family: Family, findings: &mut Findings) {
    let timeout = persistence.timeout_seconds;
    findings.range("persistence.timeoutSeconds", timeout, 1..=u64::from(MAX_TIMEOUT_SECONDS));
    if let Some(length) = persistence.prefix_length {
        let longest = match family {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        };
        findings.range("persistence.prefixLength", length, 0..=longest);
    }
}

fn foreign_flags(spec: &ServiceSpec, findings: &mut Findings) {
    for (index, flag) in spec.flags.iter().enumerate() {
        let Some(owner) = flag.scheduler().filter(|owner| spec.scheduler != Some(*owner)) else {
            continue;
        };
        let name = flag.name();
        let scheduler = match owner {
            SchedulerName::Mh => "mh",
            _ => "sh",
        };
        let message = format!(
            "{name} is only for the scheduler {scheduler}; leave it out or choose {scheduler}"
        );
        findings.refuse(IssueCode::InvalidCombination, format!("flags[{index}]"), name, message);
    }
}
