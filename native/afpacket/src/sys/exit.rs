//! The end of the process.

use std::io;

/// Has `work` called when the process ends by `exit`, or when the library that registers it is unloaded.
pub(crate) fn at_exit(work: extern "C" fn()) -> io::Result<()> {
    // JUSTIFICATION: the standard library has no hook for the end of a process.
    // SAFETY: the function takes nothing and lives as long as the program or library it is in, which
    // is as long as the C library may call it.
    if unsafe { libc::atexit(work) } == 0 { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}
