//! Small TCP frames by number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of every service.
pub const VIP: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The same for IPv6.
pub const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 1);
/// The port of every service.
pub const PORT: u16 = 80;
/// Flags of a segment that opens a connection.
pub const SYN: u8 = 2;
/// Flags of a segment of an open connection.
pub const ACK: u8 = 16;

const LINK: usize = 14;
const CLIENTS_OF_AN_ADDRESS: u32 = 50_000;

/// A TCP segment without data: of the longest headers, padded where they are shorter.
pub type Frame = [u8; LINK + 40 + 20];

/// An address and a port.
pub type End = (IpAddr, u16);

/// The client numbered `number`, all different, up to 2^24 addresses with 50,000 ports each.
#[must_use]
pub fn client(number: u32) -> End {
    let (host, port) = (number / CLIENTS_OF_AN_ADDRESS, number % CLIENTS_OF_AN_ADDRESS);
    let [_, high, middle, low] = host.to_be_bytes();
    (Ipv4Addr::new(100, high, middle, low).into(), u16::try_from(port).unwrap_or(0) + 10_000)
}

/// The same client with an IPv6 address.
#[must_use]
pub fn client6(number: u32) -> End {
    let (host, port) = (number / CLIENTS_OF_AN_ADDRESS, number % CLIENTS_OF_AN_ADDRESS);
    let prefix = Ipv6Addr::new(0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 0).to_bits();
    (
        Ipv6Addr::from_bits(prefix | u128::from(host)).into(),
        u16::try_from(port).unwrap_or(0) + 10_000,
    )
}

/// A TCP segment from one end to another of the same family.
///
/// # Panics
///
/// If the ends are of two families.
#[must_use]
pub fn tcp(source: End, destination: End, flags: u8) -> Frame {
    let mut frame = [0; size_of::<Frame>()];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 13, 0, 2, 0, 0, 0, 12, 1]);
    let l4 = match (source.0, destination.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(&mut frame, from, to),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(&mut frame, from, to),
        ends => panic!("ends of one family are needed, not {ends:?}"),
    };
    let segment = &mut frame[l4..l4 + 20];
    segment[..2].copy_from_slice(&source.1.to_be_bytes());
    segment[2..4].copy_from_slice(&destination.1.to_be_bytes());
    segment[4..16].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff]);
    frame
}

fn ipv4(frame: &mut Frame, from: Ipv4Addr, to: Ipv4Addr) -> usize {
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let header = &mut frame[LINK..LINK + 20];
    header[..10].copy_from_slice(&[0x45, 0, 0, 40, 0, 7, 0x40, 0, 64, 6]);
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    LINK + 20
}

fn ipv6(frame: &mut Frame, from: Ipv6Addr, to: Ipv6Addr) -> usize {
    frame[12..14].copy_from_slice(&[0x86, 0xdd]);
    let header = &mut frame[LINK..LINK + 40];
    header[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 20, 6, 64]);
    header[8..24].copy_from_slice(&from.octets());
    header[24..40].copy_from_slice(&to.octets());
    LINK + 40
}
