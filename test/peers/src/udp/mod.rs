//! UDP programs: checked datagrams, answered from the address they were sent to.

pub(crate) mod client;
mod counts;
pub(crate) mod echo;

/// Longest payload that fits a datagram with its record head and name, in bytes.
const DATAGRAM_PAYLOAD_LIMIT: usize = 60_000;
const DATAGRAM_LIMIT: usize = 65_535;
