//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::RawFd;

use super::{check, length_of};

/// The process, user and group that connected, as the kernel noted them then.
pub(crate) fn credentials(fd: RawFd) -> io::Result<libc::ucred> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = length_of::<libc::ucred>();
    // JUSTIFICATION: the standard library's `peer_cred` is not stable.
    // SAFETY: pointers and length describe `found`, which outlives the call; the kernel writes no
    // more than `length` octets, and any number is good for `fd`: a wrong one is an error.
    check(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    })?;
    Ok(found)
}
