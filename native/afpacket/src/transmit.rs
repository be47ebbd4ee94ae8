//! Sending: batches of frames to one interface.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::{Named, SyscallError};
use crate::socket::OpenError;
use crate::sys::batch::{CAPACITY, Outbox, Parts};
use crate::sys::{self, socket::set_number};
use crate::vlan::{TAG_LEN, VlanTag};
use crate::vnet::VnetHeader;

/// Octets of both hardware addresses: a VLAN tag goes in behind them.
const ADDRESSES_LEN: usize = 12;

/// A frame to be sent.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingFrame<'f> {
    /// Octets that come first, Ethernet header included; empty where `octets` has it.
    pub prefix: &'f [u8],
    /// The octets from the Ethernet header on, or behind the prefix; without the tag of `vlan`.
    pub octets: &'f [u8],
    /// A VLAN tag to put in front of the Ethernet type.
    pub vlan: Option<VlanTag>,
    /// What the device has still to do; offsets count without the tag of `vlan`.
    pub vnet: VnetHeader,
}

/// How a [`Sender`] is opened.
#[derive(Clone, Copy, Debug)]
pub struct SenderOptions {
    /// Octets that may wait in the kernel for the device. More than `net.core.wmem_max` needs
    /// `CAP_NET_ADMIN`. Default 16 MB.
    pub buffer_octets: u32,
    /// Hands frames to the driver past the queueing discipline: less work for each, but what a busy
    /// driver refuses is lost, and egress rules (tc) do not see it. Default no.
    pub bypass_queue: bool,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self { buffer_octets: 16 << 20, bypass_queue: false }
    }
}

/// What became of the frames given to a [`Sender`]. Everything not taken is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transmitted {
    /// Frames the kernel took.
    pub taken: u64,
    /// Octets of those frames, tags included, virtio-net headers not.
    pub octets: u64,
    /// Frames refused because the queue was full (`EAGAIN`, `ENOBUFS`).
    pub congested: u64,
    /// Frames longer than the interface sends (`EMSGSIZE`).
    pub too_long: u64,
    /// Frames refused because the interface is down or gone.
    pub link_down: u64,
    /// Frames refused for another reason: the kernel found headers or offloads inconsistent.
    pub refused: u64,
}

impl Transmitted {
    /// Frames that are lost.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.congested + self.too_long + self.link_down + self.refused
    }

    /// Adds the figures of another round.
    pub const fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.octets += other.octets;
        self.congested += other.congested;
        self.too_long += other.too_long;
        self.link_down += other.link_down;
        self.refused += other.refused;
    }
}

/// A socket that sends on one interface and receives nothing.
#[derive(Debug)]
pub struct Sender {
    fd: OwnedFd,
    interface: u32,
    outbox: Outbox,
}

impl Sender {
    /// Opens a socket on the interface of that index, in the calling thread's network namespace.
    ///
    /// # Errors
    /// When a right is missing or the interface does not exist.
    pub fn open(interface: u32, options: &SenderOptions) -> Result<Self, OpenError> {
        let fd = open_socket(interface, options)
            .map_err(|source| OpenError::Syscall { interface, source })?;
        Ok(Self { fd, interface, outbox: Outbox::new() })
    }

    /// Index of the interface.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// Sends `frames` in order, as many as there are, without waiting and without a copy in user
    /// space. A frame the kernel refuses is counted and does not hold up those behind it.
    pub fn send<'f>(&mut self, frames: impl IntoIterator<Item = OutgoingFrame<'f>>) -> Transmitted {
        let mut total = Transmitted::default();
        let mut frames = frames.into_iter();
        loop {
            let mut lengths = [0; CAPACITY];
            let mut places = lengths.iter_mut();
            let mut parts = frames.by_ref().map(|frame| {
                let parts = split(&frame);
                if let Some(place) = places.next() {
                    let tag = if frame.vlan.is_some() { usize::from(TAG_LEN) } else { 0 };
                    *place = frame.prefix.len() + frame.octets.len() + tag;
                }
                parts
            });
            let mut loaded = self.outbox.load(&mut parts);
            let count = loaded.len();
            let batch = drive(count, &lengths, |first| loaded.send_from(self.fd.as_fd(), first));
            total.add(&batch);
            if count < CAPACITY {
                return total;
            }
        }
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn open_socket(interface: u32, options: &SenderOptions) -> Result<OwnedFd, SyscallError> {
    let fd = sys::socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0).named("socket(AF_PACKET)")?;
    set_number(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)
        .named("setsockopt(PACKET_VNET_HDR)")?;
    if options.bypass_queue {
        set_number(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
            .named("setsockopt(PACKET_QDISC_BYPASS)")?;
    }
    // The kernel doubles the value; without the right the limit of the system applies.
    let half = options.buffer_octets / 2;
    set_number(fd.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, half)
        .or_else(|_| set_number(fd.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, half))
        .named("setsockopt(SO_SNDBUF)")?;
    // Protocol 0 sends and never receives.
    sys::socket::bind_packet(fd.as_fd(), 0, interface).named("bind(AF_PACKET)")?;
    Ok(fd)
}

fn split<'f>(frame: &OutgoingFrame<'f>) -> Parts<'f> {
    let Some(tag) = frame.vlan else {
        let header = frame.vnet.emit();
        return Parts { header, addresses: &[], tag: None, rest: [frame.prefix, frame.octets] };
    };
    let header = frame.vnet.shifted(TAG_LEN).emit();
    let (first, second) = if frame.prefix.is_empty() {
        (frame.octets, &[][..])
    } else {
        (frame.prefix, frame.octets)
    };
    let at = ADDRESSES_LEN.min(first.len());
    let (addresses, rest) = first.split_at(at);
    Parts { header, addresses, tag: Some(tag.octets()), rest: [rest, second] }
}

/// Offers a batch until every frame is taken or refused. `send_from` returns how many frames from
/// the given one on were taken, or why that one was not.
fn drive(
    count: usize,
    lengths: &[usize],
    mut send_from: impl FnMut(usize) -> io::Result<usize>,
) -> Transmitted {
    let mut sum = Transmitted::default();
    let mut first = 0;
    while first < count {
        match send_from(first) {
            // A short count hides the reason; offering the next frame again reveals it.
            Ok(taken) => {
                let taken = taken.clamp(1, count - first);
                sum.taken += taken as u64;
                sum.octets += lengths.iter().skip(first).take(taken).sum::<usize>() as u64;
                first += taken;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => match error.raw_os_error() {
                // The state of the interface holds for all frames behind as well.
                Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => {
                    sum.link_down += (count - first) as u64;
                    first = count;
                }
                reason => {
                    *reason_counter(&mut sum, reason) += 1;
                    first += 1;
                }
            },
        }
    }
    sum
}

const fn reason_counter(sum: &mut Transmitted, reason: Option<i32>) -> &mut u64 {
    match reason {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => &mut sum.congested,
        Some(libc::EMSGSIZE) => &mut sum.too_long,
        _ => &mut sum.refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T>(number: i32) -> io::Result<T> {
        Err(io::Error::from_raw_os_error(number))
    }

    #[test]
    fn a_refused_frame_does_not_hold_up_the_others() {
        let mut answers =
            vec![Ok(2), error(libc::EMSGSIZE), error(libc::EAGAIN), Ok(1)].into_iter();
        let mut offered = Vec::new();
        let sum = drive(5, &[10, 20, 30, 40, 50], |first| {
            offered.push(first);
            answers.next().unwrap_or_else(|| error(libc::EINVAL))
        });
        assert_eq!(offered, [0, 2, 3, 4]);
        let expected = Transmitted {
            taken: 3,
            octets: 80,
            congested: 1,
            too_long: 1,
            ..Transmitted::default()
        };
        assert_eq!(sum, expected);
        assert_eq!(sum.lost(), 2);
    }

    #[test]
    fn an_interface_that_is_down_takes_no_further_call() {
        let mut calls = 0;
        let sum = drive(64, &[60; 64], |_| {
            calls += 1;
            error(libc::ENETDOWN)
        });
        assert_eq!((calls, sum.link_down), (1, 64));
    }

    #[test]
    fn a_tag_goes_in_behind_the_addresses() {
        let octets: Vec<u8> = (0..20).collect();
        let frame = OutgoingFrame {
            prefix: &[],
            octets: &octets,
            vlan: Some(VlanTag::new(7)),
            vnet: VnetHeader::default(),
        };
        let parts = split(&frame);
        assert_eq!(parts.addresses, &octets[..12]);
        assert_eq!(parts.tag, Some([0x81, 0, 0, 7]));
        assert_eq!(parts.rest, [&octets[12..], &[]]);
        let (prefix, octets) = octets.split_at(14);
        let parts = split(&OutgoingFrame { prefix, octets, ..frame });
        assert_eq!((parts.addresses, parts.tag), (&prefix[..12], Some([0x81, 0, 0, 7])));
        assert_eq!(parts.rest, [&prefix[12..], octets]);
    }
}
