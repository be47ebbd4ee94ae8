//! `dh`, destination hashing: the virtual address names a bucket, the bucket names a server.

use alloc::vec::Vec;

use super::HashKey;
use super::hash::{fold, golden};
use crate::configuration::Server;
use crate::snapshot::ScheduleExplanation;

/// Buckets of the table (IPVS: `CONFIG_IP_VS_DH_TAB_BITS` = 8).
const BUCKETS: usize = 256;

/// The buckets of one service, each an index into its servers: one a server and round, weights do
/// not matter. An index fits an octet, because only the first 256 servers get a bucket.
#[derive(Clone, Debug)]
pub struct DhTable {
    buckets: [u8; BUCKETS],
}

impl DhTable {
    /// Deals the buckets out to `servers` in list order. The table of an empty list is never read.
    #[must_use]
    pub fn build(servers: &[Server]) -> Self {
        let mut buckets = [0; BUCKETS];
        let numbers = 0..=u8::try_from(servers.len().saturating_sub(1)).unwrap_or(u8::MAX);
        for (bucket, number) in buckets.iter_mut().zip(numbers.cycle()) {
            *bucket = number;
        }
        Self { buckets }
    }

    /// The server of the destination's bucket; none if it is quiesced or overloaded.
    pub(super) fn pick(&self, servers: &[Server], key: &HashKey) -> Option<usize> {
        let index = self.named(bucket(hash(key)));
        servers.get(index).filter(|server| server.is_usable()).map(|_| index)
    }

    /// Says step by step what [`Self::pick`] does.
    pub(super) fn explain(&self, servers: &[Server], key: &HashKey) -> ScheduleExplanation {
        let hash = hash(key);
        let server = self.pick(servers, key).and_then(|index| servers.get(index));
        ScheduleExplanation {
            scheduler: "dh",
            hash: Some(hash),
            bucket: Some(u32::from(bucket(hash))),
            table_size: u32::try_from(BUCKETS).ok(),
            first_choice: servers.get(self.named(bucket(hash))).map(Server::reference),
            probes: Vec::new(),
            moved_by_fallback: false,
            server: server.map(Server::reference),
        }
    }

    fn named(&self, bucket: u8) -> usize {
        usize::from(self.buckets[usize::from(bucket)])
    }
}

fn hash(key: &HashKey) -> u32 {
    golden(fold(key.destination))
}

/// The bucket a hash names: its uppermost 8 bits.
const fn bucket(hash: u32) -> u8 {
    hash.to_be_bytes()[0]
}
