//! `mh`, Maglev hashing: the client's address names a bucket, the bucket names a server, and a
//! change of the servers moves few clients.
//!
//! Bit for bit what IPVS does on 64-bit little-endian machines, so that directors of both kinds can
//! stand in one group.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::hash::fold;
use super::siphash;
use super::wrr::gcd;
use super::{Choice, Flags, HashKey};
use crate::command::Family;
use crate::configuration::Server;
use crate::snapshot::ScheduleExplanation;

/// Buckets of the table, a prime (IPVS: `CONFIG_IP_VS_MH_TAB_INDEX` = 12).
const BUCKETS: u16 = 4093;

/// Most servers a service with `mh` can have: one a bucket.
pub const SERVERS_MAX: usize = BUCKETS as usize;

/// Halves of the two keys. They are not secret: all directors agree.
const FIRST_KEY: u64 = 0x9E37_79B1;
const SECOND_KEY: u64 = 0x9E37_A52C;

/// Weights keep this many bits (IPVS: half of the table index).
const WEIGHT_BITS: u32 = 6;

/// A bucket of nobody's: only a table without any server with a weight has them.
const EMPTY: u16 = u16::MAX;

/// The buckets of one service, each an index into its servers.
#[derive(Clone, Debug)]
pub struct MhTable {
    buckets: Vec<u16>,
}

/// A server that takes its turns at the buckets.
struct Candidate {
    index: u16,
    /// Buckets in a row each round.
    turns: u32,
    /// The bucket it would like best among those it has not tried.
    cursor: u16,
    skip: u16,
}

impl MhTable {
    /// Lets `servers` choose buckets in list order and round after round, as many at a time as their
    /// last weight says. Of more than [`SERVERS_MAX`] servers the rest get none.
    ///
    /// `family` is the service's: IPVS folds the servers' addresses as if they were of it.
    #[must_use]
    pub fn build(family: Family, servers: &[Server]) -> Self {
        let mut buckets = vec![EMPTY; SERVERS_MAX];
        let mut candidates = candidates(family, servers);
        let mut left = if candidates.is_empty() { 0 } else { SERVERS_MAX };
        while left > 0 {
            for candidate in &mut candidates {
                for _ in 0..candidate.turns {
                    if left == 0 {
                        return Self { buckets };
                    }
                    candidate.take(&mut buckets);
                    left -= 1;
                }
            }
        }
        Self { buckets }
    }

    /// The buckets in their order, each an index into the servers; 65535 in the table of servers
    /// that never had a weight.
    #[must_use]
    pub fn buckets(&self) -> &[u16] {
        &self.buckets
    }

    /// Picks the server for `key`.
    pub(super) fn pick(&self, servers: &[Server], flags: Flags, key: &HashKey) -> Choice {
        let home = bucket(hash(flags, key, 0));
        match self.server(servers, home) {
            None => Choice::default(),
            Some((index, server)) if server.is_usable() => Some(index).into(),
            Some(_) if flags.fallback => {
                let server = self.fall_back(servers, flags, key, |_| ());
                Choice { server, moved_by_fallback: server.is_some() }
            }
            Some(_) => Choice::default(),
        }
    }

    /// Hashes again and again until a bucket's server is usable, telling `visit` each bucket looked
    /// at.
    ///
    /// IPVS: the offset that is hashed begins with the home bucket's number. Buckets are not walked:
    /// some may come twice, others never.
    fn fall_back(
        &self,
        servers: &[Server],
        flags: Flags,
        key: &HashKey,
        mut visit: impl FnMut(u16),
    ) -> Option<usize> {
        let home = bucket(hash(flags, key, 0));
        for round in 0..BUCKETS {
            let bucket = bucket(hash(flags, key, (home + round) % BUCKETS));
            visit(bucket);
            let (index, server) = self.server(servers, bucket)?;
            if server.is_usable() {
                return Some(index);
            }
        }
        None
    }

    fn server<'a>(&self, servers: &'a [Server], bucket: u16) -> Option<(usize, &'a Server)> {
        let index = usize::from(*self.buckets.get(usize::from(bucket))?);
        Some((index, servers.get(index)?))
    }

    /// Says step by step what [`Self::pick`] does.
    pub(super) fn explain(
        &self,
        servers: &[Server],
        flags: Flags,
        key: &HashKey,
    ) -> ScheduleExplanation {
        let hash = hash(flags, key, 0);
        let choice = self.pick(servers, flags, key);
        let first = self.server(servers, bucket(hash)).map(|(_, server)| server);
        let mut probes = Vec::new();
        if flags.fallback && first.is_some_and(|server| !server.is_usable()) {
            self.fall_back(servers, flags, key, |bucket| probes.push(u32::from(bucket)));
        }
        let server = choice.server.and_then(|index| servers.get(index));
        ScheduleExplanation {
            scheduler: "mh",
            hash: Some(hash),
            bucket: Some(u32::from(bucket(hash))),
            table_size: Some(u32::from(BUCKETS)),
            first_choice: first.map(Server::reference),
            probes,
            moved_by_fallback: choice.moved_by_fallback,
            server: server.map(Server::reference),
        }
    }
}

impl Candidate {
    /// Takes the first bucket of its permutation that is free; there must be one.
    fn take(&mut self, buckets: &mut [u16]) {
        // The number of buckets is prime: whatever the skip, the walk comes by all of them.
        for _ in 0..BUCKETS {
            let Some(bucket) = buckets.get_mut(usize::from(self.cursor)) else { return };
            if *bucket == EMPTY {
                *bucket = self.index;
                return;
            }
            self.cursor = (self.cursor + self.skip) % BUCKETS;
        }
    }
}

/// The servers that take part, with their permutations.
///
/// IPVS: it is the last weight above 0 that counts, so that a pause moves nobody else's clients.
fn candidates(family: Family, servers: &[Server]) -> Vec<Candidate> {
    let divisor = servers.iter().map(|server| server.last_weight).fold(0, gcd).max(1);
    let heaviest = servers.iter().map(|server| server.last_weight / divisor).max().unwrap_or(0);
    let shift = (u32::BITS - heaviest.leading_zeros()).saturating_sub(WEIGHT_BITS);
    let numbered = (0..BUCKETS).zip(servers);
    let weighted = numbered.filter(|(_, server)| server.last_weight > 0);
    weighted
        .map(|(index, server)| {
            let value = fold_as(family, server.address).wrapping_add(u32::from(server.port));
            Candidate {
                index,
                turns: ((server.last_weight / divisor) >> shift).max(1),
                cursor: remainder(siphash::hash(FIRST_KEY, value), BUCKETS),
                skip: remainder(siphash::hash(SECOND_KEY, value), BUCKETS - 1) + 1,
            }
        })
        .collect()
}

/// An address folded as if it were of `family`: an IPv6 server of an IPv4 service, behind a tunnel,
/// counts with its first word alone (IPVS).
fn fold_as(family: Family, address: IpAddr) -> u32 {
    match (family, address) {
        (Family::Ipv4, IpAddr::V6(address)) => {
            address.octets().first_chunk().map_or(0, |word| u32::from_be_bytes(*word))
        }
        _ => fold(address),
    }
}

/// Hash of a client. `offset` is 0 but for fallback.
fn hash(flags: Flags, key: &HashKey, offset: u16) -> u32 {
    let port = if flags.port { u32::from(key.port) } else { 0 };
    let value = fold(key.address).wrapping_add(port).wrapping_add(u32::from(offset));
    siphash::hash(FIRST_KEY, value)
}

/// The bucket a hash names.
fn bucket(hash: u32) -> u16 {
    remainder(hash, BUCKETS)
}

/// `number` modulo `modulus`.
fn remainder(number: u32, modulus: u16) -> u16 {
    u16::try_from(number % u32::from(modulus)).unwrap_or(0)
}
