//! Schedulers: which real server takes a new connection. One file a scheduler.
//!
//! What a scheduler derives from the configuration alone is a [`Placement`], built once a change
//! and shared by all engines; what it remembers from pick to pick is a [`State`], one an engine.

mod address_cache;
mod cost;
mod dh;
mod fo;
mod hash;
mod lblc;
mod lblcr;
mod lc;
mod mh;
mod nq;
mod ovf;
mod placement;
mod rr;
mod sed;
mod sh;
mod siphash;
mod state;
mod twos;
mod wlc;
mod wrr;

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::command::SchedulerFlag;
use crate::configuration::{Server, Service};
use crate::snapshot::ScheduleExplanation;
use crate::time::Instant;

pub use dh::DhTable;
pub use lblc::Lblc;
pub use lblcr::Lblcr;
pub use mh::{MhTable, SERVERS_MAX as MH_SERVERS_MAX};
pub use placement::Placement;
pub use rr::Cursor;
pub use sh::ShTable;
pub use state::State;
pub use twos::Random;
pub use wrr::{Turn, Weights};

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
        use SchedulerFlag::{MhFallback, MhPort, ShFallback, ShPort};
        Self {
            fallback: flags.iter().any(|flag| matches!(flag, ShFallback | MhFallback)),
            port: flags.iter().any(|flag| matches!(flag, ShPort | MhPort)),
        }
    }
}

/// What of a packet a scheduler may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey {
    /// The client's address. For the packet quoted in an ICMP error it is the destination, because
    /// that packet travelled from the server to the client.
    pub address: IpAddr,
    /// The client's port; 0 where there is none to read.
    pub port: u16,
    /// The destination of the packet: its virtual address. IPVS: for the packet quoted in an ICMP
    /// error it is the client's address, because `dh`, `lblc` and `lblcr` do not turn that around.
    pub destination: IpAddr,
}

/// A scheduler's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Index into the service's servers; none if no server can take the connection.
    pub server: Option<usize>,
    /// Whether fallback moved the connection off the server its bucket names.
    pub moved_by_fallback: bool,
}

impl From<Option<usize>> for Choice {
    fn from(server: Option<usize>) -> Self {
        Self { server, moved_by_fallback: false }
    }
}

/// Picks the server of a new connection and remembers what must be remembered.
pub fn schedule(service: &Service, state: &mut State, key: &HashKey, now: Instant) -> Choice {
    let servers = service.servers.as_slice();
    match (&service.placement, state) {
        (Placement::Sh(table), _) => table.pick(servers, service.flags, key),
        (Placement::Mh(table), _) => table.pick(servers, service.flags, key),
        (Placement::Dh(table), _) => table.pick(servers, key).into(),
        (Placement::Lc, _) => lc::pick(servers).into(),
        (Placement::Wlc, _) => wlc::pick(servers).into(),
        (Placement::Sed, _) => sed::pick(servers).into(),
        (Placement::Nq, _) => nq::pick(servers).into(),
        (Placement::Fo, _) => fo::pick(servers).into(),
        (Placement::Ovf, _) => ovf::pick(servers).into(),
        (Placement::Rr, State::Rr(cursor)) => cursor.pick(servers).into(),
        (Placement::Wrr(_), State::Wrr(turn)) => turn.pick(servers).into(),
        (Placement::Twos, State::Twos(random)) => twos::pick(servers, random).into(),
        (Placement::Lblc, State::Lblc(cache)) => cache.pick(servers, key, now).into(),
        (Placement::Lblcr, State::Lblcr(cache)) => cache.pick(servers, key, now).into(),
        // The state is made with the service; without it, or without a scheduler, nobody is found.
        (
            Placement::None
            | Placement::Rr
            | Placement::Wrr(_)
            | Placement::Twos
            | Placement::Lblc
            | Placement::Lblcr,
            _,
        ) => Choice::default(),
    }
}

/// Says what [`schedule`] would answer now, and how it comes to that; changes nothing.
#[must_use]
pub fn explain(
    service: &Service,
    state: &State,
    key: &HashKey,
    now: Instant,
) -> ScheduleExplanation {
    let servers = service.servers.as_slice();
    match (&service.placement, state) {
        (Placement::Sh(table), _) => table.explain(servers, service.flags, key),
        (Placement::Mh(table), _) => table.explain(servers, service.flags, key),
        (Placement::Dh(table), _) => table.explain(servers, key),
        // The caches are large: they are looked at, and tried out on a copy only if they are stale.
        (Placement::Lblc, State::Lblc(cache)) if cache.is_swept(now) => {
            picked(service, cache.look(servers, key).server)
        }
        (Placement::Lblcr, State::Lblcr(cache)) if cache.is_swept(now) => {
            picked(service, cache.look(servers, key).server)
        }
        _ => picked(service, schedule(service, &mut state.clone(), key, now).server),
    }
}

/// The explanation of a pick that no hash led to.
fn picked(service: &Service, server: Option<usize>) -> ScheduleExplanation {
    let server = server.and_then(|index| service.servers.get(index));
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
