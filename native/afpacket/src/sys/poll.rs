//! Waiting for descriptors, and waking a waiting thread.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use super::check;

/// Waits until one of `fds` is ready or the time is over (`None`: for ever).
pub(crate) fn wait(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<usize> {
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(libc::nfds_t::MAX);
    let time = timeout.map(|duration| libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(duration.subsec_nanos().cast_signed()),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // JUSTIFICATION: the standard library has no readiness interface.
    // SAFETY: the kernel writes only `revents` of the `count` entries borrowed mutably; `time` is
    // null or points at a value that lives through the call; the signal mask may be null.
    let ready = check(unsafe { libc::ppoll(fds.as_mut_ptr(), count, time, std::ptr::null()) })?;
    Ok(usize::try_from(ready).unwrap_or(0))
}

/// Opens a non-blocking event counter.
pub(crate) fn event_counter() -> io::Result<OwnedFd> {
    // JUSTIFICATION: the standard library has no eventfd.
    // SAFETY: no pointers are passed.
    let raw = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // JUSTIFICATION: the number just returned has to get an owner.
    // SAFETY: `raw` is a fresh descriptor nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
