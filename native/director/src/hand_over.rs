//! Frames on their way from one worker to another.
//!
//! The kernel spreads frames by what one small program can tell of them. Where that falls short, as
//! with fragments without ports, the engine says which worker a frame belongs to, and a copy goes
//! there. Each worker has one drawer for what the others hand over: bounded in frames and octets.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use afpacket::{ClientHash, Waker};
use engine::frame::InterfaceId;
use engine::hand_over::{HandOver, Turn};
use engine::snapshot::Counter;
use serde::Serialize;

use crate::port::{Offload, Received};

/// Frames that may wait in one drawer.
const FRAMES_MAX: usize = 1024;

/// Octets that may wait in one drawer; one frame more may lie beyond.
const OCTETS_MAX: usize = 8 << 20;

/// Emptied buffers kept for reuse, and octets of the largest of them.
const SPARE_MAX: usize = 256;
const SPARE_OCTETS_MAX: usize = 4096;

/// What became of frames that were another worker's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOverCounters {
    /// Frames handed to another worker.
    pub frames: Counter,
    /// Frames dropped because too many waited for that worker.
    pub full: Counter,
}

impl HandOverCounters {
    /// Adds what another worker counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.frames.0 += other.frames.0;
        self.full.0 += other.full.0;
    }
}

/// A frame that another worker handed over.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) octets: Vec<u8>,
    pub(crate) interface: InterfaceId,
    pub(crate) vlan: Option<u16>,
    pub(crate) offload: Offload,
    /// How long it waited for the worker that handed it over.
    pub(crate) waited: Duration,
    pub(crate) turn: Turn,
}

/// What lies around a frame that is handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) interface: InterfaceId,
    pub(crate) vlan: Option<u16>,
    pub(crate) offload: Offload,
    pub(crate) waited: Duration,
}

/// Where to put what one worker is to get.
#[derive(Clone, Debug)]
struct Drawer {
    frames: SyncSender<Handed>,
    octets: Arc<AtomicUsize>,
    waker: Arc<Waker>,
}

impl Origin {
    /// Of a frame that was received.
    pub(crate) const fn of(frame: &Received<'_>) -> Self {
        let (interface, vlan) = (frame.meta.interface, frame.meta.vlan);
        Self { interface, vlan, offload: frame.offload, waited: frame.waited }
    }
}

/// Which of several workers a worker is, and which clients each of them keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    number: u32,
    workers: u32,
    hash: ClientHash,
    /// Of the frames judged now.
    pub(crate) turn: Turn,
}

impl Share {
    /// The other worker that keeps the connections of this client; none if it is this one.
    pub(crate) fn keeper(&self, client: IpAddr, port: u16) -> Option<u32> {
        let keeper = self.hash.of(client, port).checked_rem(self.workers)?;
        (keeper != self.number).then_some(keeper)
    }
}

/// One worker's end of all drawers.
#[derive(Debug)]
pub(crate) struct Exchange {
    share: Share,
    drawers: Vec<Drawer>,
    inbox: Receiver<Handed>,
    /// Whom something was given that was not woken yet.
    to_wake: Vec<bool>,
    spare: Vec<Vec<u8>>,
    counters: HandOverCounters,
}

/// An exchange for each worker; `wakers` are the workers', in order.
pub(crate) fn exchanges(wakers: &[Arc<Waker>], hash: ClientHash) -> Vec<Exchange> {
    let (drawers, indrawers): (Vec<_>, Vec<_>) = wakers
        .iter()
        .map(|waker| {
            let (frames, inbox) = sync_channel(FRAMES_MAX);
            (Drawer { frames, octets: Arc::default(), waker: Arc::clone(waker) }, inbox)
        })
        .unzip();
    let workers = u32::try_from(drawers.len()).unwrap_or(u32::MAX);
    (0..)
        .zip(indrawers)
        .map(|(number, inbox)| Exchange {
            share: Share { number, workers, hash, turn: Turn::Chosen },
            to_wake: vec![false; drawers.len()],
            drawers: drawers.clone(),
            inbox,
            spare: Vec::with_capacity(SPARE_MAX),
            counters: HandOverCounters::default(),
        })
        .collect()
}

impl Exchange {
    /// What the engine is to know while frames are judged that came in this way.
    pub(crate) const fn share(&self, turn: Turn) -> Share {
        Share { turn, ..self.share }
    }

    /// Hands a copy of a frame over, or drops and counts it.
    pub(crate) fn give(&mut self, to: HandOver, octets: &[u8], origin: &Origin) {
        let place = usize::try_from(to.engine).unwrap_or(usize::MAX);
        let Some(room) = self.drawers.get(place) else { return };
        if room.octets.fetch_add(octets.len(), Ordering::Relaxed) >= OCTETS_MAX {
            room.octets.fetch_sub(octets.len(), Ordering::Relaxed);
            self.counters.full.0 += 1;
            return;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.extend_from_slice(octets);
        let Origin { interface, vlan, offload, waited } = *origin;
        let handed = Handed { octets: copy, interface, vlan, offload, waited, turn: to.turn };
        // A worker that is gone takes the whole director with it: nothing else to tell.
        if room.frames.try_send(handed).is_err() {
            room.octets.fetch_sub(octets.len(), Ordering::Relaxed);
            self.counters.full.0 += 1;
            return;
        }
        self.counters.frames.0 += 1;
        if let Some(to_wake) = self.to_wake.get_mut(place) {
            *to_wake = true;
        }
    }

    /// Wakes those who were given something.
    pub(crate) fn wake(&mut self) {
        for (room, to_wake) in self.drawers.iter().zip(&mut self.to_wake) {
            if std::mem::take(to_wake) {
                room.waker.wake();
            }
        }
    }

    /// The oldest frame another worker has handed over. Its memory is to be given back.
    pub(crate) fn take(&mut self) -> Option<Handed> {
        let handed = self.inbox.try_recv().ok()?;
        let own = self.drawers.get(usize::try_from(self.share.number).ok()?)?;
        own.octets.fetch_sub(handed.octets.len(), Ordering::Relaxed);
        Some(handed)
    }

    /// Keeps the memory of a frame for the next.
    pub(crate) fn retire(&mut self, mut octets: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && octets.capacity() <= SPARE_OCTETS_MAX {
            octets.clear();
            self.spare.push(octets);
        }
    }

    /// What became of frames so far.
    pub(crate) const fn counters(&self) -> HandOverCounters {
        self.counters
    }
}
