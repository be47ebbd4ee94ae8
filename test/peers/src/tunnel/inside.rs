//! What lies inside a tunnel's packet. Written from the RFCs alone, as an oracle for the director.

use std::str::FromStr;

/// Kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ipip,
    Gre,
    Gue,
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "ipip" => Ok(Self::Ipip),
            "gre" => Ok(Self::Gre),
            "gue" => Ok(Self::Gue),
            _ => Err(()),
        }
    }
}

/// What is wrong with a packet.
pub(crate) type Fault = &'static str;

/// The IP packet inside `payload`, what the outer IP header (of GUE, the UDP header) carries.
pub(crate) fn packet(kind: Kind, payload: &[u8]) -> Result<Vec<u8>, Fault> {
    let packet = match kind {
        Kind::Ipip => payload.to_vec(),
        Kind::Gre => gre(payload)?,
        Kind::Gue => gue(payload)?,
    };
    match packet.first().map(|octet| octet >> 4) {
        Some(4 | 6) => Ok(packet),
        _ => Err("no IP packet inside"),
    }
}

/// RFC 2784: flags, protocol; with the first flag a checksum over all and two reserved octets.
fn gre(payload: &[u8]) -> Result<Vec<u8>, Fault> {
    match payload {
        [0, 0, _, _, packet @ ..] => Ok(packet.to_vec()),
        [0x80, 0, _, _, _, _, 0, 0, packet @ ..] if sum(payload) == 0xffff => Ok(packet.to_vec()),
        [0x80, ..] => Err("a wrong GRE checksum"),
        _ => Err("an unknown GRE header"),
    }
}

/// Version 0, no control message; with private flags and the highest of them a remote checksum.
fn gue(payload: &[u8]) -> Result<Vec<u8>, Fault> {
    match payload {
        [0, 4 | 41, 0, 0, packet @ ..] => Ok(packet.to_vec()),
        [2, 4 | 41, 0, 1, 0x80, 0, 0, 0, s0, s1, o0, o1, packet @ ..] => {
            let start = usize::from(u16::from_be_bytes([*s0, *s1]));
            let offset = usize::from(u16::from_be_bytes([*o0, *o1]));
            let mut packet = packet.to_vec();
            let covered = packet.get(start..).ok_or("a remote checksum behind the packet")?;
            let checksum = !sum(covered);
            let field = packet.get_mut(offset..offset + 2).ok_or("a checksum field outside")?;
            field.copy_from_slice(&checksum.to_be_bytes());
            Ok(packet)
        }
        _ => Err("an unknown GUE header"),
    }
}

/// RFC 1071.
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|pair| match *pair {
        [high, low] => u16::from_be_bytes([high, low]),
        [high] => u16::from_be_bytes([high, 0]),
        _ => 0,
    });
    words.fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_packets_out() {
        assert_eq!(packet(Kind::Ipip, &[0x45, 1]), Ok(vec![0x45, 1]));
        assert_eq!(packet(Kind::Gre, &[0, 0, 8, 0, 0x45]), Ok(vec![0x45]));
        assert_eq!(packet(Kind::Gue, &[0, 41, 0, 0, 0x60, 2]), Ok(vec![0x60, 2]));
        assert!(packet(Kind::Gue, &[0, 41, 0, 0, 0x10]).is_err());
        assert!(packet(Kind::Ipip, &[]).is_err());
    }

    #[test]
    fn checks_and_restores_checksums() {
        let mut octets = [0x80, 0, 8, 0, 0, 0, 0, 0, 0x45, 7];
        assert!(packet(Kind::Gre, &octets).is_err());
        let checksum = !sum(&octets);
        octets[4..6].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(packet(Kind::Gre, &octets), Ok(vec![0x45, 7]));
        let remote = [2, 4, 0, 1, 0x80, 0, 0, 0, 0, 2, 0, 4, 0x45, 0, 1, 2, 0, 5];
        let restored = packet(Kind::Gue, &remote).expect("a packet");
        assert_eq!(restored[..4], [0x45, 0, 1, 2]);
        assert_eq!(restored[4..], (!0x0107_u16).to_be_bytes());
    }
}
