//! `lblc`, locality-based least connections: a destination stays with its server until that one has
//! too much to do. Made for caches behind virtual services by mark.

use super::HashKey;
use super::address_cache::AddressCache;
use super::cost::is_busy;
use super::wlc;
use crate::configuration::Server;
use crate::time::Instant;

/// Which server has which destination. A server is known by its generation, which survives edits and
/// a removal that is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lblc {
    cache: AddressCache<u64>,
}

/// What a look at the cache says.
pub(super) struct Look {
    pub(super) server: Option<usize>,
    /// Whether the cache must learn of the server.
    is_new: bool,
}

impl Lblc {
    /// No destination is known.
    pub(super) fn new() -> Self {
        Self { cache: AddressCache::new() }
    }

    /// The destination's server; if there is none, or it has too much to do, a new one as by `wlc`.
    pub(super) fn pick(
        &mut self,
        servers: &[Server],
        key: &HashKey,
        now: Instant,
    ) -> Option<usize> {
        self.cache.sweep(now, |_| ());
        let Look { server, is_new } = self.look(servers, key);
        let known = self.cache.touch(key.destination, now);
        let index = server?;
        if is_new {
            let generation = servers.get(index)?.generation;
            match known {
                Some(known) => *known = generation,
                // Without room the pick holds, but is not remembered (IPVS).
                None => self.cache.insert(key.destination, generation, now),
            }
        }
        Some(index)
    }

    /// Whether [`Self::look`] tells the truth: what is too old is gone.
    pub(super) fn is_swept(&self, now: Instant) -> bool {
        self.cache.is_swept(now)
    }

    /// What [`Self::pick`] would answer if no sweep is due; nothing changes.
    pub(super) fn look(&self, servers: &[Server], key: &HashKey) -> Look {
        let known = self.cache.get(key.destination);
        let known = known.and_then(|known| servers.iter().position(|it| it.generation == *known));
        // IPVS: an overloaded server keeps its destinations, a quiesced one does not.
        let keeps = |&index: &usize| {
            servers.get(index).is_some_and(|server| server.weight > 0 && !is_busy(server, servers))
        };
        match known.filter(keeps) {
            Some(index) => Look { server: Some(index), is_new: false },
            None => Look { server: wlc::pick(servers), is_new: true },
        }
    }
}
