//! Of which protocols there are flows: frames of the others need not be looked up.

use std::io;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::flow::Transport;
use crate::sys::bpf::{Map, MapKind, Presence};

/// What stands for a protocol in the word the programs read.
pub(super) const fn bit(transport: Transport) -> u32 {
    match transport {
        Transport::Tcp => 1,
        Transport::Udp => 2,
    }
}

/// Counts flows by protocol, and keeps the programs' word.
#[derive(Debug)]
pub(super) struct Protocols {
    word: Map<4, 4>,
    counts: Mutex<Counts>,
}

impl Protocols {
    pub(super) fn create() -> io::Result<Self> {
        let word = Map::create(MapKind::Array, 1, "l4_fast_kinds")?;
        Ok(Self { word, counts: Mutex::default() })
    }

    /// The number programs name the word's map by.
    pub(super) fn descriptor(&self) -> RawFd {
        self.word.descriptor()
    }

    /// Number of flows of all protocols.
    pub(super) fn flows(&self) -> u32 {
        let Counts { tcp, udp } = *self.counts();
        tcp + udp
    }

    /// To be said before the flow is in the map: what is there is looked up from the first frame on.
    pub(super) fn add(&self, transport: Transport) -> io::Result<()> {
        let mut counts = self.counts();
        let mut more = *counts;
        *more.of(transport) += 1;
        self.write(*counts, more)?;
        *counts = more;
        Ok(())
    }

    /// To be said after the flow has left the map.
    pub(super) fn remove(&self, transport: Transport) {
        let mut counts = self.counts();
        let before = *counts;
        let count = counts.of(transport);
        *count = count.saturating_sub(1);
        // A bit that stays costs look-ups, no more.
        drop(self.write(before, *counts));
    }

    fn write(&self, before: Counts, after: Counts) -> io::Result<()> {
        if before.word() == after.word() {
            return Ok(());
        }
        self.word.update(&[0; 4], &after.word().to_ne_bytes(), Presence::Present)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    tcp: u32,
    udp: u32,
}

impl Counts {
    const fn of(&mut self, transport: Transport) -> &mut u32 {
        match transport {
            Transport::Tcp => &mut self.tcp,
            Transport::Udp => &mut self.udp,
        }
    }

    const fn word(self) -> u32 {
        let tcp = if self.tcp > 0 { bit(Transport::Tcp) } else { 0 };
        let udp = if self.udp > 0 { bit(Transport::Udp) } else { 0 };
        tcp | udp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_has_the_protocols_with_flows() {
        let word = |tcp, udp| Counts { tcp, udp }.word();
        assert_eq!([word(0, 0), word(3, 0), word(0, 3), word(1, 2)], [0, 1, 2, 3]);
        let mut counts = Counts::default();
        *counts.of(Transport::Udp) += 1;
        assert_eq!((counts.tcp, counts.udp), (0, 1));
    }
}
