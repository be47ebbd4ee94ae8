//! The system calls of this crate: the only place of the project where `unsafe` is allowed.
//!
//! Each module owns one kernel interface and shows safe functions upward, so that no caller has to
//! keep a promise the compiler cannot check.

pub(crate) mod batch;
pub(crate) mod bpf;
pub(crate) mod exit;
pub(crate) mod memory;
pub(crate) mod peer;
pub(crate) mod poll;
pub(crate) mod ring;
pub(crate) mod socket;
pub(crate) mod thread;

use std::io;

/// Turns the `-1` of a system call into the error it stands for.
fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// As [`check`], for calls that answer with a length.
fn check_length(returned: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// Length of `T` as the kernel takes it.
fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
