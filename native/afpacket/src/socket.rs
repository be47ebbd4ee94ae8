//! Receiving: a packet socket on one interface, with its ring.

mod filter;
mod options;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::admission::{Admission, Admitted};
use crate::batch::ReceivedBatch;
use crate::bpf::Program;
use crate::classifier::{Classifier, Precision, ServiceMatch, SocketAudience};
use crate::error::{Named, SyscallError};
use crate::fanout::{ClientHash, Fanout, FanoutGroup};
use crate::fast_path::{FastPath, FastPathError};
use crate::sys::ring::{Geometry, Ring};
use crate::sys::{self, socket::set_number};
use options::geometry;

pub(crate) use filter::load_socket_filter;
#[cfg(test)]
pub(crate) use filter::socket_filter;
pub use options::{OpenError, SLOT_OCTETS_MAX, SocketOptions};

/// `ETH_P_ALL`. Not `ETH_P_IP`: those sockets come behind the ingress guard and see nothing.
const EVERY_PROTOCOL: u16 = 0x0003;
const FANOUT_BY_PROGRAM: u32 = 6;
const FANOUT_UNIQUE: u32 = 0x2000;
const FANOUT_IGNORE_OUTGOING: u32 = 0x4000;

/// Why frames stopped coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFault {
    /// The interface went down. Frames come again by themselves once it is up.
    Down,
    /// The interface does not exist any more: the socket will never receive again.
    Gone,
}

/// Counters of the kernel for a socket, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketStatistics {
    /// Frames that passed the filter, dropped ones included.
    pub frames: u64,
    /// Frames dropped: the ring was full, or the kernel could not describe the frame's offloads.
    pub dropped: u64,
    /// Frames longer than a slot, which were not delivered.
    pub truncated: u64,
}

/// A packet socket that receives by a ring shared with the kernel.
#[derive(Debug)]
pub struct PacketSocket {
    // Before the descriptor: the mapping goes first.
    ring: Ring,
    fd: OwnedFd,
    interface: u32,
    statistics: SocketStatistics,
    /// What spreads frames over the group, in one.
    spread: Option<ClientHash>,
}

impl PacketSocket {
    /// Opens a socket on the interface of that index, in the calling thread's network namespace.
    ///
    /// # Errors
    /// When an option is out of range, a right is missing, or the interface does not exist.
    pub fn open(interface: u32, options: &SocketOptions) -> Result<Self, OpenError> {
        let geometry = geometry(options)?;
        Self::open_with(interface, options, geometry)
            .map_err(|source| OpenError::Syscall { interface, source })
    }

    fn open_with(
        interface: u32,
        options: &SocketOptions,
        geometry: Geometry,
    ) -> Result<Self, SyscallError> {
        // Protocol 0: nothing is received before the filter is in place.
        let fd =
            sys::socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0).named("socket(AF_PACKET)")?;
        prepare(fd.as_fd(), geometry)?;
        let ring = Ring::map(fd.as_fd(), geometry).named("mmap(receive ring)")?;
        let statistics = SocketStatistics::default();
        let mut socket = Self { ring, fd, interface, statistics, spread: None };
        socket.set_filter(&Program::constant(0))?;
        sys::socket::bind_packet(socket.as_fd(), EVERY_PROTOCOL, interface)
            .named("bind(AF_PACKET)")?;
        if options.promiscuous {
            socket.join_promiscuous()?;
        }
        if let Some(fanout) = options.fanout {
            socket.join_fanout(fanout)?;
            socket.spread = Some(fanout.hash);
            socket.set_fanout_returns(&[])?;
        }
        socket.set_filter(&options.filter)?;
        Ok(socket)
    }

    /// Index of the interface.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// The frames that are there, at most `limit`, without waiting. Their slots go back to the
    /// kernel when the batch is dropped, so send from the batch before that.
    pub fn receive(&mut self, limit: usize) -> ReceivedBatch<'_> {
        ReceivedBatch::new(self.ring.ready(limit), &mut self.statistics.truncated)
    }

    /// Replaces what the socket receives; frames already in the ring stay.
    ///
    /// # Errors
    /// When the kernel finds the program invalid or has no memory for it.
    pub fn set_filter(&mut self, program: &Program) -> Result<(), SyscallError> {
        sys::socket::set_program(
            self.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            program.instructions(),
        )
        .named("setsockopt(SO_ATTACH_FILTER)")
    }

    /// Replaces what the socket receives by the traffic of `classifier`, as closely as the kernel
    /// has memory for (`net.core.optmem_max`); returns how closely.
    ///
    /// # Errors
    /// When even the coarsest program is refused.
    pub fn set_classifier(
        &mut self,
        classifier: &Classifier,
        audience: &SocketAudience,
    ) -> Result<Precision, SyscallError> {
        let mut closest = Precision::Exact;
        loop {
            let candidate = classifier.socket_program_from(audience, closest);
            let refused = match self.set_filter(&candidate.program) {
                Ok(()) => return Ok(candidate.precision),
                Err(error) => error,
            };
            closest = match (refused.source.raw_os_error(), candidate.precision) {
                (Some(libc::ENOMEM), Precision::Exact) => Precision::Address,
                (Some(libc::ENOMEM), Precision::Address) => Precision::Everything,
                _ => return Err(refused),
            };
        }
    }

    /// As [`Self::set_classifier`], but without the frames that `fast_path` forwards. Only on an
    /// interface where it is installed: elsewhere nobody forwards them. A later
    /// [`Self::set_classifier`] brings them again.
    ///
    /// # Errors
    /// When even the coarsest program is refused; the one before it stays.
    pub fn set_classifier_and_fast_path(
        &mut self,
        classifier: &Classifier,
        audience: &SocketAudience,
        fast_path: &FastPath,
    ) -> Result<Precision, FastPathError> {
        self.set_classifier_and_programs(classifier, audience, Some(fast_path), None)
    }

    /// As [`Self::set_classifier_and_fast_path`] where there is a fast path, and of the rest only the
    /// frames that `admission` admits to this socket.
    ///
    /// # Errors
    /// When even the coarsest program is refused; the one before it stays.
    pub fn set_classifier_and_programs(
        &mut self,
        classifier: &Classifier,
        audience: &SocketAudience,
        fast_path: Option<&FastPath>,
        admission: Option<(&Admission, Admitted)>,
    ) -> Result<Precision, FastPathError> {
        let mut closest = Precision::Exact;
        loop {
            let candidate = classifier.socket_program_from(audience, closest);
            let loaded = load_socket_filter(&candidate.program, fast_path, admission);
            let refused = match loaded.and_then(|program| self.set_program(&program)) {
                Ok(()) => return Ok(candidate.precision),
                Err(error) => error,
            };
            closest = match (candidate.precision, refused.is_too_large()) {
                (Precision::Exact, true) => Precision::Address,
                (Precision::Address, true) => Precision::Everything,
                _ => return Err(refused),
            };
        }
    }

    fn set_program(&self, program: &OwnedFd) -> Result<(), FastPathError> {
        let number = program.as_raw_fd().cast_unsigned();
        set_number(self.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_BPF, number)
            .named("setsockopt(SO_ATTACH_BPF)")?;
        Ok(())
    }

    /// Whether frames wait in at least half of the ring.
    #[must_use]
    pub fn is_half_full(&self) -> bool {
        self.ring.is_half_full()
    }

    /// Number of the fanout group, for other sockets to join; `None` outside any.
    ///
    /// # Errors
    /// When the kernel refuses to tell, which it does not for an open socket.
    pub fn fanout_group(&self) -> Result<Option<u16>, SyscallError> {
        let mut value = [0; 4];
        sys::socket::get_option(self.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, &mut value)
            .named("getsockopt(PACKET_FANOUT)")?;
        let group = u16::try_from(u32::from_ne_bytes(value) & 0xffff).unwrap_or(0);
        Ok((u32::from_ne_bytes(value) != 0).then_some(group))
    }

    /// Reads and clears the pending error of the socket. Ask when [`crate::PollSet`] reports it
    /// failed.
    ///
    /// # Errors
    /// An error that is not about the interface.
    pub fn take_fault(&self) -> Result<Option<LinkFault>, SyscallError> {
        let mut value = [0; 4];
        sys::socket::get_option(self.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR, &mut value)
            .named("getsockopt(SO_ERROR)")?;
        match i32::from_ne_bytes(value) {
            0 => Ok(None),
            libc::ENETDOWN | libc::ENXIO | libc::ENODEV => self.fault_kind().map(Some),
            other => Err(SyscallError {
                call: "receive(AF_PACKET)",
                source: io::Error::from_raw_os_error(other),
            }),
        }
    }

    fn fault_kind(&self) -> Result<LinkFault, SyscallError> {
        let bound = sys::socket::bound_interface(self.as_fd()).named("getsockname")?;
        Ok(if bound > 0 { LinkFault::Down } else { LinkFault::Gone })
    }

    /// The counters.
    ///
    /// # Errors
    /// When the kernel refuses to tell, which it does not for an open socket.
    pub fn statistics(&mut self) -> Result<SocketStatistics, SyscallError> {
        let mut value = [0; 8];
        sys::socket::get_option(
            self.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            &mut value,
        )
        .named("getsockopt(PACKET_STATISTICS)")?;
        let [f0, f1, f2, f3, d0, d1, d2, d3] = value;
        // Reading clears the kernel's own counters.
        self.statistics.frames += u64::from(u32::from_ne_bytes([f0, f1, f2, f3]));
        self.statistics.dropped += u64::from(u32::from_ne_bytes([d0, d1, d2, d3]));
        Ok(self.statistics)
    }

    fn join_promiscuous(&self) -> Result<(), SyscallError> {
        // struct packet_mreq: index, type PACKET_MR_PROMISC, no address.
        let mut request = [0; 16];
        let kind = libc::PACKET_MR_PROMISC.to_ne_bytes();
        let parts = self.interface.to_ne_bytes().into_iter().chain([kind[0], kind[1]]);
        request.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        sys::socket::set_option(
            self.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            &request,
        )
        .named("setsockopt(PACKET_ADD_MEMBERSHIP)")
    }

    fn join_fanout(&self, fanout: Fanout) -> Result<(), SyscallError> {
        let (group, unique) = match fanout.group {
            FanoutGroup::New => (0, FANOUT_UNIQUE),
            FanoutGroup::Join(group) => (u32::from(group), 0),
        };
        let join = |flags: u32| {
            let value = group | (FANOUT_BY_PROGRAM | unique | flags) << 16;
            set_number(self.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, value)
        };
        // Kernels before 5.10 do not know the flag; there the filter refuses outgoing frames.
        join(FANOUT_IGNORE_OUTGOING)
            .or_else(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => join(0),
                _ => Err(error),
            })
            .named("setsockopt(PACKET_FANOUT)")?;
        Ok(())
    }

    /// States which packets are answers to clients, by source: of those the group goes by the receiver,
    /// so that both directions of a translated connection meet on one socket. Counts for the whole
    /// group; outside any it does nothing. Where one program cannot tell so many apart it goes by their
    /// addresses alone, and where it cannot even do that, by the sender of every packet.
    ///
    /// # Errors
    /// When the kernel refuses the program; the one before it stays.
    pub fn set_fanout_returns(&self, returns: &[ServiceMatch]) -> Result<(), SyscallError> {
        let Some(hash) = self.spread else { return Ok(()) };
        sys::socket::set_program(
            self.as_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT_DATA,
            hash.closest_program(returns).instructions(),
        )
        .named("setsockopt(PACKET_FANOUT_DATA)")
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Everything that has to be said before the ring exists, then the ring.
fn prepare(fd: BorrowedFd<'_>, geometry: Geometry) -> Result<(), SyscallError> {
    const LEVEL: libc::c_int = libc::SOL_PACKET;
    // TPACKET_V2: a frame is visible at once; V3 waits for its block timeout (1 ms at best).
    set_number(fd, LEVEL, libc::PACKET_VERSION, 1).named("setsockopt(PACKET_VERSION)")?;
    set_number(fd, LEVEL, libc::PACKET_VNET_HDR, 1).named("setsockopt(PACKET_VNET_HDR)")?;
    set_number(fd, LEVEL, libc::PACKET_IGNORE_OUTGOING, 1)
        .named("setsockopt(PACKET_IGNORE_OUTGOING), which needs Linux 4.20 or newer")?;
    // struct tpacket_req: block size, blocks, slot size, slots.
    let request = [geometry.block, geometry.blocks, geometry.slot, geometry.slots()];
    let request = request.map(u32::to_ne_bytes);
    sys::socket::set_option(fd, LEVEL, libc::PACKET_RX_RING, request.as_flattened())
        .named("setsockopt(PACKET_RX_RING)")
}
