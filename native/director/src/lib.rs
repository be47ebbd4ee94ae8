//! The director itself, usable from Rust without Node: the engine between ports.
//!
//! [`live::Director`] works on the network: it opens packet sockets, keeps the host from seeing the
//! services' traffic, follows routes and neighbours, and runs one engine in each worker thread.
//! [`offline::OfflineDirector`] is the same engine without sockets, privileges and threads, on a
//! clock that stands still until it is told to go on. Both take the same [`engine::command`]s.
//!
//! ```
//! use director::offline::{OfflineDirector, OfflineOptions};
//! use engine::frame::{FrameMeta, InterfaceId};
//!
//! let mut director = OfflineDirector::new(OfflineOptions::default());
//! let result = director.process(&[0; 60], &FrameMeta::plain(InterfaceId(1)));
//! assert_eq!((result.verdict, result.reason), ("pass", Some("not-ip")));
//! ```
//!
//! # Rooms
//!
//! - [`port`]: where frames come from and go to; a worker knows nothing else of the network.
//! - [`hops`]: the ways to the real servers as an immutable table that workers swap between batches.
//! - [`hand_over`]: frames that the kernel gave to one worker and that another has to judge.
//! - [`pending`]: the bounded waiting room for frames whose neighbour is not known yet.
//! - [`event`]: what a director tells.
//!
//! A change of the configuration is a transaction: names are claimed, the guard and the sockets'
//! filters are extended, then all workers switch, then guard and filters are reduced. A failure at
//! any step undoes those before it.
//!
//! # Traps
//!
//! - All sockets, and the names that are claimed for services, belong to the network namespace of
//!   the thread that starts the director or applies commands: it must be one and the same.
//! - Solicitations for virtual IPv6 addresses go to multicast groups. A network card lets them
//!   through only if the host is a member or the interface is promiscuous.
#![forbid(unsafe_code)]

mod adoption;
mod client_routes;
mod clients;
mod clock;
mod configured;
mod error;
pub mod event;
mod events;
mod exposure;
mod fast_path;
mod forget;
pub mod hand_over;
pub mod hops;
mod linger;
pub mod live;
mod losses;
mod merge;
mod neighbours;
pub mod offline;
mod overload;
pub mod pending;
pub mod port;
pub mod process;
mod query;
mod retry;
#[cfg(test)]
mod testing;
mod transaction;
mod ways;
mod worker;

pub use configured::ServerPlace;
pub use error::{ApplyError, CloseError, Remains, StartError};
