//! Sharing the frames of an interface among several sockets, by client.
//!
//! All packets of a connection have to meet on one socket, because each worker knows its own
//! connections only. The kernel runs a classic BPF program on each frame and takes the answer
//! modulo the number of sockets.

mod hash;

pub use hash::ClientHash;

/// Which group of sockets shares an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanoutGroup {
    /// A new group with a number the kernel chooses ([`crate::PacketSocket::fanout_group`]).
    New,
    /// The group of that number, which a socket of the same interface made.
    Join(u16),
}

/// How a socket takes part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fanout {
    /// The group.
    pub group: FanoutGroup,
    /// What decides which socket gets a frame; the same for all sockets of a group.
    pub hash: ClientHash,
}
