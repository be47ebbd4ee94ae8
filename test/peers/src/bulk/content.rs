//! Bytes of a bulk stream: computed from their place, or a constant when nobody checks them.

use crate::payload::Prng;

/// Bytes read or written at a time.
pub(crate) const CHUNK: usize = 256 << 10;

/// The content of one stream, made or checked from its start on.
#[derive(Debug)]
pub(crate) struct Content {
    seed: u64,
    checked: bool,
    place: u64,
}

impl Content {
    /// Content of the stream with this number. Unchecked content is all zeros and never wrong.
    pub(crate) fn new(stream: u64, checked: bool) -> Self {
        Self { seed: Prng::new(stream).next(), checked, place: 0 }
    }

    /// Fills the buffer with the bytes at the current place, without moving on. The buffer is
    /// zeroed at first and only ever filled by this.
    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        if !self.checked {
            return;
        }
        let (mut stream, skip) = self.stream();
        let (head, rest) = buffer.split_at_mut(skip.len().min(buffer.len()));
        head.copy_from_slice(skip.get(..head.len()).unwrap_or(&[]));
        stream.fill(rest);
    }

    /// Whether the bytes are those at the current place.
    pub(crate) fn matches(&self, bytes: &[u8]) -> bool {
        if !self.checked {
            return true;
        }
        let (mut stream, skip) = self.stream();
        let (head, rest) = bytes.split_at(skip.len().min(bytes.len()));
        skip.starts_with(head) && stream.matches(rest)
    }

    /// Moves on by this many bytes.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.place += bytes as u64;
    }

    /// Bytes passed so far.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// The words after the one the place is within, and what is left of that one.
    fn stream(&self) -> (Prng, Vec<u8>) {
        let mut stream = Prng::at(self.seed, self.place / 8);
        let within = usize::try_from(self.place % 8).unwrap_or(0);
        if within == 0 {
            return (stream, Vec::new());
        }
        let word = stream.next().to_le_bytes();
        (stream, word.get(within..).unwrap_or(&[]).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_stream_matches_and_a_shifted_one_does_not() {
        let mut whole = [0; 100];
        Content::new(5, true).fill(&mut whole);
        for (start, length) in [(0, 3), (3, 3), (6, 1), (7, 40), (47, 53)] {
            let mut content = Content::new(5, true);
            content.advance(start);
            assert!(content.matches(&whole[start..start + length]), "{start}");
            let mut part = vec![0; length];
            content.fill(&mut part);
            assert_eq!(part, whole[start..start + length]);
            content.advance(8);
            assert!(!content.matches(&whole[start..start + length]), "{start} shifted");
        }
    }
}
