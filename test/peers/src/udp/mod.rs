//! UDP programs: checked datagrams, answered from the address they were sent to.

pub(crate) mod client;
mod counts;
pub(crate) mod echo;

use std::net::SocketAddr;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::UdpSocket;

/// Longest payload that fits a datagram with its record head and name, in bytes.
const DATAGRAM_PAYLOAD_LIMIT: usize = 60_000;
const DATAGRAM_LIMIT: usize = 65_535;
/// What may wait to be read: by default six datagrams of 20 KB do, and a busy machine brings more at
/// once.
const BUFFER_BYTES: usize = 4 << 20;

async fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    // Beyond the system's limit with privileges, else up to it.
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES)?;
    }
    Ok(socket)
}
