//! Names of services and servers.

use core::net::{IpAddr, SocketAddr};

use engine::command::{Family, Protocol, ServiceKey};

use crate::names::Names;

/// Columns that are left of the numbers.
const WIDTH: usize = 33;

/// How addresses and ports are shown.
#[derive(Debug, Default)]
pub struct Naming {
    names: Option<Names>,
}

impl Naming {
    /// As numbers.
    #[must_use]
    pub const fn numeric() -> Self {
        Self { names: None }
    }

    /// By name, where there is one.
    #[must_use]
    pub const fn named(names: Names) -> Self {
        Self { names: Some(names) }
    }

    /// `address:port`, of IPv6 in brackets; `protocol` is the number that port names belong to.
    #[must_use]
    pub fn endpoint(&self, address: IpAddr, port: u16, protocol: u8) -> String {
        let Some(names) = &self.names else { return SocketAddr::new(address, port).to_string() };
        let host = names.host(address).unwrap_or_else(|| address.to_string());
        let port = names.service(port, protocol).map_or_else(|| port.to_string(), str::to_owned);
        if address.is_ipv6() { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// A service as the first column of listings has it.
    pub(super) fn service(&self, key: &ServiceKey) -> String {
        if let ServiceKey::Mark { mark, family } = *key {
            let family = if family == Family::Ipv6 { " IPv6" } else { "" };
            return format!("FWM  {}{family}", signed(mark));
        }
        let mut name = format!("{:<4} {}", title(key), self.virtual_endpoint(key));
        if !name.contains('[') {
            // IPVS: cut to its columns, unless it is IPv6.
            name = name.chars().take(WIDTH).collect();
        }
        name
    }

    /// The address of a service that is not by mark.
    pub(super) fn virtual_endpoint(&self, key: &ServiceKey) -> String {
        match *key {
            ServiceKey::Address { protocol, address, port } => {
                self.endpoint(address, port, protocol.number())
            }
            ServiceKey::Range { address, prefix_length, ports: (first, last), .. } => {
                let length = prefix_length.map(|length| format!("/{length}")).unwrap_or_default();
                let (open, close) = if address.is_ipv6() { ("[", "]") } else { ("", "") };
                format!("{open}{address}{length}{close}:{first}-{last}")
            }
            ServiceKey::Mark { mark, .. } => signed(mark).to_string(),
        }
    }
}

/// IPVS: marks are printed as signed numbers.
pub(super) const fn signed(mark: u32) -> i32 {
    mark.cast_signed()
}

/// Protocol of a service, as listings spell it.
const fn title(key: &ServiceKey) -> &'static str {
    match key {
        ServiceKey::Mark { .. } => "FWM",
        ServiceKey::Address { protocol, .. } | ServiceKey::Range { protocol, .. } => {
            protocol_title(*protocol)
        }
    }
}

/// A protocol, as listings spell it.
pub(super) const fn protocol_title(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}
