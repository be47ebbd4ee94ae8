//! What any forwarder over packet sockets costs at least: ring in, other hardware addresses, out.

use std::net::IpAddr;
use std::os::fd::AsFd;

use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
use afpacket::netlink::Netlink;
use afpacket::{Guard, OutgoingFrame, PacketSocket, PollSet, Sender, SenderOptions, SocketOptions};
use serde::Serialize;

use super::{Mac, interface};
use crate::ProgramError;
use crate::events::emit;
use crate::options::Options;

const BATCH: usize = 128;

#[derive(Debug, Serialize)]
struct Forwarding<'a> {
    from: &'a str,
    to: &'a str,
}

/// Forwards until it is killed. The network namespace keeps the guard: it is to go, too.
pub(crate) fn run(mut options: Options) -> Result<std::convert::Infallible, ProgramError> {
    let from: String = options.require("from", "the name of an interface")?;
    let to: String = options.require("to", "the name of an interface")?;
    let next_hop: Mac = options.require("to-mac", Mac::TAKES)?;
    let address: IpAddr = options.require("address", "the address whose packets are forwarded")?;
    options.finish()?;
    let everything =
        ServiceMatch { protocol: None, address, prefix_length: 128, ports: (0, u16::MAX) };
    let classifier = Classifier::new([everything]);
    let mut netlink = Netlink::open()?;
    let (inside, _) = interface(&mut netlink, &from)?;
    let (outside, source) = interface(&mut netlink, &to)?;
    let mut guard = Guard::install(&mut netlink, inside.index, &std::process::id().to_string())?;
    guard.set(&mut netlink, &classifier)?;
    let mut socket = PacketSocket::open(inside.index, &SocketOptions::default())?;
    socket.set_classifier(&classifier, &SocketAudience::default())?;
    let sender = Sender::open(outside.index, &SenderOptions::default())?;
    emit("forwarding", &Forwarding { from: &from, to: &to });
    forward(socket, sender, next_hop, source)
}

fn forward(
    mut socket: PacketSocket,
    mut sender: Sender,
    next_hop: Mac,
    source: Mac,
) -> Result<std::convert::Infallible, ProgramError> {
    let mut ready = PollSet::new();
    loop {
        let mut batch = socket.receive(BATCH);
        if batch.is_empty() {
            drop(batch);
            ready.clear();
            ready.watch(socket.as_fd());
            ready.wait(None)?;
            continue;
        }
        for index in 0..batch.len() {
            if let Some((octets, _)) = batch.frame_mut(index)
                && let Some(addresses) = octets.get_mut(..12)
            {
                addresses[..6].copy_from_slice(&next_hop.0);
                addresses[6..].copy_from_slice(&source.0);
            }
        }
        let frames = (0..batch.len()).filter_map(|index| {
            let meta = batch.meta(index)?;
            Some(OutgoingFrame {
                prefix: &[],
                octets: batch.frame(index)?,
                vlan: meta.vlan,
                vnet: meta.vnet,
            })
        });
        sender.send(frames);
    }
}
