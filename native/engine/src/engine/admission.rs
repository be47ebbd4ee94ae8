//! What the caller has to know to let frames of known connections in first when more come than can be
//! judged.

use alloc::collections::VecDeque;

use crate::connection::ConnectionKey;
use crate::engine::Engine;

/// What an engine notes for admission control.
#[derive(Debug, Default)]
pub(super) struct Admission {
    news: VecDeque<ConnectionKey>,
    /// News kept at most; 0 where nobody wants them.
    limit: usize,
    known: u64,
}

impl Admission {
    /// A connection is confirmed from now on.
    #[cold]
    pub(super) fn confirmed(&mut self, key: &ConnectionKey) {
        if self.news.len() < self.limit {
            self.news.push_back(*key);
        }
    }

    /// A packet of a known connection came.
    pub(super) const fn count_known(&mut self) {
        self.known += 1;
    }
}

impl Engine {
    /// Has the engine tell of connections that become confirmed, that is, whose client sends again; at
    /// most `limit` are kept until somebody asks. Who misses some finds them by
    /// [`Engine::confirmed_connections`]. At first none are told.
    pub fn tell_confirmed(&mut self, limit: usize) {
        self.admission.limit = limit;
        self.admission.news = VecDeque::with_capacity(limit);
    }

    /// A connection that became confirmed, and that nobody has heard of yet.
    pub fn poll_confirmed(&mut self) -> Option<ConnectionKey> {
        self.admission.news.pop_front()
    }

    /// Shows the confirmed connections among at most `budget` entries of the table, from `cursor` on (0 at
    /// first). Returns where to go on; none when the table is through.
    pub fn confirmed_connections(
        &self,
        cursor: u32,
        budget: u32,
        show: impl FnMut(&ConnectionKey),
    ) -> Option<u32> {
        self.connections.confirmed(cursor, budget, show)
    }

    /// Packets judged so far that belonged to a connection when they came, in either direction.
    #[must_use]
    pub const fn known_packets(&self) -> u64 {
        self.admission.known
    }
}
