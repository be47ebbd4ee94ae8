//! How the frames of a batch are judged.

use engine::Engine;
use engine::frame::Outputs;
use engine::time::Instant;
use engine::verdict::Verdict;

use super::disposal::dispose;
use crate::hand_over::{Exchange, Origin};
use crate::hops::KnownWays;
use crate::pending::Pending;
use crate::port::{Disposition, FrameHandler, Received};

/// What a batch of frames is judged with.
#[derive(Debug)]
pub(super) struct Judging<'w> {
    pub(super) engine: &'w mut Engine,
    pub(super) ways: KnownWays<'w>,
    pub(super) outputs: &'w mut Outputs,
    pub(super) pending: &'w mut Pending,
    pub(super) exchange: &'w mut Option<Exchange>,
    pub(super) now: Instant,
    /// The time by which the last frame was judged.
    pub(super) judged: &'w mut Instant,
}

impl FrameHandler for Judging<'_> {
    fn foresee<'f>(&mut self, frames: impl Iterator<Item = &'f [u8]>) {
        self.engine.foresee(frames);
    }

    /// What a new connection sends next must find it on the fast path.
    fn before_sending(&mut self) {
        self.ways.fast.follow(self.engine, self.ways.servers, self.now);
    }

    fn handle(&mut self, frame: Received<'_>) -> Disposition {
        let Self { engine, ways, outputs, pending, exchange, now, judged } = self;
        // A frame that waited for a worker that stood still is judged by the time it came: meanwhile the
        // time of its connection may have run out. Time does not run backwards.
        let now = (*now - frame.waited).max(**judged);
        **judged = now;
        let verdict = engine.process(frame.octets, &frame.meta, now, ways, outputs);
        if let Verdict::HandOver(to) = verdict
            && let Some(exchange) = exchange
        {
            exchange.give(to, frame.octets, &Origin::of(&frame));
            return Disposition::Done;
        }
        dispose(verdict, &frame, outputs, pending, now)
    }
}
