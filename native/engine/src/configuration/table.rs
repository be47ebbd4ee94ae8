//! A small hash table: open addressing, linear probing, a fixed hash.
//!
//! Its keys come from the configuration, never from traffic, so nobody can make them collide on
//! purpose; its slots are plain values, so a changed copy costs one `memcpy`.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// Slots of the smallest table that holds anything.
const SLOTS_MIN: usize = 8;

/// A map of plain values.
#[derive(Clone, Debug)]
pub(super) struct Table<K, V> {
    /// A power of two of slots, at most half of them taken; or none at all.
    slots: Vec<Option<(K, V)>>,
    taken: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { slots: Vec::new(), taken: 0 }
    }
}

impl<K: Copy + Eq + Hash, V: Copy> Table<K, V> {
    /// The value of `key`.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let slot = self.find(key)?;
        self.slots[slot].map(|(_, value)| value)
    }

    /// Sets the value of `key`.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(slot) = self.find(&key) {
            self.slots[slot] = Some((key, value));
            return;
        }
        if (self.taken + 1) * 2 > self.slots.len() {
            self.grow();
        }
        self.place(key, value);
        self.taken += 1;
    }

    /// Forgets `key` and answers with the value it had.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.find(key)?;
        let (_, value) = self.slots[slot].take()?;
        self.taken -= 1;
        self.close(slot);
        Some(value)
    }

    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    fn home(&self, key: &K) -> usize {
        let mut hasher = Multiply(0);
        key.hash(&mut hasher);
        hasher.slot() & self.mask()
    }

    fn find(&self, key: &K) -> Option<usize> {
        if self.taken == 0 {
            return None;
        }
        let mut slot = self.home(key);
        while let Some((found, _)) = &self.slots[slot] {
            if found == key {
                return Some(slot);
            }
            slot = (slot + 1) & self.mask();
        }
        None
    }

    fn place(&mut self, key: K, value: V) {
        let mut slot = self.home(&key);
        while self.slots[slot].is_some() {
            slot = (slot + 1) & self.mask();
        }
        self.slots[slot] = Some((key, value));
    }

    fn grow(&mut self) {
        let larger = vec![None; (self.slots.len() * 2).max(SLOTS_MIN)];
        let old = core::mem::replace(&mut self.slots, larger);
        for (key, value) in old.into_iter().flatten() {
            self.place(key, value);
        }
    }

    /// Moves back what stands behind an emptied slot, so that searches need no tombstones.
    fn close(&mut self, mut hole: usize) {
        let mut slot = hole;
        loop {
            slot = (slot + 1) & self.mask();
            let Some((key, _)) = &self.slots[slot] else { return };
            let travelled = slot.wrapping_sub(self.home(key)) & self.mask();
            if travelled >= (slot.wrapping_sub(hole) & self.mask()) {
                self.slots[hole] = self.slots[slot].take();
                hole = slot;
            }
        }
    }
}

impl<K: Copy + Eq + Hash> Table<K, u32> {
    /// Counts `key` once more.
    pub(super) fn count(&mut self, key: K) {
        self.insert(key, self.get(&key).unwrap_or(0) + 1);
    }

    /// Counts `key` once less; at 0 it is forgotten.
    pub(super) fn discount(&mut self, key: &K) {
        match self.get(key) {
            Some(count) if count > 1 => self.insert(*key, count - 1),
            _ => {
                self.remove(key);
            }
        }
    }
}

/// Multiplicative hashing, a word at a time.
struct Multiply(u64);

impl Multiply {
    /// The upper half, where multiplication gathers what distinguishes keys.
    fn slot(&self) -> usize {
        usize::try_from(self.0 >> 32).unwrap_or(0)
    }

    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_ne_bytes(*word));
        }
        if !rest.is_empty() {
            self.add(rest.iter().fold(0, |word, &octet| word << 8 | u64::from(octet)));
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.add(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.write(&value.to_ne_bytes());
    }
}
