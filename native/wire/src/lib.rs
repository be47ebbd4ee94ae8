//! Views over the octets of frames: what the fields are, never what they mean to a director.
//!
//! What this room promises:
//!
//! - **Nothing panics.** Views come as `new_unchecked`, `check_len` and `new_checked`. A view over
//!   a buffer that `check_len` refuses still answers: a field that is not there reads as zero, and
//!   writing to it does nothing.
//! - **Nothing is copied or allocated.** A view borrows; [`dissect()`] returns offsets.
//! - **Three answers.** [`dissect()`] tells an IP packet from "not IP" (a good frame, not ours) and
//!   from [`Malformed`] (a frame nobody should believe).
//!
//! Numbers are in host order at every boundary; lengths and offsets count octets.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arp;
pub mod checksum;
pub mod crc32c;
pub mod dissect;
pub mod ethernet;
mod field;
pub mod glimpse;
pub mod gre;
pub mod gue;
pub mod icmpv4;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
mod malformed;
pub mod piece;
pub mod protocol;
pub mod quoted;
pub mod rewrite;
pub mod sctp;
pub mod sip;
pub mod tcp;
pub mod udp;
mod view;
pub mod vlan;

pub use dissect::{Dissection, Fragment, IpFrame, Upper, dissect};
pub use malformed::Malformed;
pub use quoted::{QuotedPacket, quoted};
