//! Whether frames get lost on their way to a worker because it is too slow.

use std::time::Duration;

use engine::time::Instant;

use crate::port::{InterfaceCounters, PacketPort};

/// How often the port is asked at most: a system call for each interface. Often enough that what is
/// done about losses shows before more is done.
const INTERVAL: Duration = Duration::from_millis(20);

/// What the receive rings of a worker have lost.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    due: Instant,
    known: u64,
    counters: Vec<InterfaceCounters>,
}

impl Losses {
    /// Whether there are more than when this was asked before. To be asked when a batch was full: a
    /// ring that overflows is full.
    pub(crate) fn grow(&mut self, port: &mut impl PacketPort, now: Instant) -> bool {
        if now < self.due {
            return false;
        }
        self.due = now + INTERVAL;
        self.counters.clear();
        port.counters(&mut self.counters);
        let lost = self.counters.iter().map(|one| one.ring_drops.0).sum();
        std::mem::replace(&mut self.known, lost) < lost
    }
}
