//! The hash that `sh`, `dh`, `lblc` and `lblcr` have in common.

use core::net::IpAddr;

/// Multiplier of the hash: 2^32 divided by the square of the golden ratio.
const GOLDEN_RATIO: u32 = 0x61C8_8647;

/// Hash of a number; its uppermost bits are the good ones.
pub(super) const fn golden(value: u32) -> u32 {
    value.wrapping_mul(GOLDEN_RATIO)
}

/// An address in 32 bits: IPv6 addresses are folded by XOR of their four words.
pub(super) fn fold(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            let octets = address.octets();
            let (words, _) = octets.as_chunks::<4>();
            words.iter().fold(0, |folded, word| folded ^ u32::from_be_bytes(*word))
        }
    }
}
