//! Payload bytes that both ends can compute, so that any change on the way is seen.

/// Which way a record travels; the two ways carry different bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, and every seed gives another stream.
#[derive(Clone, Debug)]
pub(crate) struct Prng {
    state: u64,
}

impl Prng {
    /// A stream for this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The stream for this seed after its first `words` words.
    pub(crate) fn at(seed: u64, words: u64) -> Self {
        Self { state: seed.wrapping_add(words.wrapping_mul(GAMMA)) }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Fills the buffer.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        let (words, rest) = buffer.as_chunks_mut::<8>();
        for word in words {
            *word = self.next().to_le_bytes();
        }
        if !rest.is_empty() {
            let word = self.next().to_le_bytes();
            rest.copy_from_slice(word.get(..rest.len()).unwrap_or(&[]));
        }
    }

    /// Whether the bytes are the next ones of this stream.
    pub(crate) fn matches(&mut self, bytes: &[u8]) -> bool {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().all(|word| *word == self.next().to_le_bytes())
            && (rest.is_empty() || self.next().to_le_bytes().starts_with(rest))
    }
}

/// The stream that gives the payload of one record.
pub(crate) fn record_stream(flow: u64, sequence: u64, direction: Direction, length: usize) -> Prng {
    let way = match direction {
        Direction::Request => 0x5245_5155_4553_5421,
        Direction::Response => 0x414e_5357_4552_2121,
    };
    let mut mix = Prng::new(flow ^ way);
    let first = mix.next() ^ sequence.rotate_left(32);
    Prng::new(Prng::new(first).next() ^ length as u64)
}

/// Payload length of a record: 1..=`limit`, varying so that records do not align with segments.
pub(crate) fn record_length(flow: u64, sequence: u64, limit: usize) -> usize {
    let word = Prng::new(flow.wrapping_add(sequence.wrapping_mul(31))).next();
    let limit = limit.max(1) as u64;
    usize::try_from(1 + word % limit).unwrap_or(1)
}

/// A number no other run is likely to have: it keeps one run's records apart from another's.
pub(crate) fn run_number() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.map_or(0, |time| time.as_nanos());
    let low = u64::try_from(nanos & u128::from(u64::MAX)).unwrap_or(0);
    Prng::new(low ^ (u64::from(std::process::id()) << 40)).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_matches_itself_and_nothing_else() {
        let mut bytes = [0; 37];
        record_stream(7, 3, Direction::Request, 37).fill(&mut bytes);
        assert!(record_stream(7, 3, Direction::Request, 37).matches(&bytes));
        assert!(!record_stream(7, 4, Direction::Request, 37).matches(&bytes));
        assert!(!record_stream(8, 3, Direction::Request, 37).matches(&bytes));
        assert!(!record_stream(7, 3, Direction::Response, 37).matches(&bytes));
        assert!(!record_stream(7, 3, Direction::Request, 36).matches(&bytes));
        bytes[36] ^= 1;
        assert!(!record_stream(7, 3, Direction::Request, 37).matches(&bytes));
    }

    #[test]
    fn lengths_stay_within_the_limit_and_vary() {
        let lengths: Vec<usize> = (0..100).map(|sequence| record_length(1, sequence, 50)).collect();
        assert!(lengths.iter().all(|length| (1..=50).contains(length)));
        assert!(lengths.iter().any(|length| *length != lengths[0]));
    }
}
