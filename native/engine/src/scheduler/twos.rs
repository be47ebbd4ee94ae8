//! `twos`, power of two choices: two servers by chance, weighted, and of the two the less loaded.

use super::cost::{exceeds, overhead};
use crate::configuration::Server;

/// Random numbers for `twos`: SplitMix64, which is quick and needs no more than a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// Equal seeds give equal numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number from 0 to `last`, both included. The upper half of the product is the number: what
    /// it favours is below 2^-32 for any sum of weights.
    fn up_to(&mut self, last: u64) -> u64 {
        let product = u128::from(self.next()) * (u128::from(last) + 1);
        u64::try_from(product >> 64).unwrap_or(last)
    }
}

/// Draws twice from the usable servers by weight and takes the second only if it is less loaded for
/// its weight.
pub(super) fn pick(servers: &[Server], random: &mut Random) -> Option<usize> {
    let usable = || servers.iter().enumerate().filter(|(_, server)| server.is_usable());
    let total: u64 = usable().map(|(_, server)| u64::from(server.weight)).sum();
    let mut draw = || {
        // IPVS: 0 and the total are both drawn, so the first server is favoured by a little.
        let mut rest = random.up_to(total);
        usable().find(|(_, server)| {
            let weight = u64::from(server.weight);
            let found = rest <= weight;
            rest = rest.saturating_sub(weight);
            found
        })
    };
    let (first, second) = (draw()?, draw()?);
    let load = |(_, server): (usize, &Server)| (overhead(server), server.weight);
    let ((cost, weight), (other, other_weight)) = (load(first), load(second));
    let chosen = if exceeds(cost, weight, other, other_weight) { second } else { first };
    Some(chosen.0)
}
