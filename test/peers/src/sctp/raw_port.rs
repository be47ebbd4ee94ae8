//! Raw IP sockets: SCTP packets in and out, and the ICMP errors about them.
//!
//! Bound to one local address, so the kernel hands up only packets to it and sends from it. An
//! open raw socket for protocol 132 also keeps the kernel from answering protocol unreachable.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::ProgramError;

const SCTP: i32 = 132;
const BUFFER_BYTES: usize = 4 << 20;
const PACKET_LIMIT: usize = 65_535;
const ICMPV4_UNREACHABLE: u8 = 3;
const ICMPV6_UNREACHABLE: u8 = 1;

/// Sends and receives the packets of one protocol at one local address.
#[derive(Debug)]
pub(crate) struct RawPort {
    /// A raw socket in the dress of a UDP one: the calls are the same.
    socket: UdpSocket,
    local: IpAddr,
}

/// An ICMP destination unreachable about one of our SCTP packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    pub(crate) source_port: u16,
    pub(crate) destination: IpAddr,
    pub(crate) destination_port: u16,
    /// Port or protocol unreachable: nobody serves there. Otherwise: no way there.
    pub(crate) refused: bool,
}

impl RawPort {
    /// A port for SCTP packets.
    pub(crate) fn sctp(local: IpAddr) -> Result<Self, ProgramError> {
        Self::open(local, Protocol::from(SCTP))
    }

    /// A port for ICMP errors.
    pub(crate) fn icmp(local: IpAddr) -> Result<Self, ProgramError> {
        Self::open(local, if local.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 })
    }

    fn open(local: IpAddr, protocol: Protocol) -> Result<Self, ProgramError> {
        if local.is_unspecified() {
            return Err(format!("{local} will not do: SCTP needs one local address").into());
        }
        let domain = if local.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(|error| {
            let hint = if error.kind() == ErrorKind::PermissionDenied {
                " (SCTP needs raw sockets: run with CAP_NET_RAW)"
            } else {
                ""
            };
            format!("raw socket: {error}{hint}")
        })?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket
            .bind(&SocketAddr::new(local, 0).into())
            .map_err(|error| format!("raw socket: bind to {local}: {error}"))?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, local })
    }

    /// Sends one packet without its IP header. What does not go out now counts as lost on the way:
    /// SCTP sends it again.
    pub(crate) fn send(&self, packet: &[u8], to: IpAddr) {
        let _ = self.socket.try_send_to(packet, SocketAddr::new(to, 0));
    }

    /// The next packet, without its IP header, and who sent it. Cancel-safe.
    pub(crate) async fn receive(&self, buffer: &mut Vec<u8>) -> Result<IpAddr, ProgramError> {
        loop {
            buffer.resize(PACKET_LIMIT, 0);
            let (length, from) = self.socket.recv_from(buffer).await?;
            buffer.truncate(length);
            // IPv4 raw sockets give the header along, IPv6 ones do not (RFC 3542 §3).
            let header = if self.local.is_ipv4() { ipv4_header_length(buffer) } else { Some(0) };
            if let Some(header) = header {
                buffer.drain(..header);
                return Ok(from.ip());
            }
        }
    }

    /// The next ICMP error about an SCTP packet of ours; for a port made by `icmp`. Cancel-safe.
    pub(crate) async fn receive_unreachable(&self) -> Result<Unreachable, ProgramError> {
        let mut buffer = Vec::new();
        loop {
            self.receive(&mut buffer).await?;
            let parsed = match self.local {
                IpAddr::V4(_) => parse_icmpv4(&buffer),
                IpAddr::V6(_) => parse_icmpv6(&buffer),
            };
            if let Some((source, unreachable)) = parsed
                && source == self.local
            {
                return Ok(unreachable);
            }
        }
    }
}

fn ipv4_header_length(packet: &[u8]) -> Option<usize> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    (20..=packet.len()).contains(&length).then_some(length)
}

/// RFC 792: type, code, 6 bytes, then the IP header and 8 bytes or more of the packet.
fn parse_icmpv4(message: &[u8]) -> Option<(IpAddr, Unreachable)> {
    let [ICMPV4_UNREACHABLE, code, _, _, _, _, _, _, packet @ ..] = message else { return None };
    let (header, payload) = packet.split_at_checked(ipv4_header_length(packet)?)?;
    if i32::from(*header.get(9)?) != SCTP {
        return None;
    }
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
        Some(bytes.into())
    };
    // Code 2: protocol unreachable, 3: port unreachable. 4, fragmentation needed, is the kernel's.
    let refused = matches!(code, 2 | 3);
    (*code != 4).then_some(())?;
    Some((address(12)?, unreachable(payload, address(16)?, refused)?))
}

/// RFC 4443 §3.1: type, code, 6 bytes, then as much of the packet as fits.
fn parse_icmpv6(message: &[u8]) -> Option<(IpAddr, Unreachable)> {
    let [ICMPV6_UNREACHABLE, code, _, _, _, _, _, _, packet @ ..] = message else { return None };
    let (header, payload) = packet.split_at_checked(40)?;
    if i32::from(*header.get(6)?) != SCTP {
        return None;
    }
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = header.get(at..at + 16)?.try_into().ok()?;
        Some(bytes.into())
    };
    Some((address(8)?, unreachable(payload, address(24)?, *code == 4)?))
}

fn unreachable(payload: &[u8], destination: IpAddr, refused: bool) -> Option<Unreachable> {
    let [s0, s1, d0, d1, ..] = *payload else { return None };
    let (source_port, destination_port) =
        (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Some(Unreachable { source_port, destination, destination_port, refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn icmpv4(code: u8, protocol: u8) -> Vec<u8> {
        let mut message = vec![3, code, 0, 0, 0, 0, 0, 0, 0x45];
        message.resize(8 + 20, 0);
        message[8 + 9] = protocol;
        message[8 + 12..8 + 20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 9]);
        message.extend_from_slice(&[0x4e, 0x20, 0, 80, 0, 0, 0, 0]);
        message
    }

    #[test]
    fn reads_icmp_errors_about_sctp_only() {
        let (source, error) = parse_icmpv4(&icmpv4(3, 132)).expect("port unreachable");
        assert_eq!(source, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(error.destination, IpAddr::from([10, 0, 0, 9]));
        assert_eq!((error.source_port, error.destination_port, error.refused), (20_000, 80, true));
        assert!(!parse_icmpv4(&icmpv4(1, 132)).expect("host unreachable").1.refused);
        assert_eq!(parse_icmpv4(&icmpv4(4, 132)), None);
        assert_eq!(parse_icmpv4(&icmpv4(3, 6)), None);
        for end in 0..32 {
            assert_eq!(parse_icmpv4(&icmpv4(3, 132)[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn reads_icmpv6_errors() {
        let mut message = vec![1, 4, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 12, 132, 64];
        message.resize(48, 1);
        message.extend_from_slice(&[0x4e, 0x20, 0, 80]);
        let (_, error) = parse_icmpv6(&message).expect("port unreachable");
        assert_eq!((error.source_port, error.refused), (20_000, true));
        assert_eq!(parse_icmpv6(&message[..50]), None);
    }
}
