//! The port of a live director: one receive ring for each interface, one sender for each interface
//! frames leave by.

mod outlet;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use afpacket::classifier::{Classifier, SocketAudience};
use afpacket::fast_path::FastPath;
use afpacket::{
    Admission, Admitted, Fanout, FrameKind, LinkFault, OpenError, OutgoingFrame, PacketSocket,
    PollSet, ReceivedBatch, ReceivedMeta, SenderOptions, SocketOptions, SyscallError, VlanTag,
    Waker,
};
use engine::frame::{InterfaceId, Prefix};
use engine::snapshot::Counter;

use crate::clock::{Clock, date};
use crate::retry::Failures;
use outlet::{Outlet, Outset};

mod control;

pub use control::AfPacketControl;

use super::{
    Disposition, FrameHandler, InterfaceCounters, Offload, Outgoing, PacketPort, Received,
    describe, part,
};

/// How an [`AfPacketPort`] is opened.
#[derive(Clone, Debug, Default)]
pub struct AfPacketOptions {
    /// How each receive socket is opened.
    pub socket: SocketOptions,
    /// What the sockets get beside the services' own traffic.
    pub audience: SocketAudience,
    /// How each sender is opened.
    pub sender: SenderOptions,
    /// What forwards frames that the sockets are to leave alone; shared by all workers.
    pub fast_path: Option<Arc<FastPath>>,
}

/// Frames of unknown connections that are served at least, however many others there are: they wait, but
/// not for ever.
const UNKNOWN_SERVED: usize = 32;

/// A frame that has waited longer was kept waiting by a worker that stood still.
const LATE: Duration = Duration::from_millis(100);

/// Senders kept at most. Their counters go with them, so this is far more than a host has.
const OUTLETS_MAX: usize = 256;

/// An interface frames come by. Made outside the worker's thread and handed to its port.
#[derive(Debug)]
pub struct Inlet {
    interface: InterfaceId,
    socket: PacketSocket,
    /// Where frames of unknown connections come while there is overload.
    unknown: Option<Unknown>,
    received: u64,
    other_host: u64,
    gone: bool,
}

/// The second socket of an interface, and who decides which frames it gets.
#[derive(Debug)]
struct Unknown {
    socket: PacketSocket,
    admission: Arc<Admission>,
}

/// A frame of the batch that goes out as it lies there.
#[derive(Clone, Copy, Debug)]
struct Planned {
    frame: usize,
    outlet: usize,
    /// Where in the frame what goes out begins and ends.
    octets: (u32, u32),
    /// Which prefix goes in front of it.
    prefix: Option<usize>,
    vlan: Option<VlanTag>,
    offload: Offload,
}

/// Packet sockets of one worker.
#[derive(Debug)]
pub struct AfPacketPort {
    inlets: Vec<Inlet>,
    outlets: Vec<Outlet>,
    poll: PollSet,
    waker: Arc<Waker>,
    plan: Vec<Planned>,
    prefixes: Vec<Prefix>,
    options: AfPacketOptions,
    outset: Outset,
}

impl AfPacketPort {
    /// A port without interfaces; pulling `waker` ends its waits.
    #[must_use]
    pub fn new(options: AfPacketOptions, waker: Arc<Waker>) -> Self {
        let (sender, clock) = (options.sender, Clock::start());
        let outset = Outset { sender, failures: Failures::default(), clock };
        Self {
            inlets: Vec::new(),
            outlets: Vec::new(),
            poll: PollSet::new(),
            waker,
            plan: Vec::new(),
            prefixes: Vec::new(),
            options,
            outset,
        }
    }

    /// Has `failures` tell of senders that cannot be opened.
    pub(crate) fn telling(mut self, failures: Failures) -> Self {
        self.outset.failures = failures;
        self
    }

    /// Serves one kind of sockets of all interfaces.
    fn serve(
        &mut self,
        (admitted, limit): (Admitted, usize),
        handler: &mut impl FrameHandler,
    ) -> usize {
        let Self { inlets, outlets, plan, prefixes, options, outset, .. } = self;
        let share = limit.div_ceil(inlets.len().max(1));
        let mut handled = 0;
        for inlet in inlets {
            plan.clear();
            prefixes.clear();
            let note = |frame, disposition, meta: &ReceivedMeta| {
                let (interface, octets, prefix, offload) = match disposition {
                    Disposition::Done => return,
                    Disposition::Send { interface, length, offload } => {
                        (interface, (0, length), None, offload)
                    }
                    Disposition::SendBehind { interface, prefix, from, end } => {
                        prefixes.push(prefix);
                        // What was left for the device was done before: it cannot look inside.
                        (interface, (from, end), Some(prefixes.len() - 1), Offload::default())
                    }
                };
                let outlet = outlet(outlets, outset, interface);
                plan.push(Planned { frame, outlet, octets, prefix, vlan: meta.vlan, offload });
            };
            let others = options.audience.other_hosts;
            let Some(batch) = inlet.judge((admitted, share), others, handler, note) else {
                continue;
            };
            handled += batch.len();
            handler.before_sending();
            send_planned(plan, prefixes, outlets, &batch);
        }
        handled
    }

    /// The place of the sender for `interface`; made on first use.
    fn outlet(&mut self, interface: InterfaceId) -> usize {
        outlet(&mut self.outlets, &self.outset, interface)
    }
}

fn outlet(outlets: &mut Vec<Outlet>, outset: &Outset, interface: InterfaceId) -> usize {
    if let Some(place) = outlets.iter().position(|outlet| outlet.interface == interface) {
        if let Some(outlet) = outlets.get_mut(place) {
            outlet.prepare(outset);
        }
        return place;
    }
    outlets.push(Outlet::open(interface, outset));
    outlets.len() - 1
}

impl Inlet {
    /// Opens `interface` in the calling thread's network namespace. Nothing is received until a
    /// filter says what. `fanout` shares the interface with the ports of other workers.
    ///
    /// # Errors
    /// When the socket cannot be opened.
    pub fn open(
        interface: InterfaceId,
        options: &AfPacketOptions,
        fanout: Option<Fanout>,
    ) -> Result<Self, OpenError> {
        let options = SocketOptions { fanout, ..options.socket.clone() };
        let socket = PacketSocket::open(interface.0, &options)?;
        Ok(Self { interface, socket, unknown: None, received: 0, other_host: 0, gone: false })
    }

    /// Has frames of unknown connections come by a socket of their own while `admission` says that there
    /// is overload. `fanout` shares it with the same sockets of other workers.
    ///
    /// # Errors
    /// When the socket cannot be opened; the inlet is as before.
    pub fn separate_unknown(
        &mut self,
        admission: &Arc<Admission>,
        options: &SocketOptions,
        fanout: Option<Fanout>,
    ) -> Result<(), OpenError> {
        let options = SocketOptions { fanout, ..options.clone() };
        let socket = PacketSocket::open(self.interface.0, &options)?;
        self.unknown = Some(Unknown { socket, admission: Arc::clone(admission) });
        Ok(())
    }

    /// As [`Self::fanout_group`], of the socket for unknown connections.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn unknown_fanout_group(&self) -> Result<Option<u16>, SyscallError> {
        self.unknown.as_ref().map_or(Ok(None), |unknown| unknown.socket.fanout_group())
    }

    /// Number of the fanout group, for the inlets of other workers; none without fanout.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub fn fanout_group(&self) -> Result<Option<u16>, SyscallError> {
        self.socket.fanout_group()
    }

    /// Takes the traffic of `classifier`, and what `options` add, from now on.
    ///
    /// # Errors
    /// When the kernel refuses the filter; the one before it stays.
    pub fn set_classifier(
        &mut self,
        classifier: &Classifier,
        options: &AfPacketOptions,
    ) -> io::Result<()> {
        let Self { socket, unknown, .. } = self;
        let fast_path = options.fast_path.as_deref();
        let set = |socket: &mut PacketSocket, admission: Option<(&Admission, Admitted)>| {
            let audience = &options.audience;
            match (fast_path, admission) {
                (None, None) => {
                    socket.set_classifier(classifier, audience).map(drop).map_err(io::Error::other)
                }
                _ => socket
                    .set_classifier_and_programs(classifier, audience, fast_path, admission)
                    .map(drop)
                    .map_err(io::Error::other),
            }
        };
        if let Some(Unknown { socket, admission }) = unknown {
            set(socket, Some((&**admission, Admitted::Unknown)))?;
        }
        let known = unknown.as_ref().map(|unknown| (&*unknown.admission, Admitted::Known));
        set(socket, known)?;
        let returns = classifier.returns();
        let mut sockets = std::iter::once(&*socket).chain(unknown.as_ref().map(|one| &one.socket));
        let set = sockets.try_for_each(|socket| socket.set_fanout_returns(returns));
        set.map_err(io::Error::other)
    }

    fn unknown(&self) -> Option<&PacketSocket> {
        self.unknown.as_ref().map(|unknown| &unknown.socket)
    }

    /// Takes what the kernel has to say about the interface. Down passes by itself, and the
    /// director hears of it elsewhere; gone is for ever, and waiting on it would never end.
    fn take_fault(&mut self) {
        self.gone |= matches!(self.socket.take_fault(), Ok(Some(LinkFault::Gone)));
    }

    /// Hands out the frames that are there; what is to go on is written down in `plan`.
    fn judge(
        &mut self,
        (admitted, limit): (Admitted, usize),
        others: bool,
        handler: &mut impl FrameHandler,
        mut plan: impl FnMut(usize, Disposition, &ReceivedMeta),
    ) -> Option<ReceivedBatch<'_>> {
        let socket = match admitted {
            Admitted::Known => &mut self.socket,
            Admitted::Unknown => &mut self.unknown.as_mut()?.socket,
        };
        let mut batch = socket.receive(limit);
        handler.foresee((0..batch.len()).filter_map(|index| batch.frame(index)));
        let late = late(&batch);
        for index in 0..batch.len() {
            let Some((octets, meta)) = batch.frame_mut(index) else { continue };
            if !is_ours(meta.kind, others) {
                self.other_host += 1;
                continue;
            }
            self.received += 1;
            let frame = Received {
                octets,
                meta: describe(self.interface, meta.vlan.map(|tag| tag.tci), &meta.vnet),
                offload: meta.vnet,
                waited: late.map_or(Duration::ZERO, |date| date.saturating_sub(meta.stamp)),
            };
            plan(index, handler.handle(frame), &meta);
        }
        Some(batch)
    }
}

/// The date, where the first frame of a batch has waited for long.
fn late(batch: &ReceivedBatch<'_>) -> Option<Duration> {
    let stamp = batch.meta(0)?.stamp;
    Some(date()).filter(|date| date.saturating_sub(stamp) > LATE)
}

/// IPVS looks at packets to this host only. Broadcasts and groups matter to those who answer for
/// neighbours, and the socket's filter lets no others through.
const fn is_ours(kind: FrameKind, others: bool) -> bool {
    match kind {
        FrameKind::Host | FrameKind::Broadcast | FrameKind::Multicast => true,
        FrameKind::OtherHost => others,
        FrameKind::Outgoing => false,
    }
}

impl PacketPort for AfPacketPort {
    type Control = AfPacketControl;

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.poll.clear();
        let waker = self.poll.watch(self.waker.as_fd());
        for inlet in self.inlets.iter().filter(|inlet| !inlet.gone) {
            self.poll.watch(inlet.socket.as_fd());
        }
        for unknown in self.inlets.iter().filter(|inlet| !inlet.gone).filter_map(Inlet::unknown) {
            self.poll.watch(unknown.as_fd());
        }
        self.poll.wait(timeout).map_err(io::Error::other)?;
        if self.poll.readiness(waker).readable {
            self.waker.drain();
        }
        let mut number = waker;
        for inlet in self.inlets.iter_mut().filter(|inlet| !inlet.gone) {
            number += 1;
            if self.poll.readiness(number).failed {
                inlet.take_fault();
            }
        }
        Ok(())
    }

    fn exchange(&mut self, limit: usize, mut handler: impl FrameHandler) -> io::Result<usize> {
        let mut handled = self.serve((Admitted::Known, limit), &mut handler);
        if self.inlets.iter().any(|inlet| inlet.unknown.is_some()) {
            let rest = limit.saturating_sub(handled).max(UNKNOWN_SERVED);
            handled += self.serve((Admitted::Unknown, rest), &mut handler);
        }
        Ok(handled)
    }

    fn send<'a>(&mut self, frames: impl Iterator<Item = Outgoing<'a>>) {
        let mut frames = frames.peekable();
        while let Some(interface) = frames.peek().map(|frame| frame.interface) {
            let place = self.outlet(interface);
            let run = std::iter::from_fn(|| {
                frames.next_if(|frame| frame.interface == interface).map(outgoing)
            });
            match self.outlets.get_mut(place) {
                Some(outlet) => outlet.send(run),
                None => run.for_each(drop),
            }
        }
    }

    fn control(&mut self, control: AfPacketControl) -> io::Result<()> {
        self.obey(control)
    }

    fn prepare(&mut self, interfaces: impl Iterator<Item = InterfaceId>) {
        if self.outlets.len() > OUTLETS_MAX {
            // Of interfaces that came and went; those in use come back at once.
            self.outlets.clear();
        }
        for interface in interfaces {
            self.outlet(interface);
        }
    }

    fn is_congested(&self) -> bool {
        let sockets = |inlet: &Inlet| {
            inlet.socket.is_half_full() || inlet.unknown().is_some_and(PacketSocket::is_half_full)
        };
        self.inlets.iter().any(sockets)
    }

    fn counters(&mut self, into: &mut Vec<InterfaceCounters>) {
        for inlet in &mut self.inlets {
            let kernel = inlet.socket.statistics().unwrap_or_default();
            let unknown = inlet.unknown.as_mut().map(|one| one.socket.statistics());
            let unknown = unknown.and_then(Result::ok).unwrap_or_default();
            into.push(InterfaceCounters {
                received: Counter(inlet.received),
                ring_drops: Counter(kernel.dropped),
                unknown_drops: Counter(unknown.dropped),
                cut: Counter(kernel.truncated + unknown.truncated),
                other_host: Counter(inlet.other_host),
                ..InterfaceCounters::new(inlet.interface)
            });
        }
        into.extend(self.outlets.iter().map(Outlet::counters));
    }
}

const fn outgoing(frame: Outgoing<'_>) -> OutgoingFrame<'_> {
    let vlan = match frame.vlan {
        Some(tci) => Some(VlanTag::new(tci)),
        None => None,
    };
    OutgoingFrame { prefix: &[], octets: frame.octets, vlan, vnet: frame.offload }
}

/// Sends from the memory of the ring, in order for each interface.
fn send_planned(
    plan: &[Planned],
    prefixes: &[Prefix],
    outlets: &mut [Outlet],
    batch: &ReceivedBatch<'_>,
) {
    for (place, outlet) in outlets.iter_mut().enumerate() {
        let frames = plan.iter().filter(|planned| planned.outlet == place).filter_map(|planned| {
            let (from, end) = planned.octets;
            let octets = part(batch.frame(planned.frame)?, from, end);
            let prefix = planned.prefix.and_then(|place| prefixes.get(place));
            let prefix = prefix.map_or(&[][..], Prefix::octets);
            Some(OutgoingFrame { prefix, octets, vlan: planned.vlan, vnet: planned.offload })
        });
        outlet.send(frames);
    }
}
