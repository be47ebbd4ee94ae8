//! What a worker has given to the fast path of its port, and when it takes that back.
//!
//! The engine says which connections are worth it and when they end. The ways they take may change
//! as well; the kernel would go on sending where it was told to.

use std::collections::HashMap;

use engine::connection::ConnectionKey;
use engine::hop::{Hop, Hops, NextHop};
use engine::time::Instant;
use engine::{Engine, FastFlow, FastPathChange};

use crate::hops::HopTable;
use crate::port::PacketPort;

/// Changes heard in one turn at most.
const CHANGES: usize = 64;

/// The connections of one worker on the fast path.
#[derive(Debug, Default)]
pub(crate) struct FastFlows {
    flows: HashMap<ConnectionKey, (FastFlow, NextHop)>,
}

impl FastFlows {
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
                    self.flows.remove(&key);
                    port.give_back(&key);
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
        if self.flows.remove(&flow.key).is_some() {
            // Offered again: the port has lost it, or not yet found it.
            port.give_back(&flow.key);
        }
        let Hop::Ready(hop) = hops.hop(flow.server) else { return };
        if !engine.take_fast(flow, now) {
            return;
        }
        if port.take_over(flow, &hop) {
            self.flows.insert(flow.key, (*flow, hop));
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
        self.flows.retain(|key, (flow, hop)| {
            let stays = hops.hop(flow.server) == Hop::Ready(*hop) && engine.keeps_fast(flow, now);
            if !stays {
                port.give_back(key);
                engine.drop_fast(key, now);
            }
            stays
        });
    }
}
