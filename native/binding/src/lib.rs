//! The Node addon: converts, forwards, maps errors. It decides nothing and keeps no state but the
//! directors it was asked for, each owned by its JavaScript object.
//!
//! Answers cross as JSON text, refusals too (`{ error: { code, message, issues } }`); the TypeScript
//! side makes values and errors of it. A panic becomes a JavaScript exception.

mod configuration;
mod events;
mod frame;
mod hop;
mod job;
mod live;
mod offline;
mod outcome;

use director::process;
use napi::Result;
use napi_derive::napi;

use outcome::internal;

/// Version of the addon, to be equal to the package's.
#[napi]
#[must_use]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Who connected to a Unix socket.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingPeer {
    /// Process.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Who connected to the Unix socket `fd`.
#[napi(catch_unwind)]
pub fn peer(fd: i32) -> Result<BindingPeer> {
    let process::Peer { pid, uid, gid } = process::peer(fd).map_err(|error| internal(&error))?;
    Ok(BindingPeer { pid, uid, gid })
}

/// Tells the service manager that listens at `socket` what goes on.
#[napi(catch_unwind)]
pub fn notify(socket: String, state: String) -> Result<()> {
    process::notify(&socket, &state).map_err(|error| internal(&error))
}
