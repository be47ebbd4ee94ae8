//! IPv6 virtual addresses by number: an entry has room for 32 bits only.

use alloc::vec;
use alloc::vec::Vec;

use super::hash::KeyedHash;

#[derive(Debug)]
struct Interned {
    octets: [u8; 16],
    users: u32,
    /// Link (position + 1) to the next of the chain, or of the free list.
    next: u32,
}

/// Addresses in use by entries, each once. One entry uses one address, so there is room for as many
/// as entries; memory nobody needs stays untouched.
#[derive(Debug)]
pub(super) struct VirtualAddresses {
    interned: Vec<Interned>,
    heads: Vec<u32>,
    free: u32,
}

impl VirtualAddresses {
    /// Room for `limit` addresses, with `heads` (a power of two) hash chains.
    pub(super) fn new(limit: usize, heads: usize) -> Self {
        Self { interned: Vec::with_capacity(limit), heads: vec![0; heads], free: 0 }
    }

    /// The number of `address`, if any entry uses it.
    pub(super) fn find(&self, address: u128, hash: &KeyedHash) -> Option<u32> {
        let octets = address.to_be_bytes();
        let mut link = self.heads[self.bucket(address, hash)];
        while let Some(position) = link.checked_sub(1) {
            let interned = &self.interned[position as usize];
            if interned.octets == octets {
                return Some(position);
            }
            link = interned.next;
        }
        None
    }

    /// The number of `address` for one more entry. The caller has fewer entries than the limit.
    pub(super) fn acquire(&mut self, address: u128, hash: &KeyedHash) -> u32 {
        if let Some(position) = self.find(address, hash) {
            self.interned[position as usize].users += 1;
            return position;
        }
        let bucket = self.bucket(address, hash);
        let octets = address.to_be_bytes();
        let interned = Interned { octets, users: 1, next: self.heads[bucket] };
        let position = self.place(interned);
        self.heads[bucket] = position + 1;
        position
    }

    /// One entry no longer uses the address numbered `position`.
    pub(super) fn release(&mut self, position: u32, hash: &KeyedHash) {
        let interned = &mut self.interned[position as usize];
        interned.users = interned.users.saturating_sub(1);
        if interned.users == 0 {
            self.unlink(position, hash);
            self.interned[position as usize].next = self.free;
            self.free = position + 1;
        }
    }

    /// The address numbered `position`.
    pub(super) fn address(&self, position: u32) -> u128 {
        u128::from_be_bytes(self.interned[position as usize].octets)
    }

    fn place(&mut self, interned: Interned) -> u32 {
        if let Some(position) = self.free.checked_sub(1) {
            self.free = self.interned[position as usize].next;
            self.interned[position as usize] = interned;
            return position;
        }
        self.interned.push(interned);
        u32::try_from(self.interned.len() - 1).unwrap_or(u32::MAX)
    }

    fn unlink(&mut self, position: u32, hash: &KeyedHash) {
        let bucket = self.bucket(self.address(position), hash);
        let after = self.interned[position as usize].next;
        if self.heads[bucket] == position + 1 {
            self.heads[bucket] = after;
            return;
        }
        let mut link = self.heads[bucket];
        while let Some(previous) = link.checked_sub(1) {
            link = self.interned[previous as usize].next;
            if link == position + 1 {
                self.interned[previous as usize].next = after;
                return;
            }
        }
    }

    fn bucket(&self, address: u128, hash: &KeyedHash) -> usize {
        let mask = self.heads.len() - 1;
        usize::try_from(hash.of_address(address) >> 32).unwrap_or(0) & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shared_and_forgotten() {
        let hash = KeyedHash::new(1);
        // One chain for all, so that unlinking is seen in every position.
        let mut addresses = VirtualAddresses::new(3, 1);
        let [a, b, c] = [10, 11, 12].map(|address| addresses.acquire(address, &hash));
        assert_eq!(addresses.acquire(11, &hash), b);
        addresses.release(b, &hash);
        assert_eq!(addresses.find(11, &hash), Some(b));
        addresses.release(b, &hash);
        assert_eq!(addresses.find(11, &hash), None);
        assert_eq!((addresses.address(a), addresses.address(c)), (10, 12));
        assert_eq!(addresses.acquire(13, &hash), b);
        addresses.release(c, &hash);
        addresses.release(a, &hash);
        assert_eq!(addresses.find(13, &hash), Some(b));
        assert_eq!(addresses.find(10, &hash), None);
        assert_eq!(addresses.interned.len(), 3);
    }
}
