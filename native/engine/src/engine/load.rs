//! Keeps the load of the servers in step with the connections of this engine.

use core::net::SocketAddr;

use crate::configuration::{Configuration, ServerLoad};
use crate::connection::{Activity, Expired};
use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::hop::ServerId;

/// A transition made a connection active or inactive.
pub(super) fn changed(
    configuration: &Configuration,
    events: &mut EventQueue,
    server: ServerId,
    activity: Activity,
) {
    if activity == Activity::Unchanged {
        return;
    }
    let Some(load) = configuration.load(server) else { return };
    match activity {
        Activity::Unchanged => {}
        Activity::Activated => load.activate(),
        Activity::Deactivated => {
            load.deactivate();
            if load.active() == 0 {
                report_idle(configuration, events, server, load);
            }
        }
    }
}

/// An entry of the connection table is gone.
pub(super) fn ended(configuration: &Configuration, events: &mut EventQueue, expired: &Expired) {
    let Some(load) = configuration.load(expired.server) else { return };
    if expired.template {
        load.unbind_template();
        return;
    }
    if expired.active {
        load.deactivate();
    }
    load.unbind();
    let last = load.total() == 0 || (expired.active && load.active() == 0);
    if last {
        report_idle(configuration, events, expired.server, load);
    }
}

/// Tells that a server that takes no new connections has none (active) left.
fn report_idle(
    configuration: &Configuration,
    events: &mut EventQueue,
    id: ServerId,
    load: &ServerLoad,
) {
    let remaining = load.inactive();
    if let Some((service, server)) = configuration.server_by_id(id) {
        if server.weight == 0 {
            let address = SocketAddr::new(server.address, server.port);
            events.push(Event::ServerIdle {
                service: *service.key(),
                server: address,
                id,
                remaining,
            });
        }
    } else if let Some(server) = configuration.removed_server(id) {
        let address = SocketAddr::new(server.address, server.port);
        events.push(Event::ServerIdle { service: server.service, server: address, id, remaining });
    }
}
