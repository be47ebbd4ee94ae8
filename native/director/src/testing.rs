//! Commands and frames that tests share.

use std::net::{IpAddr, Ipv4Addr};

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerFlag, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, ServiceSpec,
};

/// The virtual address of all tests.
pub(crate) const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// The TCP service at `port`.
pub(crate) const fn service(port: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: IpAddr::V4(VIRTUAL), port }
}

const fn server(last: u8) -> ServerKey {
    ServerKey { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port: None }
}

pub(crate) fn add_service(port: u16) -> Command {
    Command::AddService {
        service: ServiceSpec {
            key: service(port),
            scheduler: Some(SchedulerName::Sh),
            flags: vec![SchedulerFlag::ShPort, SchedulerFlag::ShFallback],
            sloppy: Some(true),
            persistence: None,
            one_packet: false,
        },
    }
}

pub(crate) const fn remove_service(port: u16) -> Command {
    Command::RemoveService { service: service(port) }
}

/// Adds 10.0.0.`last`.
pub(crate) const fn add_server(port: u16, last: u8) -> Command {
    Command::AddServer {
        service: service(port),
        server: ServerSpec {
            key: server(last),
            weight: 1,
            forwarding: ForwardingMethod::DirectRouting,
            upper_threshold: 0,
            lower_threshold: 0,
        },
    }
}

pub(crate) const fn remove_server(port: u16, last: u8) -> Command {
    Command::RemoveServer { service: service(port), server: server(last) }
}

pub(crate) const fn set_weight(port: u16, last: u8, weight: u32) -> Command {
    Command::SetWeight { service: service(port), server: server(last), weight }
}
