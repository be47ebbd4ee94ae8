//! Connections: which server every client's packets go to, for as long as they come.
//!
//! [`ConnectionTable`] holds one [`Entry`] for each connection and each persistence template. It
//! knows protocols' state machines and time, but neither services nor schedulers: a real server is
//! a number to it. Everything a rule of IPVS decides says so.

mod defence;
mod entry;
mod expiry;
mod foresight;
mod hash;
mod key;
mod keyed;
mod lifecycle;
mod reverse;
mod sctp_state;
mod slot_set;
mod state;
mod table;
mod tcp_state;
mod template;
mod tick;
mod timeouts;
mod timer;
mod udp_state;
mod virtual_addresses;

#[cfg(test)]
mod tests;

pub use entry::{ConnectionId, Entry};
pub use expiry::Expired;
pub use key::{ConnectionKey, ReplyKey};
pub use lifecycle::Assignment;
pub use sctp_state::{SctpEvent, SctpState};
pub use state::{Activity, ConnectionEvent, Direction, SCTP, TCP, UDP};
pub use table::{ConnectionTable, MAX_CONNECTIONS, TableFull};
pub use tcp_state::{TcpEvent, TcpState};
pub use timeouts::{CONTROLLING_SECONDS, MAX_TIMEOUT_SECONDS, NEW_CONNECTION_SECONDS, Timeouts};
pub use udp_state::UdpState;
