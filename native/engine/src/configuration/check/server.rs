//! What can be wrong with a real server.

use alloc::format;
use core::fmt;
use core::net::IpAddr;

use super::address::{self, ACCEPTED_WITHOUT, Role};
use super::service;
use crate::command::{
    Family, ForwardingMethod, IssueCode, SchedulerName, ServerKey, ServerSpec, ServiceKey,
};
use crate::configuration::Configuration;
use crate::configuration::findings::{Findings, Named};
use crate::configuration::service::{family_of_key, server_port};
use crate::scheduler::MH_SERVERS_MAX;
use crate::snapshot::family_of;

/// Largest weight and threshold: IPVS keeps them in signed 32-bit numbers.
const NUMBER_MAX: u64 = 2_147_483_647;

/// `AddServer`.
pub(super) fn addition(
    now: &Configuration,
    key: &ServiceKey,
    spec: &ServerSpec,
    findings: &mut Findings,
) {
    service::known(now, key, findings);
    let port = server_port(key, spec.forwarding, spec.key.port);
    let wanted = (spec.key.address, port);
    let twin = now.service(key).filter(|service| {
        service.servers.iter().any(|server| (server.address, server.port) == wanted)
    });
    if twin.is_some() {
        let (name, service) = (Server(&spec.key), Named(key));
        let message = format!("{service} has the server {name} already; edit it instead");
        findings.refuse(IssueCode::ServerExists, "server", name, message);
    }
    room(now, key, findings);
    address::check(now, Role::Server, spec.key.address, findings);
    keeps_packets_port(now, key, spec, findings);
    method(key, spec, findings);
    conflict(now, spec.key.address, findings);
    numbers(spec, findings);
}

/// `EditServer`.
pub(super) fn edit(
    now: &Configuration,
    key: &ServiceKey,
    spec: &ServerSpec,
    findings: &mut Findings,
) {
    known(now, key, &spec.key, findings);
    method(key, spec, findings);
    keeps_port(now, key, spec, findings);
    numbers(spec, findings);
}

/// Only masquerading can speak to a server at another port than the service's.
fn keeps_port(now: &Configuration, key: &ServiceKey, spec: &ServerSpec, findings: &mut Findings) {
    let found = now.service(key).and_then(|service| service.server(&spec.key));
    let Some((_, server)) = found else { return };
    let port = server_port(key, spec.forwarding, spec.key.port);
    if server.port != port {
        let (name, of_server) = (Server(&spec.key), server.port);
        let message = format!(
            "{name} is spoken to at port {of_server}, which only masquerading can do; \
             remove the server and add it again"
        );
        findings.refuse(IssueCode::InvalidCombination, "forwarding", of_server, message);
    }
}

/// Every command that needs the server to exist.
pub(super) fn known(
    now: &Configuration,
    key: &ServiceKey,
    server: &ServerKey,
    findings: &mut Findings,
) {
    let Some(found) = now.service(key) else {
        return service::known(now, key, findings);
    };
    if found.server(server).is_none() {
        let (name, service) = (Server(server), Named(key));
        let message = format!("{service} has no server {name}; add it first");
        findings.refuse(IssueCode::ServerNotFound, "server", name, message);
    }
}

/// The weight, wherever it is set.
pub(super) fn weight(weight: u32, findings: &mut Findings) {
    findings.range("weight", weight, 0..=NUMBER_MAX);
}

fn numbers(spec: &ServerSpec, findings: &mut Findings) {
    weight(spec.weight, findings);
    findings.range("upperThreshold", spec.upper_threshold, 0..=NUMBER_MAX);
    findings.range("lowerThreshold", spec.lower_threshold, 0..=NUMBER_MAX);
    if spec.lower_threshold > spec.upper_threshold {
        let (lower, upper) = (spec.lower_threshold, spec.upper_threshold);
        let message = format!(
            "lowerThreshold is {lower}; it may not exceed upperThreshold, which is {upper}"
        );
        findings.refuse(IssueCode::OutOfRange, "lowerThreshold", lower, message);
    }
}

/// `mh` has so many buckets and no more; IPVS keeps the old table then, and tells nobody.
fn room(now: &Configuration, key: &ServiceKey, findings: &mut Findings) {
    let Some(service) = now.service(key) else { return };
    let full = service.servers.len() >= MH_SERVERS_MAX;
    if full && service.spec.scheduler == Some(SchedulerName::Mh) {
        let count = service.servers.len();
        let message = format!(
            "{} has {count} servers, as many as mh can place over; remove one, or choose another \
             scheduler",
            Named(key),
        );
        findings.refuse(IssueCode::OutOfRange, "server", count + 1, message);
    }
}

/// Port 0 keeps the packet's own, which only services of several ports can mean.
fn keeps_packets_port(
    now: &Configuration,
    key: &ServiceKey,
    spec: &ServerSpec,
    findings: &mut Findings,
) {
    let one_port = matches!(key, ServiceKey::Address { port, .. } if *port != 0);
    if now.settings().strict_addresses
        && one_port
        && spec.forwarding == ForwardingMethod::Masquerading
        && spec.key.port == Some(0)
    {
        let message = format!(
            "port is 0; 1 to 65535 is allowed for a server of {}{ACCEPTED_WITHOUT}",
            Named(key)
        );
        findings.refuse(IssueCode::OutOfRange, "port", 0, message);
    }
}

/// The forwarding method and what goes with it.
fn method(key: &ServiceKey, spec: &ServerSpec, findings: &mut Findings) {
    if spec.forwarding == ForwardingMethod::Tunnelling {
        return super::tunnel::options(&spec.tunnel.unwrap_or_default(), findings);
    }
    family(key, spec.key.address, findings);
    if spec.tunnel.is_some() {
        let message = "tunnel options need the forwarding method \"tunnelling\"; choose it or \
                       leave them out";
        findings.refuse(IssueCode::InvalidCombination, "tunnel", "given", message);
    }
}

/// Only tunnels carry packets of one family to a server of the other.
fn family(key: &ServiceKey, address: IpAddr, findings: &mut Findings) {
    let wanted = family_of_key(key);
    if family_of(address) != wanted {
        let wanted = match wanted {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        let service = Named(key);
        let message =
            format!("{service} is {wanted}: only tunnelling reaches servers of the other family");
        findings.refuse(IssueCode::FamilyMismatch, "address", address, message);
    }
}

/// What goes to such a server would come back to the service.
fn conflict(now: &Configuration, address: IpAddr, findings: &mut Findings) {
    if now.settings().strict_addresses && now.is_virtual_address(address) {
        let message = format!(
            "{address} is the address of a virtual service; a real server needs one of its \
             own{ACCEPTED_WITHOUT}"
        );
        findings.refuse(IssueCode::AddressConflict, "address", address, message);
    }
}

/// A server's identity as messages spell it.
struct Server<'a>(&'a ServerKey);

impl fmt::Display for Server<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerKey { address, port } = *self.0;
        match port {
            Some(port) => write!(formatter, "{}", core::net::SocketAddr::new(address, port)),
            None => write!(formatter, "{address}"),
        }
    }
}
