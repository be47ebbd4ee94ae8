//! Names of hosts and of services.
//!
//! Forward the system's resolver is asked. Back only `/etc/hosts` is: a listing must not wait for a
//! name server.

use std::collections::HashMap;
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

/// Names for addresses and ports.
#[derive(Debug, Default)]
pub struct Names {
    hosts: HashMap<IpAddr, String>,
    services: HashMap<(u16, String), String>,
}

impl Names {
    /// Those of this host's files.
    #[must_use]
    pub fn of_host() -> Self {
        let read = |path| read_to_string(path).unwrap_or_default();
        Self::of_files(&read("/etc/hosts"), &read("/etc/services"))
    }

    /// Those of a hosts file and a services file.
    #[must_use]
    pub fn of_files(hosts: &str, services_file: &str) -> Self {
        let mut names = Self::default();
        for words in lines(hosts) {
            if let [address, name, ..] = words.as_slice()
                && let Ok(address) = address.parse()
            {
                names.hosts.entry(address).or_insert_with(|| (*name).to_owned());
            }
        }
        for ((port, protocol), service) in services(services_file) {
            if let Some(name) = service.first() {
                let key = (port, protocol.to_owned());
                names.services.entry(key).or_insert_with(|| (*name).to_owned());
            }
        }
        names
    }

    /// The name of a host.
    #[must_use]
    pub fn host(&self, address: IpAddr) -> Option<&str> {
        self.hosts.get(&address).map(String::as_str)
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
