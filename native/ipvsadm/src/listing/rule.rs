//! Rules that `-R` understands.

use engine::command::{Family, ForwardingMethod, Protocol, ServiceKey, TunnelChecksum, TunnelKind};
use std::fmt::Write as _;

use super::name::{Naming, signed};
use super::table::{mask, scheduler_flags};
use crate::table::{Server, Service};

/// `-S`: rules for the services in their order. `thresholds` adds what IPVS leaves out, and turns the
/// servers' order around, so that adding them again makes the same list.
#[must_use]
pub fn save(services: &[Service], naming: &Naming, thresholds: bool) -> String {
    let mut text = String::new();
    for service in services {
        let name = name(service, naming);
        let _written = writeln!(text, "-A {name} {}", attributes(service));
        let mut servers: Vec<&Server> = service.servers.iter().collect();
        if thresholds {
            servers.reverse();
        }
        for server in servers {
            let _written =
                writeln!(text, "-a {name} {}", real_server(service, server, naming, thresholds));
        }
    }
    text
}

fn name(service: &Service, naming: &Naming) -> String {
    let option = match service.key {
        ServiceKey::Mark { mark, family } => {
            let family = if family == Family::Ipv6 { " -6" } else { "" };
            return format!("-f {}{family}", signed(mark));
        }
        ServiceKey::Address { protocol, .. } | ServiceKey::Range { protocol, .. } => match protocol
        {
            Protocol::Tcp => "-t",
            Protocol::Udp => "-u",
            Protocol::Sctp => "--sctp-service",
        },
    };
    format!("{option} {}", naming.virtual_endpoint(&service.key))
}

fn attributes(service: &Service) -> String {
    let mut text = format!("-s {}", service.scheduler.as_deref().unwrap_or("none"));
    if let Some(persistence) = service.persistence {
        let _written = write!(text, " -p {}", persistence.timeout_seconds);
        if let Some(mask) = mask(service) {
            let _written = write!(text, " -M {mask}");
        }
    }
    if let Some(engine) = service.persistence_engine {
        let _written = write!(text, " --pe {}", engine.name());
    }
    if service.one_packet {
        text.push_str(" -o");
    }
    if !service.flags.is_empty() {
        let _written = write!(text, " -b {}", scheduler_flags(service));
    }
    text
}

fn real_server(service: &Service, server: &Server, naming: &Naming, thresholds: bool) -> String {
    let protocol = service.protocol().map_or(6, Protocol::number);
    let name = naming.endpoint(server.address, server.port, protocol);
    let method = match server.forwarding {
        ForwardingMethod::DirectRouting => "-g",
        ForwardingMethod::Tunnelling => "-i",
        ForwardingMethod::Masquerading => "-m",
    };
    let mut text = format!("-r {name} {method} -w {}", server.weight);
    if thresholds && server.upper_threshold > 0 {
        let _written = write!(text, " -x {}", server.upper_threshold);
    }
    if thresholds && server.lower_threshold > 0 {
        let _written = write!(text, " -y {}", server.lower_threshold);
    }
    let checksum = |checksum| match checksum {
        TunnelChecksum::Nocsum => "--tun-nocsum",
        TunnelChecksum::Csum => "--tun-csum",
        TunnelChecksum::Remcsum => "--tun-remcsum",
    };
    if let Some(tunnel) = server.tunnel {
        let _written = match tunnel.kind {
            TunnelKind::Ipip => write!(text, " --tun-type ipip"),
            TunnelKind::Gre => write!(text, " --tun-type gre {}", checksum(tunnel.checksum)),
            TunnelKind::Gue => write!(
                text,
                " --tun-type gue --tun-port {} {}",
                tunnel.port.unwrap_or(0),
                checksum(tunnel.checksum)
            ),
        };
    }
    text
}
