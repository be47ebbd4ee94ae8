//! Admission control: frames of known connections do not wait behind frames of unknown ones.
//!
//! A receive ring that a flood fills loses the frames of everybody. So an interface can have two
//! sockets: while [`Admission::set_overload`] is on, one gets what belongs to known clients and the other
//! the rest ([`crate::PacketSocket::set_admission`]). Who reads serves the first one first; what is lost is
//! then what the second one cannot hold.
//!
//! Known are the clients' ends (address and port) that were told by [`Admission::learn`], in both
//! directions of a connection, and where an ICMP error quotes them. Frames of known clients that belong to
//! no known connection (a new port, a later fragment), and frames that are no IP packets (ARP), share
//! what [`Admission::allow`] grants: a known client that floods cannot fill the ring either.
//!
//! Ends are kept as bits of a keyed hash (a Bloom filter with one hash function): a stranger is taken
//! for known with the probability that its bit is set by chance, a sixteenth at most; nobody known is ever
//! taken for a stranger. Bits cannot be unset, so that ends are forgotten by renewal: all that are still
//! known are told again ([`Admission::begin_renewal`], [`Admission::end_renewal`]).

mod program;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::bpf::SharedArray;
pub(crate) use program::{admit, unless_overloaded};

/// Which frames a socket gets while there is overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Those of known clients; all frames while there is no overload.
    Known,
    /// The others; none while there is no overload.
    Unknown,
}

/// Bits for each connection, of which each sets two at most.
const BITS_PER_CONNECTION: u64 = 32;
/// Words of bits at least and at most: 8 KB and 16 MB.
const WORDS_MIN: u64 = 1 << 10;
const WORDS_MAX: u64 = 1 << 21;
/// Numbers the hash is keyed by: one, one for each word of an address, one for the port.
pub(crate) const HASH_KEYS: usize = 6;
/// Stands for a port where an address alone is meant.
pub(crate) const NO_PORT: u32 = 0x1_0000;

/// Where what is shared lies, in octets; bits come behind.
pub(crate) mod offset {
    /// Not 0 while there is overload.
    pub(crate) const OVERLOAD: i16 = 0;
    /// The first word of the set of bits in force.
    pub(crate) const FIRST: i16 = 8;
    /// Frames that came in by what was granted, and how many it was granted to.
    pub(crate) const USED: i16 = 16;
    pub(crate) const GRANTED: i16 = 24;
    /// Frames refused because more was used than granted.
    pub(crate) const REFUSED: i16 = 32;
    /// Where the bits begin.
    pub(crate) const BITS: i16 = 64;
}

/// What the programs have to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup {
    /// Descriptor of the shared memory.
    pub(crate) memory: RawFd,
    pub(crate) keys: [u64; HASH_KEYS],
    /// Words of one of both sets of bits; a power of two.
    pub(crate) words: u64,
}

/// Who is known to one worker.
#[derive(Debug)]
pub struct Admission {
    known: Known<SharedArray>,
}

impl Admission {
    /// Room for the ends of so many connections, none of them known yet; 8 octets of memory for each,
    /// taken at once.
    ///
    /// # Errors
    /// When eBPF is not permitted, or the kernel has no memory.
    pub fn open(connections: u32) -> io::Result<Self> {
        let words = words_for(connections);
        let length = 2 * words + u64::from(offset::BITS.unsigned_abs()) / 8;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let memory = SharedArray::create(1, length, "l4_admission")?;
        let keys = std::array::from_fn(|_| RandomState::new().hash_one(()));
        Ok(Self { known: Known { memory, keys, words } })
    }

    /// From now on the end of a known connection.
    pub fn learn(&self, client: IpAddr, port: u16) {
        self.known.learn(client, port, self.known.first());
    }

    /// Ends are forgotten from [`Self::end_renewal`] on, but for those told by [`Self::learn_anew`].
    pub fn begin_renewal(&self) {
        self.known.clear(self.known.other());
    }

    /// As [`Self::learn`], and beyond the end of the renewal.
    pub fn learn_anew(&self, client: IpAddr, port: u16) {
        self.learn(client, port);
        self.known.learn(client, port, self.known.other());
    }

    /// Forgets who was not told anew.
    pub fn end_renewal(&self) {
        self.known.word(offset::FIRST).store(self.known.other(), Ordering::Release);
    }

    /// Separates known from unknown frames, or no longer does.
    pub fn set_overload(&self, overload: bool) {
        self.known.word(offset::OVERLOAD).store(overload.into(), Ordering::Relaxed);
    }

    /// Grants so many more frames to known clients without a known connection.
    pub fn allow(&self, frames: u32) {
        let used = self.known.word(offset::USED).load(Ordering::Relaxed);
        self.known.word(offset::GRANTED).store(used + u64::from(frames), Ordering::Relaxed);
    }

    /// Frames of known clients that were refused because more came than was granted.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.known.word(offset::REFUSED).load(Ordering::Relaxed)
    }

    pub(crate) fn lookup(&self) -> Lookup {
        let Known { memory, keys, words } = &self.known;
        Lookup { memory: memory.descriptor(), keys: *keys, words: *words }
    }
}

fn words_for(connections: u32) -> u64 {
    let words = u64::from(connections) * BITS_PER_CONNECTION / 64;
    words.next_power_of_two().clamp(WORDS_MIN, WORDS_MAX)
}

/// Two sets of bits, of which one is in force and the other for the renewal, behind what is said of them.
#[derive(Debug)]
struct Known<M> {
    memory: M,
    keys: [u64; HASH_KEYS],
    words: u64,
}

impl<M: AsRef<[AtomicU64]>> Known<M> {
    fn word(&self, at: i16) -> &AtomicU64 {
        &self.memory.as_ref()[usize::from(at.unsigned_abs()) / 8]
    }

    /// The first word of the set in force.
    fn first(&self) -> u64 {
        self.word(offset::FIRST).load(Ordering::Acquire)
    }

    /// The first word of the other set.
    fn other(&self) -> u64 {
        self.first() ^ self.words
    }

    /// Sets the bits of an end and of its address in the set that begins at `first`.
    fn learn(&self, client: IpAddr, port: u16, first: u64) {
        for port in [port.into(), NO_PORT] {
            let (word, bit) = place(hash(&self.keys, client, port), self.words);
            self.bits(first + word).fetch_or(1 << bit, Ordering::Relaxed);
        }
    }

    fn clear(&self, first: u64) {
        (first..first + self.words).for_each(|word| self.bits(word).store(0, Ordering::Relaxed));
    }

    fn bits(&self, word: u64) -> &AtomicU64 {
        let mask = 2 * self.words - 1;
        let word = usize::try_from(word & mask).unwrap_or(0);
        &self.memory.as_ref()[usize::from(offset::BITS.unsigned_abs()) / 8 + word]
    }
}

/// The multilinear hash of Lemire and Kaser, as in the table of flows: who does not know `keys` cannot
/// choose ends that look like others.
fn hash(keys: &[u64; HASH_KEYS], address: IpAddr, port: u32) -> u32 {
    let [first, keys @ .., of_port] = keys;
    let words: [u32; 4] = match address {
        IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments().map(u32::from);
            [a << 16 | b, c << 16 | d, e << 16 | f, g << 16 | h]
        }
    };
    let products = words.iter().zip(keys).map(|(word, key)| u64::from(*word).wrapping_mul(*key));
    let port = u64::from(port).wrapping_mul(*of_port);
    let sum = products.fold(first.wrapping_add(port), u64::wrapping_add);
    u32::try_from(sum >> 32).unwrap_or(0)
}

/// Word and bit of a hash in a set of so many words.
fn place(hash: u32, words: u64) -> (u64, u32) {
    (u64::from(hash >> 6) & (words - 1), hash & 63)
}
