//! Frames from parts: link, IP header, transport.

use std::net::IpAddr;

use super::{DIRECTOR_MAC, PORT, ROUTER_MAC, address};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

pub(crate) const DF: u16 = 0x4000;

/// What of an IP header tests vary.
#[derive(Clone, Debug)]
pub(crate) struct Ip {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) flags: u16,
    pub(crate) options: Vec<u8>,
}

impl Ip {
    pub(crate) fn new(source: &str, destination: &str) -> Self {
        Self {
            source: address(source),
            destination: address(destination),
            hop_limit: 64,
            flags: DF,
            options: Vec::new(),
        }
    }

    /// The whole frame with `payload` as the transport header and data.
    pub(crate) fn frame(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(DIRECTOR_MAC.0);
        frame.extend(ROUTER_MAC.0);
        frame.extend(if self.source.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
        frame.extend(self.packet(protocol, payload));
        frame
    }

    /// The IP packet alone.
    pub(crate) fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header_length = 20 + self.options.len();
                let total = u16::try_from(header_length + payload.len()).unwrap();
                let mut packet = vec![0x40 | u8::try_from(header_length / 4).unwrap(), 0];
                packet.extend(total.to_be_bytes());
                packet.extend([0, 7]);
                packet.extend(self.flags.to_be_bytes());
                packet.extend([self.hop_limit, protocol, 0, 0]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
                packet.extend(&self.options);
                let checksum = reference_checksum(&packet);
                packet[10..12].copy_from_slice(&checksum.to_be_bytes());
                packet.extend(payload);
                packet
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut packet = vec![0x60, 0, 0, 0];
                packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
                packet.extend([protocol, self.hop_limit]);
                packet.extend(source.octets());
                packet.extend(destination.octets());
                packet.extend(payload);
                packet
            }
            _ => panic!("one family"),
        }
    }
}

/// The Internet checksum by the book (RFC 1071 §4.1), as an oracle.
pub(crate) fn reference_checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// The pseudo header of an IP packet without options and extension headers.
pub(crate) fn pseudo_header(packet: &[u8]) -> Vec<u8> {
    let length = |header: usize| u32::try_from(packet.len() - header).unwrap().to_be_bytes();
    if packet[0] >> 4 == 4 {
        [&packet[12..20], &[0, packet[9]], &length(20)[2..]].concat()
    } else {
        [&packet[8..40], &length(40), &[0, 0, 0, packet[6]]].concat()
    }
}

pub(crate) fn tcp_segment(
    source_port: u16,
    destination_port: u16,
    flags: u8,
    data: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(source_port.to_be_bytes());
    segment.extend(destination_port.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(data);
    segment
}

pub(crate) fn udp_datagram(source_port: u16, destination_port: u16, data: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    datagram.extend(source_port.to_be_bytes());
    datagram.extend(destination_port.to_be_bytes());
    datagram.extend(u16::try_from(8 + data.len()).unwrap().to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    datagram
}

pub(crate) fn sctp_packet(source_port: u16, destination_port: u16, chunk: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(source_port.to_be_bytes());
    packet.extend(destination_port.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, chunk, 0, 0, 4]);
    packet
}

/// A TCP segment from a client to port 80 of a virtual address.
pub(crate) fn tcp(client: &str, client_port: u16, vip: &str, flags: u8) -> Vec<u8> {
    Ip::new(client, vip).frame(6, &tcp_segment(client_port, PORT, flags, &[]))
}

pub(crate) fn udp(client: &str, client_port: u16, vip: &str, data: &[u8]) -> Vec<u8> {
    Ip::new(client, vip).frame(17, &udp_datagram(client_port, PORT, data))
}

pub(crate) fn sctp(client: &str, client_port: u16, vip: &str, chunk: u8) -> Vec<u8> {
    Ip::new(client, vip).frame(132, &sctp_packet(client_port, PORT, chunk))
}

/// An ICMP error from `router` about a TCP segment that `vip` sent to a client.
pub(crate) fn icmp_error(router: &str, vip: &str, client: &str, client_port: u16) -> Vec<u8> {
    let quoted = Ip::new(vip, client).packet(6, &tcp_segment(PORT, client_port, ACK, &[]));
    let ip = Ip::new(router, vip);
    let (protocol, head) = if ip.source.is_ipv4() {
        (1, [3, 4, 0, 0, 0, 0, 0x05, 0x00])
    } else {
        (58, [2, 0, 0, 0, 0, 0, 0x05, 0x00])
    };
    let mut message = head.to_vec();
    message.extend(quoted);
    ip.frame(protocol, &message)
}
