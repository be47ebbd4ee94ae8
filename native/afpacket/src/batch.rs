//! The frames of one look at the ring.

use std::time::Duration;

use crate::sys::ring::{Ready, SlotHeader};
use crate::vlan::{CUSTOMER_TAG, VlanTag};
use crate::vnet::{self, VnetHeader};

/// Whom a frame is for, as its Ethernet destination tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// This machine.
    Host,
    /// Everybody.
    Broadcast,
    /// A group.
    Multicast,
    /// Another machine; seen in promiscuous mode or when a switch floods.
    OtherHost,
    /// Sent by this machine.
    Outgoing,
}

impl FrameKind {
    const fn of(packet_type: u8) -> Self {
        match packet_type {
            0 => Self::Host,
            1 => Self::Broadcast,
            2 => Self::Multicast,
            3 => Self::OtherHost,
            _ => Self::Outgoing,
        }
    }
}

/// What is known of a received frame beside its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedMeta {
    /// The VLAN tag the kernel took out of the frame.
    pub vlan: Option<VlanTag>,
    /// What is still to be done before the frame is on a wire; hand it to the sender as it is when
    /// the frame's headers keep their lengths.
    pub vnet: VnetHeader,
    /// Whom the frame is for.
    pub kind: FrameKind,
    /// When it came, since 1970, by the machine's own date.
    pub stamp: Duration,
}

/// Frames in the ring, in the order they came. Their slots go back to the kernel on drop.
#[derive(Debug)]
pub struct ReceivedBatch<'r> {
    ready: Ready<'r>,
    truncated: &'r mut u64,
}

impl<'r> ReceivedBatch<'r> {
    pub(crate) const fn new(ready: Ready<'r>, truncated: &'r mut u64) -> Self {
        Self { ready, truncated }
    }

    /// Number of slots. A slot without a usable frame counts; [`Self::frame`] is `None` for it.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ready.len()
    }

    /// Whether no frame was there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets of frame `index`, from the Ethernet header on. `None` beyond the batch and for a
    /// frame that did not fit its slot.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&[u8]> {
        let (offset, length) = extent(self.ready.header(index)?)?;
        self.ready.octets(index, offset, length)
    }

    /// What is known of frame `index` beside its octets.
    #[must_use]
    pub fn meta(&self, index: usize) -> Option<ReceivedMeta> {
        let header = self.ready.header(index)?;
        let (offset, _) = extent(header)?;
        let vnet_offset = offset.checked_sub(vnet::HEADER_LEN)?;
        let vnet = self.ready.octets(index, vnet_offset, vnet::HEADER_LEN)?.try_into().ok()?;
        Some(ReceivedMeta {
            vlan: tag(header),
            vnet: VnetHeader::parse(vnet),
            kind: FrameKind::of(header.packet_type),
            stamp: stamp(header),
        })
    }

    /// Frame `index` to be rewritten in place, with its description.
    pub fn frame_mut(&mut self, index: usize) -> Option<(&mut [u8], ReceivedMeta)> {
        let meta = self.meta(index)?;
        let (offset, length) = extent(self.ready.header(index)?)?;
        Some((self.ready.octets_mut(index, offset, length)?, meta))
    }
}

impl Drop for ReceivedBatch<'_> {
    fn drop(&mut self) {
        let unusable = (0..self.len())
            .filter(|index| self.ready.header(*index).and_then(extent).is_none())
            .count();
        *self.truncated += unusable as u64;
    }
}

/// Where the frame lies in its slot; `None` when it was cut because the slot is too short.
fn extent(header: SlotHeader) -> Option<(usize, usize)> {
    if header.captured < header.length {
        return None;
    }
    Some((usize::from(header.frame_offset), usize::try_from(header.captured).ok()?))
}

fn stamp(header: SlotHeader) -> Duration {
    let (seconds, nanoseconds) = header.stamp;
    Duration::new(seconds.into(), nanoseconds)
}

fn tag(header: SlotHeader) -> Option<VlanTag> {
    let has = |flag: u32| header.status & flag != 0;
    let tpid = if has(libc::TP_STATUS_VLAN_TPID_VALID) { header.vlan_tpid } else { CUSTOMER_TAG };
    has(libc::TP_STATUS_VLAN_VALID).then_some(VlanTag { tci: header.vlan_tci, tpid })
}
