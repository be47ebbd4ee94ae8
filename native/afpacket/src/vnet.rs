//! The virtio-net header: what is still to be done to a frame before it is on a wire.
//!
//! Senders on the same machine (veth, containers, virtual machines) leave checksums and
//! segmentation to the device. With `PACKET_VNET_HDR` the packet socket tells so on receiving and
//! takes the same on sending; without it such frames go out broken.

/// Octets of the header as packet sockets carry it (`struct virtio_net_hdr`, no `num_buffers`).
pub const HEADER_LEN: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_ECN: u8 = 0x80;

/// The layer-4 checksum is to be completed: sum from `start` to the end of the packet, result to
/// `start + offset`. Both in octets, `start` from the beginning of the Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where summing begins: the layer-4 header.
    pub start: u16,
    /// Where the checksum field lies behind `start`.
    pub offset: u16,
}

/// The frame stands for several segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Kind as the virtio specification numbers it (1 TCP over IPv4, 4 TCP over IPv6, 5 UDP), with
    /// the ECN bit 0x80.
    pub kind: u8,
    /// Payload octets of each segment.
    pub segment_size: u16,
    /// Octets of all headers, Ethernet included; a hint, as the kernel computes it.
    pub header_length: u16,
}

/// The header, with what is absent left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// Set when the layer-4 checksum is not complete.
    pub checksum: Option<PartialChecksum>,
    /// Set when the frame stands for several segments.
    pub segmentation: Option<Segmentation>,
}

impl VnetHeader {
    /// Reads the header in host byte order, as packet sockets write it.
    #[must_use]
    pub fn parse(octets: &[u8; HEADER_LEN]) -> Self {
        let [flags, kind, ..] = *octets;
        let half = |at: usize| {
            u16::from_ne_bytes([
                octets.get(at).copied().unwrap_or(0),
                octets.get(at + 1).copied().unwrap_or(0),
            ])
        };
        let checksum = (flags & NEEDS_CHECKSUM != 0)
            .then(|| PartialChecksum { start: half(6), offset: half(8) });
        let segmentation = (kind & !GSO_ECN != GSO_NONE).then(|| Segmentation {
            kind,
            segment_size: half(4),
            header_length: half(2),
        });
        Self { checksum, segmentation }
    }

    /// Writes the header in host byte order.
    #[must_use]
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let segmentation = self.segmentation.unwrap_or(Segmentation {
            kind: 0,
            segment_size: 0,
            header_length: 0,
        });
        let checksum = self.checksum.unwrap_or(PartialChecksum { start: 0, offset: 0 });
        let [h0, h1] = segmentation.header_length.to_ne_bytes();
        let [s0, s1] = segmentation.segment_size.to_ne_bytes();
        let [c0, c1] = checksum.start.to_ne_bytes();
        let [o0, o1] = checksum.offset.to_ne_bytes();
        let flags = if self.checksum.is_some() { NEEDS_CHECKSUM } else { 0 };
        [flags, segmentation.kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }

    /// The header for a frame that got `octets` more in front of its layer-4 header: a VLAN tag put
    /// back, an outer header.
    #[must_use]
    pub fn shifted(self, octets: u16) -> Self {
        Self {
            checksum: self
                .checksum
                .map(|sum| PartialChecksum { start: sum.start.saturating_add(octets), ..sum }),
            segmentation: self.segmentation.map(|split| Segmentation {
                header_length: split.header_length.saturating_add(octets),
                ..split
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> VnetHeader {
        VnetHeader {
            checksum: Some(PartialChecksum { start: 34, offset: 16 }),
            segmentation: Some(Segmentation { kind: 1, segment_size: 1448, header_length: 66 }),
        }
    }

    #[test]
    fn the_layout_is_that_of_the_kernel() {
        let octets = sample().emit();
        let expected = [66_u16, 1448, 34, 16].map(u16::to_ne_bytes);
        assert_eq!(octets[..2], [1, 1]);
        assert_eq!(octets[2..], *expected.as_flattened());
        assert_eq!(VnetHeader::parse(&octets), sample());
    }

    #[test]
    fn data_valid_alone_asks_for_nothing() {
        assert_eq!(VnetHeader::parse(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]), VnetHeader::default());
        assert_eq!(VnetHeader::default().emit(), [0; HEADER_LEN]);
    }

    #[test]
    fn a_tag_in_front_moves_checksum_and_headers() {
        let moved = sample().shifted(4);
        assert_eq!(moved.checksum, Some(PartialChecksum { start: 38, offset: 16 }));
        assert_eq!(moved.segmentation.map(|split| split.header_length), Some(70));
    }
}
