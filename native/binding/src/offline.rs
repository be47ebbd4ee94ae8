//! The offline director of JavaScript.

use std::net::IpAddr;
use std::time::Duration;

use director::offline::{OfflineDirector, OfflineOptions};
use engine::Limits;
use engine::command::{Command, ServiceKey};
use engine::snapshot::{ConnectionFilter, Flow};
use napi::Result;
use napi_derive::napi;
use serde_json::Value;

use crate::configuration::BindingConfiguration;
use crate::frame::{BindingFrameMeta, BindingOutgoingFrame, BindingResult};
use crate::hop::BindingHop;
use crate::outcome::{Refusal, from_json, from_text, internal, outcome, to_json, to_text};

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
    pub fn apply(&mut self, commands: String) -> Result<Value> {
        let commands = from_text::<Vec<Command>>(&commands);
        outcome(commands.and_then(|commands| Ok(self.director.apply(&commands)?)))
    }

    /// The configuration in force.
    #[napi(catch_unwind)]
    pub fn configuration(&self, only: Value) -> Result<Value> {
        outcome(BindingConfiguration::text(self.director.configuration(), only))
    }

    /// Takes the events that wait.
    #[napi(catch_unwind)]
    pub fn take_events(&mut self) -> Result<Value> {
        to_json(&self.director.take_events())
    }

    /// Judges a frame.
    #[napi(catch_unwind)]
    pub fn process(&mut self, frame: &[u8], meta: BindingFrameMeta) -> BindingResult {
        self.director.process(frame, &meta.of(frame)).into()
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
    pub fn set_hop(&mut self, address: String, hop: Value) -> Result<Value> {
        outcome(self.try_set_hop(&address, hop))
    }

    /// All counters.
    #[napi(catch_unwind)]
    pub fn statistics(&self, only: Value) -> Result<Value> {
        let only = from_json::<Option<ServiceKey>>(only);
        outcome(only.and_then(|only| to_text(&self.director.statistics_of(only.as_ref()))))
    }

    /// A part of the connection table.
    #[napi(catch_unwind)]
    pub fn connections(&self, filter: Value, cursor: u32, limit: u32) -> Result<Value> {
        let filter = from_json::<ConnectionFilter>(filter);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        outcome(filter.map(|filter| self.director.connections(&filter, cursor, limit)))
    }

    /// Where a flow goes.
    #[napi(catch_unwind)]
    pub fn explain(&self, flow: Value) -> Result<Value> {
        outcome(from_json::<Flow>(flow).map(|flow| self.director.explain(&flow)))
    }

    /// Where a frame goes.
    #[napi(catch_unwind)]
    pub fn explain_frame(&self, frame: &[u8]) -> Result<Value> {
        outcome(self.director.explain_frame(frame).map_err(|error| Refusal::invalid(&error)))
    }

    /// Sets counters to zero.
    #[napi(catch_unwind)]
    pub fn zero(&mut self, service: Value) -> Result<Value> {
        let service = from_json::<Option<ServiceKey>>(service);
        outcome(service.map(|service| self.director.zero(service.as_ref())))
    }

    fn try_set_hop(&mut self, address: &str, hop: Value) -> std::result::Result<(), Refusal> {
        let address: IpAddr = address.parse().map_err(|_| {
            Refusal::new("invalid-address", format!("{address:?} is not an IP address"))
        })?;
        let hop = from_json::<BindingHop>(hop)?;
        if let Some(local) = hop.local() {
            self.director.set_source(address, local);
        }
        self.director.set_hop(address, hop.resolve(address)?);
        Ok(())
    }
}
