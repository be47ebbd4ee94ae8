//! How a packet socket is opened, and why it could not be.

use crate::bpf::Program;
use crate::error::SyscallError;
use crate::fanout::Fanout;
use crate::sys::ring::Geometry;

/// Octets of a ring slot that holds the largest GSO frame: 65535 of IP packet, its Ethernet header,
/// and the slot's own headers.
pub const SLOT_OCTETS_MAX: u32 = 68 * 1024;
const BLOCK_OCTETS: u32 = 1 << 20;

/// How a [`crate::PacketSocket`] is opened.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// Frames the ring holds, at least; rounded up to whole blocks of 1 MB. Range 1 to 65536,
    /// default 960 (64 MB with whole GSO frames).
    pub ring_frames: u32,
    /// Octets of a slot. Default [`SLOT_OCTETS_MAX`]; 2048 saves memory where neither the sender
    /// nor this interface merges segments (GSO, GRO). Longer frames arrive cut and are counted,
    /// not delivered. Range 2048 to 1 MB, multiple of 16.
    pub slot_octets: u32,
    /// Shares the interface with other sockets.
    pub fanout: Option<Fanout>,
    /// Also receives frames to other machines' hardware addresses. Default no.
    pub promiscuous: bool,
    /// What the socket receives from the beginning. Default nothing, until
    /// [`crate::PacketSocket::set_classifier`] says what.
    pub filter: Program,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            ring_frames: 960,
            slot_octets: SLOT_OCTETS_MAX,
            fanout: None,
            promiscuous: false,
            filter: Program::constant(0),
        }
    }
}

/// Why a packet socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option is out of its range.
    #[error("{name} is {value}; {allowed}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: u32,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The kernel refused.
    #[error("cannot receive on interface {interface}: {source}")]
    Syscall {
        /// Index of the interface.
        interface: u32,
        /// What the kernel answered.
        source: SyscallError,
    },
}

/// How the ring of `options` is cut.
pub(super) fn geometry(options: &SocketOptions) -> Result<Geometry, OpenError> {
    if !(1..=65536).contains(&options.ring_frames) {
        return Err(OpenError::Option {
            name: "ring_frames",
            value: options.ring_frames,
            allowed: "1 to 65536 are allowed",
        });
    }
    if !(2048..=BLOCK_OCTETS).contains(&options.slot_octets)
        || !options.slot_octets.is_multiple_of(16)
    {
        return Err(OpenError::Option {
            name: "slot_octets",
            value: options.slot_octets,
            allowed: "multiples of 16 from 2048 to 1048576 are allowed",
        });
    }
    let per_block = BLOCK_OCTETS / options.slot_octets;
    Ok(Geometry {
        slot: options.slot_octets,
        block: BLOCK_OCTETS,
        blocks: options.ring_frames.div_ceil(per_block),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_holds_at_least_what_is_asked_for() {
        let of = |ring_frames, slot_octets| {
            geometry(&SocketOptions { ring_frames, slot_octets, ..SocketOptions::default() })
        };
        assert_eq!(of(1, SLOT_OCTETS_MAX).expect("valid").slots(), 15);
        assert_eq!(of(960, SLOT_OCTETS_MAX).expect("valid").blocks, 64);
        assert_eq!(of(513, 2048).expect("valid").slots(), 1024);
        assert!(of(0, 2048).is_err() && of(65537, 2048).is_err());
        assert!(of(1, 2047).is_err() && of(1, 2056).is_err() && of(1, 1 << 21).is_err());
    }
}
