//! The Node addon: converts, forwards, maps errors. It decides nothing.

use napi_derive::napi;

/// Version of the addon, to be equal to the package's.
#[napi]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
