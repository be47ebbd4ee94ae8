//! What the port knows about a frame beside its bytes, and the frames the engine makes itself.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use wire::dissect::{Dissection, Upper, dissect};

use crate::hand_over::HandOver;
use crate::hop::Egress;

/// Number of a network interface, as the kernel counts them (`ifindex`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct InterfaceId(pub u32);

/// State of a frame's layer-4 checksum, as the virtio-net header tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumState {
    /// The checksum field is what the sender says it is.
    #[default]
    Complete,
    /// The field holds the pseudo-header sum only; the device that sends the frame completes it.
    Partial(PartialChecksum),
}

/// Where the device that sends a frame completes a checksum: it sums up the octets from `start` to
/// the packet's end and writes the result `offset` octets behind `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where summing begins, from the start of the frame: a transport header.
    pub start: u16,
    /// Where the checksum field lies behind `start`.
    pub offset: u16,
}

impl ChecksumState {
    /// Of a frame whose sender left the transport checksum to the device; of frames that have none,
    /// complete.
    #[must_use]
    pub fn left_to_device(frame: &[u8]) -> Self {
        let Ok(Dissection::Ip(ip)) = dissect(frame) else { return Self::Complete };
        let place = checksum_offset(&ip.upper).and_then(|offset| {
            let (start, offset) = (u16::try_from(ip.l4).ok()?, u16::try_from(offset).ok()?);
            Some(PartialChecksum { start, offset })
        });
        place.map_or(Self::Complete, Self::Partial)
    }
}

/// Where the checksum lies behind a transport header's start (RFC 9293 §3.1, RFC 768, RFC 9260 §3.1,
/// RFC 792, RFC 4443 §2.1).
pub(crate) const fn checksum_offset(upper: &Upper) -> Option<usize> {
    match upper {
        Upper::Tcp { .. } => Some(16),
        Upper::Udp { .. } => Some(6),
        Upper::Sctp { .. } => Some(8),
        Upper::Icmpv4 { .. } | Upper::Icmpv6 { .. } => Some(2),
        Upper::Truncated | Upper::Other => None,
    }
}

/// Segmentation still to be done by the device that sends the frame (GSO).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Payload octets of each segment.
    pub segment_size: u16,
    /// Octets of all headers, Ethernet included, that each segment repeats.
    pub header_length: u16,
}

/// What a port knows about a received frame beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FrameMeta {
    /// The interface the frame came in by.
    pub interface: InterfaceId,
    /// VLAN tag control information the kernel took out of the frame; it goes back in on sending.
    pub vlan: Option<u16>,
    /// Whether the layer-4 checksum is complete.
    pub checksum: ChecksumState,
    /// Set on a frame that stands for several segments.
    pub segmentation: Option<Segmentation>,
}

impl FrameMeta {
    /// A plain frame from `interface`: untagged, checksum complete, one segment.
    #[must_use]
    pub const fn plain(interface: InterfaceId) -> Self {
        Self { interface, vlan: None, checksum: ChecksumState::Complete, segmentation: None }
    }
}

/// One frame the engine made: where its bytes lie in [`Outputs`] and where it leaves.
#[derive(Clone, Debug)]
pub struct OutputFrame {
    /// The octets, as a range of [`Outputs::bytes`].
    pub range: Range<usize>,
    /// Where it leaves.
    pub egress: Egress,
    /// VLAN tag control information to put into the frame on sending.
    pub vlan: Option<u16>,
    /// Set on a frame that does not leave but is handed to another engine, as if it had come there by
    /// the interface that `egress` names.
    pub handed: Option<HandOver>,
}

/// Octets of the longest [`Prefix`]: Ethernet with two VLAN tags, IPv6, UDP, and GUE with remote
/// checksum offload.
const PREFIX_MAX: usize = 22 + 40 + 8 + 12;

/// What goes in front of a received packet that is sent inside another: Ethernet header, outer IP
/// header, header of the tunnel.
#[derive(Clone, Copy)]
pub struct Prefix {
    octets: [u8; PREFIX_MAX],
    length: u8,
}

impl Prefix {
    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Room for `length` octets, to be filled in; none where so many never fit.
    pub(crate) fn room(&mut self, length: usize) -> Option<&mut [u8]> {
        let room = self.octets.get_mut(..length)?;
        self.length = u8::try_from(length).ok()?;
        Some(room)
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self { octets: [0; PREFIX_MAX], length: 0 }
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        self.octets() == other.octets()
    }
}

impl Eq for Prefix {}

impl fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Prefix").field(&self.octets()).finish()
    }
}

/// Frames the engine made itself (ICMP replies, fragments, segments), and the prefix and the checksum
/// of the frame judged last. Reused: cleared by the caller once the frames are sent, so that a steady state
/// allocates nothing.
#[derive(Debug, Default)]
pub struct Outputs {
    bytes: Vec<u8>,
    frames: Vec<OutputFrame>,
    prefix: Prefix,
    checksum: ChecksumState,
    scratch: Vec<u8>,
}

impl Outputs {
    /// An empty store with room for a batch.
    #[must_use]
    pub fn with_capacity(octets: usize, frames: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(octets),
            frames: Vec::with_capacity(frames),
            prefix: Prefix::default(),
            checksum: ChecksumState::Complete,
            scratch: Vec::new(),
        }
    }

    /// Forgets all frames, keeping the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }

    /// The frames made so far, oldest first.
    #[must_use]
    pub fn frames(&self) -> &[OutputFrame] {
        &self.frames
    }

    /// What goes in front of the packet after [`Verdict::Encapsulate`]; overwritten by the next.
    ///
    /// [`Verdict::Encapsulate`]: crate::verdict::Verdict::Encapsulate
    #[must_use]
    pub const fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(crate) const fn prefix_mut(&mut self) -> &mut Prefix {
        &mut self.prefix
    }

    /// What is left for the device of the frame judged last, where that leaves as it lies
    /// ([`Verdict::Forward`], [`Verdict::Return`]); overwritten by the next. Nothing is left for it
    /// of frames that leave otherwise.
    ///
    /// [`Verdict::Forward`]: crate::verdict::Verdict::Forward
    /// [`Verdict::Return`]: crate::verdict::Verdict::Return
    #[must_use]
    pub const fn checksum(&self) -> ChecksumState {
        self.checksum
    }

    pub(crate) const fn set_checksum(&mut self, checksum: ChecksumState) {
        self.checksum = checksum;
    }

    /// Memory for what is not sent as it is; given back with [`Self::keep_scratch`].
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.scratch)
    }

    pub(crate) fn keep_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// All frames from number `first` on are for another engine.
    pub(crate) fn hand_over(&mut self, first: usize, to: HandOver) {
        self.frames.iter_mut().skip(first).for_each(|frame| frame.handed = Some(to));
    }

    /// The octets of `frame`.
    #[must_use]
    pub fn octets(&self, frame: &OutputFrame) -> &[u8] {
        self.bytes.get(frame.range.clone()).unwrap_or_default()
    }

    /// Adds a frame of `length` zero octets and returns them to be filled in.
    pub fn push(&mut self, length: usize, egress: Egress, vlan: Option<u16>) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        let range = start..start + length;
        self.frames.push(OutputFrame { range, egress, vlan, handed: None });
        self.bytes.get_mut(start..).unwrap_or_default()
    }
}
