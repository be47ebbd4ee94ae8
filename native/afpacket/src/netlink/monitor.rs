//! Following changes of links, neighbours, routes and addresses.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::address::OwnAddress;
use super::link::Link;
use super::message::{Messages, Received};
use super::neighbour::Neighbour;
use crate::error::{Named, SyscallError};
use crate::sys::{self, socket::set_number};

/// Links and neighbours, and of both families addresses, routes, rules and settings of interfaces;
/// next-hop objects, which routes are made of. A kernel older than these ignores the group.
const GROUPS: u32 = group(libc::RTNLGRP_LINK)
    | group(libc::RTNLGRP_NEIGH)
    | group(libc::RTNLGRP_IPV4_IFADDR)
    | group(libc::RTNLGRP_IPV6_IFADDR)
    | group(libc::RTNLGRP_IPV4_ROUTE)
    | group(libc::RTNLGRP_IPV6_ROUTE)
    | group(libc::RTNLGRP_IPV4_RULE)
    | group(libc::RTNLGRP_IPV6_RULE)
    | group(libc::RTNLGRP_IPV4_NETCONF)
    | group(libc::RTNLGRP_IPV6_NETCONF)
    | group(libc::RTNLGRP_NEXTHOP);
const NEW_NEXT_HOP: u16 = 104;
const REMOVED_NEXT_HOP: u16 = 105;
/// Octets of changes that may wait: a flapping routing daemon sends thousands at once.
const WAITING_OCTETS: u32 = 4 << 20;
const BUFFER_OCTETS: usize = 32 * 1024;

/// A change in the network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface appeared or changed.
    Link(Link),
    /// An interface is gone.
    LinkRemoved {
        /// Its index.
        interface: u32,
    },
    /// A neighbour appeared or changed.
    Neighbour(Neighbour),
    /// The kernel forgot a neighbour.
    NeighbourRemoved(Neighbour),
    /// An address was added.
    Address(OwnAddress),
    /// An address was removed.
    AddressRemoved(OwnAddress),
    /// Routes changed, or what chooses among them did (rules, next-hop objects, settings of
    /// interfaces): ask again for those in use.
    Routes,
    /// Changes were lost: read everything again.
    Overrun,
}

/// A socket that hears of changes in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Monitor {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Begins to listen. Read the present state after this, so that no change falls in between.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn open() -> Result<Self, SyscallError> {
        let fd = sys::socket::open(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)
            .named("socket(AF_NETLINK)")?;
        let level = libc::SOL_SOCKET;
        set_number(fd.as_fd(), level, libc::SO_RCVBUFFORCE, WAITING_OCTETS)
            .or_else(|_| set_number(fd.as_fd(), level, libc::SO_RCVBUF, WAITING_OCTETS))
            .named("setsockopt(SO_RCVBUF)")?;
        sys::socket::bind_netlink(fd.as_fd(), GROUPS).named("bind(AF_NETLINK)")?;
        Ok(Self { fd, buffer: vec![0; BUFFER_OCTETS] })
    }

    /// Hands the changes of the next message to `receive`, without waiting. Returns whether there
    /// was a message; call until there is none.
    ///
    /// # Errors
    /// When the socket fails, which it does not while it is open.
    pub fn poll(&mut self, mut receive: impl FnMut(Change)) -> Result<bool, SyscallError> {
        let length = match sys::socket::receive(self.fd.as_fd(), &mut self.buffer) {
            Ok(length) => length,
            Err(error) => return self.without_message(error, receive),
        };
        if length > self.buffer.len() {
            receive(Change::Overrun);
            return Ok(true);
        }
        for message in Messages::new(self.buffer.get(..length).unwrap_or_default(), 0) {
            if let Received::Entry { kind, body, .. } = message
                && let Some(change) = change(kind, body)
            {
                receive(change);
            }
        }
        Ok(true)
    }

    fn without_message(
        &self,
        error: io::Error,
        mut receive: impl FnMut(Change),
    ) -> Result<bool, SyscallError> {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Ok(false),
            Some(libc::EINTR) => Ok(true),
            Some(libc::ENOBUFS) => {
                receive(Change::Overrun);
                Ok(true)
            }
            _ => Err(SyscallError { call: "recv(AF_NETLINK)", source: error }),
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A group as a bit of `nl_groups`.
const fn group(number: libc::c_uint) -> u32 {
    1 << (number - 1)
}

fn change(kind: u16, body: &[u8]) -> Option<Change> {
    match kind {
        libc::RTM_NEWLINK => Link::parse(body).map(Change::Link),
        libc::RTM_DELLINK => {
            Link::parse(body).map(|link| Change::LinkRemoved { interface: link.index })
        }
        libc::RTM_NEWNEIGH => Neighbour::parse(body).map(Change::Neighbour),
        libc::RTM_DELNEIGH => Neighbour::parse(body).map(Change::NeighbourRemoved),
        libc::RTM_NEWADDR => OwnAddress::parse(body).map(Change::Address),
        libc::RTM_DELADDR => OwnAddress::parse(body).map(Change::AddressRemoved),
        libc::RTM_NEWROUTE
        | libc::RTM_DELROUTE
        | libc::RTM_NEWRULE
        | libc::RTM_DELRULE
        | libc::RTM_NEWNETCONF
        | NEW_NEXT_HOP
        | REMOVED_NEXT_HOP => Some(Change::Routes),
        _ => None,
    }
}
