//! TCP segments without data as Ethernet frames, each from an address and a port picked at random.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use super::Mac;
use super::datagram::checksum;
use crate::payload::Prng;

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const TCP_LEN: usize = 20;
const FRAME_LEN: usize = 60;
const FIRST_PORT: u16 = 1024;
const PORTS: u64 = 64_000;
const FLAG_SYN: u8 = 0x02;
const FLAG_ACK: u8 = 0x10;

/// What the segments of a flood claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first segment of a connection.
    Syn,
    /// A segment of a connection that nobody opened.
    Ack,
}

impl Kind {
    /// What an option of this type takes.
    pub(crate) const TAKES: &'static str = "syn or ack";
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "syn" => Ok(Self::Syn),
            "ack" => Ok(Self::Ack),
            _ => Err(()),
        }
    }
}

/// The addresses that a flood claims to come from, as `11.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: u32,
    host_mask: u32,
}

impl Network {
    /// What an option of this type takes.
    pub(crate) const TAKES: &'static str = "an IPv4 network like 11.0.0.0/8";

    fn address(self, random: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.address | (random & self.host_mask))
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, length) = text.split_once('/').ok_or(())?;
        let address: Ipv4Addr = address.parse().map_err(drop)?;
        let length: u32 = length.parse().map_err(drop)?;
        let host_mask = u32::MAX.checked_shr(length).unwrap_or(0);
        let address = u32::from(address);
        if length > 32 || address & host_mask != 0 {
            return Err(());
        }
        Ok(Self { address, host_mask })
    }
}

/// Where segments claim to come from, and where they go.
#[derive(Clone, Debug)]
pub(crate) struct Forged {
    pub(crate) source_mac: Mac,
    pub(crate) next_hop: Mac,
    pub(crate) from: Network,
    pub(crate) destination: SocketAddrV4,
    pub(crate) kind: Kind,
}

impl Forged {
    /// A frame with everything but what is random.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(FRAME_LEN);
        frame.extend_from_slice(&self.next_hop.0);
        frame.extend_from_slice(&self.source_mac.0);
        frame.extend_from_slice(&[0x08, 0x00]);
        frame.extend_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 0, 0, 0, 0]);
        frame.extend_from_slice(&self.destination.ip().octets());
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(&self.destination.port().to_be_bytes());
        let flags = if self.kind == Kind::Syn { FLAG_SYN } else { FLAG_ACK };
        frame.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.resize(FRAME_LEN, 0);
        frame
    }

    /// Gives `frame` another source, with sequence numbers and checksums to match.
    pub(crate) fn forge(&self, frame: &mut [u8], random: &mut Prng) {
        let (first, second) = (random.next(), random.next());
        let [a, b, c, d, e, f, g, h] = first.to_be_bytes();
        let port = FIRST_PORT + u16::try_from(second % PORTS).unwrap_or(0);
        let address = self.from.address(u32::from_be_bytes([a, b, c, d]));
        frame[26..30].copy_from_slice(&address.octets());
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        frame[38..42].copy_from_slice(&[e, f, g, h]);
        if self.kind == Kind::Ack {
            frame[42..46].copy_from_slice(&second.to_be_bytes()[..4]);
        }
        frame[24..26].fill(0);
        frame[50..52].fill(0);
        let sum = checksum(&frame[ETHERNET_LEN..ETHERNET_LEN + IPV4_LEN]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let sum = self.segment_checksum(frame);
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
    }

    /// Over the pseudo header (RFC 9293, section 3.1) and the segment.
    fn segment_checksum(&self, frame: &[u8]) -> u16 {
        let segment = ETHERNET_LEN + IPV4_LEN;
        let mut covered = [0; 12 + TCP_LEN];
        covered[..8].copy_from_slice(&frame[segment - 8..segment]);
        covered[9] = 6;
        covered[11] = 20;
        covered[12..].copy_from_slice(&frame[segment..segment + TCP_LEN]);
        checksum(&covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forged(kind: Kind) -> Forged {
        Forged {
            source_mac: Mac([2, 0, 0, 0, 0, 1]),
            next_hop: Mac([2, 0, 0, 0, 0, 2]),
            from: "11.0.0.0/8".parse().expect("a network"),
            destination: SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 80), 80),
            kind,
        }
    }

    #[test]
    fn networks_have_a_length_and_no_host() {
        let network: Network = "11.2.0.0/16".parse().expect("a network");
        assert_eq!(network.address(0xffff_ffff), Ipv4Addr::new(11, 2, 255, 255));
        assert_eq!(network.address(0), Ipv4Addr::new(11, 2, 0, 0));
        for wrong in ["11.0.0.0", "11.0.0.1/8", "11.0.0.0/33", "x/8", "11.0.0.0/x"] {
            assert_eq!(wrong.parse::<Network>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn segments_are_what_they_claim_to_be_and_add_up() {
        for (kind, flags) in [(Kind::Syn, FLAG_SYN), (Kind::Ack, FLAG_ACK)] {
            let forged = forged(kind);
            let mut frame = forged.frame();
            let mut random = Prng::new(7);
            for _ in 0..1000 {
                forged.forge(&mut frame, &mut random);
                assert_eq!((frame.len(), frame[47]), (60, flags));
                assert_eq!(checksum(&frame[14..34]), 0, "a sum over its own checksum");
                assert_eq!(forged.segment_checksum(&frame), 0);
                assert_eq!((frame[26], &frame[30..34]), (11, &[198, 51, 100, 80][..]));
                assert!(u16::from_be_bytes([frame[34], frame[35]]) >= FIRST_PORT);
                assert_eq!(frame[42..46] == [0; 4], kind == Kind::Syn);
            }
        }
    }

    #[test]
    fn sources_hardly_ever_repeat() {
        let forged = forged(Kind::Syn);
        let (mut frame, mut random) = (forged.frame(), Prng::new(1));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100_000 {
            forged.forge(&mut frame, &mut random);
            seen.insert(frame[26..36].to_vec());
        }
        assert!(seen.len() > 99_990, "{}", seen.len());
    }
}
