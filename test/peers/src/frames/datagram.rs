//! UDP datagrams as Ethernet frames, one after the other from many addresses and ports.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::Mac;

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const UDP_LEN: usize = 8;
/// Octets in front of a datagram's payload.
pub(crate) const HEADERS_LEN: usize = ETHERNET_LEN + IPV4_LEN + UDP_LEN;
const FIRST_PORT: u16 = 1024;
const PORTS: u64 = 64_000;

/// Where datagrams come from and go to.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) source_mac: Mac,
    pub(crate) next_hop: Mac,
    pub(crate) sources: Vec<Ipv4Addr>,
    pub(crate) destination: SocketAddrV4,
}

impl Path {
    /// How many flows these source addresses can have.
    pub(crate) fn flows_max(&self) -> u64 {
        self.sources.len() as u64 * PORTS
    }

    /// A frame of that many octets, all but the flow filled in. No checksum: UDP over IPv4 need not
    /// have one (RFC 768).
    pub(crate) fn frame(&self, octets: usize) -> Vec<u8> {
        let mut frame = Vec::with_capacity(octets);
        frame.extend_from_slice(&self.next_hop.0);
        frame.extend_from_slice(&self.source_mac.0);
        frame.extend_from_slice(&[0x08, 0x00]);
        frame.extend_from_slice(&[0x45, 0]);
        frame.extend_from_slice(&length(octets - ETHERNET_LEN));
        frame.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(&self.destination.ip().octets());
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(&self.destination.port().to_be_bytes());
        frame.extend_from_slice(&length(octets - ETHERNET_LEN - IPV4_LEN));
        frame.resize(octets, 0);
        frame
    }

    /// Makes `frame` one of flow `number`.
    pub(crate) fn set_flow(&self, frame: &mut [u8], number: u64) {
        let sources = self.sources.len() as u64;
        let source = usize::try_from(number % sources).unwrap_or(0);
        let port = FIRST_PORT + u16::try_from(number / sources % PORTS).unwrap_or(0);
        frame[26..30].copy_from_slice(&self.sources[source].octets());
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        frame[24..26].fill(0);
        let sum = checksum(&frame[ETHERNET_LEN..ETHERNET_LEN + IPV4_LEN]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes()
}

/// RFC 1071, of an even number of octets.
pub(super) fn checksum(header: &[u8]) -> u16 {
    let words =
        header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        Path {
            source_mac: Mac([2, 0, 0, 0, 0, 1]),
            next_hop: Mac([2, 0, 0, 0, 0, 2]),
            sources: vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)],
            destination: SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 80), 4000),
        }
    }

    #[test]
    fn headers_add_up() {
        let path = path();
        let mut frame = path.frame(60);
        path.set_flow(&mut frame, 5);
        assert_eq!(frame.len(), 60);
        assert_eq!(checksum(&frame[14..34]), 0, "a header with its checksum sums to all ones");
        assert_eq!((&frame[16..18], &frame[38..40]), (&[0, 46][..], &[0, 26][..]));
        assert_eq!(&frame[26..36], &[10, 0, 0, 2, 198, 51, 100, 80, 4, 2]);
    }

    #[test]
    fn no_two_flows_are_alike() {
        let path = path();
        let mut frame = path.frame(60);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..path.flows_max() {
            path.set_flow(&mut frame, number);
            assert!(seen.insert(frame[26..36].to_vec()), "flow {number}");
        }
        path.set_flow(&mut frame, path.flows_max());
        assert!(!seen.insert(frame[26..36].to_vec()));
    }
}
