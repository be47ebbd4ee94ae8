//! Opening a TCP connection from a chosen address and port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::cause::{Cause, Failure};

/// Connects within `limit`. A source port of 0 leaves the port to the kernel.
pub(crate) async fn connect(
    peer: SocketAddr,
    source: Option<SocketAddr>,
    limit: Duration,
) -> Result<TcpStream, Failure> {
    let socket = bound_socket(peer, source).map_err(|error| Failure::from_connect(&error))?;
    let stream = timeout(limit, socket.connect(peer))
        .await
        .map_err(|_| {
            let detail = format!("no answer to SYN within {} ms", limit.as_millis());
            Failure::new(Cause::ConnectTimeout, detail)
        })?
        .map_err(|error| Failure::from_connect(&error))?;
    stream.set_nodelay(true).map_err(|error| Failure::from_connect(&error))?;
    Ok(stream)
}

/// The source address for the `index`-th connection: the sources in turn.
pub(crate) fn source_for(sources: &[IpAddr], port: u16, index: usize) -> Option<SocketAddr> {
    let source = sources.get(index.checked_rem(sources.len())?)?;
    Some(SocketAddr::new(*source, port))
}

fn bound_socket(peer: SocketAddr, source: Option<SocketAddr>) -> std::io::Result<TcpSocket> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        if source.port() == 0 {
            // The kernel then picks the port at connect, so ports repeat only per 4-tuple.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        } else {
            socket.set_reuseaddr(true)?;
        }
        socket.bind(source)?;
    }
    Ok(socket)
}
