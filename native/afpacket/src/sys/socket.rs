//! Sockets: opening, options as plain octets, binding, and messages as octets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void};

use super::{check, check_length, length_of};
use crate::bpf::Instruction;

/// Opens a non-blocking socket that is closed on `exec`.
pub(crate) fn open(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // JUSTIFICATION: the standard library opens no packet or netlink sockets.
    // SAFETY: no pointers are passed.
    let raw = check(unsafe {
        libc::socket(domain, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, protocol)
    })?;
    // JUSTIFICATION: the number just returned has to get an owner.
    // SAFETY: `raw` is a fresh descriptor nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Sets a socket option from its octets in the kernel's layout.
pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &[u8],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
    // JUSTIFICATION: there is no safe interface to packet and netlink options.
    // SAFETY: pointer and length describe `value`, which outlives the call; the kernel copies it.
    check(unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast::<c_void>(), length)
    })?;
    Ok(())
}

/// Sets a socket option that is one number.
pub(crate) fn set_number(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: u32,
) -> io::Result<()> {
    set_option(fd, level, name, &value.to_ne_bytes())
}

/// Reads a socket option into `value`; returns how many octets the kernel wrote.
pub(crate) fn get_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &mut [u8],
) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(value.len()).unwrap_or(libc::socklen_t::MAX);
    // JUSTIFICATION: there is no safe interface to packet options.
    // SAFETY: the kernel writes at most `length` octets to `value`, which is borrowed mutably.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        )
    })?;
    Ok(length as usize)
}

/// Hands a classic BPF program to the kernel by the given option.
pub(crate) fn set_program(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    program: &[Instruction],
) -> io::Result<()> {
    let length =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let descriptor = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // JUSTIFICATION: the kernel takes programs by pointer only.
    // SAFETY: `Instruction` is `repr(C)` with the layout of `sock_filter`; the program outlives the
    // call and the kernel only reads and copies it.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const descriptor).cast::<c_void>(),
            length_of::<libc::sock_fprog>(),
        )
    })?;
    Ok(())
}

/// Binds a packet socket to an interface; `protocol` in host order, 0 to receive nothing.
pub(crate) fn bind_packet(fd: BorrowedFd<'_>, protocol: u16, interface: u32) -> io::Result<()> {
    let index =
        c_int::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let address = libc::sockaddr_ll {
        sll_family: family(libc::AF_PACKET),
        sll_protocol: protocol.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    bind(fd, &address)
}

/// Interface index a packet socket is bound to; -1 once that interface is gone.
pub(crate) fn bound_interface(fd: BorrowedFd<'_>) -> io::Result<c_int> {
    let mut address = libc::sockaddr_ll {
        sll_family: 0,
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let mut length = length_of::<libc::sockaddr_ll>();
    // JUSTIFICATION: the standard library knows no packet addresses.
    // SAFETY: the kernel writes at most `length` octets, the size of `address`; every bit pattern
    // is a valid `sockaddr_ll`.
    check(unsafe {
        libc::getsockname(
            fd.as_raw_fd(),
            (&raw mut address).cast::<libc::sockaddr>(),
            &raw mut length,
        )
    })?;
    Ok(address.sll_ifindex)
}

/// Binds a netlink socket to the multicast groups of `groups`, a bit mask; 0 for none.
pub(crate) fn bind_netlink(fd: BorrowedFd<'_>, groups: u32) -> io::Result<()> {
    // JUSTIFICATION: `sockaddr_nl` has private padding and cannot be written as a literal.
    // SAFETY: all-zero octets are a valid `sockaddr_nl`.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = family(libc::AF_NETLINK);
    address.nl_groups = groups;
    bind(fd, &address)
}

/// An address family as addresses carry it.
fn family(family: c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).unwrap_or(0)
}

/// Binds to an address in the kernel's layout; only for the `sockaddr_*` types of libc.
fn bind<T>(fd: BorrowedFd<'_>, address: &T) -> io::Result<()> {
    // JUSTIFICATION: the standard library binds internet and unix addresses only.
    // SAFETY: pointer and length describe `address`, which outlives the call.
    check(unsafe {
        libc::bind(
            fd.as_raw_fd(),
            std::ptr::from_ref(address).cast::<libc::sockaddr>(),
            length_of::<T>(),
        )
    })?;
    Ok(())
}

/// Sends one message.
pub(crate) fn send(fd: BorrowedFd<'_>, message: &[u8]) -> io::Result<usize> {
    // JUSTIFICATION: netlink sockets have no safe interface.
    // SAFETY: pointer and length describe `message`, which outlives the call.
    check_length(unsafe {
        libc::send(
            fd.as_raw_fd(),
            message.as_ptr().cast::<c_void>(),
            message.len(),
            libc::MSG_NOSIGNAL,
        )
    })
}

/// Receives one message; returns its whole length, which is more than `buffer` holds when cut.
pub(crate) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // JUSTIFICATION: netlink sockets have no safe interface.
    // SAFETY: the kernel writes at most `buffer.len()` octets to `buffer`, borrowed mutably.
    check_length(unsafe {
        libc::recv(
            fd.as_raw_fd(),
            buffer.as_mut_ptr().cast::<c_void>(),
            buffer.len(),
            libc::MSG_TRUNC,
        )
    })
}
