//! `decapsulator`: takes packets out of a tunnel and gives them to this host's own stack.
//!
//! A packet sent from a raw socket to an address of this host comes back over the loopback with its
//! source as it is, so the server programs answer the client straight.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::spawn_local;

use super::inside::{self, Kind};
use crate::control::Controls;
use crate::events::{ErrorEvent, emit};
use crate::options::Options;
use crate::{Outcome, ProgramError};

const IP_IN_IP: i32 = 4;
const IPV6_IN_IP: i32 = 41;
const GRE: i32 = 47;
/// A raw socket of this protocol sends packets with their IP header.
const RAW: i32 = 255;
const BUFFER_BYTES: usize = 8 << 20;
const PACKET_LIMIT: usize = 65_535;

#[derive(Debug, Default)]
struct Counts {
    packets: Cell<u64>,
    largest: Cell<usize>,
    errors: Cell<u64>,
}

#[derive(Serialize)]
struct State<'a> {
    name: &'a str,
    packets: u64,
    largest: usize,
    errors: u64,
}

#[derive(Serialize)]
struct Open<'a> {
    name: &'a str,
    address: IpAddr,
}

/// Runs until told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let address: IpAddr = options.require("address", "the address tunnels lead to")?;
    let kind: Kind = options.require("tunnel", "ipip, gre or gue")?;
    let port = options.count("port", 6080)?;
    let name: String = options.require("name", "the name of this end")?;
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    let counts = Rc::new(Counts::default());
    let stack = Rc::new(Stack::open()?);
    for inlet in inlets(kind, address, u16::try_from(port)?)? {
        spawn_local(take_out(inlet, kind, Rc::clone(&stack), Rc::clone(&counts)));
    }
    emit("listening", &Open { name: &name, address });
    controls.finished().await;
    let Counts { packets, largest, errors } = &*counts;
    let state =
        State { name: &name, packets: packets.get(), largest: largest.get(), errors: errors.get() };
    emit("summary", &state);
    Ok(Outcome::from_failures(errors.get()))
}

/// A socket that tunnelled packets come by.
struct Inlet {
    socket: UdpSocket,
    /// IPv4 raw sockets give the outer IP header along.
    with_header: bool,
}

fn inlets(kind: Kind, address: IpAddr, port: u16) -> Result<Vec<Inlet>, ProgramError> {
    let raw = |protocol| -> Result<Inlet, ProgramError> {
        let socket = open(address, Type::RAW, Some(Protocol::from(protocol)), 0)?;
        Ok(Inlet { socket, with_header: address.is_ipv4() })
    };
    Ok(match kind {
        Kind::Ipip => vec![raw(IP_IN_IP)?, raw(IPV6_IN_IP)?],
        Kind::Gre => vec![raw(GRE)?],
        Kind::Gue => {
            let socket = open(address, Type::DGRAM, None, port)?;
            vec![Inlet { socket, with_header: false }]
        }
    })
}

fn open(
    address: IpAddr,
    kind: Type,
    protocol: Option<Protocol>,
    port: u16,
) -> Result<UdpSocket, ProgramError> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, kind, protocol)
        .map_err(|error| format!("socket for {address}: {error} (raw ones need CAP_NET_RAW)"))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    socket.set_send_buffer_size(BUFFER_BYTES)?;
    socket.bind(&SocketAddr::new(address, port).into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}

/// The way into this host's stack, a socket for each family.
struct Stack {
    ipv4: UdpSocket,
    ipv6: UdpSocket,
}

impl Stack {
    fn open() -> Result<Self, ProgramError> {
        let raw = |address| open(address, Type::RAW, Some(Protocol::from(RAW)), 0);
        let ipv4 = raw(Ipv4Addr::UNSPECIFIED.into())?;
        Ok(Self { ipv4, ipv6: raw(Ipv6Addr::UNSPECIFIED.into())? })
    }

    async fn give(&self, packet: &[u8]) -> Result<(), String> {
        let (socket, to) = match packet {
            [first, ..] if first >> 4 == 4 => (&self.ipv4, address::<4>(packet, 16)),
            _ => (&self.ipv6, address::<16>(packet, 24)),
        };
        let to = to.ok_or("a cut header inside")?;
        let sent = socket.send_to(packet, SocketAddr::new(to, 0)).await;
        sent.map(drop).map_err(|error| format!("packet for {to}: {error}"))
    }
}

fn address<const N: usize>(packet: &[u8], at: usize) -> Option<IpAddr>
where
    IpAddr: From<[u8; N]>,
{
    packet.get(at..)?.first_chunk::<N>().map(|octets| IpAddr::from(*octets))
}

async fn take_out(inlet: Inlet, kind: Kind, stack: Rc<Stack>, counts: Rc<Counts>) {
    let mut buffer = vec![0; PACKET_LIMIT];
    loop {
        let Ok((length, from)) = inlet.socket.recv_from(&mut buffer).await else { continue };
        let octets = buffer.get(..length).unwrap_or(&[]);
        let header = match octets {
            [first, ..] if inlet.with_header => usize::from(first & 0x0f) * 4,
            _ => 0,
        };
        let given = match inside::packet(kind, octets.get(header..).unwrap_or(&[])) {
            Ok(packet) => {
                counts.largest.set(counts.largest.get().max(packet.len()));
                stack.give(&packet).await
            }
            Err(fault) => Err(fault.to_owned()),
        };
        counts.packets.set(counts.packets.get() + 1);
        if let Err(detail) = given {
            counts.errors.set(counts.errors.get() + 1);
            let message = format!("packet from {}: {detail}", from.ip());
            emit("warning", &ErrorEvent { message });
        }
    }
}
