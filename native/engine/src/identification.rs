//! Identifications of the packets the director makes, so that fragments of one are told from those
//! of another.

/// Numbers that come around as late as they can.
#[derive(Debug)]
pub(crate) struct Identification {
    counter: u32,
    key: u32,
}

impl Identification {
    /// Begins at a place that `seed` decides.
    pub(crate) const fn new(seed: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = seed.to_le_bytes();
        Self { counter: u32::from_le_bytes([a, b, c, d]), key: u32::from_le_bytes([e, f, g, h]) }
    }

    /// For an IPv4 packet that may be fragmented (RFC 6864 §4.3).
    pub(crate) const fn ipv4(&mut self) -> u16 {
        self.counter = self.counter.wrapping_add(1);
        let [.., high, low] = self.counter.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// For fragments of an IPv6 packet: no two alike in 2^32, and not counted up (RFC 7739).
    pub(crate) const fn ipv6(&mut self) -> u32 {
        self.counter = self.counter.wrapping_add(1);
        self.counter.wrapping_mul(0x9e37_79b1) ^ self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_numbers_differ() {
        let mut one = Identification::new(0xffff_ffff_ffff_ffff);
        assert_eq!((one.ipv4(), one.ipv4()), (0, 1));
        let (first, second) = (one.ipv6(), one.ipv6());
        assert!(first.abs_diff(second) > 1);
    }
}
