//! What a worker has given to the fast path of its port, what that carries, and when it is taken
//! back.
//!
//! The engine says which connections are worth it and when they end. The ways they take may change
//! as well; the kernel would go on sending where it was told to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use engine::connection::ConnectionKey;
use engine::hop::{Hop, Hops, NextHop};
use engine::time::Instant;
use engine::{Engine, FastFlow, FastPathChange};

use crate::hops::HopTable;
use crate::port::{FlowCounters, PacketPort};

/// Changes heard in one turn at most.
const CHANGES: usize = 64;

/// How often the fast path is asked what it carried, for each 4,096 connections it has: counters are
/// that old at most, and timeouts begin anew that late. Asking takes 2 % of a processor then.
const INTERVAL: Duration = Duration::from_millis(100);
const CONNECTIONS_EACH: usize = 4096;

/// Connections asked about in one turn at most.
const READINGS: usize = 64;

/// Readings in a row without a packet after which a connection comes back: by then they have cost as
/// much as its next packet will here.
const IDLE_READINGS: u8 = 10;

/// A connection on the fast path.
#[derive(Debug)]
struct Held {
    flow: FastFlow,
    hop: NextHop,
    /// What the engine knows of already.
    accounted: FlowCounters,
    /// Readings without a packet since the last one with any.
    idle: u8,
}

impl Held {
    /// Tells the engine what was carried since it was told last.
    fn account(&mut self, engine: &mut Engine, carried: FlowCounters, now: Instant) {
        let packets = carried.packets.saturating_sub(self.accounted.packets);
        let octets = carried.octets.saturating_sub(self.accounted.octets);
        self.accounted = carried;
        self.idle = if packets == 0 { self.idle.saturating_add(1) } else { 0 };
        engine.account(&self.flow, packets, octets, now);
    }

    /// Takes it back from `port`, accounted for to the last.
    fn end(mut self, engine: &mut Engine, port: &mut impl PacketPort, now: Instant) {
        if let Some(carried) = port.give_back(&self.flow.key) {
            self.account(engine, carried, now);
        }
    }
}

/// The connections of one worker on the fast path.
#[derive(Debug, Default)]
pub(crate) struct FastFlows {
    flows: HashMap<ConnectionKey, Held>,
    /// Those still to be asked about this time.
    unread: Vec<ConnectionKey>,
    /// When all are asked about next.
    due: Instant,
}

/// How long to wait between two readings of so many connections.
fn interval(connections: usize) -> Duration {
    let times = connections.div_ceil(CONNECTIONS_EACH).max(1);
    INTERVAL.saturating_mul(u32::try_from(times).unwrap_or(u32::MAX))
}

impl FastFlows {
    /// When [`Self::handle_timeout`] is to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match (self.flows.is_empty(), self.unread.is_empty()) {
            (true, _) => None,
            (false, true) => Some(self.due),
            (false, false) => Some(Instant::ZERO),
        }
    }

    /// Tells the engine what the fast path carried, of some connections at a time.
    pub(crate) fn handle_timeout(
        &mut self,
        engine: &mut Engine,
        port: &mut impl PacketPort,
        now: Instant,
    ) {
        if self.flows.is_empty() {
            return;
        }
        if self.unread.is_empty() && now >= self.due {
            self.due = now + interval(self.flows.len());
            self.unread.extend(self.flows.keys());
        }
        for _ in 0..READINGS {
            let Some(key) = self.unread.pop() else { break };
            self.read(key, engine, port, now);
        }
    }

    /// Asks what one connection carried, and takes it back when that is nothing for long.
    fn read(
        &mut self,
        key: ConnectionKey,
        engine: &mut Engine,
        port: &mut impl PacketPort,
        now: Instant,
    ) {
        let Entry::Occupied(mut entry) = self.flows.entry(key) else { return };
        let held = entry.get_mut();
        if let Some(carried) = port.carried(&key) {
            held.account(engine, carried, now);
        }
        if held.idle >= IDLE_READINGS {
            entry.remove().end(engine, port, now);
            engine.drop_fast(&key, now);
        }
    }

    /// Does what the engine wishes. Returns whether there may be more.
    pub(crate) fn follow(
        &mut self,
        engine: &mut Engine,
        port: &mut impl PacketPort,
        hops: &HopTable,
        now: Instant,
    ) -> bool {
        for _ in 0..CHANGES {
            match engine.poll_fast_path() {
                Some(FastPathChange::Offer(flow)) => self.take(&flow, engine, port, hops, now),
                Some(FastPathChange::Return(key)) => {
                    if let Some(held) = self.flows.remove(&key) {
                        held.end(engine, port, now);
                    }
                }
                None => return false,
            }
        }
        true
    }

    fn take(
        &mut self,
        flow: &FastFlow,
        engine: &mut Engine,
        port: &mut impl PacketPort,
        hops: &HopTable,
        now: Instant,
    ) {
        if let Some(held) = self.flows.remove(&flow.key) {
            // Offered again: the port has lost it, or not yet found it.
            held.end(engine, port, now);
        }
        let Hop::Ready(hop) = hops.hop(flow.server) else { return };
        if !engine.take_fast(flow, now) {
            return;
        }
        if port.take_over(flow, &hop) {
            let accounted = FlowCounters::default();
            self.flows.insert(flow.key, Held { flow: *flow, hop, accounted, idle: 0 });
        } else {
            engine.drop_fast(&flow.key, now);
        }
    }

    /// Takes back what the configuration or the ways of now no longer allow.
    pub(crate) fn review(
        &mut self,
        engine: &mut Engine,
        port: &mut impl PacketPort,
        hops: &HopTable,
        now: Instant,
    ) {
        let ended = self.flows.extract_if(|_, Held { flow, hop, .. }| {
            hops.hop(flow.server) != Hop::Ready(*hop) || !engine.keeps_fast(flow, now)
        });
        let ended: Vec<_> = ended.collect();
        for (key, held) in ended {
            held.end(engine, port, now);
            engine.drop_fast(&key, now);
        }
    }
}
