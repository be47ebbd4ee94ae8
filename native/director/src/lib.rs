//! The director itself, usable from Rust without Node: the engine between ports.
#![forbid(unsafe_code)]

mod adoption;
pub mod event;
pub mod hops;
mod merge;
pub mod pending;
pub mod port;
mod ways;
