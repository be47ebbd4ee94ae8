//! Linux packet sockets, and what a director needs from the kernel around them.
//!
//! Plain safe types over system calls; `unsafe` lives in `sys` only. Nothing here knows what a
//! director does with a frame. All sockets belong to the network namespace of the thread that
//! opened them.
//!
//! # Driving manual
//!
//! ```no_run
//! use std::net::IpAddr;
//! use std::os::fd::AsFd;
//! use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
//! use afpacket::netlink::Netlink;
//! use afpacket::{Claim, Guard, OutgoingFrame, PacketSocket, PollSet, Sender, SenderOptions, SocketOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let address: IpAddr = "192.0.2.80".parse()?;
//! let classifier = Classifier::new([ServiceMatch::service(6, address, 80)]);
//!
//! // Once: the interface, this director's name, what a killed predecessor left.
//! let mut netlink = Netlink::open()?;
//! let link = netlink.link_by_name("eth0")?.ok_or("no such interface")?;
//! let id = format!("{}", std::process::id());
//! let alive = Claim::acquire(&Guard::claim_name(&id))?;
//! for found in afpacket::guard::find(&mut netlink, link.index)? {
//!     if found.is_orphan()? {
//!         found.remove(&mut netlink)?;
//!     }
//! }
//!
//! // Guard first, then the socket: the host never sees what the director has not yet.
//! let mut guard = Guard::install(&mut netlink, link.index, &id)?;
//! guard.set(&mut netlink, &classifier)?;
//! let mut socket = PacketSocket::open(link.index, &SocketOptions::default())?;
//! socket.set_classifier(&classifier, &SocketAudience::default())?;
//! let mut sender = Sender::open(link.index, &SenderOptions::default())?;
//!
//! // Each round: wait, look, rewrite in place, send from the ring, give the slots back.
//! let mut ready = PollSet::new();
//! loop {
//!     ready.clear();
//!     let number = ready.watch(socket.as_fd());
//!     ready.wait(None)?;
//!     if ready.readiness(number).failed && socket.take_fault()?.is_some() {
//!         continue; // `LinkFault::Down`: frames come again by themselves once the link is up.
//!     }
//!     let mut batch = socket.receive(64);
//!     for index in 0..batch.len() {
//!         if let Some((octets, _meta)) = batch.frame_mut(index) {
//!             octets[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
//!         }
//!     }
//!     let frames = (0..batch.len()).filter_map(|index| {
//!         let meta = batch.meta(index)?;
//!         Some(OutgoingFrame { prefix: &[], octets: batch.frame(index)?, vlan: meta.vlan, vnet: meta.vnet })
//!     });
//!     let _sent = sender.send(frames); // one call for frames of one egress interface
//! } // `batch` is dropped here: its slots are the kernel's again.
//! # }
//! ```
//!
//! - Own frames (replies) go by [`Sender::send`] too, with [`vnet::VnetHeader::default`] when their
//!   checksums are complete.
//! - Ways to servers: [`netlink::Netlink::route`], [`netlink::Netlink::neighbour`],
//!   [`netlink::Netlink::resolve`]; changes by [`netlink::monitor::Monitor`].
//! - Several workers: the first socket with [`FanoutGroup::New`], the others with
//!   [`FanoutGroup::Join`] of [`PacketSocket::fanout_group`].
//! - TCP flows the kernel forwards itself: [`fast_path`].
//! - [`Waker`] ends a wait from another thread.
//!
//! # Traps
//!
//! - A frame whose offloads the virtio-net header cannot describe (SCTP GSO, tunnels) is dropped by
//!   the kernel and counted in [`SocketStatistics::dropped`]: switch that offload off at its sender.
//! - TCP over more than 64 KB (BIG TCP) does not fit a slot: counted as truncated.
//! - A socket whose interface is deleted never works again, even if one of the same name appears.
#![deny(unsafe_code)]

pub mod admission;
pub mod batch;
pub mod bpf;
pub mod capability;
pub mod claim;
pub mod classifier;
mod clsact;
mod ebpf;
mod error;
pub mod exit;
pub mod fanout;
pub mod fast_path;
pub mod guard;
pub mod memory;
pub mod netlink;
pub mod peer;
pub mod presence;
pub mod ready;
pub mod socket;
#[expect(unsafe_code, reason = "the one place where system calls are made")]
mod sys;
pub mod thread;
pub mod transmit;
pub mod vlan;
pub mod vnet;

pub use admission::{Admission, Admitted};
pub use batch::{FrameKind, ReceivedBatch, ReceivedMeta};
pub use claim::{Claim, ClaimError};
pub use error::{SyscallError, lacks_descriptor};
pub use fanout::{ClientHash, Fanout, FanoutGroup};
pub use fast_path::{FastFilter, FastPath, FastPathError, Flow, FlowCounters, Transport, Way};
pub use guard::{Guard, GuardError};
pub use presence::Presence;
pub use ready::{PollSet, Readiness, Waker};
pub use socket::{LinkFault, OpenError, PacketSocket, SocketOptions, SocketStatistics};
pub use transmit::{OutgoingFrame, Sender, SenderOptions, Transmitted};
pub use vlan::VlanTag;
