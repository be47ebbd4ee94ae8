//! The far end of tunnels, in user space: no kernel module is needed.

mod inside;
pub(crate) mod server;
