//! What a worker has given to the fast path, what that carries, and when it is taken back.
//!
//! The engine says which connections are worth it and when they end. The ways they take may change
//! as well; the fast path would go on sending where it was told to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use engine::connection::{ConnectionKey, UDP};
use engine::hop::{Hop, Hops, NextHop};
use engine::time::Instant;
use engine::{Engine, FastCounts, FastFlow, FastPathChange};

use crate::hops::HopTable;

mod kernel;
#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;

/// Changes heard in one turn at most.
const CHANGES: usize = 256;

/// How often the fast path is asked what it carried: counters are that old at most, and states and
/// timeouts follow that late.
const INTERVAL: Duration = Duration::from_millis(100);

/// Connections asked about in one turn at most.
const READINGS: usize = 256;

/// How long a connection is quiet that is asked about less often, and may have to make room.
const QUIET: Duration = Duration::from_secs(1);

/// How long a UDP flow stays without a datagram: while there are any, all UDP frames are looked up.
const SILENT: Duration = Duration::from_secs(60);

/// In which of so many rounds a quiet connection is asked about: once a second.
const ROUNDS: u64 = 10;

/// What part of the fast path connections may have whose client has sent nothing yet since they were opened:
/// a flood of forged ones leaves the rest to others.
const PART_FOR_OPENING: usize = 2;

/// What part of the fast path has to be free of connections that went on, for quiet ones to stay.
const PART_TO_SPARE: usize = 4;

/// Something quicker than a worker that forwards frames of the connections it is given, and counts
/// them. Workers share it; each has connections of its own.
pub(crate) trait Forwarder: Debug + Send + Sync {
    /// Forwards the frames of `flow` to `hop` from now on. Returns whether that is possible.
    fn take_over(&self, flow: &FastFlow, hop: &NextHop) -> bool;

    /// What was forwarded of a connection since it was taken over, if it was.
    fn carried(&self, connection: &ConnectionKey) -> Option<FastCounts>;

    /// Forwards a connection no longer; what was forwarded of it in all, if it was taken over.
    fn give_back(&self, connection: &ConnectionKey) -> Option<FastCounts>;
}

/// What a worker may use of a fast path.
#[derive(Clone, Debug)]
pub(crate) struct FastPathShare {
    pub(crate) forwarder: Arc<dyn Forwarder>,
    /// Connections it may have there.
    pub(crate) connections: u32,
}

/// A connection on the fast path.
#[derive(Debug)]
struct Held {
    flow: FastFlow,
    hop: NextHop,
    /// What the engine knows of already.
    accounted: FastCounts,
    /// When it last was found to have carried something.
    carried_at: Instant,
    /// In which round it is asked about while it is quiet.
    round: u64,
}

impl Held {
    /// Whether nothing was carried since it was opened.
    const fn is_untried(&self) -> bool {
        self.flow.opening && self.accounted.packets == 0
    }

    fn is_quiet(&self, now: Instant) -> bool {
        now.saturating_since(self.carried_at) >= QUIET
    }

    /// Whether it is a UDP flow that has likely ended.
    fn is_silent(&self, now: Instant) -> bool {
        self.flow.key.protocol == UDP && now.saturating_since(self.carried_at) >= SILENT
    }

    /// What was carried since this was asked last.
    fn news(&mut self, carried: FastCounts) -> FastCounts {
        let before = std::mem::replace(&mut self.accounted, carried);
        FastCounts {
            packets: carried.packets.saturating_sub(before.packets),
            octets: carried.octets.saturating_sub(before.octets),
            data: carried.data.saturating_sub(before.data),
            fin: carried.fin.saturating_sub(before.fin),
        }
    }
}

/// The connections of one worker on the fast path.
#[derive(Debug)]
pub(crate) struct FastFlows {
    share: Option<FastPathShare>,
    held: RefCell<HashMap<ConnectionKey, Held>>,
    /// Those still to be asked about this time.
    unread: Vec<ConnectionKey>,
    /// When the next are asked about.
    due: Instant,
    round: u64,
    /// How many of them nothing was carried of since they were opened.
    untried: Cell<usize>,
}

impl FastFlows {
    /// None yet, with room for those of `share`; for none without one.
    pub(crate) fn new(share: Option<FastPathShare>) -> Self {
        let room = share.as_ref().map_or(0, |share| share.connections);
        let room = usize::try_from(room).unwrap_or(0);
        Self {
            share,
            held: RefCell::new(HashMap::with_capacity(room)),
            unread: Vec::with_capacity(room),
            due: Instant::ZERO,
            round: 0,
            untried: Cell::new(0),
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match (self.held.borrow().is_empty(), self.unread.is_empty()) {
            (true, _) => None,
            (false, true) => Some(self.due),
            (false, false) => Some(Instant::ZERO),
        }
    }

    /// Tells the engine what the fast path carried, of some connections at a time.
    pub(crate) fn handle_timeout(&mut self, engine: &mut Engine, now: Instant) {
        let held = self.held.get_mut();
        if held.is_empty() {
            return;
        }
        if self.unread.is_empty() && now >= self.due {
            self.round = (self.round + 1) % ROUNDS;
            let round = self.round;
            let is_asked = |held: &Held| !held.is_quiet(now) || held.round == round;
            let keys = held.iter().filter(|(_, held)| is_asked(held)).map(|(key, _)| *key);
            self.unread.extend(keys);
            self.due = now + INTERVAL;
        }
        for _ in 0..READINGS {
            let Some(key) = self.unread.pop() else { break };
            self.read(&key, engine, now);
        }
    }

    /// Tells the engine all that the fast path has carried by now.
    pub(crate) fn read_all(&mut self, engine: &mut Engine, now: Instant) {
        self.unread.clear();
        self.unread.extend(self.held.get_mut().keys());
        while let Some(key) = self.unread.pop() {
            self.read(&key, engine, now);
        }
    }

    /// Asks what one connection carried, and takes it back when it is over or silent for long.
    fn read(&mut self, key: &ConnectionKey, engine: &mut Engine, now: Instant) {
        let Some(share) = &self.share else { return };
        let all = self.held.get_mut();
        let tried = all.len().saturating_sub(self.untried.get());
        let crowded = tried > part(share.connections, PART_TO_SPARE) * (PART_TO_SPARE - 1);
        let Some(held) = all.get_mut(key) else { return };
        let was_untried = held.is_untried();
        let goes_on = share.forwarder.carried(key).is_some_and(|carried| {
            let news = held.news(carried);
            if news.packets > 0 {
                held.carried_at = now;
            }
            engine.account(&held.flow, &news, now)
        });
        let stays = !held.is_quiet(now) || !(crowded || held.is_untried() || held.is_silent(now));
        if was_untried && !held.is_untried() {
            self.untried.set(self.untried.get().saturating_sub(1));
        }
        if !goes_on || !stays {
            self.end(key, engine, now);
        }
    }

    /// What is held no longer.
    fn remove(&self, key: &ConnectionKey) -> Option<Held> {
        let held = self.held.borrow_mut().remove(key)?;
        if held.is_untried() {
            self.untried.set(self.untried.get().saturating_sub(1));
        }
        Some(held)
    }

    /// Takes a connection back, accounted for to the last.
    fn end(&self, key: &ConnectionKey, engine: &mut Engine, now: Instant) {
        let Some(mut held) = self.remove(key) else { return };
        if let Some(carried) = self.give_back(key) {
            let news = held.news(carried);
            engine.account(&held.flow, &news, now);
        }
        engine.drop_fast(key, now);
    }

    fn give_back(&self, key: &ConnectionKey) -> Option<FastCounts> {
        self.share.as_ref()?.forwarder.give_back(key)
    }

    /// Takes a connection back for the engine; what the engine was not told of yet.
    pub(crate) fn recall(&self, key: &ConnectionKey) -> Option<FastCounts> {
        let mut held = self.remove(key)?;
        let carried = self.give_back(key)?;
        Some(held.news(carried))
    }

    /// Does what the engine wishes. Returns whether there may be more.
    pub(crate) fn follow(&self, engine: &mut Engine, hops: &HopTable, now: Instant) -> bool {
        for _ in 0..CHANGES {
            match engine.poll_fast_path() {
                Some(FastPathChange::Offer(flow)) => self.take(&flow, engine, hops, now),
                Some(FastPathChange::Return(key)) => self.end(&key, engine, now),
                None => return false,
            }
        }
        true
    }

    fn take(&self, flow: &FastFlow, engine: &mut Engine, hops: &HopTable, now: Instant) {
        // Where it is offered again, the fast path has lost it, or not yet found it.
        self.end(&flow.key, engine, now);
        let (Some(share), Hop::Ready(hop)) = (&self.share, hops.hop(flow.server)) else { return };
        let opening = usize::from(flow.opening);
        if self.untried.get() + opening > part(share.connections, PART_FOR_OPENING)
            || !engine.take_fast(flow, now)
        {
            return;
        }
        if share.forwarder.take_over(flow, &hop) {
            let accounted = FastCounts::default();
            let round = u64::from(flow.key.client_port) % ROUNDS;
            let held = Held { flow: *flow, hop, accounted, carried_at: now, round };
            self.held.borrow_mut().insert(flow.key, held);
            self.untried.set(self.untried.get() + opening);
        } else {
            engine.drop_fast(&flow.key, now);
        }
    }

    /// Takes back what the configuration or the ways of now no longer allow.
    pub(crate) fn review(&self, engine: &mut Engine, hops: &HopTable, now: Instant) {
        let is_over = |held: &Held| {
            hops.hop(held.flow.server) != Hop::Ready(held.hop)
                || !engine.keeps_fast(&held.flow, now)
        };
        let ended: Vec<_> = self
            .held
            .borrow()
            .iter()
            .filter(|(_, held)| is_over(held))
            .map(|(key, _)| *key)
            .collect();
        for key in ended {
            self.end(&key, engine, now);
        }
    }
}

/// A part of so many connections.
fn part(connections: u32, part: usize) -> usize {
    usize::try_from(connections).unwrap_or(usize::MAX) / part
}
