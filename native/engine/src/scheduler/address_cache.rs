//! What `lblc` and `lblcr` remember of destinations, in memory that is reserved once.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::hash::{fold, golden};
use crate::time::Instant;

/// Chains of the table (IPVS: 10 bits).
const CHAINS: usize = 1024;
/// Entries above which the idle ones are thinned out (IPVS).
const SIZE: usize = 16 * CHAINS;
/// Entries at most: without room, a destination is not remembered (IPVS).
pub(super) const LIMIT: usize = SIZE + SIZE / 2;
/// Time between two sweeps.
const SWEEP: Duration = Duration::from_secs(60);
/// One of so many sweeps looks for expired entries, the others for too many of them.
const SWEEPS_TO_FULL: u32 = 30;
/// Idle time after which an entry expires (IPVS: `lblc_expiration`, `lblcr_expiration`).
pub(super) const EXPIRATION: Duration = Duration::from_secs(86_400);
/// Idle time after which an entry may be thinned out.
const THINNABLE: Duration = Duration::from_secs(360);
/// End of a chain.
const NOBODY: u32 = u32::MAX;

/// Destinations and what is known of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressCache<T> {
    /// First entry of each chain, the newest.
    heads: Vec<u32>,
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
    sweeps: u32,
    /// When the first sweep after the last one is due; none before the first destination.
    due: Option<Instant>,
    /// The chain the last thinning ended at.
    rover: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry<T> {
    address: IpAddr,
    used: Instant,
    next: u32,
    value: T,
}

impl<T> AddressCache<T> {
    pub(super) fn new() -> Self {
        Self {
            heads: vec![NOBODY; CHAINS],
            entries: Vec::with_capacity(LIMIT),
            free: NOBODY,
            len: 0,
            sweeps: 0,
            due: None,
            rover: 0,
        }
    }

    /// Whether no sweep is due, so that what is known is in force.
    pub(super) fn is_swept(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now < due)
    }

    /// What is known of `address`.
    pub(super) fn get(&self, address: IpAddr) -> Option<&T> {
        self.entry(self.find(address)?).map(|entry| &entry.value)
    }

    /// What is known of `address`, which is in use at `now`.
    pub(super) fn touch(&mut self, address: IpAddr, now: Instant) -> Option<&mut T> {
        let number = self.find(address)?;
        let entry = self.entry_mut(number)?;
        entry.used = now;
        Some(&mut entry.value)
    }

    /// Whether there is room for another destination.
    pub(super) const fn has_room(&self) -> bool {
        self.len < LIMIT
    }

    /// Remembers `value` of an `address` of which nothing is known; nothing happens without room.
    pub(super) fn insert(&mut self, address: IpAddr, value: T, now: Instant) {
        if !self.has_room() {
            return;
        }
        let chain = chain_of(address);
        let next = self.heads.get(chain).copied().unwrap_or(NOBODY);
        let entry = Entry { address, used: now, next, value };
        let number = if let Some(free) = self.entry_mut(self.free) {
            let after = free.next;
            *free = entry;
            core::mem::replace(&mut self.free, after)
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).unwrap_or(NOBODY)
        };
        if let Some(head) = self.heads.get_mut(chain) {
            *head = number;
        }
        self.len += 1;
    }

    /// Does the sweeps that have come due; `drop_value` gets what is forgotten.
    ///
    /// Nobody looks at the entries between two picks, so the sweeps of the meantime are made up for
    /// at the next one; of very many those that can still find something.
    pub(super) fn sweep(&mut self, now: Instant, mut drop_value: impl FnMut(&mut T)) {
        let mut due = self.due.unwrap_or(now + SWEEP);
        let missed = now.saturating_since(due).as_secs() / SWEEP.as_secs();
        let skipped = u32::try_from(missed).unwrap_or(u32::MAX).saturating_sub(SWEEPS_TO_FULL);
        due = due + SWEEP.saturating_mul(skipped);
        self.sweeps = (self.sweeps + skipped % SWEEPS_TO_FULL) % SWEEPS_TO_FULL;
        while due <= now {
            self.sweeps += 1;
            if self.sweeps == SWEEPS_TO_FULL {
                self.sweeps = 0;
                self.forget(due, EXPIRATION, usize::MAX, &mut drop_value);
            } else if let Some(excess) = self.len.checked_sub(SIZE).filter(|&excess| excess > 0) {
                let goal = (excess * 4 / 3).min(SIZE / 2);
                self.forget(due, THINNABLE, goal, &mut drop_value);
            }
            due = due + SWEEP;
        }
        self.due = Some(due);
    }

    /// Forgets up to `goal` entries that were idle for `idle` at `now`, chain after chain.
    fn forget(
        &mut self,
        now: Instant,
        idle: Duration,
        goal: usize,
        drop_value: &mut impl FnMut(&mut T),
    ) {
        let enough = self.len.saturating_sub(goal);
        for _ in 0..CHAINS {
            if self.len <= enough {
                break;
            }
            self.rover = (self.rover + 1) % CHAINS;
            self.forget_in_chain(self.rover, now, idle, enough, drop_value);
        }
    }

    fn forget_in_chain(
        &mut self,
        chain: usize,
        now: Instant,
        idle: Duration,
        enough: usize,
        drop_value: &mut impl FnMut(&mut T),
    ) {
        let mut before = None;
        let mut number = self.heads.get(chain).copied().unwrap_or(NOBODY);
        while let Some(entry) = self.entry(number) {
            let next = entry.next;
            if self.len > enough && now.saturating_since(entry.used) >= idle {
                self.unlink(chain, before, number, next);
                if let Some(entry) = self.entry_mut(number) {
                    drop_value(&mut entry.value);
                }
            } else {
                before = Some(number);
            }
            number = next;
        }
    }

    /// Takes an entry out of its chain, behind `before` or at the head, and frees its place.
    fn unlink(&mut self, chain: usize, before: Option<u32>, number: u32, next: u32) {
        match before.and_then(|before| self.entry_mut(before)) {
            Some(entry) => entry.next = next,
            None => {
                if let Some(head) = self.heads.get_mut(chain) {
                    *head = next;
                }
            }
        }
        let free = self.free;
        if let Some(entry) = self.entry_mut(number) {
            entry.next = free;
        }
        self.free = number;
        self.len -= 1;
    }

    fn find(&self, address: IpAddr) -> Option<u32> {
        let mut number = *self.heads.get(chain_of(address))?;
        loop {
            let entry = self.entry(number)?;
            if entry.address == address {
                return Some(number);
            }
            number = entry.next;
        }
    }

    fn entry(&self, number: u32) -> Option<&Entry<T>> {
        self.entries.get(usize::try_from(number).ok()?)
    }

    fn entry_mut(&mut self, number: u32) -> Option<&mut Entry<T>> {
        self.entries.get_mut(usize::try_from(number).ok()?)
    }
}

/// The chain of an address: the uppermost 10 bits of its hash.
fn chain_of(address: IpAddr) -> usize {
    usize::from(
        golden(fold(address))
            .to_be_bytes()
            .first_chunk()
            .map_or(0, |upper| u16::from_be_bytes(*upper) >> 6),
    )
}
