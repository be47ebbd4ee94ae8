//! The offline director of JavaScript.

use std::net::IpAddr;
use std::time::Duration;

use director::offline::{OfflineDirector, OfflineOptions};
use engine::Limits;
use engine::command::Command;
use napi::Result;
use napi_derive::napi;

use crate::configuration::BindingConfiguration;
use crate::frame::{BindingFrameMeta, BindingOutgoingFrame, BindingResult};
use crate::hop::BindingHop;
use crate::outcome::{Refusal, from_text, internal, outcome, told};

/// Options of an offline director.
#[napi(object)]
#[derive(Debug)]
pub struct BindingOfflineOptions {
    /// Entries that the connection table can hold.
    pub connections: Option<u32>,
    /// Seed of random choices, a whole number.
    pub seed: Option<i64>,
}

/// A director without sockets and threads, on a virtual clock.
#[napi]
#[derive(Debug)]
pub struct BindingOfflineDirector {
    director: OfflineDirector,
}

#[napi]
impl BindingOfflineDirector {
    /// Makes a director without services.
    #[napi(constructor, catch_unwind)]
    pub fn new(options: BindingOfflineOptions) -> Self {
        let defaults = Limits::default();
        let connections = options.connections.unwrap_or(defaults.connections);
        let limits = Limits { connections, ..defaults };
        let seed = options.seed.unwrap_or(0).unsigned_abs();
        Self { director: OfflineDirector::new(OfflineOptions { limits, seed }) }
    }

    /// Applies commands, all or none.
    #[napi(catch_unwind)]
    pub fn apply(&mut self, commands: String) -> Result<String> {
        let commands = from_text::<Vec<Command>>(&commands);
        outcome(commands.and_then(|commands| Ok(self.director.apply(&commands)?)))
    }

    /// The configuration in force.
    #[napi(catch_unwind)]
    pub fn configuration(&self, only: String) -> Result<String> {
        outcome(BindingConfiguration::of(self.director.configuration(), &only))
    }

    /// Takes the events that wait.
    #[napi(catch_unwind)]
    pub fn take_events(&mut self) -> Result<Option<String>> {
        told(&self.director.take_events())
    }

    /// Judges a frame.
    #[napi(catch_unwind)]
    pub fn process(&mut self, frame: &[u8], meta: BindingFrameMeta) -> BindingResult {
        self.director.process(frame, &meta.of(frame)).into()
    }

    /// Judges frames one after the other.
    #[napi(catch_unwind)]
    pub fn process_all(
        &mut self,
        frames: Vec<&[u8]>,
        meta: BindingFrameMeta,
    ) -> Vec<BindingResult> {
        frames.into_iter().map(|frame| self.process(frame, meta)).collect()
    }

    /// Takes the frames that waited for a neighbour and may go.
    #[napi(catch_unwind)]
    pub fn take_released(&mut self) -> Vec<BindingOutgoingFrame> {
        self.director.take_released().into_iter().map(Into::into).collect()
    }

    /// Lets time pass, in milliseconds.
    #[napi(catch_unwind)]
    pub fn advance(&mut self, milliseconds: f64) -> Result<()> {
        let time = Duration::try_from_secs_f64(milliseconds / 1e3);
        self.director.advance(time.map_err(|error| internal(&error))?);
        Ok(())
    }

    /// The virtual clock, in milliseconds.
    #[napi(catch_unwind)]
    #[must_use]
    pub fn now(&self) -> f64 {
        self.director.now().as_secs_f64() * 1e3
    }

    /// States the way to the servers at an address.
    #[napi(catch_unwind)]
    pub fn set_hop(&mut self, address: String, hop: String) -> Result<String> {
        outcome(self.try_set_hop(&address, &hop))
    }

    /// All counters.
    #[napi(catch_unwind)]
    pub fn statistics(&self, only: String) -> Result<String> {
        outcome(from_text(&only).map(|only: Option<_>| self.director.statistics_of(only.as_ref())))
    }

    /// A part of the connection table.
    #[napi(catch_unwind)]
    pub fn connections(&self, filter: String, cursor: u32, limit: u32) -> Result<String> {
        let filter = from_text(&filter);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        outcome(filter.map(|filter| self.director.connections(&filter, cursor, limit)))
    }

    /// Where a flow goes.
    #[napi(catch_unwind)]
    pub fn explain(&self, flow: String) -> Result<String> {
        outcome(from_text(&flow).map(|flow| self.director.explain(&flow)))
    }

    /// Where a frame goes.
    #[napi(catch_unwind)]
    pub fn explain_frame(&self, frame: &[u8]) -> Result<String> {
        outcome(self.director.explain_frame(frame).map_err(|error| Refusal::invalid(&error)))
    }

    /// Sets counters to zero.
    #[napi(catch_unwind)]
    pub fn zero(&mut self, service: String) -> Result<String> {
        outcome(from_text(&service).map(|service: Option<_>| self.director.zero(service.as_ref())))
    }

    fn try_set_hop(&mut self, address: &str, hop: &str) -> std::result::Result<(), Refusal> {
        let address: IpAddr = address.parse().map_err(|_| {
            Refusal::new("invalid-address", format!("{address:?} is not an IP address"))
        })?;
        let hop = from_text::<BindingHop>(hop)?;
        if let Some(local) = hop.local() {
            self.director.set_source(address, local);
        }
        self.director.set_hop(address, hop.resolve(address)?);
        Ok(())
    }
}
