//! Binding the calling thread to a network namespace or a processor.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::error::{Named, SyscallError};
use crate::sys;

/// Moves the calling thread, and no other, to a network namespace. Sockets opened before stay where
/// they were opened.
///
/// # Errors
/// When `namespace` is not a network namespace or the process may not enter it.
pub fn enter_network_namespace(namespace: BorrowedFd<'_>) -> Result<(), SyscallError> {
    sys::thread::enter_network_namespace(namespace).named("setns(CLONE_NEWNET)")
}

/// As [`enter_network_namespace`], by path: `/run/netns/<name>`, `/proc/<pid>/ns/net`.
///
/// # Errors
/// When the path cannot be opened or its namespace not entered.
pub fn enter_network_namespace_at(path: &Path) -> Result<(), SyscallError> {
    let file = File::open(path).named("open(network namespace)")?;
    enter_network_namespace(file.as_fd())
}

/// Moves the calling thread, and no other, to a new network namespace, in which there is nothing
/// but a loopback interface that is down. The namespace goes when its last thread, socket and open
/// file do.
///
/// # Errors
/// When the process lacks `CAP_SYS_ADMIN` in its user namespace.
pub fn new_network_namespace() -> Result<(), SyscallError> {
    sys::thread::new_network_namespace().named("unshare(CLONE_NEWNET)")
}

/// Keeps the calling thread on one processor, numbered from 0.
///
/// # Errors
/// When there is no such processor or the process may not use it.
pub fn pin_to_processor(processor: usize) -> Result<(), SyscallError> {
    sys::thread::pin(processor).named("sched_setaffinity")
}
