//! Keyed hash of connection keys: fast, and not to be aimed at without knowing the seed.

use super::key::PackedKey;

#[derive(Clone, Debug)]
pub(super) struct KeyedHash {
    keys: [u64; 3],
}

impl KeyedHash {
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self { keys: [(); 3].map(|()| expand(&mut state)) }
    }

    pub(super) fn of_key(&self, key: &PackedKey) -> u64 {
        let ports = u64::from(key.client_port) << 16 | u64::from(key.virtual_port);
        let virtual_end = u64::from(key.virtual_address) << 32 | ports;
        let role = u64::from(key.protocol) << 48;
        folded_multiply(self.of_address(key.client) ^ virtual_end, self.keys[2] ^ role)
    }

    /// Of a connection as its server sees it, without the server's address.
    pub(super) fn of_client(
        &self,
        client: u128,
        client_port: u16,
        server_port: u16,
        protocol: u8,
        ipv6: bool,
    ) -> u64 {
        let ports = u64::from(client_port) << 16 | u64::from(server_port);
        let role = u64::from(protocol) << 48 | u64::from(ipv6) << 56;
        folded_multiply(self.of_address(client) ^ ports, self.keys[2] ^ role)
    }

    pub(super) fn of_address(&self, address: u128) -> u64 {
        let (high, low) = halves(address);
        folded_multiply(high ^ self.keys[0], low ^ self.keys[1])
    }
}

/// SplitMix64: three keys that look unrelated from one seed.
fn expand(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn folded_multiply(a: u64, b: u64) -> u64 {
    let (high, low) = halves(u128::from(a) * u128::from(b));
    high ^ low
}

#[expect(clippy::cast_possible_truncation, reason = "taking a number apart")]
const fn halves(whole: u128) -> (u64, u64) {
    ((whole >> 64) as u64, whole as u64)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::entry::Flags;
    use super::*;

    const BUCKETS: u64 = 1 << 12;

    /// Longest chain when 4096 keys fall into 4096 buckets; a random function gives 7 or so.
    fn longest_chain(key: impl Fn(u32) -> PackedKey) -> u32 {
        let hash = KeyedHash::new(7);
        let mut chains = vec![0_u32; 1 << 12];
        for number in 0..1 << 12 {
            let bucket = hash.of_key(&key(number)) / (u64::MAX / BUCKETS + 1);
            chains[usize::try_from(bucket).unwrap()] += 1;
        }
        chains.into_iter().max().unwrap()
    }

    fn key(client: u128, client_port: u16, virtual_address: u32) -> PackedKey {
        let flags = Flags::NONE;
        PackedKey { client, virtual_address, client_port, virtual_port: 443, protocol: 6, flags }
    }

    #[test]
    fn regular_patterns_spread_evenly() {
        let port = |number: u32| u16::try_from(number).unwrap();
        assert!(longest_chain(|n| key(0x0a00_0001, 1024 + port(n), 0xc000_0250)) < 12);
        assert!(longest_chain(|n| key(0x0a00_0000 + u128::from(n), 1024, 0xc000_0250)) < 12);
        assert!(longest_chain(|n| key(0x0a00_0001, 1024, 0xc000_0000 + n)) < 12);
        assert!(longest_chain(|n| key(u128::from(n) << 64, 1024, 0)) < 12);
        assert!(longest_chain(|n| key(0x2001 << 112 | u128::from(n) << 32, 1024, 0)) < 12);
        assert!(longest_chain(|n| key(u128::from(n) << 16, port(n), 0)) < 12);
    }

    #[test]
    fn another_seed_is_another_function() {
        let key = key(1, 2, 3);
        assert_ne!(KeyedHash::new(1).of_key(&key), KeyedHash::new(2).of_key(&key));
    }
}
