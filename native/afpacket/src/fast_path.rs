//! The kernel forwards the frames of chosen flows itself, and counts them.
//!
//! A map of flows and their ways is shared by two eBPF programs: a filter on the interface that
//! forwards and counts ([`FastPath::install`]), and one on the receiving socket that lets nothing
//! through of what the other forwards ([`crate::PacketSocket::set_classifier_and_fast_path`]). Both
//! judge a frame alike: TCP or UDP over IPv4 without options or over IPv6 without extension headers,
//! whole packet, no VLAN tag, to this machine's hardware address, none of SYN, FIN and RST set, TTL or
//! hop limit above 1, no longer than the way allows, of a flow in the map. Every other frame comes whole
//! and is left to the director and its guard.
//!
//! Order: guard, [`FastPath::install`] on the interface, then
//! [`crate::PacketSocket::set_classifier_and_fast_path`] on every socket of the interface, then
//! flows; the other way round at the end. A frame that is between the two programs while its flow
//! is written goes twice, one whose flow is withdrawn just then is lost.
//!
//! The filter outlives a director that was killed and goes on with the flows it had, as the guard
//! goes on to drop; [`crate::guard::find`] lists it with the guards, so that a successor removes it.

mod condition;
mod error;
mod filter;
mod flow;
mod program;
mod protocols;
#[cfg(test)]
mod tests;

use std::io;
use std::iter;
use std::os::fd::{AsFd, OwnedFd};

use crate::bpf::Program;
use crate::ebpf::Instruction;
use crate::netlink::Netlink;
use crate::sys::bpf::{Map, MapKind, Presence, ProgramKind, load_program};
#[cfg(test)]
pub(crate) use condition::function;
use flow::{KEY_LEN, VALUE_LEN};
use program::Programs;
use protocols::Protocols;

pub use error::FastPathError;
pub use filter::FastFilter;
pub(crate) use filter::signer as signer_of_label;
pub use flow::{Flow, FlowCounters, Transport, Way};

/// Flows a fast path can be made for.
pub const CAPACITY_MAX: u32 = 1 << 20;
/// What the kernel says about a program it refuses: as much of the end as is shown.
const LOG_SHOWN: usize = 2000;
const LOG_ROOM: usize = 256 * 1024;
/// How often a program is given to a verifier that is interrupted.
const ATTEMPTS: usize = 16;

/// The flows the kernel forwards, and the programs that do it. Share it by `Arc`.
#[derive(Debug)]
pub struct FastPath {
    map: Map<KEY_LEN, VALUE_LEN>,
    protocols: Protocols,
    filter: OwnedFd,
    capacity: u32,
}

impl FastPath {
    /// Makes room for `capacity` flows (about 150 octets of kernel memory each, taken at once) and
    /// hands the programs to the kernel. Succeeds only where everything a fast path needs of the
    /// kernel is there, Linux 5.8 at least.
    ///
    /// # Errors
    /// [`FastPathError::Capacity`], [`FastPathError::NotPermitted`], or what the kernel lacks.
    pub fn open(capacity: u32) -> Result<Self, FastPathError> {
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            return Err(FastPathError::Capacity { value: capacity });
        }
        let no_map = |source| FastPathError::failed("bpf(BPF_MAP_CREATE)", source);
        let map = Map::create(MapKind::Hash, capacity, "l4_fast_path").map_err(no_map)?;
        let protocols = Protocols::create().map_err(no_map)?;
        let programs = Programs { map: map.descriptor(), protocols: protocols.descriptor() };
        let traffic = programs.traffic_filter().ok_or_else(FastPathError::too_long)?;
        let filter = load(ProgramKind::TrafficFilter, "traffic filter", &traffic)?;
        let path = Self { map, protocols, filter, capacity };
        // Refused here rather than when the socket gets its filter.
        path.socket_program(&Program::constant(0))?;
        Ok(path)
    }

    /// Forwards what is in the map from now on when it comes in by `interface`. `id` is that of the
    /// director's guard, and its claim stands for both; an older filter with this id is replaced.
    /// Filters of dead directors are found by [`crate::guard::find`].
    ///
    /// # Errors
    /// When the kernel refuses, or other programs leave no place in front of the guard.
    pub fn install(
        &self,
        netlink: &mut Netlink,
        interface: u32,
        id: &str,
    ) -> Result<FastFilter, FastPathError> {
        FastFilter::install(self.filter.as_fd(), netlink, interface, id)
    }

    /// Forwards the frames of `flow` on `way`; a flow that is there gets the new way, and its counters
    /// begin at 0.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is no room, [`io::ErrorKind::InvalidInput`] when
    /// the addresses are of two families.
    pub fn insert(&self, flow: &Flow, way: &Way) -> io::Result<()> {
        let (key, value) = (flow.key()?, way.value());
        loop {
            self.protocols.add(flow.transport)?;
            let Err(error) = self.map.update(&key, &value, Presence::Absent) else {
                return Ok(());
            };
            self.protocols.remove(flow.transport);
            match error.raw_os_error() {
                Some(libc::EEXIST) => {}
                Some(libc::E2BIG) => return Err(io::ErrorKind::StorageFull.into()),
                _ => return Err(error),
            }
            match self.map.update(&key, &value, Presence::Present) {
                // Withdrawn in between by another thread.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                other => return other,
            }
        }
    }

    /// What was forwarded of `flow` since it was inserted; `None` when it is not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the addresses are of two families.
    pub fn counters(&self, flow: &Flow) -> io::Result<Option<FlowCounters>> {
        present(self.map.read(&flow.key()?))
    }

    /// Forwards the frames of `flow` no longer: they come to the socket again. Returns what was
    /// forwarded; `None` when it was not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the addresses are of two families.
    pub fn withdraw(&self, flow: &Flow) -> io::Result<Option<FlowCounters>> {
        let counters = present(self.map.take(&flow.key()?))?;
        if counters.is_some() {
            self.protocols.remove(flow.transport);
        }
        Ok(counters)
    }

    /// Withdraws every flow. One that is inserted meanwhile may stay.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn clear(&self) -> io::Result<()> {
        while let Some(key) = self.map.first_key()? {
            if present(self.map.take(&key))?.is_some() {
                self.protocols.remove(Transport::of_key(&key));
            }
        }
        Ok(())
    }

    /// Number of flows.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.protocols.flows()
    }

    /// Whether no flow is forwarded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Flows there is room for.
    #[must_use]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// A socket's program: nothing of what is forwarded, `others` for the rest.
    pub(crate) fn socket_program(&self, others: &Program) -> Result<OwnedFd, FastPathError> {
        let (map, protocols) = (self.map.descriptor(), self.protocols.descriptor());
        let programs = Programs { map, protocols };
        let program = programs
            .socket_filter(others)
            .map_err(|error| FastPathError::Untranslatable { why: format!("{:?}", error.0) })?;
        load(
            ProgramKind::SocketFilter,
            "socket filter",
            &program.ok_or_else(FastPathError::too_long)?,
        )
    }
}

/// The counters of an entry, unless there is none.
fn present(value: io::Result<[u8; VALUE_LEN]>) -> io::Result<Option<FlowCounters>> {
    match value {
        Ok(value) => Ok(Some(FlowCounters::of(&value))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn load(
    kind: ProgramKind,
    name: &'static str,
    instructions: &[Instruction],
) -> Result<OwnedFd, FastPathError> {
    const CALL: &str = "bpf(BPF_PROG_LOAD)";
    let once = || load_program(kind, instructions, "l4_fast_path", &mut []);
    let is_interrupted = |loaded: &io::Result<OwnedFd>| matches!(loaded, Err(error) if error.raw_os_error() == Some(libc::EAGAIN));
    // The verifier stops for a signal and leaves it to the caller to begin again.
    let again = iter::repeat_with(once).take(ATTEMPTS).find(|loaded| !is_interrupted(loaded));
    let source = match again.unwrap_or_else(once) {
        Ok(program) => return Ok(program),
        Err(source) if source.raw_os_error() == Some(libc::EPERM) => {
            return Err(FastPathError::failed(CALL, source));
        }
        Err(source) => source,
    };
    // Writing the log takes time: only for a program that is refused.
    let mut log = vec![0; LOG_ROOM];
    drop(load_program(kind, instructions, "l4_fast_path", &mut log));
    let log = shown(&log);
    if log.is_empty() {
        return Err(FastPathError::failed(CALL, source));
    }
    Err(FastPathError::Refused { program: name, source, log })
}

/// The end of the verifier's log.
fn shown(log: &[u8]) -> String {
    let text = log.split(|octet| *octet == 0).next().unwrap_or_default();
    let text = text.get(text.len().saturating_sub(LOG_SHOWN)..).unwrap_or_default();
    String::from_utf8_lossy(text).trim().to_owned()
}
