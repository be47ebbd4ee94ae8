//! The table of services and servers.

use engine::command::{Family, ForwardingMethod, Protocol, TunnelChecksum, TunnelKind};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::name::Naming;
use super::number::{abbreviated, exact};
use crate::command_line::ALL_CLIENTS;
use crate::table::{Counts, Server, Service, Tunnel};

/// What stands behind the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Scheduler; forwarding, weight, connections.
    Plain,
    /// Counters.
    Stats,
    /// Averages a second.
    Rate,
    /// Thresholds and connections.
    Thresholds,
    /// Weight, templates, connections.
    Persistent,
    /// As `Plain`, with tunnels.
    Tunnels,
}

/// How a table is laid out.
#[derive(Debug)]
pub struct Layout {
    /// What stands behind the names.
    pub columns: Columns,
    /// Whether large numbers have all their digits.
    pub exact: bool,
    /// How names are spelled.
    pub naming: Naming,
}

/// The two lines above a table.
#[must_use]
pub const fn title(columns: Columns) -> &'static str {
    match columns {
        Columns::Plain => {
            "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        }
        Columns::Tunnels => {
            "Prot LocalAddress:Port Scheduler Flags\n  \
             -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        }
        Columns::Stats => {
            "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  \
             -> RemoteAddress:Port\n"
        }
        Columns::Rate => {
            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  \
             -> RemoteAddress:Port\n"
        }
        Columns::Thresholds => {
            "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  \
             -> RemoteAddress:Port\n"
        }
        Columns::Persistent => {
            "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  \
             -> RemoteAddress:Port\n"
        }
    }
}

/// The rows of a table, in the order given.
#[must_use]
pub fn services(services: &[Service], layout: &Layout) -> String {
    let mut text = String::new();
    for service in services {
        service_row(&mut text, service, layout);
        for server in &service.servers {
            server_row(&mut text, service, server, layout);
        }
    }
    text
}

fn service_row(text: &mut String, service: &Service, layout: &Layout) {
    let name = layout.naming.service(&service.key);
    let _written = match layout.columns {
        Columns::Stats => writeln!(text, "{name:<33}{}", counts(&service.traffic, layout.exact)),
        Columns::Rate => writeln!(text, "{name:<33}{}", counts(&service.rates, layout.exact)),
        _ => writeln!(text, "{name} {}", attributes(service)),
    };
}

/// Scheduler and what else was configured.
fn attributes(service: &Service) -> String {
    let mut text = service.scheduler.as_deref().unwrap_or("none").to_owned();
    if !service.flags.is_empty() {
        let _written = write!(text, " ({})", scheduler_flags(service));
    }
    if let Some(persistence) = service.persistence {
        let _written = write!(text, " persistent {}", persistence.timeout_seconds);
        if let Some(mask) = mask(service) {
            let _written = write!(text, " mask {mask}");
        }
        // IPVS: not shown without persistence, though it is saved.
        if let Some(engine) = service.persistence_engine {
            let _written = write!(text, " pe {}", engine.name());
        }
    }
    if service.one_packet {
        text.push_str(" ops");
    }
    text
}

/// The flags' names. IPVS: of `sh` and `mh` only the two that mean something.
pub(super) fn scheduler_flags(service: &Service) -> String {
    let own = match service.scheduler.as_deref() {
        Some("sh") => &["sh-fallback", "sh-port"],
        Some("mh") => &["mh-fallback", "mh-port"],
        _ => &["flag-1", "flag-2", "flag-3"] as &[&str],
    };
    let set = own.iter().filter(|name| service.flags.iter().any(|flag| flag == *name));
    set.copied().collect::<Vec<_>>().join(",")
}

/// The persistence mask, unless it is the whole address.
pub(super) fn mask(service: &Service) -> Option<String> {
    let length = u32::from(service.persistence?.prefix_length?);
    match service.family() {
        Family::Ipv4 => {
            let bits = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or(0);
            (length != 32).then(|| Ipv4Addr::from(bits).to_string())
        }
        Family::Ipv6 if length == 0 => Some(ALL_CLIENTS.to_owned()),
        Family::Ipv6 => (length != 128).then(|| length.to_string()),
    }
}

fn server_row(text: &mut String, service: &Service, server: &Server, layout: &Layout) {
    let protocol = service.protocol().map_or(6, Protocol::number);
    let mut name = layout.naming.endpoint(server.address, server.port, protocol);
    if server.address.is_ipv4() {
        // IPVS: long names of IPv4 hosts are cut, IPv6 addresses push the columns.
        name = name.chars().take(28).collect();
    }
    let (active, inactive) = (server.active_connections, server.inactive_connections);
    let _written = match layout.columns {
        Columns::Stats => {
            writeln!(text, "  -> {name:<28}{}", counts(&server.traffic, layout.exact))
        }
        Columns::Rate => writeln!(text, "  -> {name:<28}{}", rates(&server.rates, layout.exact)),
        Columns::Thresholds => {
            let (upper, lower) = (server.upper_threshold, server.lower_threshold);
            writeln!(text, "  -> {name:<28} {upper:<10} {lower:<10} {active:<10} {inactive:<10}")
        }
        Columns::Persistent => {
            let (weight, persistent) = (server.weight, server.persistent_connections);
            writeln!(
                text,
                "  -> {name:<28} {weight:<9} {persistent:<11} {active:<10} {inactive:<10}"
            )
        }
        Columns::Plain | Columns::Tunnels => {
            let forward = match server.forwarding {
                ForwardingMethod::DirectRouting => "Route",
                ForwardingMethod::Tunnelling => "Tunnel",
                ForwardingMethod::Masquerading => "Masq",
            };
            let tunnel = match layout.columns {
                Columns::Tunnels => format!("{:<13} ", tunnel(server)),
                _ => String::new(),
            };
            let weight = server.weight;
            writeln!(
                text,
                "  -> {name:<28} {forward:<7} {tunnel}{weight:<6} {active:<10} {inactive:<10}"
            )
        }
    };
}

fn tunnel(server: &Server) -> String {
    let Some(Tunnel { kind, port, checksum }) = server.tunnel else { return "n/a".to_owned() };
    let checksum = match checksum {
        TunnelChecksum::Nocsum => "-c",
        TunnelChecksum::Csum => "+c",
        TunnelChecksum::Remcsum => "r+c",
    };
    match kind {
        TunnelKind::Ipip => "ipip".to_owned(),
        TunnelKind::Gre => format!("gre:{checksum}"),
        TunnelKind::Gue => format!("gue:{}:{checksum}", port.unwrap_or(0)),
    }
}

fn counts(counts: &Counts, all_digits: bool) -> String {
    let show = if all_digits { exact } else { abbreviated };
    let Counts { connections, in_packets, out_packets, in_octets, out_octets } = *counts;
    [connections, in_packets, out_packets, in_octets, out_octets].into_iter().map(show).collect()
}

/// IPVS: of a server only the octets are cut down.
fn rates(rates: &Counts, all_digits: bool) -> String {
    let show = if all_digits { exact } else { abbreviated };
    let Counts { connections, in_packets, out_packets, in_octets, out_octets } = *rates;
    let raw = [connections, in_packets, out_packets].into_iter().map(exact);
    raw.chain([in_octets, out_octets].into_iter().map(show)).collect()
}
