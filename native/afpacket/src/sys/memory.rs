//! Memory: its pages, and advice about it (madvise(2)).

use std::io;
use std::ops::Range;
use std::ptr;

/// Octets of a page.
pub(crate) fn page_octets() -> io::Result<usize> {
    // SAFETY: sysconf() takes a number and touches no memory.
    let octets = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(octets).map_err(|_| io::Error::last_os_error())
}

/// Advises the kernel to back these addresses, rounded inwards to whole pages, with huge pages.
pub(crate) fn advise_huge_pages(addresses: Range<usize>) -> io::Result<()> {
    let page = page_octets()?;
    let start = addresses.start.next_multiple_of(page);
    let length = (addresses.end / page * page).saturating_sub(start);
    // SAFETY: MADV_HUGEPAGE changes what backs the memory, never what is in it, whoever owns it; addresses
    // where nothing is mapped are refused.
    let advised =
        unsafe { libc::madvise(ptr::without_provenance_mut(start), length, libc::MADV_HUGEPAGE) };
    super::check(advised).map(drop)
}
