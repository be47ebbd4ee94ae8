//! Memory for fragments: blocks of one size, all reserved at the start.

use alloc::vec;
use alloc::vec::Vec;

/// Octets of a block: a fragment of an ordinary Ethernet frame fits into one.
const BLOCK: usize = 2048;

/// No block.
pub(super) const NONE: u32 = u32::MAX;

/// A chain of blocks that holds some octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    first: u32,
    length: u32,
}

impl Stored {
    pub(super) const NOTHING: Self = Self { first: NONE, length: 0 };
}

/// The blocks. The memory is zeroed, so the system hands it out as it is used.
#[derive(Debug)]
pub(super) struct Pool {
    octets: Vec<u8>,
    next: Vec<u32>,
    free: u32,
    free_count: usize,
}

impl Pool {
    pub(super) fn new(octets: usize) -> Self {
        let blocks = octets / BLOCK;
        let next = (1..=blocks).map(|next| if next == blocks { NONE } else { link(next) });
        Self {
            octets: vec![0; blocks * BLOCK],
            next: next.collect(),
            free: if blocks == 0 { NONE } else { 0 },
            free_count: blocks,
        }
    }

    /// Blocks in all.
    pub(super) const fn blocks(&self) -> usize {
        self.next.len()
    }

    /// Whether `length` octets find room now.
    pub(super) const fn has_room(&self, length: usize) -> bool {
        self.has_room_for(length, 0)
    }

    /// Whether both find room, each in blocks of its own.
    pub(super) const fn has_room_for(&self, one: usize, other: usize) -> bool {
        one.div_ceil(BLOCK) + other.div_ceil(BLOCK) <= self.free_count
    }

    /// Keeps `octets`; nothing where there is no room.
    pub(super) fn store(&mut self, octets: &[u8]) -> Option<Stored> {
        if !self.has_room(octets.len()) {
            return None;
        }
        let length = u32::try_from(octets.len()).ok()?;
        let mut stored = Stored { first: NONE, length };
        // From the end, so that each block is linked to the one behind it.
        let last = octets.len().div_ceil(BLOCK);
        for index in (0..last).rev() {
            let part = octets.get(index * BLOCK..).unwrap_or_default();
            let part = part.get(..BLOCK).unwrap_or(part);
            let block = self.take(stored.first)?;
            let start = block as usize * BLOCK;
            self.octets.get_mut(start..start + part.len())?.copy_from_slice(part);
            stored.first = block;
        }
        Some(stored)
    }

    /// Appends what is kept to `out`.
    pub(super) fn read(&self, stored: Stored, out: &mut Vec<u8>) {
        let (mut block, mut left) = (stored.first, stored.length as usize);
        while block != NONE && left > 0 {
            let start = block as usize * BLOCK;
            let part = left.min(BLOCK);
            out.extend_from_slice(self.octets.get(start..start + part).unwrap_or_default());
            left -= part;
            block = self.next.get(block as usize).copied().unwrap_or(NONE);
        }
    }

    /// Gives the blocks back.
    pub(super) fn release(&mut self, stored: Stored) {
        let mut block = stored.first;
        while let Some(next) = self.next.get_mut(block as usize) {
            let following = *next;
            *next = self.free;
            self.free = block;
            self.free_count += 1;
            block = following;
        }
    }

    /// A free block, linked to `next`.
    fn take(&mut self, next: u32) -> Option<u32> {
        let block = self.free;
        let link = self.next.get_mut(block as usize)?;
        self.free = *link;
        *link = next;
        self.free_count -= 1;
        Some(block)
    }
}

fn link(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_and_its_room_comes_back() {
        let mut pool = Pool::new(4 * BLOCK);
        let long: Vec<u8> = (0..5000_u32).map(|number| number.to_be_bytes()[3]).collect();
        let stored = pool.store(&long).expect("three blocks are free");
        let short = pool.store(b"short").expect("the last block");
        assert!(pool.store(b"x").is_none(), "nothing is left");
        let mut out = Vec::new();
        pool.read(stored, &mut out);
        pool.read(short, &mut out);
        assert_eq!(out, [long.as_slice(), b"short"].concat());
        pool.release(stored);
        assert!(pool.has_room(3 * BLOCK) && !pool.has_room(4 * BLOCK));
        assert!(pool.store(&long).is_some());
    }

    #[test]
    fn a_pool_without_memory_takes_nothing() {
        let mut pool = Pool::new(0);
        assert!(pool.store(b"x").is_none());
        pool.release(Stored::NOTHING);
    }
}
