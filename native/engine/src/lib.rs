//! The director's heart: a frame and a time go in, a verdict comes out.
//!
//! This crate touches no socket, no clock, no thread and no randomness; all of these are arguments.
//! `#![no_std]` is the proof. It is driven like this:
//!
//! 1. Control: build a [`Configuration`] by applying [`Command`]s to the previous one; nothing is
//!    half-applied. Hand it to every engine with [`Engine::configure`].
//! 2. Input: [`Engine::process`] judges one frame and rewrites it in place.
//! 3. Time: when [`Engine::poll_timeout`] has come, call [`Engine::handle_timeout`]; each call does
//!    a bounded amount of work.
//! 4. Output: [`Outputs`] holds the frames the engine made itself; [`Engine::poll_event`] hands out
//!    what happened.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod command;
pub mod configuration;
pub mod connection;
mod counters;
mod engine;
mod estimator;
pub mod event;
mod event_queue;
mod forward;
mod fragment;
pub mod frame;
pub mod hand_over;
pub mod hop;
mod identification;
mod offload;
mod packet;
mod rate_limit;
mod reply;
mod reset;
pub mod scheduler;
pub mod snapshot;
pub mod time;
pub mod verdict;

pub use engine::{Engine, FastCounts, FastFlow, FastPathChange, Limits};
