//! A director whose servers are all masqueraded.

use engine::Limits;
use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerName, ServerKey, ServerSpec, SettingsPatch,
};

use super::{Lab, PORT, VIP, VIP6, address, key, server_spec, service, settings};

/// Addresses by family: IPv4, IPv6.
pub(crate) const CLIENT: [&str; 2] = ["203.0.113.9", "2001:db8:c::9"];
pub(crate) const SERVER: [&str; 2] = ["10.0.0.11", "2001:db8:1::11"];
pub(crate) const ROUTER: [&str; 2] = ["192.0.2.254", "2001:db8:c::254"];
pub(crate) const VIPS: [&str; 2] = [VIP, VIP6];

/// A director with a service of each protocol and family, whose one server is masqueraded, at its own
/// port or at that of the service.
pub(crate) fn masquerading(server_port: u16) -> Lab {
    let limits = Limits { connections: 1024, events: 1024, ..Limits::default() };
    let sloppy = SettingsPatch {
        sloppy_tcp: Some(true),
        sloppy_sctp: Some(true),
        ..SettingsPatch::default()
    };
    let mut lab = Lab::with_limits(limits, &[settings(sloppy)]);
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        for (vip, at) in VIPS.into_iter().zip(SERVER) {
            let key = key(protocol, vip);
            let port = (server_port != PORT).then_some(server_port);
            let server = ServerSpec {
                key: ServerKey { address: address(at), port },
                forwarding: ForwardingMethod::Masquerading,
                ..server_spec(at, 1)
            };
            let service = service(key, SchedulerName::Rr, &[]);
            lab.apply(&[
                Command::AddService { service },
                Command::AddServer { service: key, server },
            ]);
        }
    }
    lab
}
