//! Errors of system calls, with what the caller can do about them.

use std::error::Error;
use std::io;

use crate::capability;

/// A system call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{call} failed: {source}{}", remedy(.source))]
pub struct SyscallError {
    /// The call and its object, such as `setsockopt(PACKET_RX_RING)`.
    pub call: &'static str,
    /// What the kernel answered.
    pub source: io::Error,
}

impl SyscallError {
    /// Whether the process lacks the right to make the call.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self.source.raw_os_error(), Some(libc::EPERM | libc::EACCES))
    }
}

impl SyscallError {
    /// Whether the interface does not exist any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        is_gone(self.source.raw_os_error())
    }
}

/// Whether the number says that an interface does not exist any more.
pub(crate) const fn is_gone(number: Option<i32>) -> bool {
    matches!(number, Some(libc::ENODEV | libc::ENXIO))
}

/// Whether an error is that the process, or the system, has no file descriptor left; whatever it is
/// wrapped in.
#[must_use]
pub fn lacks_descriptor(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if matches!(number, Some(libc::EMFILE | libc::ENFILE)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Names the call in the error of a result.
pub(crate) trait Named<T> {
    fn named(self, call: &'static str) -> Result<T, SyscallError>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, call: &'static str) -> Result<T, SyscallError> {
        self.map_err(|source| SyscallError { call, source })
    }
}

/// The advice that follows the kernel's word; empty when there is none.
fn remedy(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!("; {}", capability::advice()),
        Some(libc::ENOMEM | libc::ENOBUFS) => {
            "; the kernel has no memory for it: ask for fewer ring frames".to_owned()
        }
        number if is_gone(number) => "; the interface does not exist any more".to_owned(),
        _ => String::new(),
    }
}
