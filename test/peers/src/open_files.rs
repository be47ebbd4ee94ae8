//! The limit of open files, raised so that thousands of connections fit.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::ProgramError;

/// Sets the soft limit of open files to the hard limit.
pub(crate) fn raise_limit() -> Result<(), ProgramError> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(())
}
