//! Tests of the configuration, and the commands they are made of.

mod changes;
mod digest;
mod issues;
mod lifecycle;
mod load;
mod lookup;
mod table;

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::Configuration;
use crate::command::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn tcp(address: &str, port: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: ip(address), port }
}

fn udp(address: &str, port: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Udp, address: ip(address), port }
}

fn mark(mark: u32) -> ServiceKey {
    ServiceKey::Mark { mark, family: Family::Ipv4 }
}

fn web() -> ServiceKey {
    tcp("192.0.2.80", 80)
}

fn spec(key: ServiceKey) -> ServiceSpec {
    ServiceSpec {
        key,
        scheduler: Some(SchedulerName::Sh),
        flags: vec![],
        sloppy: None,
        persistence: None,
        persistence_engine: None,
        one_packet: false,
    }
}

fn persistent(key: ServiceKey, seconds: u32) -> ServiceSpec {
    let persistence = Persistence { timeout_seconds: seconds, prefix_length: None };
    ServiceSpec { persistence: Some(persistence), ..spec(key) }
}

fn key(address: &str) -> ServerKey {
    ServerKey { address: ip(address), port: None }
}

fn server(address: &str) -> ServerSpec {
    ServerSpec {
        key: key(address),
        weight: 1,
        forwarding: ForwardingMethod::DirectRouting,
        tunnel: None,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

fn limited(address: &str, upper_threshold: u32, lower_threshold: u32) -> ServerSpec {
    ServerSpec { upper_threshold, lower_threshold, ..server(address) }
}

fn add_service(key: ServiceKey) -> Command {
    Command::AddService { service: spec(key) }
}

fn add(service: ServiceKey, address: &str) -> Command {
    Command::AddServer { service, server: server(address) }
}

fn remove(service: ServiceKey, address: &str) -> Command {
    Command::RemoveServer { service, server: key(address) }
}

/// A configuration these commands make out of nothing.
fn configured(commands: &[Command]) -> Configuration {
    Configuration::default().apply(commands).expect("good commands")
}

/// Addresses of a service's servers, in list order.
fn list(configuration: &Configuration, key: ServiceKey) -> Vec<IpAddr> {
    let service = configuration.service(&key).expect("the service");
    service.servers.iter().map(|server| server.address).collect()
}
