//! The packets that are being put together: found by key, the oldest known.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::pool::{NONE, Stored};
use crate::frame::InterfaceId;
use crate::time::Instant;

/// What the fragments of one packet share (RFC 791 §2.3, RFC 8200 §4.5; the kernel tells
/// interfaces apart as well).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) identification: u32,
    pub(super) protocol: u8,
    pub(super) interface: InterfaceId,
    pub(super) vlan: Option<u16>,
}

/// A fragment that waits for the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Where its payload lies in the whole.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) stored: Stored,
}

/// A packet of which some fragments are there.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) key: Key,
    pub(super) deadline: Instant,
    /// In ascending order, without overlap. The memory stays for the next packet.
    pub(super) parts: Vec<Part>,
    /// Octets of the whole payload, once the last fragment is there.
    pub(super) total: Option<usize>,
    pub(super) octets: usize,
    /// Octets of the longest fragment, IP header included; of those that may not be cut.
    pub(super) longest: usize,
    pub(super) longest_uncuttable: usize,
    /// A bit for each ECN codepoint seen.
    pub(super) ecn: u8,
    /// The headers that go in front, from the first fragment: link header, IP header.
    pub(super) headers: Stored,
    /// IPv6: the field that named the fragment header, and what takes its place.
    pub(super) next_header: Option<(usize, u8)>,
    next_of_hash: u32,
    older: u32,
    newer: u32,
}

/// A fixed number of packets.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Datagram>,
    heads: Vec<u32>,
    seed: u64,
    free: u32,
    oldest: u32,
    newest: u32,
    pub(super) used: u32,
}

impl Table {
    pub(super) fn new(slots: usize, seed: u64) -> Self {
        Self {
            slots: Vec::with_capacity(slots),
            heads: vec![NONE; slots.next_power_of_two()],
            seed,
            free: NONE,
            oldest: NONE,
            newest: NONE,
            used: 0,
        }
    }

    pub(super) fn get(&mut self, slot: u32) -> Option<&mut Datagram> {
        self.slots.get_mut(slot as usize)
    }

    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let mut slot = self.heads.get(self.bucket(key)).copied().unwrap_or(NONE);
        while let Some(datagram) = self.slots.get(slot as usize) {
            if datagram.key == *key {
                return Some(slot);
            }
            slot = datagram.next_of_hash;
        }
        None
    }

    /// The packet that has waited longest, and until when it may.
    pub(super) fn oldest(&self) -> Option<(u32, Instant)> {
        self.slots.get(self.oldest as usize).map(|datagram| (self.oldest, datagram.deadline))
    }

    /// A new packet; none where all slots are taken.
    pub(super) fn add(&mut self, key: Key, deadline: Instant) -> Option<u32> {
        let slot = self.vacancy(key)?;
        let bucket = self.bucket(&key);
        let head = self.heads.get_mut(bucket)?;
        let next_of_hash = core::mem::replace(head, slot);
        let older = core::mem::replace(&mut self.newest, slot);
        let datagram = self.slots.get_mut(slot as usize)?;
        datagram.key = key;
        datagram.deadline = deadline;
        datagram.next_of_hash = next_of_hash;
        datagram.older = older;
        datagram.newer = NONE;
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = slot,
            None => self.oldest = slot,
        }
        self.used += 1;
        Some(slot)
    }

    /// Takes a packet out. Its parts are the caller's to give back before.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(datagram) = self.slots.get_mut(slot as usize) else { return };
        datagram.clear();
        let (key, next, older, newer) =
            (datagram.key, datagram.next_of_hash, datagram.older, datagram.newer);
        datagram.next_of_hash = core::mem::replace(&mut self.free, slot);
        match self.slots.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.unchain(&key, slot, next);
        self.used -= 1;
    }

    fn vacancy(&mut self, key: Key) -> Option<u32> {
        if let Some(free) = self.slots.get(self.free as usize) {
            return Some(core::mem::replace(&mut self.free, free.next_of_hash));
        }
        if self.slots.len() == self.slots.capacity() {
            return None;
        }
        self.slots.push(Datagram::empty(key));
        u32::try_from(self.slots.len() - 1).ok()
    }

    fn unchain(&mut self, key: &Key, slot: u32, next: u32) {
        let bucket = self.bucket(key);
        let Some(head) = self.heads.get_mut(bucket) else { return };
        if *head == slot {
            *head = next;
            return;
        }
        let mut at = *head;
        while let Some(datagram) = self.slots.get_mut(at as usize) {
            if datagram.next_of_hash == slot {
                datagram.next_of_hash = next;
                return;
            }
            at = datagram.next_of_hash;
        }
    }

    fn bucket(&self, key: &Key) -> usize {
        let bits = |address| match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h] = address.segments().map(u64::from);
                (a << 48 | b << 32 | c << 16 | d) ^ (e << 48 | f << 32 | g << 16 | h).rotate_left(7)
            }
        };
        let ends = bits(key.source) ^ bits(key.destination).rotate_left(29);
        let mixed = (ends ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed =
            (mixed ^ mixed >> 29 ^ u64::from(key.identification) ^ self.seed.rotate_left(32))
                .wrapping_mul(0xBF58_476D_1CE4_E5B9);
        usize::try_from(mixed >> 33).unwrap_or(0) & (self.heads.len() - 1)
    }
}

impl Datagram {
    const fn empty(key: Key) -> Self {
        Self {
            key,
            deadline: Instant::ZERO,
            parts: Vec::new(),
            total: None,
            octets: 0,
            longest: 0,
            longest_uncuttable: 0,
            ecn: 0,
            headers: Stored::NOTHING,
            next_header: None,
            next_of_hash: NONE,
            older: NONE,
            newer: NONE,
        }
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.total = None;
        self.octets = 0;
        self.longest = 0;
        self.longest_uncuttable = 0;
        self.ecn = 0;
        self.headers = Stored::NOTHING;
        self.next_header = None;
    }

    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.total == Some(self.octets) && self.parts.first().is_some_and(|part| part.start == 0)
    }

    /// Where the payload of all fragments so far ends.
    pub(super) fn end(&self) -> usize {
        self.parts.last().map_or(0, |part| part.end)
    }
}
