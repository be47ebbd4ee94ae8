//! Huge pages for large tables.

use std::ops::Range;

use crate::sys;

/// Octets from which on huge pages are asked for: smaller memory fits the processor's cache of
/// addresses (TLB) anyway.
const HUGE_FROM: usize = 8 << 20;

/// Asks the kernel to back large memory with huge pages (2 MiB on x86-64), so that a look-up does not
/// wait for its address, too. Best before the memory is used first. Advice only: a kernel with
/// transparent huge pages switched off goes on as before.
pub fn prefer_huge_pages(addresses: Range<usize>) {
    if addresses.len() >= HUGE_FROM {
        // Without huge pages all is as it was, only slower.
        let _ = sys::memory::advise_huge_pages(addresses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of the mapping that has this address, from /proc/self/smaps.
    fn flags_at(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("Linux tells");
        let bounds = |line: &str| {
            let (start, end) = line.split_whitespace().next()?.split_once('-')?;
            Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
        };
        let mut lines = maps.lines();
        lines
            .by_ref()
            .find(|line| bounds(line).is_some_and(|mapping| mapping.contains(&address)))
            .expect("the address is mapped");
        let flags =
            lines.find_map(|line| line.strip_prefix("VmFlags:")).expect("mappings have flags");
        flags.to_owned()
    }

    fn advised(octets: usize) -> String {
        let memory: Vec<u8> = Vec::with_capacity(octets);
        let start = memory.as_ptr().addr();
        prefer_huge_pages(start..start + memory.capacity());
        flags_at(start + octets / 2)
    }

    #[test]
    fn large_memory_is_advised() {
        assert!(advised(4 * HUGE_FROM).contains(" hg"));
    }

    #[test]
    fn small_memory_and_foreign_addresses_are_left_alone() {
        assert!(!advised(HUGE_FROM / 2).contains(" hg"));
        prefer_huge_pages(0..HUGE_FROM);
        prefer_huge_pages(usize::MAX - HUGE_FROM..usize::MAX);
    }
}
