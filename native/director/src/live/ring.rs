//! How large receive rings are where nothing is said.

use std::fs;

use afpacket::socket::SLOT_OCTETS_MAX;

/// Frames of an interface at most, over all workers: 64 MB.
const FRAMES_MAX: u64 = 960;
/// Frames of a ring at least: 4 MB.
const FRAMES_MIN: u64 = 60;
/// What part of the machine's memory all rings may take together.
const PART: u64 = 16;

/// Frames of the ring of each worker on each of so many interfaces, on a machine with so many octets of
/// memory.
pub(super) fn frames(memory: Option<u64>, workers: u32, interfaces: usize) -> u32 {
    let rings = u64::try_from(interfaces).unwrap_or(u64::MAX).max(1);
    let affordable =
        memory.map_or(FRAMES_MAX, |octets| octets / PART / u64::from(SLOT_OCTETS_MAX) / rings);
    let each = affordable.min(FRAMES_MAX) / u64::from(workers.max(1));
    u32::try_from(each.max(FRAMES_MIN)).unwrap_or(u32::MAX)
}

/// Octets of memory of this machine, if the kernel says so.
pub(super) fn memory() -> Option<u64> {
    total(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABYTE: u64 = 1 << 30;

    #[test]
    fn a_large_machine_has_full_rings_divided_among_workers() {
        assert_eq!(frames(None, 1, 1), 960);
        assert_eq!(frames(Some(24 * GIGABYTE), 1, 2), 960);
        assert_eq!(frames(Some(24 * GIGABYTE), 4, 2), 240);
        assert_eq!(frames(Some(24 * GIGABYTE), 64, 2), 60);
    }

    #[test]
    fn a_small_machine_keeps_most_of_its_memory() {
        assert_eq!(frames(Some(GIGABYTE), 1, 1), 960);
        assert_eq!(frames(Some(GIGABYTE), 1, 2), 481);
        assert_eq!(frames(Some(GIGABYTE / 4), 1, 1), 240);
        assert_eq!(frames(Some(GIGABYTE / 64), 1, 1), 60);
        assert_eq!(frames(Some(0), 0, 0), 60);
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(total("MemTotal:       1024 kB\nMemFree:  5 kB\n"), Some(1 << 20));
        assert_eq!(total("MemFree: 5 kB\n"), None);
        assert_eq!(total("MemTotal: many kB\n"), None);
        assert!(memory().is_some_and(|octets| octets > 1 << 24));
    }
}
