//! What a program around a director tells and asks the system beside packets.

use std::io;
use std::os::fd::RawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

pub use afpacket::peer::Peer;

/// Who connected to the Unix socket `fd`.
///
/// # Errors
///
/// When `fd` is no open file or no socket.
pub fn peer(fd: RawFd) -> io::Result<Peer> {
    afpacket::peer::of(fd)
}

/// Tells the service manager what goes on: `state` is lines as `sd_notify(3)` has them, `socket` the
/// value of `NOTIFY_SOCKET`, a path or `@` and an abstract name.
///
/// # Errors
///
/// When nobody receives at `socket`.
pub fn notify(socket: &str, state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A manager that does not read must not stop its services.
    sender.set_nonblocking(true)?;
    sender.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn a_manager_with_an_abstract_name_is_told() -> io::Result<()> {
        let name = format!("l4-director-notify-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        super::notify(&format!("@{name}"), "READY=1")?;
        let mut octets = [0; 64];
        let length = manager.recv(&mut octets)?;
        assert_eq!(octets.get(..length), Some(b"READY=1".as_slice()));
        Ok(())
    }

    #[test]
    fn a_manager_that_is_not_there_is_an_error() {
        assert!(super::notify("/nonexistent/notify", "READY=1").is_err());
    }
}
