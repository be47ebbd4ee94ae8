//! Whether an interface is still the one it was.

use std::os::fd::{AsFd, OwnedFd};

use crate::error::{Named, SyscallError};
use crate::sys;

/// Tells whether an interface has been there all the time. Its number does not: one that was moved
/// to another network namespace and back has the same again, without its filters and sockets, and
/// a number that is free may be given to another interface. A packet socket that receives nothing
/// loses its interface with the first of these.
#[derive(Debug)]
pub struct Presence(OwnedFd);

impl Presence {
    /// Begins to look at the interface of that number in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When there is no such interface, the right `CAP_NET_RAW` is missing, or the process has no
    /// descriptor left.
    pub fn of(interface: u32) -> Result<Self, SyscallError> {
        let socket = sys::socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0);
        let socket = socket.named("socket(AF_PACKET)")?;
        sys::socket::bind_packet(socket.as_fd(), 0, interface).named("bind(AF_PACKET)")?;
        Ok(Self(socket))
    }

    /// Whether it has been there since.
    #[must_use]
    pub fn holds(&self) -> bool {
        // The name of a socket that is open is not refused.
        sys::socket::bound_interface(self.0.as_fd()).is_ok_and(|interface| interface > 0)
    }
}
