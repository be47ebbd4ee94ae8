//! `lblcr`, locality-based least connections with replication: a destination has a set of servers,
//! which grows when all of them have too much to do.

use alloc::vec::Vec;

use super::HashKey;
use super::address_cache::{AddressCache, EXPIRATION, LIMIT};
use super::cost::{exceeds, is_busy, least, overhead};
use super::wlc;
use crate::configuration::Server;
use crate::time::Instant;

/// Members of all sets together at most; without room, a pick holds but is not remembered.
const MEMBERS_MAX: usize = 2 * LIMIT;
/// End of a set.
const NOBODY: u32 = u32::MAX;

/// Which servers have which destination. A server is known by its generation, which survives edits
/// and a removal that is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lblcr {
    cache: AddressCache<Set>,
    members: Members,
}

/// The servers of a destination: members in a chain, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set {
    first: u32,
    size: u32,
    /// When a member came or went.
    modified: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    generation: u64,
    next: u32,
}

/// The members of all sets, in memory that is reserved once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Members {
    places: Vec<Member>,
    free: u32,
}

/// What a look at the cache says.
pub(super) struct Look {
    pub(super) server: Option<usize>,
    /// Whether the set must have the server, which it may not have yet.
    is_new: bool,
}

impl Lblcr {
    /// No destination is known.
    pub(super) fn new() -> Self {
        let members = Members { places: Vec::with_capacity(MEMBERS_MAX), free: NOBODY };
        Self { cache: AddressCache::new(), members }
    }

    /// The least loaded server of the destination's set; if there is none, or it has too much to do,
    /// another one as by `wlc`, which joins the set.
    pub(super) fn pick(
        &mut self,
        servers: &[Server],
        key: &HashKey,
        now: Instant,
    ) -> Option<usize> {
        let Self { cache, members } = self;
        cache.sweep(now, |set| members.release(set));
        let Look { server, is_new } = self.look(servers, key);
        let Self { cache, members } = self;
        let generation = server.filter(|_| is_new).and_then(|index| servers.get(index));
        let generation = generation.map(|server| server.generation);
        if let Some(set) = cache.touch(key.destination, now) {
            members.shrink(set, servers, now);
            if let Some(generation) = generation {
                members.join(set, generation, now);
            }
        } else if let Some(generation) = generation
            && cache.has_room()
        {
            let mut set = Set { first: NOBODY, size: 0, modified: now };
            members.join(&mut set, generation, now);
            cache.insert(key.destination, set, now);
        }
        server
    }

    /// Whether [`Self::look`] tells the truth: what is too old is gone.
    pub(super) fn is_swept(&self, now: Instant) -> bool {
        self.cache.is_swept(now)
    }

    /// What [`Self::pick`] would answer if no sweep is due; nothing changes.
    pub(super) fn look(&self, servers: &[Server], key: &HashKey) -> Look {
        let set = self.cache.get(key.destination);
        let known = set.and_then(|set| least(self.members.present(set, servers), overhead));
        let has_room =
            |&index: &usize| servers.get(index).is_some_and(|server| !is_busy(server, servers));
        match known.filter(has_room) {
            Some(index) => Look { server: Some(index), is_new: false },
            None => Look { server: wlc::pick(servers), is_new: true },
        }
    }
}

impl Members {
    /// The generations in `set`.
    fn of(&self, set: &Set) -> impl Iterator<Item = u64> {
        let mut next = set.first;
        core::iter::from_fn(move || {
            let member = self.place(next)?;
            next = member.next;
            Some(member.generation)
        })
    }

    /// Those servers in `set` that are configured, and where they stand.
    fn present<'a>(
        &self,
        set: &Set,
        servers: &'a [Server],
    ) -> impl Iterator<Item = (usize, &'a Server)> {
        self.of(set).filter_map(|generation| {
            servers.iter().enumerate().find(|(_, server)| server.generation == generation)
        })
    }

    /// Takes the most loaded server out of a set that has several and has not changed for long.
    fn shrink(&mut self, set: &mut Set, servers: &[Server], now: Instant) {
        if set.size < 2 || now.saturating_since(set.modified) <= EXPIRATION {
            return;
        }
        let weighted = self.present(set, servers).filter(|(_, server)| server.weight > 0);
        let most = weighted.map(|(_, server)| server).reduce(|most, server| {
            let more = exceeds(overhead(server), server.weight, overhead(most), most.weight);
            if more { server } else { most }
        });
        if let Some(server) = most {
            self.leave(set, server.generation);
            set.modified = now;
        }
    }

    /// Adds a server to a set that may have it already.
    fn join(&mut self, set: &mut Set, generation: u64, now: Instant) {
        if self.of(set).any(|it| it == generation) {
            return;
        }
        let member = Member { generation, next: set.first };
        let number = if let Some(free) = self.place_mut(self.free) {
            let after = free.next;
            *free = member;
            core::mem::replace(&mut self.free, after)
        } else if self.places.len() < MEMBERS_MAX {
            self.places.push(member);
            u32::try_from(self.places.len() - 1).unwrap_or(NOBODY)
        } else {
            return;
        };
        *set = Set { first: number, size: set.size + 1, modified: now };
    }

    fn leave(&mut self, set: &mut Set, generation: u64) {
        let mut before = None;
        let mut number = set.first;
        while let Some(&member) = self.place(number) {
            if member.generation == generation {
                match before.and_then(|before| self.place_mut(before)) {
                    Some(place) => place.next = member.next,
                    None => set.first = member.next,
                }
                set.size -= 1;
                self.release_place(number);
                return;
            }
            before = Some(number);
            number = member.next;
        }
    }

    /// Frees the places of a whole set.
    fn release(&mut self, set: &mut Set) {
        let mut number = set.first;
        while let Some(&member) = self.place(number) {
            self.release_place(number);
            number = member.next;
        }
        *set = Set { first: NOBODY, size: 0, modified: set.modified };
    }

    fn release_place(&mut self, number: u32) {
        let free = self.free;
        if let Some(place) = self.place_mut(number) {
            place.next = free;
            self.free = number;
        }
    }

    fn place(&self, number: u32) -> Option<&Member> {
        self.places.get(usize::try_from(number).ok()?)
    }

    fn place_mut(&mut self, number: u32) -> Option<&mut Member> {
        self.places.get_mut(usize::try_from(number).ok()?)
    }
}
