//! Schedulers: which real server takes a new connection. One file a scheduler.
//!
//! What a scheduler derives from the configuration alone is a [`Placement`], built once a change
//! and shared by all engines; what it remembers from pick to pick is a [`State`], one an engine.

mod rr;
mod sh;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::command::{SchedulerFlag, SchedulerName};
use crate::configuration::{Server, Service};
use crate::snapshot::ScheduleExplanation;

pub use rr::Cursor;
pub use sh::ShTable;

/// What a scheduler derives from a service's list of servers.
#[derive(Clone, Debug, Default)]
pub enum Placement {
    /// No scheduler: every new connection finds no server (IPVS: `none`).
    #[default]
    None,
    /// Round robin: nothing to derive.
    Rr,
    /// Source hashing: the table of buckets.
    Sh(Arc<ShTable>),
}

impl Placement {
    /// Derives the placement of `scheduler` over `servers`, which are in list order.
    #[must_use]
    pub fn build(scheduler: Option<SchedulerName>, servers: &[Server]) -> Self {
        match scheduler {
            None => Self::None,
            Some(SchedulerName::Rr) => Self::Rr,
            Some(SchedulerName::Sh) => Self::Sh(Arc::new(ShTable::build(servers))),
        }
    }

    /// Whether the same client always gets the same answer, so that a connection can be served
    /// without being remembered.
    #[must_use]
    pub const fn is_stateless(&self) -> bool {
        matches!(self, Self::Sh(_))
    }

    /// Name of the scheduler, as `ipvsadm` spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rr => "rr",
            Self::Sh(_) => "sh",
        }
    }
}

/// Flags of a scheduler, ready to be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Take another server when the chosen one is unavailable.
    pub fallback: bool,
    /// Hash the client's port as well as its address.
    pub port: bool,
}

impl From<&[SchedulerFlag]> for Flags {
    fn from(flags: &[SchedulerFlag]) -> Self {
        Self {
            fallback: flags.contains(&SchedulerFlag::ShFallback),
            port: flags.contains(&SchedulerFlag::ShPort),
        }
    }
}

/// What of a packet a scheduler may look at.
///
/// For the packet quoted in an ICMP error these are its destination: it travelled from the server
/// to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey {
    /// The client's address.
    pub address: IpAddr,
    /// The client's port; 0 where there is none to read.
    pub port: u16,
}

/// A scheduler's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Index into the service's servers; none if no server can take the connection.
    pub server: Option<usize>,
    /// Whether `sh-fallback` moved the connection off the server its bucket names.
    pub moved_by_fallback: bool,
}

/// What a scheduler remembers between two picks, one for each service and engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    #[default]
    Stateless,
    /// Round robin: the last pick.
    Rr(Cursor),
}

impl State {
    /// The state before the first pick.
    #[must_use]
    pub const fn new(service: &Service) -> Self {
        match service.placement {
            Placement::None | Placement::Sh(_) => Self::Stateless,
            Placement::Rr => Self::Rr(Cursor::BEFORE_HEAD),
        }
    }

    /// Carries the state over a change of the configuration.
    ///
    /// Another scheduler, or another service under the same id, starts anew.
    pub fn reconcile(&mut self, old: &Service, new: &Service) {
        let same = old.generation == new.generation && old.spec.scheduler == new.spec.scheduler;
        match self {
            Self::Rr(cursor) if same => cursor.reconcile(&old.servers, &new.servers),
            _ => *self = Self::new(new),
        }
    }
}

/// Picks the server of a new connection and remembers what must be remembered.
pub fn schedule(service: &Service, state: &mut State, key: &HashKey) -> Choice {
    match &service.placement {
        Placement::None => Choice::default(),
        Placement::Sh(table) => table.pick(&service.servers, service.flags, key),
        Placement::Rr => {
            let mut cursor = match *state {
                State::Rr(cursor) => cursor,
                State::Stateless => Cursor::BEFORE_HEAD,
            };
            let server = cursor.pick(&service.servers);
            *state = State::Rr(cursor);
            Choice { server, moved_by_fallback: false }
        }
    }
}

/// Says what [`schedule`] would answer now, and how it comes to that; changes nothing.
#[must_use]
pub fn explain(service: &Service, state: &State, key: &HashKey) -> ScheduleExplanation {
    if let Placement::Sh(table) = &service.placement {
        return table.explain(&service.servers, service.flags, key);
    }
    let mut scratch = *state;
    let choice = schedule(service, &mut scratch, key);
    let server = choice.server.and_then(|index| service.servers.get(index));
    ScheduleExplanation {
        scheduler: service.placement.name(),
        hash: None,
        bucket: None,
        table_size: None,
        first_choice: None,
        probes: Vec::new(),
        moved_by_fallback: false,
        server: server.map(Server::reference),
    }
}
