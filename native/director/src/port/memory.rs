//! A port without a network: frames are put in and taken out by the program that holds the
//! [`MemoryWire`].

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::frame::InterfaceId;
use engine::snapshot::Counter;

use super::{
    Disposition, FrameHandler, InterfaceCounters, Offload, Outgoing, PacketPort, Received,
    describe, part,
};

/// Frames that wait before the port calls itself congested; it has room for any number.
const CONGESTED: usize = 256;

/// A frame on a [`MemoryWire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireFrame {
    /// The interface it came by or leaves by.
    pub interface: InterfaceId,
    /// The frame from its Ethernet header on.
    pub octets: Vec<u8>,
    /// VLAN tag control information beside the frame.
    pub vlan: Option<u16>,
    /// What is left for the device that sends it.
    pub offload: Offload,
    /// How long it has waited for a director that stood still.
    pub waited: Duration,
}

impl WireFrame {
    /// An untagged frame with nothing left to do.
    #[must_use]
    pub fn plain(interface: InterfaceId, octets: Vec<u8>) -> Self {
        Self { interface, octets, vlan: None, offload: Offload::default(), waited: Duration::ZERO }
    }
}

#[derive(Debug, Default)]
struct Queues {
    inbound: VecDeque<WireFrame>,
    outbound: VecDeque<WireFrame>,
    /// Frames lost on the way to the director, where nobody asked yet.
    lost: u64,
    woken: bool,
}

/// The outside end of a [`MemoryPort`]; clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryWire {
    shared: Arc<(Mutex<Queues>, Condvar)>,
}

impl MemoryWire {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // A thread that panicked while it held the queues left them whole: each change is one push.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame on the way to the director.
    pub fn put(&self, frame: WireFrame) {
        self.queues().inbound.push_back(frame);
        self.shared.1.notify_all();
    }

    /// Counts a frame as lost on the way to the director: there was no room for it.
    pub fn lose(&self) {
        self.queues().lost += 1;
    }

    /// Takes the oldest frame the director sent.
    pub fn take(&self) -> Option<WireFrame> {
        self.queues().outbound.pop_front()
    }

    /// Waits for a frame of the director, `timeout` at most.
    pub fn take_within(&self, timeout: Duration) -> Option<WireFrame> {
        let queues = self.queues();
        let (mut queues, _) = self
            .shared
            .1
            .wait_timeout_while(queues, timeout, |queues| queues.outbound.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        queues.outbound.pop_front()
    }

    /// Makes the port's wait return.
    pub fn wake(&self) {
        self.queues().woken = true;
        self.shared.1.notify_all();
    }
}

/// A [`PacketPort`] on a [`MemoryWire`].
#[derive(Debug, Default)]
pub struct MemoryPort {
    wire: MemoryWire,
    counters: Vec<InterfaceCounters>,
}

impl MemoryPort {
    /// A port, and the wire it is on.
    #[must_use]
    pub fn new() -> (Self, MemoryWire) {
        let wire = MemoryWire::default();
        (Self { wire: wire.clone(), counters: Vec::new() }, wire)
    }

    fn counters_of(&mut self, interface: InterfaceId) -> &mut InterfaceCounters {
        let found = self.counters.iter().position(|counters| counters.interface == interface);
        let index = found.unwrap_or_else(|| {
            self.counters.push(InterfaceCounters::new(interface));
            self.counters.len() - 1
        });
        &mut self.counters[index]
    }

    fn put_out(&mut self, frame: WireFrame) {
        self.counters_of(frame.interface).sent.0 += 1;
        self.wire.queues().outbound.push_back(frame);
        self.wire.shared.1.notify_all();
    }
}

impl PacketPort for MemoryPort {
    type Control = ();

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let queues = self.wire.queues();
        let idle = |queues: &mut Queues| queues.inbound.is_empty() && !queues.woken;
        let mut queues = match timeout {
            Some(timeout) => {
                let waited = self.wire.shared.1.wait_timeout_while(queues, timeout, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.wire.shared.1.wait_while(queues, idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        queues.woken = false;
        Ok(())
    }

    fn exchange(&mut self, limit: usize, mut handler: impl FrameHandler) -> io::Result<usize> {
        handler.foresee(self.wire.queues().inbound.iter().take(limit).map(|it| &it.octets[..]));
        for handled in 0..limit {
            let Some(mut frame) = self.wire.queues().inbound.pop_front() else {
                return Ok(handled);
            };
            self.counters_of(frame.interface).received.0 += 1;
            let meta = describe(frame.interface, frame.vlan, &frame.offload);
            let offload = frame.offload;
            let waited = std::mem::take(&mut frame.waited);
            let received = Received { octets: &mut frame.octets, meta, offload, waited };
            let disposition = handler.handle(received);
            handler.before_sending();
            match disposition {
                Disposition::Done => {}
                Disposition::Send { interface, length, offload } => {
                    frame.offload = offload;
                    frame.interface = interface;
                    frame.octets.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                    self.put_out(frame);
                }
                Disposition::SendBehind { interface, prefix, from, end } => {
                    let octets = [prefix.octets(), part(&frame.octets, from, end)].concat();
                    let vlan = frame.vlan;
                    self.put_out(WireFrame { vlan, ..WireFrame::plain(interface, octets) });
                }
            }
        }
        Ok(limit)
    }

    fn send<'a>(&mut self, frames: impl Iterator<Item = Outgoing<'a>>) {
        for frame in frames {
            self.put_out(WireFrame {
                interface: frame.interface,
                octets: frame.octets.to_vec(),
                vlan: frame.vlan,
                offload: frame.offload,
                waited: Duration::ZERO,
            });
        }
    }

    fn control(&mut self, _control: ()) -> io::Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _interfaces: impl Iterator<Item = InterfaceId>) {}

    fn is_congested(&self) -> bool {
        self.wire.queues().inbound.len() > CONGESTED
    }

    fn counters(&mut self, into: &mut Vec<InterfaceCounters>) {
        let lost = std::mem::take(&mut self.wire.queues().lost);
        if lost > 0 {
            self.counters_of(InterfaceId(0)).ring_drops.0 += lost;
        }
        into.extend_from_slice(&self.counters);
    }
}

impl InterfaceCounters {
    /// Adds what another port counted for the same interface.
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs: [(&mut Counter, Counter); 7] = [
            (&mut self.received, other.received),
            (&mut self.ring_drops, other.ring_drops),
            (&mut self.unknown_drops, other.unknown_drops),
            (&mut self.cut, other.cut),
            (&mut self.other_host, other.other_host),
            (&mut self.sent, other.sent),
            (&mut self.send_failures, other.send_failures),
        ];
        for (sum, more) in pairs {
            sum.0 += more.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_through_in_place_and_are_counted() {
        let (mut port, wire) = MemoryPort::new();
        wire.put(WireFrame::plain(InterfaceId(7), vec![1, 2, 3, 4]));
        wire.put(WireFrame::plain(InterfaceId(7), vec![9; 4]));
        let mut seen = 0;
        let handled = port.exchange(64, |frame: Received<'_>| {
            seen += 1;
            if seen == 2 {
                return Disposition::Done;
            }
            frame.octets[0] = 42;
            Disposition::Send { interface: InterfaceId(8), length: 3, offload: frame.offload }
        });
        assert_eq!(handled.expect("memory does not fail"), 2);
        assert_eq!(wire.take(), Some(WireFrame::plain(InterfaceId(8), vec![42, 2, 3])));
        assert_eq!(wire.take(), None);
        let mut counters = Vec::new();
        port.counters(&mut counters);
        assert_eq!((counters[0].received, counters[1].sent), (Counter(2), Counter(1)));
    }

    #[test]
    fn a_batch_is_bounded() {
        let (mut port, wire) = MemoryPort::new();
        for _ in 0..3 {
            wire.put(WireFrame::plain(InterfaceId(1), vec![0]));
        }
        assert_eq!(
            port.exchange(2, |_: Received<'_>| Disposition::Done).expect("memory does not fail"),
            2
        );
        assert_eq!(
            port.exchange(2, |_: Received<'_>| Disposition::Done).expect("memory does not fail"),
            1
        );
    }

    #[test]
    fn waking_ends_a_wait_once() {
        let (mut port, wire) = MemoryPort::new();
        wire.wake();
        port.wait(None).expect("memory does not fail");
        port.wait(Some(Duration::from_millis(1))).expect("memory does not fail");
    }
}
