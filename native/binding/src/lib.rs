//! The Node addon: converts, forwards, maps errors. It decides nothing and keeps no state but the
//! directors it was asked for, each owned by its JavaScript object.
//!
//! Refusals cross as plain data (`{ error: { code, message, issues } }`); the TypeScript side makes
//! errors of them. A panic becomes a JavaScript exception.

mod configuration;
mod events;
mod frame;
mod hop;
mod job;
mod live;
mod offline;
mod outcome;

use napi_derive::napi;

/// Version of the addon, to be equal to the package's.
#[napi]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
