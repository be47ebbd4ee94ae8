//! Asking the kernel about links, addresses, routes and neighbours, and telling it about filters.
//!
//! Synchronous: a request is sent, its answer read. Following changes is [`monitor`]'s.

pub mod address;
pub(crate) mod exclusive;
pub mod link;
mod message;
pub mod monitor;
pub mod neighbour;
pub mod route;
pub mod traffic_control;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::error::{Named, SyscallError, is_gone};
use crate::sys::{self, socket::set_number};
use message::{Messages, Received, Request};

/// How long the kernel may take to answer; it answers at once unless the machine is stuck.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Room for the messages of one answer; the kernel sends at most 32 KB at a time.
const BUFFER_OCTETS: usize = 64 * 1024;
const NETLINK_CAP_ACK: libc::c_int = 10;

/// Why a request had no success.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused.
    #[error("{operation} refused by the kernel: {source}{}{}", explained(.explanation), advised(.source))]
    Refused {
        /// What was asked for.
        operation: &'static str,
        /// The error number.
        source: io::Error,
        /// The kernel's own words, when it had any.
        explanation: Option<String>,
    },
    /// The socket failed.
    #[error(transparent)]
    Syscall(#[from] SyscallError),
    /// The kernel did not answer in time.
    #[error("{operation}: no answer from the kernel within 5 s")]
    NoAnswer {
        /// What was asked for.
        operation: &'static str,
    },
}

impl NetlinkError {
    /// Whether the interface does not exist any more, or is down.
    #[must_use]
    pub fn is_interface_away(&self) -> bool {
        is_gone(self.number()) || self.number() == Some(libc::ENETDOWN)
    }

    /// The kernel's error number; `None` when it was not the kernel that refused.
    #[must_use]
    pub fn number(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            Self::Syscall(error) => error.source.raw_os_error(),
            Self::NoAnswer { .. } => None,
        }
    }
}

fn explained(explanation: &Option<String>) -> String {
    explanation.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}

fn advised(source: &io::Error) -> String {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!("; {}", crate::capability::advice()),
        _ => String::new(),
    }
}

/// A socket for requests about the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    /// The network namespace the socket belongs to.
    namespace: Option<Arc<File>>,
}

impl Netlink {
    /// Opens the socket. Asking needs no rights.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn open() -> Result<Self, SyscallError> {
        let fd = sys::socket::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
            .named("socket(AF_NETLINK)")?;
        sys::socket::bind_netlink(fd.as_fd(), 0).named("bind(AF_NETLINK)")?;
        // Both are comfort: words beside error numbers, no echo of the request.
        drop(set_number(fd.as_fd(), libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1));
        drop(set_number(fd.as_fd(), libc::SOL_NETLINK, NETLINK_CAP_ACK, 1));
        let namespace = exclusive::namespace();
        Ok(Self { fd, sequence: 0, buffer: vec![0; BUFFER_OCTETS], namespace })
    }

    /// Sends a request that answers yes or no.
    fn command(&mut self, operation: &'static str, request: Request) -> Result<(), NetlinkError> {
        self.exchange(operation, request.flag(libc::NLM_F_ACK), |_, _| {})
    }

    /// Sends a request and hands each message of the answer (type, body) to `receive`.
    fn ask(
        &mut self,
        operation: &'static str,
        request: Request,
        receive: impl FnMut(u16, &[u8]),
    ) -> Result<(), NetlinkError> {
        self.exchange(operation, request.flag(libc::NLM_F_ACK), receive)
    }

    /// Asks for all entries of a kind and hands each (type, body) to `receive`. A table that
    /// changed meanwhile is asked for again, so an entry can come twice.
    fn dump(
        &mut self,
        operation: &'static str,
        request: &Request,
        mut receive: impl FnMut(u16, &[u8]),
    ) -> Result<(), NetlinkError> {
        const ATTEMPTS: usize = 4;
        for _ in 0..ATTEMPTS {
            let request = request.clone().flag(libc::NLM_F_DUMP);
            match self.exchange(operation, request, &mut receive) {
                Err(NetlinkError::Refused { source, .. })
                    if source.raw_os_error() == Some(libc::EINTR) => {}
                other => return other,
            }
        }
        // Steadily changing: what came is as true as an answer can be.
        Ok(())
    }

    fn exchange(
        &mut self,
        operation: &'static str,
        request: Request,
        mut receive: impl FnMut(u16, &[u8]),
    ) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let octets = request.finish(self.sequence);
        sys::socket::send(self.fd.as_fd(), &octets).named("send(AF_NETLINK)")?;
        let mut interrupted = false;
        loop {
            let length = self.next_datagram(operation)?;
            let datagram = self.buffer.get(..length).unwrap_or_default();
            for received in Messages::new(datagram, self.sequence) {
                match received {
                    Received::Entry { kind, body, inconsistent } => {
                        interrupted |= inconsistent;
                        receive(kind, body);
                    }
                    Received::Done if interrupted => {
                        return Err(refused(operation, libc::EINTR, None));
                    }
                    Received::Done => return Ok(()),
                    Received::Error { number, explanation } => {
                        return Err(refused(operation, number, explanation));
                    }
                }
            }
        }
    }

    fn next_datagram(&mut self, operation: &'static str) -> Result<usize, NetlinkError> {
        loop {
            match sys::socket::receive(self.fd.as_fd(), &mut self.buffer) {
                Ok(length) => return Ok(length.min(self.buffer.len())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(operation)?;
                }
                Err(source) => {
                    return Err(SyscallError { call: "recv(AF_NETLINK)", source }.into());
                }
            }
        }
    }

    fn wait(&self, operation: &'static str) -> Result<(), NetlinkError> {
        let mut set = crate::ready::PollSet::new();
        set.watch(self.fd.as_fd());
        match set.wait(Some(ANSWER_TIMEOUT))? {
            0 => Err(NetlinkError::NoAnswer { operation }),
            _ => Ok(()),
        }
    }
}

fn refused(operation: &'static str, number: i32, explanation: Option<String>) -> NetlinkError {
    NetlinkError::Refused { operation, source: io::Error::from_raw_os_error(number), explanation }
}
