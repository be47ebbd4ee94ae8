//! The director itself, usable from Rust without Node: the engine between ports.
#![forbid(unsafe_code)]

mod adoption;
mod answering;
mod clock;
mod configured;
mod error;
pub mod event;
mod events;
mod exposure;
mod forget;
pub mod hops;
pub mod live;
mod merge;
pub mod offline;
pub mod pending;
pub mod port;
mod query;
#[cfg(test)]
mod testing;
mod transaction;
mod ways;
mod worker;

pub use configured::ServerPlace;
pub use error::{ApplyError, StartError};
