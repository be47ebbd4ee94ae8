//! SipHash-1-3 of one 32-bit number (Aumasson, Bernstein: SipHash, 2012), as the kernel's `hsiphash`
//! computes it on 64-bit machines: both halves of the key alike, the lower 32 bits of the result.

/// The initial state: "somepseudorandomlygeneratedbytes".
const INITIAL: [u64; 4] =
    [0x736F_6D65_7073_6575, 0x646F_7261_6E64_6F6D, 0x6C79_6765_6E65_7261, 0x7465_6462_7974_6573];

/// Octets of the message, which the last block tells.
const LENGTH: u64 = 4;

/// Hashes `value`, in little-endian order, under a key of twice `half`.
pub(super) const fn hash(half: u64, value: u32) -> u32 {
    let mut state = [INITIAL[0] ^ half, INITIAL[1] ^ half, INITIAL[2] ^ half, INITIAL[3] ^ half];
    let block = (LENGTH << 56) | value as u64;
    state[3] ^= block;
    state = round(state);
    state[0] ^= block;
    state[2] ^= 0xFF;
    state = round(round(round(state)));
    let whole = state[0] ^ state[1] ^ state[2] ^ state[3];
    (whole & 0xFFFF_FFFF) as u32
}

const fn round([v0, v1, v2, v3]: [u64; 4]) -> [u64; 4] {
    let v0 = v0.wrapping_add(v1);
    let v1 = v1.rotate_left(13) ^ v0;
    let v0 = v0.rotate_left(32);
    let v2 = v2.wrapping_add(v3);
    let v3 = v3.rotate_left(16) ^ v2;
    let v0 = v0.wrapping_add(v3);
    let v3 = v3.rotate_left(21) ^ v0;
    let v2 = v2.wrapping_add(v1);
    let v1 = v1.rotate_left(17) ^ v2;
    [v0, v1, v2.rotate_left(32), v3]
}
