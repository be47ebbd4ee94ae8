//! Carrying out commands that were found good.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use super::Configuration;
use super::directory::Directory;
use super::roster::Roster;
use super::server::Server;
use super::service::{Service, ServiceId, server_port};
use crate::command::{
    Command, ForwardingMethod, ServerKey, ServerSpec, ServiceKey, ServiceSpec, Tunnel,
};
use crate::scheduler::Flags;

/// A configuration in the making. What follows from a service's servers is derived at the end,
/// once for each service touched.
#[derive(Debug)]
pub(super) struct Draft {
    next: Configuration,
    touched: BTreeSet<ServiceId>,
}

impl Draft {
    /// Begins with `configuration`, which stays as it is.
    pub(super) fn of(configuration: &Configuration) -> Self {
        Self { next: configuration.clone(), touched: BTreeSet::new() }
    }

    /// The configuration so far, to check the next command against.
    pub(super) const fn configuration(&self) -> &Configuration {
        &self.next
    }

    /// The configuration, and the services whose derived parts are stale.
    pub(super) fn into_parts(self) -> (Configuration, BTreeSet<ServiceId>) {
        (self.next, self.touched)
    }

    /// Carries out a command that [`super::check::check`] found good.
    pub(super) fn perform(&mut self, command: &Command) {
        match command {
            Command::AddService { service } => self.add_service(service),
            Command::EditService { service } => self.edit_service(service),
            Command::RemoveService { service } => self.remove_service(service),
            Command::Clear => self.clear(),
            Command::AddServer { service, server } => self.add_server(service, server),
            Command::EditServer { service, server } => self.edit_server(service, server),
            Command::SetWeight { service, server, weight } => {
                self.change_server(service, server, |it| it.weigh(*weight));
            }
            Command::RemoveServer { service, server } => self.remove_server(service, server),
            Command::DefineMark { mark, matches } => {
                Arc::make_mut(&mut self.next.marks).define(*mark, matches);
            }
            Command::Settings { settings } => {
                self.next.settings = self.next.settings.patched(settings);
            }
        }
    }

    fn add_service(&mut self, spec: &ServiceSpec) {
        let vacant = self.next.services.iter().position(Option::is_none);
        let index = vacant.unwrap_or(self.next.services.len());
        let Ok(number) = u32::try_from(index) else { return };
        let id = ServiceId(number);
        let generation = self.next.next_serial();
        let service = Some(Arc::new(Service::new(id, generation, spec.clone())));
        match self.next.services.get_mut(index) {
            Some(slot) => *slot = service,
            None => self.next.services.push(service),
        }
        self.next.order.push(id);
        self.directory().add_service(spec.key, id);
        self.touched.insert(id);
    }

    fn edit_service(&mut self, spec: &ServiceSpec) {
        if let Some(service) = self.service(&spec.key) {
            let is_bound = service.spec.scheduler == spec.scheduler;
            service.flags = Flags::from(spec.flags.as_slice());
            service.spec = spec.clone();
            if !is_bound {
                service.note_weights();
            }
        }
    }

    fn remove_service(&mut self, key: &ServiceKey) {
        let Some(id) = self.next.directory.get(key) else { return };
        self.next.order.retain(|&it| it != id);
        self.discard(id);
    }

    fn clear(&mut self) {
        for id in core::mem::take(&mut self.next.order) {
            self.discard(id);
        }
    }

    fn discard(&mut self, id: ServiceId) {
        let Ok(index) = usize::try_from(id.0) else { return };
        let Some(service) = self.next.services.get_mut(index).and_then(Option::take) else {
            return;
        };
        for server in &service.servers {
            self.dismiss(&service, server);
        }
        self.directory().remove_service(service.key());
    }

    fn add_server(&mut self, key: &ServiceKey, spec: &ServerSpec) {
        let port = server_port(key, spec.forwarding, spec.key.port);
        let Some(service) = self.next.service(key).map(Arc::clone) else { return };
        let enrolment = self.roster().enrol(&service, spec.key.address, port);
        drop(service);
        let addition = self.next.next_serial();
        let server = Server {
            id: enrolment.id,
            generation: enrolment.generation.unwrap_or(addition),
            addition,
            address: spec.key.address,
            port,
            weight: spec.weight,
            last_weight: spec.weight,
            forwarding: spec.forwarding,
            tunnel: tunnel(spec),
            upper_threshold: spec.upper_threshold,
            lower_threshold: spec.lower_threshold,
            load: enrolment.load,
        };
        self.directory().add_server(server.address);
        if let Some(service) = self.service(key) {
            // IPVS: a new server stands at the head of the list.
            service.servers.insert(0, server);
            service.note_weights();
        }
    }

    fn edit_server(&mut self, key: &ServiceKey, spec: &ServerSpec) {
        self.change_server(key, &spec.key, |server| {
            server.weigh(spec.weight);
            server.forwarding = spec.forwarding;
            server.tunnel = tunnel(spec);
            server.upper_threshold = spec.upper_threshold;
            server.lower_threshold = spec.lower_threshold;
        });
    }

    fn change_server(
        &mut self,
        key: &ServiceKey,
        server: &ServerKey,
        change: impl FnOnce(&mut Server),
    ) {
        let Some(service) = self.service(key) else { return };
        let Some(index) = service.server(server).map(|(index, _)| index) else { return };
        if let Some(server) = service.servers.get_mut(index) {
            change(server);
            service.note_weights();
        }
    }

    fn remove_server(&mut self, key: &ServiceKey, server: &ServerKey) {
        let Some(service) = self.service(key) else { return };
        let Some(index) = service.server(server).map(|(index, _)| index) else { return };
        let server = service.servers.remove(index);
        service.note_weights();
        if let Some(service) = self.next.service(key).map(Arc::clone) {
            self.dismiss(&service, &server);
        }
    }

    fn dismiss(&mut self, service: &Service, server: &Server) {
        self.roster().dismiss(service, server);
        self.directory().remove_server(server.address);
    }

    /// The service, to be changed: from here on it is no longer shared, and it counts as touched.
    fn service(&mut self, key: &ServiceKey) -> Option<&mut Service> {
        let id = self.next.directory.get(key)?;
        let is_first = self.touched.insert(id);
        let index = usize::try_from(id.0).ok()?;
        let service = self.next.services.get_mut(index)?.as_mut().map(Arc::make_mut)?;
        if is_first {
            service.weight_changes.clear();
        }
        Some(service)
    }

    fn directory(&mut self) -> &mut Directory {
        Arc::make_mut(&mut self.next.directory)
    }

    fn roster(&mut self) -> &mut Roster {
        Arc::make_mut(&mut self.next.roster)
    }
}

/// The tunnel of a server: IPIP where nothing else is said (IPVS).
fn tunnel(spec: &ServerSpec) -> Option<Tunnel> {
    (spec.forwarding == ForwardingMethod::Tunnelling).then(|| spec.tunnel.unwrap_or_default())
}
