//! The kernel forwards the frames of chosen flows itself, and counts them.
//!
//! A table of flows and their ways lies in memory that this process shares with two eBPF programs: a
//! filter on the interface that forwards and counts ([`FastPath::install`]), and one on the receiving
//! socket that lets nothing through of what the other forwards
//! ([`crate::PacketSocket::set_classifier_and_fast_path`]). Both judge a frame alike: TCP or UDP over
//! IPv4 without options or over IPv6 without extension headers, whole packet, no VLAN tag, to this
//! machine's hardware address, TTL or hop limit above 1, no longer than the way allows, of a flow in
//! the table; a TCP segment has ACK set, neither SYN nor RST, and FIN only where the way takes ends. Every
//! other frame comes whole and is left to the director and its guard.
//!
//! Order: guard, [`FastPath::install`] on the interface, then
//! [`crate::PacketSocket::set_classifier_and_fast_path`] on every socket of the interface, then
//! flows; the other way round at the end. A frame that is between the two programs while its flow
//! is written goes twice, one whose flow is withdrawn just then is lost. What a program counts while the
//! flow is withdrawn may be missing, or be counted for the next flow in its place.
//!
//! Putting a flow in, asking what it carried and taking it out are a few reads and writes of memory, no
//! calls of the kernel.
//!
//! The filter outlives a director that was killed and goes on with the flows it had, as the guard
//! goes on to drop; [`crate::guard::find`] lists it with the guards, so that a successor removes it.

mod condition;
mod error;
mod filter;
mod flow;
mod program;
mod protocols;
mod table;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::iter;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bpf::Program;
use crate::ebpf::Instruction;
use crate::netlink::Netlink;
use crate::socket::load_socket_filter;
use crate::sys::bpf::{ProgramKind, SharedArray, load_program};
#[cfg(test)]
pub(crate) use condition::function;
pub(crate) use program::Programs;
use protocols::Protocols;
use table::{BUCKET_WORDS, Inserted, Table};

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

/// Buckets of the table at least.
const BUCKETS_MIN: u32 = 1024;

/// The flows the kernel forwards, and the programs that do it. Share it by `Arc`.
#[derive(Debug)]
pub struct FastPath {
    table: Table<SharedArray>,
    protocols: Protocols,
    filter: OwnedFd,
    capacity: u32,
    /// Whether no more flows are taken.
    closed: AtomicBool,
}

impl FastPath {
    /// Makes room for `capacity` flows (512 octets of memory each, 512 KB at least, taken at once) and
    /// hands the programs to the kernel. Succeeds only where everything a fast path needs of the kernel is
    /// there: Linux 5.8 at least, 5.12 on processors other than x86.
    ///
    /// # Errors
    /// [`FastPathError::Capacity`], [`FastPathError::NotPermitted`], or what the kernel lacks.
    pub fn open(capacity: u32) -> Result<Self, FastPathError> {
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            return Err(FastPathError::Capacity { value: capacity });
        }
        let no_map = |source| FastPathError::failed("bpf(BPF_MAP_CREATE)", source);
        // A bucket for each flow: it is seldom that more than its slots want to be in one.
        let buckets = capacity.next_power_of_two().max(BUCKETS_MIN);
        let words = u32::try_from(BUCKET_WORDS).unwrap_or(u32::MAX);
        let memory = SharedArray::create(buckets, words, "l4_fast_path").map_err(no_map)?;
        let table = Table::new(memory, std::array::from_fn(|_| random()));
        let protocols = Protocols::create().map_err(no_map)?;
        let traffic = programs(&table, &protocols).traffic_filter();
        let traffic = traffic.ok_or_else(FastPathError::too_long)?;
        let filter = load(ProgramKind::TrafficFilter, "traffic filter", &traffic)?;
        let path = Self { table, protocols, filter, capacity, closed: AtomicBool::new(false) };
        // Refused here rather than when the socket gets its filter.
        load_socket_filter(&Program::constant(0), Some(&path), None)?;
        Ok(path)
    }

    /// Forwards what is in the table from now on when it comes in by `interface`. `id` is that of the
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
    /// [`io::ErrorKind::StorageFull`] when there is no room (few flows find none before the others have
    /// taken it all), or after [`Self::close`]; [`io::ErrorKind::InvalidInput`] when the addresses are of
    /// two families.
    pub fn insert(&self, flow: &Flow, way: &Way) -> io::Result<()> {
        let key = flow.key()?;
        let full = || Err(io::ErrorKind::StorageFull.into());
        let has_room = self.len() < self.capacity.into() || self.table.counters(&key).is_some();
        if !has_room || self.is_closed() {
            return full();
        }
        self.protocols.add(flow.transport);
        let inserted = self.table.insert(&key, &way.words());
        if inserted != Inserted::New {
            self.protocols.remove(flow.transport);
        }
        if self.is_closed() {
            // Between the question above and the table; whoever closed it may not have seen this flow.
            self.withdraw(flow)?;
            return full();
        }
        if inserted == Inserted::Full { full() } else { Ok(()) }
    }

    /// What was forwarded of `flow` since it was inserted; `None` when it is not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the addresses are of two families.
    pub fn counters(&self, flow: &Flow) -> io::Result<Option<FlowCounters>> {
        Ok(self.table.counters(&flow.key()?))
    }

    /// Forwards the frames of `flow` no longer: they come to the socket again. Returns what was
    /// forwarded; `None` when it was not there.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the addresses are of two families.
    pub fn withdraw(&self, flow: &Flow) -> io::Result<Option<FlowCounters>> {
        let counters = self.table.withdraw(&flow.key()?);
        if counters.is_some() {
            self.protocols.remove(flow.transport);
        }
        Ok(counters)
    }

    /// Withdraws every flow. One that is inserted meanwhile may stay.
    pub fn clear(&self) {
        self.table.clear(|key| self.protocols.remove(Transport::of_key(key)));
    }

    /// Withdraws every flow and takes no more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.clear();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Number of flows.
    #[must_use]
    pub fn len(&self) -> u64 {
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

    pub(crate) fn programs(&self) -> Programs {
        programs(&self.table, &self.protocols)
    }
}

/// The programs that look into these.
fn programs(table: &Table<SharedArray>, protocols: &Protocols) -> Programs {
    Programs {
        table: table.memory().descriptor(),
        protocols: protocols.descriptor(),
        hash: *table.hash(),
        mask: table.mask(),
    }
}

/// A number nobody can guess: it keys the hash of the table.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

pub(crate) fn load(
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
