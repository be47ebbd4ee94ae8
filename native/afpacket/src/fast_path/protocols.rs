//! Of which protocols there are flows: frames of the others need not be looked up.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use super::flow::Transport;
use crate::sys::bpf::SharedArray;

/// Words of the array, one for each protocol.
const WORDS: u32 = 2;

/// Where the programs find the number of flows of a protocol.
pub(super) const fn offset(transport: Transport) -> i16 {
    match transport {
        Transport::Tcp => 0,
        Transport::Udp => 8,
    }
}

/// Counts flows by protocol where the programs see it.
#[derive(Debug)]
pub(super) struct Protocols {
    counts: SharedArray,
}

impl Protocols {
    pub(super) fn create() -> io::Result<Self> {
        Ok(Self { counts: SharedArray::create(1, WORDS, "l4_fast_kinds")? })
    }

    /// The number programs name the counts by.
    pub(super) fn descriptor(&self) -> RawFd {
        self.counts.descriptor()
    }

    /// Number of flows of all protocols.
    pub(super) fn flows(&self) -> u64 {
        self.counts.as_ref().iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// To be said before the flow is in the table: what is there is looked up from the first frame on.
    pub(super) fn add(&self, transport: Transport) {
        self.count(transport).fetch_add(1, Ordering::SeqCst);
    }

    /// To be said after the flow has left the table.
    pub(super) fn remove(&self, transport: Transport) {
        self.count(transport).fetch_sub(1, Ordering::SeqCst);
    }

    fn count(&self, transport: Transport) -> &AtomicU64 {
        &self.counts.as_ref()[usize::from(transport == Transport::Udp)]
    }
}
