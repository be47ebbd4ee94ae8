//! TCP programs on the kernel's own TCP.

pub(crate) mod connect;
pub(crate) mod long;
mod record_stream;
pub(crate) mod server;
pub(crate) mod short;
mod short_counts;
