//! Giving a packet another source or destination, and its checksums what follows from that
//! (RFC 3022 §4.1, RFC 1624).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::field::{array_at, put, tail, u16_at};
use crate::{checksum, ipv4, ipv6, protocol, sctp};

/// One end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

impl End {
    const fn address_v4(self) -> usize {
        match self {
            Self::Source => 12,
            Self::Destination => 16,
        }
    }

    const fn address_v6(self) -> usize {
        match self {
            Self::Source => 8,
            Self::Destination => 24,
        }
    }

    const fn port(self) -> usize {
        match self {
            Self::Source => 0,
            Self::Destination => 2,
        }
    }
}

/// What the layer-4 checksum field of a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The checksum.
    Complete,
    /// The sum of the pseudo header, not inverted; a device adds the rest. SCTP has none.
    Partial,
}

/// Offsets of checksum fields in their headers (RFC 9293 §3.1, RFC 768).
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
const IPV4_CHECKSUM: usize = 10;

/// Gives the IP packet `packet`, whose TCP, UDP or SCTP header begins at `upper`, another address
/// and port at one end. Both addresses are of the packet's family, or nothing is done.
///
/// A wrong checksum stays wrong, but for SCTP: there the CRC32c is made anew when a port changes
/// (addresses are not part of it). A UDP datagram without checksum gets one (IPVS).
pub fn endpoint(
    packet: &mut [u8],
    upper: usize,
    upper_protocol: u8,
    end: End,
    (address, port): (IpAddr, u16),
    state: Checksum,
) {
    let Some(change) = replace_address(packet, end, address) else { return };
    if let Change::V4 { old, new } = change {
        let field = u16_at(packet, IPV4_CHECKSUM);
        put(packet, IPV4_CHECKSUM, checksum::update_u32(field, old, new).to_be_bytes());
    }
    let old_port = u16_at(packet, upper + end.port());
    put(packet, upper + end.port(), port.to_be_bytes());
    let at = match upper_protocol {
        protocol::TCP => upper + TCP_CHECKSUM,
        protocol::UDP => upper + UDP_CHECKSUM,
        protocol::SCTP => {
            if old_port != port {
                let packet = packet.get_mut(upper..).unwrap_or_default();
                sctp::Packet::new_unchecked(packet).fill_checksum();
            }
            return;
        }
        _ => return,
    };
    let field = u16_at(packet, at);
    let updated = match state {
        // The field holds a sum, which is an inverted checksum; ports are not part of it.
        Checksum::Partial => !change.apply(!field),
        Checksum::Complete if upper_protocol == protocol::UDP => {
            let updated = if field == 0 {
                of_datagram(packet, upper, at)
            } else {
                checksum::update_u16(change.apply(field), old_port, port)
            };
            // RFC 768: zero means "no checksum", so a zero that was computed is sent as all ones.
            if updated == 0 { 0xffff } else { updated }
        }
        Checksum::Complete => checksum::update_u16(change.apply(field), old_port, port),
    };
    put(packet, at, updated.to_be_bytes());
}

/// Gives a packet quoted in an ICMP error another address and port at one end, as its sender knows
/// them. Of its checksums only that of the IPv4 header follows (IPVS).
pub fn quoted(quote: &mut [u8], upper: usize, end: End, (address, port): (IpAddr, u16)) {
    if replace_address(quote, end, address).is_none() {
        return;
    }
    put(quote, upper + end.port(), port.to_be_bytes());
    if address.is_ipv4() {
        let mut header = ipv4::Packet::new_unchecked(quote);
        header.fill_checksum();
    }
}

/// Gives the IP packet `packet`, which carries the ICMP message at `upper`, another address at one
/// end, and the message, changed before, its checksum.
pub fn icmp(packet: &mut [u8], upper: usize, end: End, address: IpAddr, state: Checksum) {
    let Some(change) = replace_address(packet, end, address) else { return };
    let at = upper + 2;
    match change {
        Change::V4 { old, new } => {
            let field = u16_at(packet, IPV4_CHECKSUM);
            put(packet, IPV4_CHECKSUM, checksum::update_u32(field, old, new).to_be_bytes());
            if state == Checksum::Complete {
                put(packet, at, [0; 2]);
                let computed = checksum::of(tail(packet, upper));
                put(packet, at, computed.to_be_bytes());
            }
        }
        Change::V6 { .. } => {
            let computed = match state {
                Checksum::Partial => !change.apply(!u16_at(packet, at)),
                Checksum::Complete => {
                    put(packet, at, [0; 2]);
                    !checksum::fold(sum_with_pseudo_header(packet, upper, protocol::ICMPV6))
                }
            };
            put(packet, at, computed.to_be_bytes());
        }
    }
}

/// An address and what it became.
#[derive(Clone, Copy, Debug)]
enum Change {
    V4 { old: u32, new: u32 },
    V6 { old: u128, new: u128 },
}

impl Change {
    fn apply(self, field: u16) -> u16 {
        match self {
            Self::V4 { old, new } => checksum::update_u32(field, old, new),
            Self::V6 { old, new } => checksum::update_u128(field, old, new),
        }
    }
}

/// None, and nothing done, if the packet is of another family or ends before its addresses.
fn replace_address(packet: &mut [u8], end: End, address: IpAddr) -> Option<Change> {
    match (address, packet.first()? >> 4) {
        (IpAddr::V4(address), 4) => {
            let old = u32::from_be_bytes(array_at(packet, end.address_v4())?);
            put(packet, end.address_v4(), address.octets());
            Some(Change::V4 { old, new: address.to_bits() })
        }
        (IpAddr::V6(address), 6) => {
            let old = u128::from_be_bytes(array_at(packet, end.address_v6())?);
            put(packet, end.address_v6(), address.octets());
            Some(Change::V6 { old, new: address.to_bits() })
        }
        _ => None,
    }
}

/// The checksum of a UDP datagram that has none yet, whose field is at `at`.
fn of_datagram(packet: &mut [u8], upper: usize, at: usize) -> u16 {
    put(packet, at, [0; 2]);
    !checksum::fold(sum_with_pseudo_header(packet, upper, protocol::UDP))
}

fn sum_with_pseudo_header(packet: &[u8], upper: usize, upper_protocol: u8) -> u32 {
    let message = tail(packet, upper);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let pseudo_header = if packet.first().is_some_and(|octet| octet >> 4 == 4) {
        let view = ipv4::Packet::new_unchecked(packet);
        let (source, destination): (Ipv4Addr, Ipv4Addr) = (view.source(), view.destination());
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        checksum::pseudo_header_v4(source, destination, upper_protocol, length)
    } else {
        let view = ipv6::Packet::new_unchecked(packet);
        let (source, destination): (Ipv6Addr, Ipv6Addr) = (view.source(), view.destination());
        checksum::pseudo_header_v6(source, destination, upper_protocol, length)
    };
    pseudo_header + checksum::sum(message)
}
