//! The director itself, usable from Rust without Node: the engine between ports.
#![forbid(unsafe_code)]

mod adoption;
mod clock;
mod configured;
pub mod event;
mod events;
pub mod hops;
mod merge;
pub mod offline;
pub mod pending;
pub mod port;
mod query;
mod ways;
mod worker;
