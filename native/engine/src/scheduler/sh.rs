//! `sh`, source hashing: the client's address names a bucket, the bucket names a server.
//!
//! Bit for bit what IPVS does from Linux 4.18 on, oddities included, so that directors of both
//! kinds can stand in one group.

use alloc::vec::Vec;

use super::hash::{fold, golden};
use super::{Choice, Flags, HashKey};
use crate::configuration::Server;
use crate::snapshot::ScheduleExplanation;

/// Buckets of the table (IPVS: `CONFIG_IP_VS_SH_TAB_BITS` = 8).
const BUCKETS: usize = 256;

/// The buckets of one service, each an index into its servers.
///
/// An index fits an octet: every server takes at least one bucket before the next one's turn, so
/// only the first 256 of the list ever get one. The table of an empty list is never read.
#[derive(Clone, Debug)]
pub struct ShTable {
    buckets: [u8; BUCKETS],
}

impl ShTable {
    /// Deals the buckets out to `servers`, in list order and round after round, each taking as many
    /// in a row as its weight says.
    ///
    /// IPVS: the weight is looked at after a bucket was given, so a server of weight 0 owns one
    /// bucket a round, and clients of that bucket are refused or moved by fallback.
    #[must_use]
    pub fn build(servers: &[Server]) -> Self {
        let mut buckets = [0; BUCKETS];
        let mut list = servers.iter().enumerate().cycle();
        let mut current = list.next();
        let mut given = 0;
        for bucket in &mut buckets {
            let Some((index, server)) = current else { break };
            *bucket = u8::try_from(index).unwrap_or(u8::MAX);
            given += 1;
            if given >= server.weight {
                current = list.next();
                given = 0;
            }
        }
        Self { buckets }
    }

    /// Picks the server for `key`.
    pub(super) fn pick(&self, servers: &[Server], flags: Flags, key: &HashKey) -> Choice {
        let home = home_bucket(hash(flags, key));
        match self.server(servers, home) {
            None => Choice::default(),
            Some((index, server)) if server.is_usable() => {
                Choice { server: Some(index), moved_by_fallback: false }
            }
            Some(_) if flags.fallback => {
                let server = self.fall_back(servers, home, |_| ());
                Choice { server, moved_by_fallback: server.is_some() }
            }
            Some(_) => Choice::default(),
        }
    }

    /// Walks the table for a usable server, telling `visit` each bucket looked at.
    ///
    /// IPVS: the home bucket enters twice, so the walk begins at twice its number.
    fn fall_back(&self, servers: &[Server], home: u8, mut visit: impl FnMut(u8)) -> Option<usize> {
        for offset in 0..=u8::MAX {
            let bucket = offset.wrapping_add(home).wrapping_add(home);
            visit(bucket);
            let (index, server) = self.server(servers, bucket)?;
            if server.is_usable() {
                return Some(index);
            }
        }
        None
    }

    fn server<'a>(&self, servers: &'a [Server], bucket: u8) -> Option<(usize, &'a Server)> {
        let index = usize::from(self.buckets[usize::from(bucket)]);
        Some((index, servers.get(index)?))
    }

    /// Says step by step what [`Self::pick`] does.
    pub(super) fn explain(
        &self,
        servers: &[Server],
        flags: Flags,
        key: &HashKey,
    ) -> ScheduleExplanation {
        let hash = hash(flags, key);
        let home = home_bucket(hash);
        let choice = self.pick(servers, flags, key);
        let first = self.server(servers, home).map(|(_, server)| server);
        let mut probes = Vec::new();
        if flags.fallback && first.is_some_and(|server| !server.is_usable()) {
            self.fall_back(servers, home, |bucket| probes.push(u32::from(bucket)));
        }
        let server = choice.server.and_then(|index| servers.get(index));
        ScheduleExplanation {
            scheduler: "sh",
            hash: Some(hash),
            bucket: Some(u32::from(home)),
            table_size: u32::try_from(BUCKETS).ok(),
            first_choice: first.map(Server::reference),
            probes,
            moved_by_fallback: choice.moved_by_fallback,
            server: server.map(Server::reference),
        }
    }
}

/// Hash of a client. The port is added to the address, so (address, port) and (address + 1,
/// port - 1) meet.
fn hash(flags: Flags, key: &HashKey) -> u32 {
    let port = if flags.port { u32::from(key.port) } else { 0 };
    golden(fold(key.address).wrapping_add(port))
}

/// The bucket a hash names: its uppermost 8 bits.
const fn home_bucket(hash: u32) -> u8 {
    hash.to_be_bytes()[0]
}
