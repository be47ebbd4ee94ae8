//! Names of hosts and of services.
//!
//! Hosts are asked for at the system's resolver, both ways, as ipvsadm does; ports are looked up in
//! `/etc/services`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs::read_to_string;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};

/// The first IPv4 address of a host; IPVS: never an IPv6 one.
#[must_use]
pub fn host_address(name: &str) -> Option<Ipv4Addr> {
    if name.is_empty() {
        return None;
    }
    (name, 0).to_socket_addrs().ok()?.find_map(|found| match found.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    })
}

/// The port of a named service, as `/etc/services` has it.
#[must_use]
pub fn service_port(name: &str, protocol: u8) -> Option<u16> {
    let wanted = protocol_name(protocol)?;
    let text = read_to_string("/etc/services").unwrap_or_default();
    services(&text)
        .find(|(port, names)| port.1 == wanted && names.contains(&name))
        .map(|(port, _)| port.0)
}

/// The name of a protocol in `/etc/services`.
fn protocol_name(protocol: u8) -> Option<&'static str> {
    match protocol {
        6 => Some("tcp"),
        17 => Some("udp"),
        132 => Some("sctp"),
        _ => None,
    }
}

/// The name that the resolver has for an address.
fn host_name(address: IpAddr) -> Option<String> {
    dns_lookup::lookup_addr(&address).ok()
}

/// Names for addresses and ports.
pub struct Names {
    resolve: fn(IpAddr) -> Option<String>,
    /// Asked for once, however often a listing has it.
    hosts: RefCell<HashMap<IpAddr, Option<String>>>,
    services: HashMap<(u16, String), String>,
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Names {
    /// Those of this host's resolver and files.
    #[must_use]
    pub fn of_host() -> Self {
        Self::new(host_name, &read_to_string("/etc/services").unwrap_or_default())
    }

    /// Those of a resolver and a services file.
    #[must_use]
    pub fn new(resolve: fn(IpAddr) -> Option<String>, services_file: &str) -> Self {
        let mut named = HashMap::new();
        for ((port, protocol), service) in services(services_file) {
            if let Some(name) = service.first() {
                let key = (port, protocol.to_owned());
                named.entry(key).or_insert_with(|| (*name).to_owned());
            }
        }
        Self { resolve, hosts: RefCell::default(), services: named }
    }

    /// The name of a host.
    #[must_use]
    pub fn host(&self, address: IpAddr) -> Option<String> {
        let mut hosts = self.hosts.borrow_mut();
        hosts.entry(address).or_insert_with(|| (self.resolve)(address)).clone()
    }

    /// The name of a port.
    #[must_use]
    pub fn service(&self, port: u16, protocol: u8) -> Option<&str> {
        let protocol = protocol_name(protocol)?;
        self.services.get(&(port, protocol.to_owned())).map(String::as_str)
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        line.split_whitespace().collect()
    })
}

/// Port and protocol, and the names of each.
fn services(text: &str) -> impl Iterator<Item = ((u16, &str), Vec<&str>)> {
    lines(text).filter_map(|words| {
        let (port, protocol) = words.get(1)?.split_once('/')?;
        let name = words.first()?;
        let others = words.iter().skip(2);
        Some((
            (port.parse().ok()?, protocol),
            std::iter::once(name).chain(others).copied().collect(),
        ))
    })
}
