//! Sharing the frames of an interface among several sockets, by client.
//!
//! Packets of a connection are to meet on one socket, where its worker knows the connection. The
//! kernel runs a classic BPF program on each frame and takes the answer modulo the number of sockets.
//! The program looks at plain packets as closely as it takes to bring all of them to the socket that
//! [`ClientHash::of`] names; what else there is, a caller finds out and hands over.

mod answers;
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
