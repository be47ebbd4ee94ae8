//! Names that belong to one living process of a network namespace.
//!
//! A claim is an abstract unix socket: the kernel keeps the names of each network namespace apart
//! and frees a name when its owner dies, however it dies. So a claim answers both "is somebody
//! already doing this here?" and "does the owner of what I found still live?".

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::thread;
use std::time::Duration;

use crate::error::{Named, SyscallError};

/// In front of every name, so that no other program's names are met.
const PREFIX: &str = "l4-director/";
/// Longest name in octets: what the kernel's address leaves room for.
pub const NAME_LEN_MAX: usize = 107 - PREFIX.len();

/// Why a name could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A living process of this network namespace holds the name.
    #[error(
        "{name:?} is claimed by another running process in this network namespace: stop it or choose another name"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// The name does not fit.
    #[error("the name {name:?} has {} octets; 1 to {NAME_LEN_MAX} are allowed", name.len())]
    BadName {
        /// The name.
        name: String,
    },
    /// The kernel refused for another reason.
    #[error(transparent)]
    Syscall(#[from] SyscallError),
}

/// A held name; dropping it frees the name, once child processes that are just being started have
/// reached their `exec`.
#[derive(Debug)]
pub struct Claim {
    name: String,
    _socket: UnixDatagram,
}

impl Claim {
    /// Claims `name` in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`ClaimError::Taken`] when somebody alive, this process included, holds it.
    pub fn acquire(name: &str) -> Result<Self, ClaimError> {
        let address = address(name)?;
        let mut attempts = 1..=ATTEMPTS;
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => return Ok(Self { name: name.to_owned(), _socket: socket }),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    let call = "bind(AF_UNIX, abstract name)";
                    return Err(ClaimError::Syscall(SyscallError { call, source: error }));
                }
                Err(_) if attempts.next().is_some() => thread::sleep(BETWEEN_ATTEMPTS),
                Err(_) => return Err(ClaimError::Taken { name: name.to_owned() }),
            }
        }
    }

    /// The claimed name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A name that was given back stays taken while a child process, between its fork and its exec, has
/// a copy of the socket: this often and this long somebody who wants it waits for that.
const ATTEMPTS: u32 = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// Whether somebody alive in the network namespace of the calling thread holds `name`. Asking does
/// not take the name, not even for a moment.
///
/// # Errors
/// [`ClaimError::BadName`], or when the process has no descriptor left.
pub fn is_held(name: &str) -> Result<bool, ClaimError> {
    let address = address(name)?;
    let socket = UnixDatagram::unbound().named("socket(AF_UNIX)")?;
    match socket.connect_addr(&address) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(source) => Err(SyscallError { call: "connect(AF_UNIX, abstract name)", source }.into()),
    }
}

fn address(name: &str) -> Result<SocketAddr, ClaimError> {
    let bad = || ClaimError::BadName { name: name.to_owned() };
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err(bad());
    }
    SocketAddr::from_abstract_name(format!("{PREFIX}{name}")).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_holder_and_is_free_after_it() {
        let name = format!("test/{}", std::process::id());
        assert!(!is_held(&name).expect("asked"));
        let claim = Claim::acquire(&name).expect("free");
        assert!(is_held(&name).expect("asked"));
        assert!(matches!(Claim::acquire(&name), Err(ClaimError::Taken { .. })));
        drop(claim);
        assert!(!is_held(&name).expect("asked"));
        Claim::acquire(&name).expect("free again");
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for name in ["", &"x".repeat(NAME_LEN_MAX + 1)] {
            assert!(matches!(Claim::acquire(name), Err(ClaimError::BadName { .. })));
        }
        Claim::acquire(&format!("{:x<NAME_LEN_MAX$}", std::process::id())).expect("longest name");
    }
}
