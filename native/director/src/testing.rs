//! Commands and frames that tests share.

use std::net::{IpAddr, Ipv4Addr};

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerFlag, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, ServiceSpec,
};
use wire::checksum;

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
    Command::AddService { service: service_spec(port) }
}

pub(crate) fn service_spec(port: u16) -> ServiceSpec {
    ServiceSpec {
        key: service(port),
        scheduler: Some(SchedulerName::Sh),
        flags: vec![SchedulerFlag::ShPort, SchedulerFlag::ShFallback],
        sloppy: Some(true),
        persistence: None,
        persistence_engine: None,
        one_packet: false,
    }
}

pub(crate) const fn remove_service(port: u16) -> Command {
    Command::RemoveService { service: service(port) }
}

/// Adds 10.0.0.`last`.
pub(crate) const fn add_server(port: u16, last: u8) -> Command {
    Command::AddServer { service: service(port), server: server_spec(last) }
}

pub(crate) const fn server_spec(last: u8) -> ServerSpec {
    ServerSpec {
        key: server(last),
        weight: 1,
        forwarding: ForwardingMethod::DirectRouting,
        tunnel: None,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

pub(crate) const fn remove_server(port: u16, last: u8) -> Command {
    Command::RemoveServer { service: service(port), server: server(last) }
}

pub(crate) const fn set_weight(port: u16, last: u8, weight: u32) -> Command {
    Command::SetWeight { service: service(port), server: server(last), weight }
}

/// The client of all frames.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// TCP flags of [`segment`].
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment of 198.51.100.7, from `source_port` to `port` of the virtual address, padded to
/// the shortest Ethernet frame.
pub(crate) fn segment(source_port: u16, port: u16, flags: u8) -> Vec<u8> {
    segment_between((CLIENT, source_port), (VIRTUAL, port), flags)
}

/// As [`segment`], from anybody to anybody.
pub(crate) fn segment_between(
    (source, source_port): (Ipv4Addr, u16),
    (destination, port): (Ipv4Addr, u16),
    flags: u8,
) -> Vec<u8> {
    let mut tcp = [0; 20];
    tcp[..2].copy_from_slice(&source_port.to_be_bytes());
    tcp[2..4].copy_from_slice(&port.to_be_bytes());
    tcp[12..14].copy_from_slice(&[0x50, flags]);
    let pseudo_header = checksum::pseudo_header_v4(source, destination, 6, 20);
    let sum = !checksum::fold(pseudo_header + checksum::sum(&tcp));
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut ip = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[12..16].copy_from_slice(&source.octets());
    ip[16..20].copy_from_slice(&destination.octets());
    let sum = checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0x08, 0x00];
    let mut frame = [&ethernet[..], &ip, &tcp].concat();
    frame.resize(60, 0);
    frame
}
