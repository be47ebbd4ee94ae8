//! What a batch of packets will look up, read ahead of them.

use core::hint::black_box;
use core::ops::Range;

use super::entry::{ConnectionId, Entry, Flags};
use super::key::ConnectionKey;
use super::table::ConnectionTable;

/// Keys of one look at most.
const KEYS: usize = 128;

/// Entries from which on a look pays: fewer stay in the processor's own cache (2 MiB).
const ENTRIES_MIN: u32 = 1 << 15;

/// How far a search has come.
#[derive(Clone, Copy, Default)]
struct Step {
    bucket: usize,
    link: Option<ConnectionId>,
}

impl ConnectionTable {
    /// Brings what these connections are found by into the processor's cache, 128 at most. In a large
    /// table nearly each step of a search waits for memory; the steps of one search follow from each
    /// other, but those of many searches do not, and the processor waits for them together.
    /// Changes nothing; returns the entries it came by.
    pub fn foresee(&self, keys: impl Iterator<Item = ConnectionKey>) -> usize {
        if self.len() < ENTRIES_MIN {
            return 0;
        }
        // One loop a step: short enough for the processor to begin many reads before the first ends.
        let mut steps = [Step::default(); KEYS];
        let packed = keys.filter_map(|key| self.pack(&key, Flags::NONE));
        let count =
            steps.iter_mut().zip(packed).map(|(step, key)| step.bucket = self.bucket(&key)).count();
        let steps = &mut steps[..count];
        for step in &mut *steps {
            step.link = ConnectionId::from_link(self.heads[step.bucket]);
        }
        let first = steps.iter().filter(|step| step.link.is_some()).count();
        for step in &mut *steps {
            step.link = step.link.and_then(|id| self.entry(id).hash_next);
        }
        let second = steps.iter().filter_map(|step| step.link);
        // The sum is good for nothing, but what nobody needs is not read.
        black_box(second.clone().map(|id| u32::from(self.entry(id).protocol())).sum::<u32>());
        first + second.count()
    }

    /// The addresses of the memory that look-ups go to: entries, and heads of chains.
    #[must_use]
    pub fn memory(&self) -> [Range<usize>; 2] {
        let entries = (self.entries.as_ptr().addr(), self.entries.capacity() * size_of::<Entry>());
        let heads = (self.heads.as_ptr().addr(), self.heads.capacity() * size_of::<u32>());
        [entries, heads].map(|(start, octets)| start..start + octets)
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::super::lifecycle::Assignment;
    use super::*;
    use crate::command::ForwardingMethod;
    use crate::hop::ServerId;
    use crate::time::Instant;

    fn key(number: u32) -> ConnectionKey {
        ConnectionKey {
            protocol: 6,
            client: Ipv4Addr::from_bits(0x0a00_0000 | number).into(),
            client_port: 1024,
            virtual_address: Ipv4Addr::new(192, 0, 2, 80).into(),
            virtual_port: 80,
        }
    }

    fn table(connections: u32) -> ConnectionTable {
        let mut table = ConnectionTable::new(1 << 16, 1);
        let forwarding = ForwardingMethod::DirectRouting;
        let assignment = Assignment { server: ServerId(1), server_port: 80, forwarding };
        for number in 0..connections {
            table.create(&key(number), assignment, Instant::ZERO).unwrap();
        }
        table
    }

    #[test]
    fn comes_by_the_first_two_entries_of_each_chain() {
        let table = table(ENTRIES_MIN);
        let wanted = |number: u32| -> usize {
            let packed = table.pack(&key(number), Flags::NONE).unwrap();
            let first = ConnectionId::from_link(table.head(&packed)).unwrap();
            1 + usize::from(table.entry(first).hash_next.is_some())
        };
        let expected: usize = (0..100).map(wanted).sum();
        assert!(expected > 110, "some chains have more than one entry");
        assert_eq!(table.foresee((0..100).map(key)), expected);
    }

    #[test]
    fn looks_for_128_at_most() {
        let table = table(ENTRIES_MIN);
        assert_eq!(table.foresee((0..500).map(key)), table.foresee((0..128).map(key)));
        assert_eq!(table.foresee(core::iter::empty()), 0);
    }

    #[test]
    fn a_small_table_is_not_looked_at() {
        assert_eq!(table(ENTRIES_MIN - 1).foresee((0..100).map(key)), 0);
    }

    #[test]
    fn memory_is_that_of_the_largest_table() {
        let [entries, heads] = table(0).memory();
        assert_eq!((entries.len(), heads.len()), (64 << 16, 4 << 16));
    }
}
