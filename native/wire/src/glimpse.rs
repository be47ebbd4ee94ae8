//! A first look at a frame, before anything of it is checked.

use core::net::IpAddr;

use crate::ethernet::{self, EtherType};
use crate::{ipv4, ipv6, protocol};

/// What identifies the flow of a frame, if it is what it seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glimpse {
    /// The upper-layer protocol.
    pub protocol: u8,
    /// The source address.
    pub source: IpAddr,
    /// The source port.
    pub source_port: u16,
    /// The destination address.
    pub destination: IpAddr,
    /// The destination port.
    pub destination_port: u16,
}

/// The flow of a frame of the plainest kind: no tag, option, extension header or fragment, and a
/// protocol with ports. Of others nothing is said; a frame that lies is believed.
#[must_use]
pub fn glimpse(frame: &[u8]) -> Option<Glimpse> {
    let (ether_type, packet) = frame.split_first_chunk::<{ ethernet::HEADER_LEN }>()?;
    let [.., high, low] = *ether_type;
    match EtherType(u16::from_be_bytes([high, low])) {
        EtherType::IPV4 => of_ipv4(packet),
        EtherType::IPV6 => of_ipv6(packet),
        _ => None,
    }
}

fn of_ipv4(packet: &[u8]) -> Option<Glimpse> {
    let (header, upper) = packet.split_first_chunk::<{ ipv4::HEADER_LEN }>()?;
    let [version_and_length, _, _, _, _, _, f0, f1, _, protocol, _, _, s @ .., d0, d1, d2, d3] =
        *header;
    let is_whole = u16::from_be_bytes([f0, f1]) & 0x3fff == 0;
    let addresses = (IpAddr::from(s), IpAddr::from([d0, d1, d2, d3]));
    (version_and_length == 0x45 && is_whole).then(|| flow(protocol, addresses, upper))?
}

fn of_ipv6(packet: &[u8]) -> Option<Glimpse> {
    let (header, upper) = packet.split_first_chunk::<{ ipv6::HEADER_LEN }>()?;
    let (_, addresses) = header.split_first_chunk::<8>()?;
    let (source, destination) = addresses.split_first_chunk::<16>()?;
    let destination: [u8; 16] = destination.try_into().ok()?;
    flow(header[6], (IpAddr::from(*source), IpAddr::from(destination)), upper)
}

fn flow(protocol: u8, (source, destination): (IpAddr, IpAddr), upper: &[u8]) -> Option<Glimpse> {
    let [s0, s1, d0, d1] = *upper.first_chunk()?;
    matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP).then_some(Glimpse {
        protocol,
        source,
        source_port: u16::from_be_bytes([s0, s1]),
        destination,
        destination_port: u16::from_be_bytes([d0, d1]),
    })
}
