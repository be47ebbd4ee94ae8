//! Segmentation in software: one frame that stands for several becomes those, as the device would
//! have made them.

use core::net::IpAddr;

use wire::dissect::Upper;
use wire::{checksum, ipv4, ipv6, tcp, udp};

use crate::packet::Packet;

/// Segments one frame may stand for: 64 KiB in the smallest segments TCP makes, and more.
const SEGMENTS_MAX: usize = 2048;

/// Where flags lie in a TCP header, and those that belong to the last or the first segment.
const TCP_FLAGS: usize = 13;
const TCP_SEQUENCE: usize = 4;
const FIN_AND_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// The segments of one frame.
#[derive(Debug)]
pub(crate) struct Segments<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    ip: &'a wire::dissect::IpFrame,
    /// Checksums stay open: the field gets the pseudo-header sum only.
    open: bool,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    of: &'a Segments<'a>,
    number: usize,
    payload: &'a [u8],
}

impl<'a> Segments<'a> {
    /// The segments `packet` stands for; none if it cannot be cut so.
    pub(crate) fn of(packet: &'a Packet<'_>, open: bool) -> Option<Self> {
        let size = usize::from(packet.meta.segmentation?.segment_size);
        let (headers, payload) = packet.octets().split_at_checked(packet.headers_length())?;
        let is_known = matches!(packet.ip.upper, Upper::Tcp { .. } | Upper::Udp { .. });
        let count = payload.len().checked_div(size)?;
        let fits = !payload.is_empty() && count <= SEGMENTS_MAX;
        (is_known && fits).then_some(Self { headers, payload, size, ip: &packet.ip, open })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Segment<'_>> {
        let parts = self.payload.chunks(self.size).enumerate();
        parts.map(|(number, payload)| Segment { of: self, number, payload })
    }
}

impl Segment<'_> {
    /// Octets of the segment's IP packet.
    pub(crate) const fn length(&self) -> usize {
        self.of.headers.len() + self.payload.len()
    }

    /// Fills `out`, which has just the length, with the IP packet.
    pub(crate) fn emit(&self, out: &mut [u8]) -> Option<()> {
        let (headers, payload) = out.split_at_mut_checked(self.of.headers.len())?;
        headers.copy_from_slice(self.of.headers);
        payload.copy_from_slice(self.payload);
        let (ip, transport) = out.split_at_mut_checked(self.of.ip.l4 - self.of.ip.l3)?;
        self.finish_ip(ip, transport.len())?;
        match self.of.ip.upper {
            Upper::Tcp { .. } => self.finish_tcp(transport),
            _ => self.finish_udp(transport),
        }
    }

    fn is_last(&self) -> bool {
        (self.number + 1) * self.of.size >= self.of.payload.len()
    }

    fn finish_ip(&self, header: &mut [u8], transport: usize) -> Option<()> {
        let length = header.len() + transport;
        if self.of.ip.source.is_ipv4() {
            let mut packet = ipv4::Packet::new_unchecked(header);
            packet.set_total_len(u16::try_from(length).ok()?);
            // Each segment is a packet: it is numbered on, as devices do.
            let number = u16::try_from(self.number).ok()?;
            packet.set_identification(packet.identification().wrapping_add(number));
            packet.fill_checksum();
        } else {
            let length = u16::try_from(length.checked_sub(ipv6::HEADER_LEN)?).ok()?;
            ipv6::Packet::new_unchecked(header).set_payload_len(length);
        }
        Some(())
    }

    fn finish_tcp(&self, segment: &mut [u8]) -> Option<()> {
        let offset = u32::try_from(self.number * self.of.size).ok()?;
        let sequence = segment.get_mut(TCP_SEQUENCE..)?.first_chunk_mut::<4>()?;
        *sequence = u32::from_be_bytes(*sequence).wrapping_add(offset).to_be_bytes();
        let flags = segment.get_mut(TCP_FLAGS)?;
        if !self.is_last() {
            *flags &= !FIN_AND_PSH;
        }
        if self.number > 0 {
            // RFC 3168 §6.1.2: said once.
            *flags &= !CWR;
        }
        tcp::Packet::new_unchecked(&mut *segment).set_checksum(0);
        let checksum = self.checksum(segment)?;
        tcp::Packet::new_unchecked(segment).set_checksum(checksum);
        Some(())
    }

    fn finish_udp(&self, datagram: &mut [u8]) -> Option<()> {
        let length = u16::try_from(datagram.len()).ok()?;
        let mut packet = udp::Packet::new_unchecked(&mut *datagram);
        packet.set_length(length);
        packet.set_checksum(0);
        let checksum = self.checksum(datagram)?;
        udp::Packet::new_unchecked(datagram).set_checksum(checksum);
        Some(())
    }

    /// The checksum of a segment whose checksum field is 0.
    fn checksum(&self, segment: &[u8]) -> Option<u16> {
        let protocol = self.of.ip.protocol;
        let pseudo = match (self.of.ip.source, self.of.ip.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(segment.len()).ok()?;
                checksum::pseudo_header_v4(source, destination, protocol, length)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = u32::try_from(segment.len()).ok()?;
                checksum::pseudo_header_v6(source, destination, protocol, length)
            }
            _ => return None,
        };
        if self.of.open {
            return Some(checksum::fold(pseudo));
        }
        Some(udp::sent_checksum(!checksum::fold(pseudo + checksum::sum(segment))))
    }
}
