//! A fast path without a network, for tests: they say what it carries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use engine::connection::ConnectionKey;
use engine::hop::NextHop;
use engine::{FastCounts, FastFlow};

use super::{FastPathShare, Forwarder};

/// What is forwarded, and where.
#[derive(Debug, Default)]
pub(crate) struct MemoryForwarder {
    flows: Mutex<HashMap<ConnectionKey, (NextHop, FastCounts)>>,
}

impl MemoryForwarder {
    /// One, and a share of it for so many connections.
    pub(crate) fn share(connections: u32) -> (Arc<Self>, FastPathShare) {
        let forwarder = Arc::new(Self::default());
        let share = FastPathShare { forwarder: Arc::<Self>::clone(&forwarder), connections };
        (forwarder, share)
    }

    fn flows(&self) -> MutexGuard<'_, HashMap<ConnectionKey, (NextHop, FastCounts)>> {
        self.flows.lock().expect("no test panics while it holds them")
    }

    /// Where it was told to send the frames of a connection.
    pub(crate) fn way(&self, connection: &ConnectionKey) -> Option<NextHop> {
        self.flows().get(connection).map(|(hop, _)| *hop)
    }

    /// Carries a packet of a connection, with FIN or without; false if it has not got it.
    pub(crate) fn carry(&self, connection: &ConnectionKey, octets: u64, fin: bool) -> bool {
        let mut flows = self.flows();
        let Some((_, counts)) = flows.get_mut(connection) else { return false };
        counts.packets += 1;
        counts.octets += octets;
        counts.data += u64::from(!fin && counts.fin == 0);
        counts.fin += u64::from(fin);
        true
    }

    /// Forgets everything.
    pub(crate) fn lose(&self) {
        self.flows().clear();
    }
}

impl Forwarder for MemoryForwarder {
    fn take_over(&self, flow: &FastFlow, hop: &NextHop) -> bool {
        self.flows().insert(flow.key, (*hop, FastCounts::default()));
        true
    }

    fn carried(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        self.flows().get(connection).map(|(_, counts)| *counts)
    }

    fn give_back(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        self.flows().remove(connection).map(|(_, counts)| counts)
    }
}
