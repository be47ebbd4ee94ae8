//! Where frames come from and go to: [`PacketPort`] and its kinds.
//!
//! A port carries all interfaces of one worker. Frames are handed out in bounded batches; what the
//! worker decides is done in place, from the memory the frame arrived in.

use std::io;
use std::time::Duration;

use afpacket::vnet::PartialChecksum;
use engine::frame::{ChecksumState, FrameMeta, InterfaceId, Prefix, Segmentation};
use engine::snapshot::Counter;
use serde::Serialize;

mod af_packet;
#[cfg(test)]
mod failing;
mod fault;
mod memory;
mod pcap;

pub use af_packet::{AfPacketControl, AfPacketOptions, AfPacketPort, Inlet};
pub use afpacket::vnet::VnetHeader as Offload;
#[cfg(test)]
pub(crate) use failing::FailingPort;
pub use fault::{FaultPort, FaultRates};
pub use memory::{MemoryPort, MemoryWire, WireFrame};
pub use pcap::{PcapError, PcapFrame, PcapPort, PcapReader, PcapWriter};

/// What is known to the engine of a frame that came by `interface`.
pub(crate) fn describe(interface: InterfaceId, vlan: Option<u16>, offload: &Offload) -> FrameMeta {
    FrameMeta {
        interface,
        vlan,
        checksum: match offload.checksum {
            Some(PartialChecksum { start, offset }) => {
                ChecksumState::Partial(engine::frame::PartialChecksum { start, offset })
            }
            None => ChecksumState::Complete,
        },
        segmentation: offload.segmentation.map(|split| Segmentation {
            segment_size: split.segment_size,
            header_length: split.header_length,
        }),
    }
}

/// A frame on its way in.
#[derive(Debug)]
pub struct Received<'a> {
    /// The frame from its Ethernet header on, in the memory it arrived in.
    pub octets: &'a mut [u8],
    /// What the port knows about it.
    pub meta: FrameMeta,
    /// What is left for the device that sends it on.
    pub offload: Offload,
    /// How long it has waited, where that is long: the worker stood still. Otherwise zero.
    pub waited: Duration,
}

/// What becomes of the memory a frame arrived in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing more is wanted of the frame.
    Done,
    /// It goes out as it lies there.
    Send {
        /// The interface it leaves by.
        interface: InterfaceId,
        /// Octets of it that go out, from its start.
        length: u32,
        /// What is left for the device.
        offload: Offload,
    },
    /// A part of it goes out, behind other octets.
    SendBehind {
        /// The interface it leaves by.
        interface: InterfaceId,
        /// What comes first, Ethernet header included.
        prefix: Prefix,
        /// Where in the frame the part begins.
        from: u32,
        /// Where in the frame it ends.
        end: u32,
    },
}

/// The octets of a frame between two places, as far as they are there.
pub(crate) fn part(octets: &[u8], from: u32, end: u32) -> &[u8] {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX).min(octets.len());
    octets.get(place(from)..place(end)).unwrap_or_default()
}

/// A frame on its way out that is not in the memory of a received one.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The interface it leaves by.
    pub interface: InterfaceId,
    /// The frame from its Ethernet header on.
    pub octets: &'a [u8],
    /// VLAN tag control information to put in.
    pub vlan: Option<u16>,
    /// What is left for the device that sends it.
    pub offload: Offload,
}

/// What one interface of a port has carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceCounters {
    /// The interface.
    #[serde(rename = "index")]
    pub interface: InterfaceId,
    /// Frames that reached the director.
    pub received: Counter,
    /// Frames the kernel dropped because the receive ring was full.
    pub ring_drops: Counter,
    /// Frames of no known connection that the kernel dropped because their own ring was full, while more
    /// came than could be judged.
    pub unknown_drops: Counter,
    /// Frames that did not fit into the ring's slots and were dropped.
    pub cut: Counter,
    /// Frames not addressed to this host at layer 2, left alone.
    pub other_host: Counter,
    /// Frames handed to the kernel.
    pub sent: Counter,
    /// Frames the kernel refused.
    pub send_failures: Counter,
}

impl InterfaceCounters {
    /// All zero.
    #[must_use]
    pub const fn new(interface: InterfaceId) -> Self {
        Self {
            interface,
            received: Counter(0),
            ring_drops: Counter(0),
            unknown_drops: Counter(0),
            cut: Counter(0),
            other_host: Counter(0),
            sent: Counter(0),
            send_failures: Counter(0),
        }
    }
}

/// Who judges the frames of a batch.
pub trait FrameHandler {
    /// Is shown frames that come next, before the first of them is handed out. A port shows what it
    /// can, and may show none.
    fn foresee<'f>(&mut self, frames: impl Iterator<Item = &'f [u8]>) {
        let _ = frames;
    }

    /// Is told before the first of the frames that were handed out leaves.
    fn before_sending(&mut self) {}

    /// Says what becomes of the memory of a frame.
    fn handle(&mut self, frame: Received<'_>) -> Disposition;
}

impl<F: FnMut(Received<'_>) -> Disposition> FrameHandler for F {
    fn handle(&mut self, frame: Received<'_>) -> Disposition {
        self(frame)
    }
}

/// Source and sink of the frames of one worker. Nothing here blocks but [`Self::wait`].
pub trait PacketPort {
    /// What the port can be told to do.
    type Control;

    /// Sleeps until a frame can be received, somebody wakes the worker, or `timeout` has passed
    /// (for ever when absent). May return early.
    ///
    /// # Errors
    /// When the port can no longer be waited on; the worker stops.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()>;

    /// Hands out about `limit` received frames at most, those of known connections first, sends those that are to go on in place, and gives
    /// their memory back. Returns how many were handed out.
    ///
    /// # Errors
    /// When the port can no longer receive; the worker stops. An interface that is down is no error.
    fn exchange(&mut self, limit: usize, handler: impl FrameHandler) -> io::Result<usize>;

    /// Sends frames from other memory, in order. What the kernel refuses is counted and lost.
    fn send<'a>(&mut self, frames: impl Iterator<Item = Outgoing<'a>>);

    /// Does as told.
    ///
    /// # Errors
    /// When that is not possible; the port is as before.
    fn control(&mut self, control: Self::Control) -> io::Result<()>;

    /// Gets ready to send by these interfaces; each may come up several times.
    fn prepare(&mut self, interfaces: impl Iterator<Item = InterfaceId>);

    /// Whether so many frames wait that the next ones may be lost.
    fn is_congested(&self) -> bool;

    /// Adds what each interface has carried since the port was opened.
    fn counters(&mut self, into: &mut Vec<InterfaceCounters>);
}
