//! What a thread can be bound to: a network namespace, a processor.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// Moves the calling thread, and no other, to the network namespace behind `fd`.
pub(crate) fn enter_network_namespace(fd: BorrowedFd<'_>) -> io::Result<()> {
    // JUSTIFICATION: the standard library knows no namespaces.
    // SAFETY: no pointers are passed.
    check(unsafe { libc::setns(fd.as_raw_fd(), libc::CLONE_NEWNET) })?;
    Ok(())
}

/// Moves the calling thread, and no other, to a new network namespace.
pub(crate) fn new_network_namespace() -> io::Result<()> {
    // JUSTIFICATION: the standard library knows no namespaces.
    // SAFETY: no pointers are passed.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    Ok(())
}

/// Keeps the calling thread on one processor.
pub(crate) fn pin(processor: usize) -> io::Result<()> {
    if processor >= 8 * size_of::<libc::cpu_set_t>() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // JUSTIFICATION: `cpu_set_t` has private fields.
    // SAFETY: all-zero octets are the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // JUSTIFICATION: `CPU_SET` is the only way to fill the set.
    // SAFETY: `processor` was checked to lie inside the set.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // JUSTIFICATION: the standard library has no processor affinity.
    // SAFETY: the pointer and size describe `set`, which outlives the call; 0 is this thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })?;
    Ok(())
}
