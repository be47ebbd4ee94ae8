//! The engine on the bench: a director of three servers, small frames, its hot paths.
//!
//! Nothing here is random: the hash of the connection table is keyed by a constant, time is an
//! argument. So two runs do the same, instruction by instruction.

pub mod frames;
pub mod lab;
pub mod paths;
