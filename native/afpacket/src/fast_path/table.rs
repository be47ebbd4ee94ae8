//! The flows and their ways, in memory that the programs read and this process writes.
//!
//! A flow lies in one of the few slots of the bucket that a keyed hash of it names. A slot's first
//! word says what the slot holds and changes whenever its owner does: who reads a slot looks at that word
//! before and after, and takes what is in between for true if it is the same.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::flow::{FlowCounters, KEY_WORDS, WAY_WORDS};

/// Words of a slot: two cache lines, the counters in the second.
pub(super) const SLOT_WORDS: usize = 16;
/// Slots of a bucket.
pub(super) const SLOTS: usize = 4;
/// Words of a bucket.
pub(super) const BUCKET_WORDS: usize = SLOTS * SLOT_WORDS;
/// Numbers the hash is keyed by: one for each half of a key's word, and one.
pub(super) const HASH_KEYS: usize = 2 * KEY_WORDS + 1;

/// Where the parts of a slot lie, in octets.
pub(super) mod slot {
    pub(crate) const STATE: i16 = 0;
    pub(crate) const KEY: i16 = 8;
    pub(crate) const WAY: i16 = 48;
    pub(crate) const OCTETS: i16 = 72;
    pub(crate) const DATA: i16 = 80;
    pub(crate) const FIN: i16 = 88;
    pub(crate) const LATE: i16 = 96;
    pub(crate) const LEN: i16 = 128;
}

/// What a slot holds, in the lower bits of its first word; above them is counted how often that
/// changed.
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
type Slot<'t> = &'t [AtomicU64; SLOT_WORDS];

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
        if let Some(slot) = self.take(key) {
            write(slot, key, way);
            return Inserted::Replaced;
        }
        let Some(slot) = self.vacant(key) else { return Inserted::Full };
        write(slot, key, way);
        Inserted::New
    }

    /// What was forwarded of a flow; `None` when it is not there.
    pub(super) fn counters(&self, key: &Key) -> Option<FlowCounters> {
        let (slot, word) = self.find(key)?;
        let counters = counters(slot);
        is_unchanged(slot, word).then_some(counters)
    }

    /// Takes a flow out; what was forwarded of it.
    pub(super) fn withdraw(&self, key: &Key) -> Option<FlowCounters> {
        self.take(key).map(free)
    }

    /// Takes every flow out, and tells each one's key. One that is put in meanwhile may stay.
    pub(super) fn clear(&self, mut withdrawn: impl FnMut(&Key)) {
        let (slots, _) = self.memory.as_ref().as_chunks::<SLOT_WORDS>();
        for slot in slots {
            let word = slot[0].load(Ordering::Acquire);
            if word & state::MASK == state::FORWARDED && turn(slot, word, state::WRITTEN) {
                let key = key_of(slot);
                free(slot);
                withdrawn(&key);
            }
        }
    }

    /// Makes the slot of a flow the caller's.
    fn take(&self, key: &Key) -> Option<Slot<'_>> {
        let (slot, word) = self.find(key)?;
        turn(slot, word, state::WRITTEN).then_some(slot)
    }

    /// Makes a free slot the caller's: the one that changed the least often, since a program may still
    /// count in one that was just left.
    fn vacant(&self, key: &Key) -> Option<Slot<'_>> {
        loop {
            let slots = self.bucket(key).map(|slot| (slot[0].load(Ordering::Relaxed), slot));
            let free = slots.filter(|(word, _)| word & state::MASK == state::FREE);
            let (word, slot) = free.min_by_key(|(word, _)| *word)?;
            // Otherwise another worker was first.
            if turn(slot, word, state::WRITTEN) {
                return Some(slot);
            }
        }
    }

    /// The slot of a flow, and its first word.
    fn find(&self, key: &Key) -> Option<(Slot<'_>, u64)> {
        self.bucket(key).find_map(|slot| {
            let word = slot[0].load(Ordering::Acquire);
            let found = word & state::MASK == state::FORWARDED
                && key_of(slot) == *key
                && is_unchanged(slot, word);
            found.then_some((slot, word))
        })
    }

    fn bucket(&self, key: &Key) -> impl Iterator<Item = Slot<'_>> {
        let (buckets, _) = self.memory.as_ref().as_chunks::<BUCKET_WORDS>();
        let number = hash(&self.hash, key) & self.mask();
        let bucket = usize::try_from(number).ok().and_then(|number| buckets.get(number));
        bucket.into_iter().flat_map(|bucket| bucket.as_chunks::<SLOT_WORDS>().0)
    }
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

/// Gives a slot another state, unless somebody else was first.
fn turn(slot: Slot<'_>, word: u64, state: u64) -> bool {
    let next = next(word, state);
    let turned = slot[0].compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed).is_ok();
    // What is written now must not be seen before that.
    fence(Ordering::Release);
    turned
}

const fn next(word: u64, state: u64) -> u64 {
    (word | state::MASK).wrapping_add(1) | state
}

/// Whether a slot still is what it was when its first word was read.
fn is_unchanged(slot: Slot<'_>, word: u64) -> bool {
    fence(Ordering::Acquire);
    slot[0].load(Ordering::Relaxed) == word
}

/// Fills a slot of the caller's, and lets it be seen.
fn write(slot: Slot<'_>, key: &Key, way: &[u64; WAY_WORDS]) {
    let parts = key.iter().chain(way).copied().chain(std::iter::repeat(0));
    for (word, value) in slot.iter().skip(1).zip(parts) {
        word.store(value, Ordering::Relaxed);
    }
    let word = slot[0].load(Ordering::Relaxed);
    slot[0].store(next(word, state::FORWARDED), Ordering::Release);
}

/// Gives a slot of the caller's back; what it had counted.
fn free(slot: Slot<'_>) -> FlowCounters {
    let counters = counters(slot);
    let word = slot[0].load(Ordering::Relaxed);
    slot[0].store(next(word, state::FREE), Ordering::Release);
    counters
}

fn key_of(slot: Slot<'_>) -> Key {
    let mut key = [0; KEY_WORDS];
    let words = slot.iter().skip(place(slot::KEY));
    key.iter_mut().zip(words).for_each(|(to, word)| *to = word.load(Ordering::Relaxed));
    key
}

fn counters(slot: Slot<'_>) -> FlowCounters {
    let count = |at| slot[place(at)].load(Ordering::Relaxed);
    let (data, fin) = (count(slot::DATA), count(slot::FIN));
    let packets = data.saturating_add(fin).saturating_add(count(slot::LATE));
    FlowCounters { packets, octets: count(slot::OCTETS), data, fin }
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

    fn count(table: &Table<Memory>, key: &Key, at: i16, more: u64) {
        let (slot, _) = table.find(key).expect("it is there");
        slot[place(at)].fetch_add(more, Ordering::Relaxed);
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
        let place = |number| std::ptr::from_ref(table.find(&key(number)).expect("there").0);
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
        let (slot, word) = table.find(&key(1)).expect("it is there");
        assert!(is_unchanged(slot, word));
        table.withdraw(&key(1));
        assert!(!is_unchanged(slot, word));
        for _ in 0..8 {
            table.insert(&key(1), &WAY);
            assert!(!is_unchanged(slot, word), "the same flow, at another time");
            table.withdraw(&key(1));
        }
        assert!(!turn(slot, word, state::WRITTEN));
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
