//! What is to be done when the process ends.

use crate::error::{Named, SyscallError};
use crate::sys;

/// Has `work` called when the process ends by `exit`, as it does at the end of `main`. A process that
/// is killed or aborts calls nothing.
///
/// # Errors
/// When there is no memory to remember it.
pub fn at_exit(work: extern "C" fn()) -> Result<(), SyscallError> {
    sys::exit::at_exit(work).named("atexit")
}
