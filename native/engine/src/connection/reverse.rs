//! Finding masqueraded connections from the server's side, by what a reply shows of them.
//!
//! An entry has no room for a second hash chain, and no other connection needs one. So their numbers
//! lie in an array of their own: open addressing, linear probing, at most half full. A server's
//! address is no part of the hash, because entries do not have it; connections of one client's port
//! to several virtual services meet in one run of slots, told apart by the server. Those that even
//! have the same server stand in the order of their age, the newest first.

use alloc::vec;
use alloc::vec::Vec;

use super::entry::{ConnectionId, Entry, Flags};
use super::hash::KeyedHash;
use super::key::ReplyKey;
use super::table::ConnectionTable;
use crate::hop::ServerId;
use crate::time::Instant;

/// Slots for each entry the table can hold.
const SLOTS_PER_ENTRY: usize = 2;

/// Numbers of masqueraded connections, as links: 0 is a free slot.
#[derive(Debug)]
pub(super) struct ReverseIndex {
    /// A power of two of slots, zeroed memory that nothing touches until it is needed.
    slots: Vec<u32>,
    taken: u32,
}

impl ReverseIndex {
    /// Room for `limit` connections.
    pub(super) fn new(limit: usize) -> Self {
        let slots = limit.saturating_mul(SLOTS_PER_ENTRY).next_power_of_two();
        Self { slots: vec![0; slots], taken: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    const fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & self.mask()
    }

    /// Puts `id` before all others with its hash: what stands in the way moves on by one slot.
    pub(super) fn insert(&mut self, id: ConnectionId, hash: u64) {
        let mut slot = self.home(hash);
        let mut moving = id.link();
        while moving != 0 {
            moving = core::mem::replace(&mut self.slots[slot], moving);
            slot = (slot + 1) & self.mask();
        }
        self.taken += 1;
    }

    /// The newest with this hash that `is_wanted`.
    pub(super) fn find(
        &self,
        hash: u64,
        is_wanted: impl Fn(ConnectionId) -> bool,
    ) -> Option<ConnectionId> {
        let mut slot = self.home(hash);
        while let Some(id) = ConnectionId::from_link(self.slots[slot]) {
            if is_wanted(id) {
                return Some(id);
            }
            slot = (slot + 1) & self.mask();
        }
        None
    }

    /// Removes `id` and moves back what stands behind it, so that searches need no tombstones. What
    /// has the same hash stays in its order.
    pub(super) fn remove(
        &mut self,
        id: ConnectionId,
        hash: u64,
        hash_of: impl Fn(ConnectionId) -> u64,
    ) {
        let mut hole = self.home(hash);
        while self.slots[hole] != id.link() {
            if self.slots[hole] == 0 {
                return;
            }
            hole = (hole + 1) & self.mask();
        }
        self.slots[hole] = 0;
        self.taken -= 1;
        let mut slot = hole;
        loop {
            slot = (slot + 1) & self.mask();
            let Some(other) = ConnectionId::from_link(self.slots[slot]) else { return };
            let travelled = slot.wrapping_sub(self.home(hash_of(other))) & self.mask();
            if travelled >= (slot.wrapping_sub(hole) & self.mask()) {
                self.slots[hole] = core::mem::take(&mut self.slots[slot]);
                hole = slot;
            }
        }
    }
}

impl KeyedHash {
    fn of_reply(&self, entry: &Entry) -> u64 {
        self.of_client(
            entry.client_bits(),
            entry.client_port(),
            entry.server_port(),
            entry.protocol(),
            entry.flags.has(Flags::IPV6),
        )
    }
}

impl ConnectionTable {
    /// Whether there is any masqueraded connection: otherwise no packet is a reply.
    #[must_use]
    pub const fn has_masqueraded(&self) -> bool {
        !self.reverse.is_empty()
    }

    /// The masqueraded connection a packet from a server belongs to. `is_server` tells whether a
    /// number is that of a server with the packet's source address. Several connections look alike from
    /// there where one client's port speaks to several services with the same server, because the
    /// client's port is not changed. Then the newest is taken (IPVS), the one opened last: for a
    /// server the others have ended.
    #[must_use]
    pub fn lookup_reply(
        &self,
        key: &ReplyKey,
        is_server: impl Fn(ServerId) -> bool,
        now: Instant,
    ) -> Option<ConnectionId> {
        if self.reverse.is_empty() {
            return None;
        }
        let tick = self.clock.at(now);
        let (client, family) = key.client_bits();
        let hash =
            self.hash.of_client(client, key.client_port, key.server_port, key.protocol, family);
        self.reverse.find(hash, |id| {
            let entry = &self.entries[id.position()];
            entry.answers(key, client, family) && entry.is_alive(tick) && is_server(entry.server())
        })
    }

    /// Has the connection found by [`Self::lookup_reply`] from now on.
    pub(super) fn index_reply(&mut self, id: ConnectionId) {
        let hash = self.hash.of_reply(&self.entries[id.position()]);
        self.reverse.insert(id, hash);
    }

    /// The client asks for a new connection and gets this entry. If it had ended, it is the newest
    /// again among those that look alike from the server's side.
    pub fn reopen(&mut self, id: ConnectionId) {
        let entry = self.entry(id);
        if entry.is_occupied() && entry.is_masqueraded() && entry.has_ended() {
            self.forget_reply(id);
            self.index_reply(id);
        }
    }

    /// Has it found no longer.
    pub(super) fn forget_reply(&mut self, id: ConnectionId) {
        let Self { reverse, hash, entries, .. } = self;
        let of = |id: ConnectionId| hash.of_reply(&entries[id.position()]);
        reverse.remove(id, of(id), of);
    }
}
