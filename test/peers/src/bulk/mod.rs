//! Bulk programs: how many bytes a second arrive over TCP.

pub(crate) mod client;
mod content;
mod order;
pub(crate) mod server;
mod transfer;
