//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::RawFd;

use crate::sys;

/// A process that connected, as the kernel noted it at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its number; 0 if it is in a process namespace that is not visible from here.
    pub pid: i32,
    /// Its effective user, as this user namespace numbers it.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// The peer of the connected Unix socket `fd`, which is the caller's and stays so.
///
/// # Errors
///
/// When `fd` is no open file or no socket.
pub fn of(fd: RawFd) -> io::Result<Peer> {
    let libc::ucred { pid, uid, gid } = sys::peer::credentials(fd)?;
    Ok(Peer { pid, uid, gid })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_peer_of_an_own_socket_is_this_process() -> std::io::Result<()> {
        let (one, _other) = UnixStream::pair()?;
        let peer = super::of(one.as_raw_fd())?;
        assert_eq!(u32::try_from(peer.pid), Ok(std::process::id()));
        Ok(())
    }

    #[test]
    fn what_is_no_socket_has_no_peer() -> std::io::Result<()> {
        assert!(super::of(-1).is_err());
        assert!(super::of(std::fs::File::open("/dev/null")?.as_raw_fd()).is_err());
        Ok(())
    }
}
