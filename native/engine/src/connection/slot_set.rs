//! Which slots of the timer wheel hold anything: a bitmap with a summary, searched in a few steps.

use alloc::vec;
use alloc::vec::Vec;

/// Slots of the wheel.
pub(super) const SLOTS: usize = 1 << 14;

const WORD: usize = u64::BITS as usize;
const WORDS: usize = SLOTS / WORD;
const SUMMARY_WORDS: usize = WORDS / WORD;

#[derive(Debug)]
pub(super) struct SlotSet {
    words: Vec<u64>,
    /// One bit for each word that is not zero.
    summary: [u64; SUMMARY_WORDS],
}

impl SlotSet {
    pub(super) fn new() -> Self {
        Self { words: vec![0; WORDS], summary: [0; SUMMARY_WORDS] }
    }

    pub(super) fn insert(&mut self, slot: usize) {
        let word = slot / WORD;
        self.words[word] |= 1 << (slot % WORD);
        self.summary[word / WORD] |= 1 << (word % WORD);
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let word = slot / WORD;
        self.words[word] &= !(1 << (slot % WORD));
        if self.words[word] == 0 {
            self.summary[word / WORD] &= !(1 << (word % WORD));
        }
    }

    /// The first slot at or after `slot`, going round; none if the set is empty.
    pub(super) fn next(&self, slot: usize) -> Option<usize> {
        self.next_in_turn(slot).or_else(|| self.next_in_turn(0))
    }

    fn next_in_turn(&self, slot: usize) -> Option<usize> {
        let word = slot / WORD;
        let rest = self.words[word] & (!0 << (slot % WORD));
        if rest != 0 {
            return Some(word * WORD + lowest(rest));
        }
        let word = self.next_word(word + 1)?;
        Some(word * WORD + lowest(self.words[word]))
    }

    fn next_word(&self, word: usize) -> Option<usize> {
        let first = word / WORD;
        let mut mask = !0 << (word % WORD);
        for index in first..SUMMARY_WORDS {
            let rest = self.summary[index] & mask;
            if rest != 0 {
                return Some(index * WORD + lowest(rest));
            }
            mask = !0;
        }
        None
    }
}

const fn lowest(bits: u64) -> usize {
    bits.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn model_next(model: &BTreeSet<usize>, slot: usize) -> Option<usize> {
        model.range(slot..).next().or_else(|| model.iter().next()).copied()
    }

    proptest! {
        #[test]
        fn next_is_that_of_an_ordered_set(
            slots in proptest::collection::vec((0..SLOTS, any::<bool>()), 0..40),
            from in 0..SLOTS,
        ) {
            let mut set = SlotSet::new();
            let mut model = BTreeSet::new();
            for (slot, present) in slots {
                if present {
                    set.insert(slot);
                    model.insert(slot);
                } else if let Some(&slot) = model.range(slot..).next() {
                    set.remove(slot);
                    model.remove(&slot);
                }
                prop_assert_eq!(set.next(from), model_next(&model, from));
                prop_assert_eq!(set.next(SLOTS - 1), model_next(&model, SLOTS - 1));
            }
        }
    }
}
