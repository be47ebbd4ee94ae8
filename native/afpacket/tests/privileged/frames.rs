//! Frames written octet by octet, with the checksums the kernel insists on.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const UDP: u8 = 17;
pub(crate) const TCP: u8 = 6;

pub(crate) type Mac = [u8; 6];

/// An Ethernet frame around `packet`.
pub(crate) fn ethernet(destination: Mac, source: Mac, packet: &[u8]) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&destination[..], &source, &kind, packet].concat()
}

/// An IPv4 packet; `options` in whole words, `fragment` the flags and offset.
pub(crate) fn ipv4(
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    options: &[u8],
    fragment: u16,
    payload: &[u8],
) -> Vec<u8> {
    let header = 20 + options.len();
    let length = u16::try_from(header + payload.len()).unwrap().to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    let first = 0x40 | u8::try_from(header / 4).unwrap();
    let mut packet = vec![first, 0, length[0], length[1], 0, 7, f0, f1, 64, protocol, 0, 0];
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(options);
    let sum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 packet whose payload begins with a header of kind `next`.
pub(crate) fn ipv6(next: u8, source: Ipv6Addr, destination: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, l0, l1, next, 64];
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&destination.octets());
    packet.extend_from_slice(payload);
    packet
}

/// A UDP datagram without checksum (IPv4 only takes it).
pub(crate) fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    [source, destination, length, 0]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .chain(payload.iter().copied())
        .collect()
}

/// A UDP datagram over IPv6 in its packet, with checksum.
pub(crate) fn udp_over_ipv6(
    source: (Ipv6Addr, u16),
    destination: (Ipv6Addr, u16),
    before: &[u8],
    first: u8,
) -> Vec<u8> {
    let mut datagram = udp(source.1, destination.1, b"data");
    let mut pseudo = source.0.octets().to_vec();
    pseudo.extend_from_slice(&destination.0.octets());
    pseudo.extend_from_slice(&[0, 0, 0, 12, 0, 0, 0, UDP]);
    pseudo.extend_from_slice(&datagram);
    let sum = checksum(&pseudo).to_be_bytes();
    datagram[6..8].copy_from_slice(&sum);
    ipv6(first, source.0, destination.0, &[before, &datagram].concat())
}

/// A UDP datagram over IPv4 in its frame.
pub(crate) fn udp_frame(
    macs: (Mac, Mac),
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
) -> Vec<u8> {
    let datagram = udp(source.1, destination.1, b"data");
    ethernet(macs.0, macs.1, &ipv4(UDP, source.0, destination.0, &[], 0, &datagram))
}

/// An ICMP error that quotes `packet`.
pub(crate) fn icmp_error(quoted: &[u8]) -> Vec<u8> {
    let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&quoted[..quoted.len().min(28)]);
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}

/// RFC 1071 §1.
pub(crate) fn checksum(octets: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in octets.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
