//! What senders on the same machine leave to the device, checksums and segmentation: whether it can be
//! done at all, and doing it where the device cannot.

use wire::dissect::Upper;
use wire::{checksum, sctp, udp};

use crate::frame::{ChecksumState, PartialChecksum, checksum_offset};
use crate::packet::Packet;
use crate::verdict::DropReason;

impl Packet<'_> {
    /// Readies a packet that is about to leave: nothing is left to the device that it could not do.
    ///
    /// No header of a packet socket can say that a checksum is a CRC32c, so that of SCTP is filled in
    /// here (the kernel would put an Internet checksum in its place).
    #[inline]
    pub(crate) fn settle_offload(&mut self) -> Result<(), DropReason> {
        if self.checksum == ChecksumState::Complete && self.meta.segmentation.is_none() {
            return Ok(());
        }
        self.settle()
    }

    fn settle(&mut self) -> Result<(), DropReason> {
        if let ChecksumState::Partial(place) = self.checksum {
            if !self.can_be_completed(place) {
                return Err(DropReason::BadOffload);
            }
            if matches!(self.ip.upper, Upper::Sctp { .. }) {
                self.complete_checksum();
            }
        }
        if self.meta.segmentation.is_some() && !self.can_be_segmented() {
            return Err(DropReason::BadSegmentation);
        }
        Ok(())
    }

    /// Whether the field of the transport checksum holds the pseudo-header sum only.
    pub(crate) fn checksum_is_partial(&self) -> bool {
        match self.checksum {
            ChecksumState::Partial(place) => self.is_transport(place),
            ChecksumState::Complete => false,
        }
    }

    /// Whether this is a UDP datagram whose sender made no checksum (RFC 768).
    pub(crate) fn is_udp_without_checksum(&self) -> bool {
        let datagram = self.frame.get(self.ip.l4..self.ip.end).unwrap_or_default();
        matches!(self.ip.upper, Upper::Udp { .. })
            && !self.checksum_is_partial()
            && udp::Packet::new_unchecked(datagram).checksum() == 0
    }

    /// Completes a checksum that was left to the device, as that would have done.
    pub(crate) fn complete_checksum(&mut self) {
        let ChecksumState::Partial(place) = self.checksum else { return };
        let (start, end) = (usize::from(place.start), self.ip.end);
        let Some(summed) = self.frame.get_mut(start..end) else { return };
        self.checksum = ChecksumState::Complete;
        if matches!(self.ip.upper, Upper::Sctp { .. }) {
            return sctp::Packet::new_unchecked(summed).fill_checksum();
        }
        // Of what protocol it is does not matter: no one reads all ones otherwise than zero, but UDP
        // (RFC 768).
        let completed = udp::sent_checksum(checksum::of(summed)).to_be_bytes();
        let offset = usize::from(place.offset);
        if let Some(field) = summed.get_mut(offset..offset + completed.len()) {
            field.copy_from_slice(&completed);
        }
    }

    fn is_transport(&self, place: PartialChecksum) -> bool {
        usize::from(place.start) == self.ip.l4
            && checksum_offset(&self.ip.upper) == Some(usize::from(place.offset))
    }

    /// Whether the device finds what it is to complete: the transport checksum, or one of a packet
    /// inside a UDP datagram, whose own checksum is there then.
    fn can_be_completed(&self, place: PartialChecksum) -> bool {
        let (start, offset) = (usize::from(place.start), usize::from(place.offset));
        let is_inside = matches!(self.ip.upper, Upper::Udp { .. })
            && start >= self.ip.l4 + udp::HEADER_LEN
            && start + offset + size_of::<u16>() <= self.ip.end;
        is_inside || self.is_transport(place)
    }

    fn can_be_segmented(&self) -> bool {
        let is_known = matches!(self.ip.upper, Upper::Tcp { .. } | Upper::Udp { .. });
        let is_outermost = match self.checksum {
            ChecksumState::Partial(place) => self.is_transport(place),
            ChecksumState::Complete => true,
        };
        let size = self.meta.segmentation.map_or(0, |segmentation| segmentation.segment_size);
        is_known && is_outermost && size > 0
    }
}
