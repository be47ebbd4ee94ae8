//! An interface that was deleted takes its sockets and its guard with it. When one of the same name
//! appears, both are made anew; the names of the services are claimed by interface name and stay.

use std::sync::Arc;

use afpacket::classifier::Classifier;
use afpacket::netlink::link::Link;
use afpacket::{FastFilter, FastPath, Guard};
use engine::frame::InterfaceId;

use super::host::{Guarded, Host, guard_failed};
use super::{fast_path, inlets};
use crate::error::{ApplyError, StartError};
use crate::exposure::Exposure;
use crate::port::{AfPacketControl, AfPacketOptions, Inlet};
use crate::query::Query;
use crate::worker::WorkerCommand;

impl Host {
    /// The numbers of the interfaces, as they were when they were guarded.
    pub(super) fn interface(&self, name: &str) -> Option<u32> {
        self.find(name).map(|place| self.guarded[place].guard.interface())
    }

    /// Takes `link` in place of the interface that had its name before: guard first, then sockets
    /// with filters, then the workers.
    ///
    /// # Errors
    /// When any of it fails; it can be tried again.
    pub(super) fn reattach(&mut self, link: &Link, exposure: &Exposure) -> Result<(), StartError> {
        let Some(place) = self.find(&link.name) else { return Ok(()) };
        let classifier = self.classifier(exposure)?;
        let guard = self.new_guard(link, &classifier)?;
        let fast = self.new_fast_filter(link)?;
        let inlets = self.new_inlets(link, &classifier)?;
        let Some(guarded) = self.guarded.get_mut(place) else { return Ok(()) };
        let replaced = InterfaceId(guarded.guard.interface());
        let name = link.name.clone();
        *guarded = Guarded { name, link: link.clone(), guard, fast, orphans: Vec::new() };
        self.hand_out(inlets, replaced).map_err(StartError::Apply)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.guarded.iter().position(|guarded| guarded.name == name)
    }

    fn new_guard(&mut self, link: &Link, classifier: &Classifier) -> Result<Guard, ApplyError> {
        let failed = |error| guard_failed(&link.name, &error);
        let guard = Guard::install(&mut self.netlink, link.index, self.ownership.id());
        let mut guard = guard.map_err(failed)?;
        guard.set(&mut self.netlink, classifier).map_err(failed)?;
        Ok(guard)
    }

    fn new_fast_filter(&mut self, link: &Link) -> Result<Option<FastFilter>, StartError> {
        let Self { fast_path, netlink, ownership, .. } = self;
        let install = |path: &Arc<FastPath>| {
            let filter = fast_path::install(path, netlink, link.index, ownership.id());
            filter.map_err(|error| StartError::FastPath { message: error.to_string() })
        };
        fast_path.as_ref().map(install).transpose()
    }

    fn new_inlets(&self, link: &Link, classifier: &Classifier) -> Result<Vec<Inlet>, StartError> {
        let options = AfPacketOptions { fast_path: self.fast_path.clone(), ..self.options.port() };
        let mut inlets = inlets::open(&self.options, link, &self.admissions)?;
        for inlet in &mut inlets {
            let set = inlet.set_classifier(classifier, &options);
            set.map_err(|error| ApplyError::refused(&error))?;
        }
        Ok(inlets)
    }

    fn hand_out(&self, inlets: Vec<Inlet>, replaced: InterfaceId) -> Result<(), ApplyError> {
        let shared = self.shared()?;
        let links = || self.guarded.iter().map(|guarded| &guarded.link);
        for (worker, inlet) in inlets.into_iter().enumerate() {
            let attach = AfPacketControl::Attach(Box::new(inlet), replaced);
            let (query, _answer) = Query::new();
            shared.workers.tell(worker, WorkerCommand::Port(attach, query))?;
            let stations = inlets::stations(&self.options, links());
            shared.workers.tell(worker, WorkerCommand::Stations(stations))?;
        }
        Ok(())
    }
}
