//! Flows, their ways and what they carried; the first two as the words they are in memory.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// Words of a key: source address, destination address (both with zeros behind an IPv4 address), both
/// ports, family, protocol, padding. Addresses and ports in network order, as they lie in a frame.
pub(super) const KEY_WORDS: usize = 5;
/// Words of a way: interface, MTU, destination and source hardware address, whether it takes ends.
pub(super) const WAY_WORDS: usize = 3;

/// Where the octets of a key lie.
pub(super) mod key {
    pub(crate) const SOURCE: i16 = 0;
    pub(crate) const DESTINATION: i16 = 16;
    pub(crate) const PORTS: i16 = 32;
    pub(crate) const FAMILY: i16 = 36;
    pub(crate) const PROTOCOL: i16 = 37;
    pub(crate) const PADDING: i16 = 38;
}

/// Where the octets of a way lie.
pub(super) mod way {
    pub(crate) const INTERFACE: i16 = 0;
    pub(crate) const MTU: i16 = 4;
    pub(crate) const ADDRESSES: i16 = 8;
    pub(crate) const ENDS: i16 = 20;
}

pub(super) const FAMILY_IPV4: u8 = 4;
pub(super) const FAMILY_IPV6: u8 = 6;

/// A protocol whose frames can be forwarded, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp = 6,
    /// UDP.
    Udp = 17,
}

/// The frames of one direction of a TCP connection or of UDP datagrams between two sockets. Both
/// addresses are of one family; flow label and scope of IPv6 socket addresses do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Its protocol.
    pub transport: Transport,
    /// Where its packets come from.
    pub source: SocketAddr,
    /// Where its packets say they go.
    pub destination: SocketAddr,
}

/// Where the kernel sends the frames of a flow. The packet stays as it is, but for its TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Index of the interface the frames go out by.
    pub interface: u32,
    /// Longest IP packet in octets; for a frame that stands for several segments (GSO) the longest
    /// segment's. Longer ones are not forwarded: the socket gets them whole.
    pub mtu: u32,
    /// Hardware address of the next hop.
    pub destination: [u8; 6],
    /// Hardware address of the interface.
    pub source: [u8; 6],
    /// Whether TCP segments with FIN go this way, too. Otherwise the socket gets them whole.
    pub ends: bool,
}

/// What the kernel has forwarded of a flow. A frame that stands for several segments counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounters {
    /// Frames.
    pub packets: u64,
    /// Octets of their IP packets.
    pub octets: u64,
    /// Of the frames, those before the first with FIN: all of a flow of UDP.
    pub data: u64,
    /// Of the frames, those with FIN. What is left of them came between or behind those.
    pub fin: u64,
}

impl Flow {
    pub(super) fn key(&self) -> io::Result<[u64; KEY_WORDS]> {
        let mut key = [0; KEY_WORDS * 8];
        let family = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                put(&mut key, key::SOURCE, &source.octets());
                put(&mut key, key::DESTINATION, &destination.octets());
                FAMILY_IPV4
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                put(&mut key, key::SOURCE, &source.octets());
                put(&mut key, key::DESTINATION, &destination.octets());
                FAMILY_IPV6
            }
            _ => {
                let why = "a flow's source and destination are of different address families";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        let ports = [self.source.port(), self.destination.port()].map(u16::to_be_bytes);
        put(&mut key, key::PORTS, ports.as_flattened());
        put(&mut key, key::FAMILY, &[family, self.transport as u8]);
        Ok(words(&key))
    }
}

impl Transport {
    /// The protocol of a key.
    pub(super) fn of_key(key: &[u64; KEY_WORDS]) -> Self {
        let [.., last] = key;
        let at = usize::try_from(key::PROTOCOL % 8).unwrap_or(usize::MAX);
        if last.to_ne_bytes().get(at) == Some(&(Self::Udp as u8)) { Self::Udp } else { Self::Tcp }
    }
}

impl Way {
    pub(super) fn words(&self) -> [u64; WAY_WORDS] {
        let mut octets = [0; WAY_WORDS * 8];
        put(&mut octets, way::INTERFACE, &self.interface.to_ne_bytes());
        put(&mut octets, way::MTU, &self.mtu.to_ne_bytes());
        put(&mut octets, way::ADDRESSES, &self.destination);
        put(&mut octets, way::ADDRESSES + 6, &self.source);
        put(&mut octets, way::ENDS, &u32::from(self.ends).to_ne_bytes());
        words(&octets)
    }
}

/// Octets as the words that have them in memory.
fn words<const N: usize>(octets: &[u8]) -> [u64; N] {
    let (chunks, _) = octets.as_chunks::<8>();
    let mut words = [0; N];
    words.iter_mut().zip(chunks).for_each(|(word, chunk)| *word = u64::from_ne_bytes(*chunk));
    words
}

fn put(octets: &mut [u8], at: i16, part: &[u8]) {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    octets.iter_mut().skip(at).zip(part).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_what_a_frame_has_where_the_programs_put_it() {
        let of = |source: &str, destination: &str| Flow {
            transport: Transport::Udp,
            source: source.parse().expect("address"),
            destination: destination.parse().expect("address"),
        };
        let octets = |flow: Flow| {
            let key = flow.key().expect("one family");
            assert_eq!(Transport::of_key(&key), Transport::Udp);
            key.map(u64::to_ne_bytes).as_flattened().to_vec()
        };
        let key = octets(of("10.0.0.1:4000", "192.0.2.80:80"));
        assert_eq!(key[..4], [10, 0, 0, 1]);
        assert_eq!(key[4..16], [0; 12]);
        assert_eq!(key[16..20], [192, 0, 2, 80]);
        assert_eq!(key[32..36], [0x0f, 0xa0, 0, 80]);
        assert_eq!(key[36..], [4, 17, 0, 0]);
        let key = octets(of("[fd00::1]:1", "[fd00::2]:2"));
        assert_eq!((key[0], key[15], key[31], key[33]), (0xfd, 1, 2, 1));
        let mixed = of("10.0.0.1:1", "[fd00::2]:2").key().expect_err("mixed");
        assert_eq!(mixed.kind(), io::ErrorKind::InvalidInput);
    }
}
