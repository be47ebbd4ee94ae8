//! One received packet on its way through the engine.

use core::net::IpAddr;

use wire::dissect::{IpFrame, Upper};
use wire::{icmpv4, icmpv6};

use crate::frame::{ChecksumState, FrameMeta};

/// Offset of the data-offset field in a TCP header (RFC 9293 §3.1).
const TCP_DATA_OFFSET: usize = 12;

/// A frame, what its headers say, and what the port knows beside.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) frame: &'a mut [u8],
    pub(crate) ip: IpFrame,
    pub(crate) meta: &'a FrameMeta,
    /// What is left of the transport checksum: at first what the port said.
    pub(crate) checksum: ChecksumState,
    /// For a packet put together: octets of the longest of its fragments.
    pub(crate) reassembled: Option<usize>,
}

impl<'a> Packet<'a> {
    /// A packet as it was received.
    pub(crate) const fn new(frame: &'a mut [u8], ip: IpFrame, meta: &'a FrameMeta) -> Self {
        Self { frame, ip, meta, checksum: meta.checksum, reassembled: None }
    }
}

impl Packet<'_> {
    /// The IP packet: without Ethernet header and padding.
    pub(crate) fn octets(&self) -> &[u8] {
        self.frame.get(self.ip.l3..self.ip.end).unwrap_or_default()
    }

    pub(crate) fn octets_mut(&mut self) -> &mut [u8] {
        self.frame.get_mut(self.ip.l3..self.ip.end).unwrap_or_default()
    }

    /// Ethernet header and in-frame VLAN tags.
    pub(crate) fn link_header(&self) -> &[u8] {
        self.frame.get(..self.ip.l3).unwrap_or_default()
    }

    /// Octets of the IP packet, the unit IPVS counts in.
    pub(crate) const fn length(&self) -> u64 {
        (self.ip.end - self.ip.l3) as u64
    }

    /// Octets of the largest IP packet that will be on the wire: of one segment, if the frame
    /// stands for several; of the longest fragment, if it was put together and will be cut again.
    pub(crate) fn length_on_wire(&self) -> u64 {
        if let Some(longest) = self.reassembled
            && !(self.is_ipv4() && self.ip.dont_fragment)
        {
            return self.length().min(longest as u64);
        }
        let Some(segmentation) = self.meta.segmentation else { return self.length() };
        let headers = self.headers_length() as u64;
        (headers + u64::from(segmentation.segment_size)).min(self.length())
    }

    /// Octets of IP and transport header: what each segment of a frame for several repeats.
    pub(crate) fn headers_length(&self) -> usize {
        let transport_header = match self.ip.upper {
            Upper::Tcp { .. } => {
                let offset = self.frame.get(self.ip.l4 + TCP_DATA_OFFSET).copied().unwrap_or(0x50);
                usize::from(offset >> 4) * 4
            }
            _ => wire::udp::HEADER_LEN,
        };
        self.ip.l4 - self.ip.l3 + transport_header
    }

    /// The octet of DSCP and ECN.
    pub(crate) fn traffic_class(&self) -> u8 {
        if self.is_ipv4() {
            wire::ipv4::Packet::new_unchecked(self.octets()).traffic_class()
        } else {
            wire::ipv6::Packet::new_unchecked(self.octets()).traffic_class()
        }
    }

    /// Takes one off TTL or hop limit (RFC 791 §3.1, RFC 8200 §3).
    pub(crate) fn age(&mut self) {
        if self.is_ipv4() {
            wire::ipv4::decrement_ttl(self.octets_mut());
        } else {
            wire::ipv6::decrement_hop_limit(self.octets_mut());
        }
    }

    /// The VLAN the frame came in by, 0 for none: the kernel's tag, or the outermost in the frame.
    pub(crate) fn vlan(&self) -> u16 {
        const IDENTIFIER: u16 = 0x0fff;
        let in_frame = || match self.frame.get(12..16) {
            Some(&[0x81, 0x00, high, low] | &[0x88, 0xa8, high, low]) => {
                u16::from_be_bytes([high, low])
            }
            _ => 0,
        };
        self.meta.vlan.unwrap_or_else(in_frame) & IDENTIFIER
    }

    /// Whether an IPv4 packet may be cut into fragments on its way.
    pub(crate) const fn may_be_cut(&self) -> bool {
        self.is_ipv4() && !self.ip.dont_fragment && self.meta.segmentation.is_none()
    }

    pub(crate) const fn is_ipv4(&self) -> bool {
        self.ip.source.is_ipv4()
    }

    /// Whether what is written into the packet, or told on, does not cover up an error. Checksums of
    /// transports are only adjusted, so wrong ones stay wrong; those of ICMP errors are made anew
    /// (IPVS: a wrong one is dropped).
    pub(crate) fn icmp_checksum_is_good(&self) -> bool {
        if self.checksum_is_partial() {
            return true;
        }
        let message = self.frame.get(self.ip.l4..self.ip.end).unwrap_or_default();
        match (self.ip.upper, self.ip.source, self.ip.destination) {
            (Upper::Icmpv4 { .. }, ..) => icmpv4::Packet::new_unchecked(message).checksum_valid(),
            (Upper::Icmpv6 { .. }, IpAddr::V6(source), IpAddr::V6(destination)) => {
                icmpv6::Packet::new_unchecked(message).checksum_valid(source, destination)
            }
            _ => true,
        }
    }

    /// An ICMP error, about which no ICMP error may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4).
    pub(crate) const fn is_icmp(&self) -> bool {
        matches!(self.ip.upper, Upper::Icmpv4 { .. } | Upper::Icmpv6 { .. })
    }
}
