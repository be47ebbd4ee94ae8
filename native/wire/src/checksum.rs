//! The Internet checksum (RFC 1071), whole and incremental (RFC 1624).
//!
//! A *sum* is a `u32` that still has room for carries; sums of several pieces are added with `+`
//! (up to 65537 of them) as long as every piece but the last has an even length. A *checksum* is
//! the folded, inverted `u16` that lies in a header.

use core::net::{Ipv4Addr, Ipv6Addr};

/// The sum of `bytes` as big-endian 16-bit words, an odd last octet padded with zero. At most
/// 0xffff.
#[inline]
#[must_use]
pub fn sum(bytes: &[u8]) -> u32 {
    // RFC 1071 §2(B): the sum may be taken in any byte order and swapped at the end.
    let (chunks, mut rest) = bytes.as_chunks::<8>();
    let mut total = chunks.iter().fold(0, |total: u64, chunk| add_word(total, *chunk));
    if let Some((four, behind)) = rest.split_first_chunk::<4>() {
        total += u64::from(u32::from_ne_bytes(*four));
        rest = behind;
    }
    total += match *rest {
        [a, b, c] => pair(a, b) + pair(c, 0),
        [a, b] => pair(a, b),
        [a] => pair(a, 0),
        _ => 0,
    };
    u32::from(u16::from_be(fold_u64(total)))
}

/// Both halves of the chunk are added, so that 2^31 chunks fit before a carry is lost.
#[inline]
const fn add_word(total: u64, chunk: [u8; 8]) -> u64 {
    let word = u64::from_ne_bytes(chunk);
    total + (word & 0xffff_ffff) + (word >> 32)
}

#[inline]
const fn pair(a: u8, b: u8) -> u64 {
    u16::from_ne_bytes([a, b]) as u64
}

#[inline]
const fn fold_u64(total: u64) -> u16 {
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 32) + (total & 0xffff_ffff);
    let total = (total >> 16) + (total & 0xffff);
    let total = (total >> 16) + (total & 0xffff);
    low_u16((total >> 16) + (total & 0xffff))
}

#[inline]
const fn low_u16(total: u64) -> u16 {
    let [.., high, low] = total.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Folds a sum to 16 bits with end-around carry. Not yet inverted.
#[inline]
#[must_use]
pub const fn fold(sum: u32) -> u16 {
    fold_u64(sum as u64)
}

/// The checksum of `bytes`; over octets that already hold their checksum, 0 means it is right.
#[inline]
#[must_use]
pub fn of(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// The sum of the IPv4 pseudo header (RFC 9293 §3.1, RFC 768). `length` is that of the upper-layer
/// header and payload.
#[inline]
#[must_use]
pub fn pseudo_header_v4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: u16) -> u32 {
    sum(&source.octets()) + sum(&destination.octets()) + u32::from(protocol) + u32::from(length)
}

/// The sum of the IPv6 pseudo header (RFC 8200 §8.1). `length` is that of the upper-layer header
/// and payload.
#[inline]
#[must_use]
pub fn pseudo_header_v6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    next_header: u8,
    length: u32,
) -> u32 {
    sum(&source.octets())
        + sum(&destination.octets())
        + u32::from(next_header)
        + sum(&length.to_be_bytes())
}

/// `checksum` after a 16-bit word of its coverage changed from `old` to `new` (RFC 1624 eqn. 3).
#[inline]
#[must_use]
pub const fn update_u16(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(!checksum as u32 + !old as u32 + new as u32)
}

/// `checksum` after a 32-bit word (an IPv4 address) changed from `old` to `new`.
#[inline]
#[must_use]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    !fold_u64(!checksum as u64 + !old as u64 + new as u64)
}

/// `checksum` after a 128-bit word (an IPv6 address) changed from `old` to `new`.
#[inline]
#[must_use]
pub fn update_u128(checksum: u16, old: u128, new: u128) -> u16 {
    !fold(u32::from(!checksum) + sum(&(!old).to_be_bytes()) + sum(&new.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!(of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x220d);
    }

    #[test]
    fn an_odd_last_octet_is_the_high_half_of_a_word() {
        assert_eq!(sum(&[0xab]), 0xab00);
        assert_eq!(sum(&[0, 1, 0, 2, 0, 3, 0, 4, 0x10]), 0x100a);
    }

    #[test]
    fn rfc_1624_example() {
        // RFC 1624 §4: HC = 0xdd2f, m = 0x5555, m' = 0x3285, HC' = 0x0000.
        assert_eq!(update_u16(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn pseudo_headers_add_every_field() {
        let v4 = pseudo_header_v4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), 6, 20);
        assert_eq!(fold(v4), 0x0a00 + 1 + 0x0a00 + 2 + 6 + 20);
        let v6 = pseudo_header_v6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST, 17, 0x0001_0002);
        assert_eq!(fold(v6), 1 + 1 + 17 + 3);
    }
}
