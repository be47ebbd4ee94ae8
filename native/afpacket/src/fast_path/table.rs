//! The flows and their ways, in memory that the programs read and this process writes.
//!
//! A flow lies in one of the few slots of the bucket that a keyed hash of it names. A bucket begins with
//! a word for each slot, all in one cache line: it says what the slot holds, has the hash of it, and changes
//! whenever the slot's owner does. Who reads a slot looks at its word before and after, and takes what is in
//! between for true if it is the same.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::flow::{FlowCounters, KEY_WORDS, WAY_WORDS};

/// Slots of a bucket.
pub(super) const SLOTS: usize = 4;
/// Words of a bucket in front of its slots, of which each slot has one: a cache line.
pub(super) const HEADER_WORDS: usize = 8;
/// Words of a slot.
pub(super) const SLOT_WORDS: usize = 14;
/// Words of a bucket.
pub(super) const BUCKET_WORDS: usize = HEADER_WORDS + SLOTS * SLOT_WORDS;
/// Numbers the hash is keyed by: one for each half of a key's word, and one.
pub(super) const HASH_KEYS: usize = 2 * KEY_WORDS + 1;

/// Where the parts of a slot lie, in octets.
pub(super) mod slot {
    pub(crate) const KEY: i16 = 0;
    pub(crate) const WAY: i16 = 40;
    pub(crate) const OCTETS: i16 = 64;
    pub(crate) const DATA: i16 = 72;
    pub(crate) const FIN: i16 = 80;
    pub(crate) const LATE: i16 = 88;
}

/// A slot's word: the hash of what it holds in the upper half, in the lower how often its state changed,
/// above the state in the last bits.
pub(super) mod state {
    /// Nothing: as memory is at first.
    pub(crate) const FREE: u64 = 0;
    /// Something that is being written or taken out: nobody else's business.
    pub(crate) const WRITTEN: u64 = 1;
    /// A flow that is forwarded.
    pub(crate) const FORWARDED: u64 = 2;
    pub(crate) const MASK: u64 = 3;
}

/// How a flow came to its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inserted {
    /// It is new.
    New,
    /// It was there; its way is new and its counters begin at 0.
    Replaced,
    /// It is not there: the bucket has no free slot.
    Full,
}

/// The table, in `memory` of [`BUCKET_WORDS`] words for each bucket, a power of two of them.
#[derive(Debug)]
pub(super) struct Table<M> {
    memory: M,
    hash: [u64; HASH_KEYS],
}

type Key = [u64; KEY_WORDS];

#[derive(Clone, Copy, Debug)]
struct Slot<'t> {
    /// Its word in the bucket's header.
    state: &'t AtomicU64,
    words: &'t [AtomicU64; SLOT_WORDS],
}

impl<M: AsRef<[AtomicU64]>> Table<M> {
    pub(super) const fn new(memory: M, hash: [u64; HASH_KEYS]) -> Self {
        Self { memory, hash }
    }

    pub(super) const fn memory(&self) -> &M {
        &self.memory
    }

    /// What the hash is keyed by.
    pub(super) const fn hash(&self) -> &[u64; HASH_KEYS] {
        &self.hash
    }

    /// What of a hash names the bucket.
    pub(super) fn mask(&self) -> u32 {
        let buckets = self.memory.as_ref().len() / BUCKET_WORDS;
        u32::try_from(buckets.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Puts a flow in; one that is there gets the new way, and its counters begin at 0.
    pub(super) fn insert(&self, key: &Key, way: &[u64; WAY_WORDS]) -> Inserted {
        let hash = hash(&self.hash, key);
        if let Some(slot) = self.take(hash, key) {
            slot.write(hash, key, way);
            return Inserted::Replaced;
        }
        let Some(slot) = self.vacant(hash) else { return Inserted::Full };
        slot.write(hash, key, way);
        Inserted::New
    }

    /// What was forwarded of a flow; `None` when it is not there.
    pub(super) fn counters(&self, key: &Key) -> Option<FlowCounters> {
        let (slot, word) = self.find(hash(&self.hash, key), key)?;
        let counters = slot.counters();
        slot.is_unchanged(word).then_some(counters)
    }

    /// Takes a flow out; what was forwarded of it.
    pub(super) fn withdraw(&self, key: &Key) -> Option<FlowCounters> {
        self.take(hash(&self.hash, key), key).map(Slot::free)
    }

    /// Takes every flow out, and tells each one's key. One that is put in meanwhile may stay.
    pub(super) fn clear(&self, mut withdrawn: impl FnMut(&Key)) {
        let (buckets, _) = self.memory.as_ref().as_chunks::<BUCKET_WORDS>();
        for slot in buckets.iter().flat_map(slots) {
            let word = slot.state.load(Ordering::Acquire);
            if word & state::MASK == state::FORWARDED && slot.turn(word, state::WRITTEN) {
                let key = slot.key();
                slot.free();
                withdrawn(&key);
            }
        }
    }

    /// Makes the slot of a flow the caller's.
    fn take(&self, hash: u32, key: &Key) -> Option<Slot<'_>> {
        let (slot, word) = self.find(hash, key)?;
        slot.turn(word, state::WRITTEN).then_some(slot)
    }

    /// Makes a free slot the caller's: the one that changed the least often, since a program may still
    /// count in one that was just left.
    fn vacant(&self, hash: u32) -> Option<Slot<'_>> {
        loop {
            let slots = self.bucket(hash).map(|slot| (slot.state.load(Ordering::Relaxed), slot));
            let free = slots.filter(|(word, _)| word & state::MASK == state::FREE);
            let (word, slot) = free.min_by_key(|(word, _)| lower(*word))?;
            // Otherwise another worker was first.
            if slot.turn(word, state::WRITTEN) {
                return Some(slot);
            }
        }
    }

    /// The slot of a flow, and its word.
    fn find(&self, hash: u32, key: &Key) -> Option<(Slot<'_>, u64)> {
        self.bucket(hash).find_map(|slot| {
            let word = slot.state.load(Ordering::Acquire);
            let found = word & state::MASK == state::FORWARDED
                && word >> 32 == u64::from(hash)
                && slot.key() == *key
                && slot.is_unchanged(word);
            found.then_some((slot, word))
        })
    }

    fn bucket(&self, hash: u32) -> impl Iterator<Item = Slot<'_>> {
        let (buckets, _) = self.memory.as_ref().as_chunks::<BUCKET_WORDS>();
        let bucket = usize::try_from(hash & self.mask()).ok();
        bucket.and_then(|number| buckets.get(number)).into_iter().flat_map(slots)
    }
}

fn slots(bucket: &[AtomicU64; BUCKET_WORDS]) -> impl Iterator<Item = Slot<'_>> {
    let (header, slots) = bucket.split_at(HEADER_WORDS);
    let (slots, _) = slots.as_chunks::<SLOT_WORDS>();
    header.iter().zip(slots).map(|(state, words)| Slot { state, words })
}

/// The multilinear hash of Lemire and Kaser ("Strongly universal string hashing is fast", 2014): who
/// does not know `keys` cannot choose flows that collide.
fn hash(keys: &[u64; HASH_KEYS], key: &Key) -> u32 {
    let [first, keys @ ..] = keys;
    let halves = key.iter().flat_map(|word| {
        let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
        [[a, b, c, d], [e, f, g, h]].map(|half| u64::from(u32::from_ne_bytes(half)))
    });
    let products = halves.zip(keys).map(|(half, key)| half.wrapping_mul(*key));
    let [a, b, c, d, ..] = products.fold(*first, u64::wrapping_add).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

const fn lower(word: u64) -> u64 {
    word & 0xffff_ffff
}

/// The lower half of a word after the next change, to `state`.
const fn next(word: u64, state: u64) -> u64 {
    lower((word | state::MASK).wrapping_add(1)) | state
}

impl Slot<'_> {
    /// Gives it another state, unless somebody else was first.
    fn turn(&self, word: u64, state: u64) -> bool {
        let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
        let turned = self.state.compare_exchange(word, next(word, state), success, failure).is_ok();
        // What is written now must not be seen before that.
        fence(Ordering::Release);
        turned
    }

    /// Whether it still is what it was when its word was read.
    fn is_unchanged(&self, word: u64) -> bool {
        fence(Ordering::Acquire);
        self.state.load(Ordering::Relaxed) == word
    }

    /// Fills it, which is the caller's, and lets it be seen.
    fn write(&self, hash: u32, key: &Key, way: &[u64; WAY_WORDS]) {
        let parts = key.iter().chain(way).copied().chain(std::iter::repeat(0));
        for (word, value) in self.words.iter().zip(parts) {
            word.store(value, Ordering::Relaxed);
        }
        let word = next(self.state.load(Ordering::Relaxed), state::FORWARDED);
        self.state.store(u64::from(hash) << 32 | word, Ordering::Release);
    }

    /// Gives it, which is the caller's, back; what it had counted.
    fn free(self) -> FlowCounters {
        let counters = self.counters();
        let word = next(self.state.load(Ordering::Relaxed), state::FREE);
        self.state.store(word, Ordering::Release);
        counters
    }

    fn key(&self) -> Key {
        let mut key = [0; KEY_WORDS];
        let words = self.words.iter().skip(place(slot::KEY));
        key.iter_mut().zip(words).for_each(|(to, word)| *to = word.load(Ordering::Relaxed));
        key
    }

    fn counters(&self) -> FlowCounters {
        let count = |at| self.words[place(at)].load(Ordering::Relaxed);
        let (data, fin) = (count(slot::DATA), count(slot::FIN));
        let packets = data.saturating_add(fin).saturating_add(count(slot::LATE));
        FlowCounters { packets, octets: count(slot::OCTETS), data, fin }
    }
}

/// The word at an offset in octets.
const fn place(at: i16) -> usize {
    at.unsigned_abs() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    type Memory = Vec<AtomicU64>;

    fn table(buckets: usize) -> Table<Memory> {
        let memory = (0..buckets * BUCKET_WORDS).map(|_| AtomicU64::new(0)).collect();
        let odd = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Table::new(memory, std::array::from_fn(|at| odd(at as u64 + 3)))
    }

    fn key(number: u64) -> Key {
        [number, 0, 7, 0, number << 40]
    }

    const WAY: [u64; WAY_WORDS] = [1, 2, 3];

    fn found<'t>(table: &'t Table<Memory>, key: &Key) -> (Slot<'t>, u64) {
        table.find(hash(&table.hash, key), key).expect("it is there")
    }

    fn count(table: &Table<Memory>, key: &Key, at: i16, more: u64) {
        let (slot, _) = found(table, key);
        slot.words[place(at)].fetch_add(more, Ordering::Relaxed);
    }

    #[test]
    fn flows_are_found_until_they_are_withdrawn() {
        let table = table(64);
        for number in 0..64 {
            assert_eq!(table.insert(&key(number), &WAY), Inserted::New, "{number}");
        }
        for number in 0..64 {
            count(&table, &key(number), slot::DATA, number);
            count(&table, &key(number), slot::OCTETS, 100 * number);
        }
        count(&table, &key(9), slot::FIN, 2);
        count(&table, &key(9), slot::LATE, 1);
        for number in 0..64 {
            let more: u64 = if number == 9 { 3 } else { 0 };
            let (packets, fin) = (number + more, more.saturating_sub(1));
            let counters = FlowCounters { packets, octets: 100 * number, data: number, fin };
            assert_eq!(table.counters(&key(number)), Some(counters));
            assert_eq!(table.withdraw(&key(number)), Some(counters));
            assert_eq!(table.withdraw(&key(number)), None);
            assert_eq!(table.counters(&key(number)), None);
        }
        assert_eq!(table.counters(&key(64)), None);
    }

    #[test]
    fn a_bucket_takes_so_many_and_what_leaves_makes_room() {
        let table = table(1);
        for number in 0..4 {
            assert_eq!(table.insert(&key(number), &WAY), Inserted::New);
        }
        assert_eq!(table.insert(&key(4), &WAY), Inserted::Full);
        count(&table, &key(2), slot::DATA, 5);
        assert_eq!(table.insert(&key(2), &WAY), Inserted::Replaced);
        assert_eq!(table.counters(&key(2)), Some(FlowCounters::default()));
        table.withdraw(&key(1));
        assert_eq!(table.insert(&key(4), &WAY), Inserted::New);
        assert_eq!(table.counters(&key(4)), Some(FlowCounters::default()));
    }

    #[test]
    fn the_slot_that_was_just_left_is_taken_last() {
        let table = table(1);
        table.insert(&key(1), &WAY);
        let place = |number| std::ptr::from_ref(found(&table, &key(number)).0.state);
        let first = place(1);
        table.withdraw(&key(1));
        for number in 2..5 {
            assert_eq!(table.insert(&key(number), &WAY), Inserted::New);
            assert_ne!(place(number), first, "{number}");
        }
        assert_eq!(table.insert(&key(5), &WAY), Inserted::New);
        assert_eq!(place(5), first);
    }

    #[test]
    fn a_slot_that_another_flow_got_does_not_look_unchanged() {
        let table = table(1);
        table.insert(&key(1), &WAY);
        let (slot, word) = found(&table, &key(1));
        assert!(slot.is_unchanged(word));
        table.withdraw(&key(1));
        assert!(!slot.is_unchanged(word));
        for _ in 0..8 {
            table.insert(&key(1), &WAY);
            assert!(!slot.is_unchanged(word), "the same flow, at another time");
            table.withdraw(&key(1));
        }
        assert!(!slot.turn(word, state::WRITTEN));
    }

    #[test]
    fn clearing_tells_of_each_flow_once() {
        let table = table(16);
        let mut inserted: Vec<_> = (0..20).map(key).collect();
        inserted.retain(|key| table.insert(key, &WAY) == Inserted::New);
        assert!(inserted.len() > 16);
        let mut cleared = Vec::new();
        table.clear(|key| cleared.push(*key));
        cleared.sort_unstable();
        inserted.sort_unstable();
        assert_eq!(cleared, inserted);
        table.clear(|key| panic!("{key:?} once more"));
        assert!(inserted.iter().all(|key| table.counters(key).is_none()));
    }

    /// Keys that differ in anything differ in their buckets about as often as chance has it.
    #[test]
    fn flows_spread_over_the_buckets() {
        let table = table(1024);
        let mut taken = 0;
        for number in 0..1024 {
            taken += u32::from(table.insert(&key(number << 16), &WAY) == Inserted::New);
        }
        assert!(taken > 1000, "{taken} of 1024");
    }
}
