//! The connection table: all entries in one preallocated arena, found by a keyed hash.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use super::entry::{ConnectionId, Entry, Flags};
use super::hash::KeyedHash;
use super::key::{ConnectionKey, PackedKey, VirtualAddress};
use super::keyed::KeyedTemplates;
use super::reverse::ReverseIndex;
use super::tick::{Tick, TickClock};
use super::timer::Wheel;
use super::virtual_addresses::VirtualAddresses;
use crate::time::Instant;

/// Most entries a table can be asked to hold: 2^28.
pub const MAX_CONNECTIONS: u32 = 1 << 28;

/// The table has no room for another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableFull {
    /// Entries the table holds: its limit.
    pub limit: u32,
}

impl fmt::Display for TableFull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "connection table is full: all {} entries are in use; \
             raise the limit or shorten the timeouts",
            self.limit
        )
    }
}

impl core::error::Error for TableFull {}

/// Connections and persistence templates, with their timers.
///
/// All memory is reserved by [`ConnectionTable::new`] and touched only as entries come into use;
/// nothing is allocated later but for templates that are found by data of a packet. 64 octets an entry, and 4 to 8 for its share of the hash heads; 8 to
/// 16 more for masqueraded ones, which are found from the server's side as well.
///
/// Drive it like this: look an entry up with [`ConnectionTable::lookup`], or make one with
/// [`ConnectionTable::create`]; give every packet to [`ConnectionTable::transition`]; call
/// [`ConnectionTable::expire`] when [`ConnectionTable::next_deadline`] has come.
#[derive(Debug)]
pub struct ConnectionTable {
    pub(super) entries: Vec<Entry>,
    /// Links to the first entry of each chain; a power of two.
    pub(super) heads: Vec<u32>,
    pub(super) hash: KeyedHash,
    free: Option<ConnectionId>,
    len: u32,
    limit: u32,
    virtual_addresses: VirtualAddresses,
    pub(super) keyed: KeyedTemplates,
    pub(super) reverse: ReverseIndex,
    pub(super) wheel: Wheel,
    /// Connections whose time is over while the fast path has them.
    pub(super) lapsed: VecDeque<ConnectionId>,
    pub(super) clock: TickClock,
}

impl ConnectionTable {
    /// An empty table for up to `limit` entries, templates included (1..=[`MAX_CONNECTIONS`]; the
    /// nearest of the range is taken). `seed` keeps strangers from choosing keys that collide: it
    /// should be random.
    #[must_use]
    pub fn new(limit: u32, seed: u64) -> Self {
        let limit = limit.clamp(1, MAX_CONNECTIONS);
        let capacity = limit as usize;
        let heads = capacity.next_power_of_two();
        Self {
            entries: Vec::with_capacity(capacity),
            heads: vec![0; heads],
            hash: KeyedHash::new(seed),
            free: None,
            len: 0,
            limit,
            virtual_addresses: VirtualAddresses::new(capacity, heads),
            keyed: KeyedTemplates::default(),
            reverse: ReverseIndex::new(capacity),
            wheel: Wheel::new(),
            lapsed: VecDeque::new(),
            clock: TickClock::default(),
        }
    }

    /// Entries in use, templates included.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no entry is in use.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries the table can hold.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether there is no room for another entry.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    /// The entry numbered `id`.
    ///
    /// # Panics
    ///
    /// If `id` is from another table. An `id` whose entry is gone may show what took its place.
    #[must_use]
    pub fn entry(&self, id: ConnectionId) -> &Entry {
        &self.entries[id.position()]
    }

    /// The key the entry numbered `id` was created with.
    #[must_use]
    pub fn key(&self, id: ConnectionId) -> ConnectionKey {
        let entry = self.entry(id);
        let (client, number) = (entry.client_bits(), entry.virtual_address_number());
        let (client, virtual_address) = if entry.flags.has(Flags::IPV6) {
            let virtual_address = self.virtual_addresses.address(number);
            (
                IpAddr::V6(Ipv6Addr::from_bits(client)),
                IpAddr::V6(Ipv6Addr::from_bits(virtual_address)),
            )
        } else {
            (ipv4(client), IpAddr::V4(Ipv4Addr::from_bits(number)))
        };
        ConnectionKey {
            protocol: entry.protocol(),
            client,
            client_port: entry.client_port(),
            virtual_address,
            virtual_port: entry.virtual_port(),
        }
    }

    /// How long the entry numbered `id` has still to live if no packet comes.
    #[must_use]
    pub fn expires_in(&self, id: ConnectionId, now: Instant) -> Duration {
        self.clock.until(self.entry(id).expires, now)
    }

    /// The entries in use, those whose time has come left out, from position `cursor` on. To go on
    /// after an entry, take the position behind its [`ConnectionId::index`]: entries that stay are
    /// listed once, whatever comes and goes meanwhile.
    pub fn iter_from(
        &self,
        cursor: u32,
        now: Instant,
    ) -> impl Iterator<Item = (ConnectionId, &Entry)> {
        let tick = self.clock.at(now);
        let rest = self.entries.get(cursor as usize..).unwrap_or_default();
        rest.iter()
            .zip(cursor..)
            .filter(move |(entry, _)| entry.is_occupied() && entry.is_alive(tick))
            .filter_map(|(entry, index)| Some((ConnectionId::from_index(index)?, entry)))
    }

    pub(super) fn find(
        &self,
        key: &ConnectionKey,
        role: Flags,
        tick: Tick,
    ) -> Option<ConnectionId> {
        let key = self.pack(key, role)?;
        let mut link = ConnectionId::from_link(self.head(&key));
        while let Some(id) = link {
            let entry = &self.entries[id.position()];
            if entry.matches(&key) && entry.is_alive(tick) {
                return Some(id);
            }
            link = entry.hash_next;
        }
        None
    }

    /// Adds what `entry` makes of the packed key at the head of its chain: it shadows an older entry
    /// with the same key at once.
    pub(super) fn insert(
        &mut self,
        key: &ConnectionKey,
        role: Flags,
        entry: impl FnOnce(&PackedKey) -> Entry,
    ) -> Result<ConnectionId, TableFull> {
        if self.is_full() {
            return Err(TableFull { limit: self.limit });
        }
        let address = VirtualAddress::of(key);
        let number = match address {
            VirtualAddress::Ipv4(_) => 0,
            VirtualAddress::Ipv6(bits) => self.virtual_addresses.acquire(bits, &self.hash),
        };
        let key = address.pack(key, number, role);
        let id = self.allocate(entry(&key))?;
        if !role.has(Flags::KEYED) {
            let bucket = self.bucket(&key);
            self.entries[id.position()].hash_next = ConnectionId::from_link(self.heads[bucket]);
            self.heads[bucket] = id.link();
        }
        self.len += 1;
        Ok(id)
    }

    /// Takes an entry, already out of the timer wheel, out of its chain and frees it.
    pub(super) fn release(&mut self, id: ConnectionId) {
        if self.entries[id.position()].is_keyed() {
            self.keyed.remove(id);
        } else {
            self.unlink(id);
        }
        if self.entries[id.position()].is_masqueraded() {
            self.forget_reply(id);
        }
        let entry = &mut self.entries[id.position()];
        if entry.flags.has(Flags::IPV6) {
            self.virtual_addresses.release(entry.virtual_address_number(), &self.hash);
        }
        entry.flags = Flags::NONE;
        entry.hash_next = self.free;
        self.free = Some(id);
        self.len -= 1;
    }

    fn allocate(&mut self, entry: Entry) -> Result<ConnectionId, TableFull> {
        if let Some(id) = self.free {
            self.free = self.entries[id.position()].hash_next;
            self.entries[id.position()] = entry;
            return Ok(id);
        }
        let full = TableFull { limit: self.limit };
        let index = u32::try_from(self.entries.len()).map_err(|_| full)?;
        self.entries.push(entry);
        ConnectionId::from_index(index).ok_or(full)
    }

    fn unlink(&mut self, id: ConnectionId) {
        let bucket = self.bucket(&self.entries[id.position()].packed_key());
        let after = self.entries[id.position()].hash_next;
        let mut link = ConnectionId::from_link(self.heads[bucket]);
        if link == Some(id) {
            self.heads[bucket] = after.map_or(0, ConnectionId::link);
            return;
        }
        while let Some(previous) = link {
            link = self.entries[previous.position()].hash_next;
            if link == Some(id) {
                self.entries[previous.position()].hash_next = after;
                return;
            }
        }
    }

    /// None if no entry uses the virtual address.
    pub(super) fn pack(&self, key: &ConnectionKey, role: Flags) -> Option<PackedKey> {
        let address = VirtualAddress::of(key);
        let number = match address {
            VirtualAddress::Ipv4(_) => 0,
            VirtualAddress::Ipv6(bits) => self.virtual_addresses.find(bits, &self.hash)?,
        };
        Some(address.pack(key, number, role))
    }

    /// The link to the first entry of a key's chain.
    pub(super) fn head(&self, key: &PackedKey) -> u32 {
        self.heads[self.bucket(key)]
    }

    pub(super) fn bucket(&self, key: &PackedKey) -> usize {
        let mask = self.heads.len() - 1;
        usize::try_from(self.hash.of_key(key) >> 32).unwrap_or(0) & mask
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an IPv4 client is kept in the low 32 bits")]
const fn ipv4(client: u128) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(client as u32))
}
