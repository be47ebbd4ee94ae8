//! Forwarding methods: how a packet reaches its real server, one file each.

pub(crate) mod again;
mod departure;
pub(crate) mod direct_routing;
pub(crate) mod fragment;
pub(crate) mod masquerade;
mod segment;
pub(crate) mod tunnel;

use core::net::IpAddr;

use wire::ethernet::MacAddress;

use crate::frame::Outputs;
use crate::hop::{Egress, Hop, NextHop, ServerId};
use crate::identification::Identification;
use crate::packet::Packet;
use crate::rate_limit::RateLimit;
use crate::reply::{self, Answer};
use crate::time::Instant;
use crate::verdict::{DropReason, Verdict};

/// Where answers go while a packet is forwarded.
#[derive(Debug)]
pub(crate) struct Answers<'a> {
    pub(crate) outputs: &'a mut Outputs,
    pub(crate) limit: &'a mut RateLimit,
    /// Identifications of the packets the director makes.
    pub(crate) identification: &'a mut Identification,
    pub(crate) now: Instant,
}

impl Answers<'_> {
    /// Answers `packet` with an ICMP error, or drops it where no error may answer it.
    pub(crate) fn answer(&mut self, packet: &Packet<'_>, answer: Answer) -> Verdict {
        reply::icmp_error(packet, packet.ip.destination, answer, self)
    }

    /// Answers `packet`, which went to somebody else, from the director's own address `source`.
    pub(crate) fn answer_from(
        &mut self,
        source: IpAddr,
        packet: &Packet<'_>,
        answer: Answer,
    ) -> Verdict {
        reply::icmp_error(packet, source, answer, self)
    }
}

/// Whom a packet of a server is on its way to.
#[derive(Clone, Copy, Debug)]
enum FromServer {
    /// A client, whose connection it belongs to.
    Back(IpAddr),
    /// Somebody else.
    On(IpAddr),
}

/// A way to a server, or from one back to a client, that frames can take now or soon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) server: ServerId,
    /// Whom it leads to, if not to the server.
    from_server: Option<FromServer>,
    pub(crate) mtu: u32,
    /// None while the neighbour is being asked for.
    hop: Option<NextHop>,
}

impl Way {
    /// The way `hop` describes, or the verdict for packets that have none.
    pub(crate) fn of(
        server: ServerId,
        hop: Hop,
        packet: &Packet<'_>,
        answers: &mut Answers<'_>,
    ) -> Result<Self, Verdict> {
        match hop {
            Hop::Ready(hop) => Ok(Self { server, from_server: None, mtu: hop.mtu, hop: Some(hop) }),
            Hop::Resolving { mtu } => Ok(Self { server, from_server: None, mtu, hop: None }),
            Hop::Unreachable => Err(answers.answer(packet, Answer::Unreachable)),
            Hop::Local => Err(Verdict::Drop(DropReason::ServerIsLocal)),
        }
    }

    /// The way of a reply of `server` back to `client`; none if there is none.
    pub(crate) const fn back(server: ServerId, client: IpAddr, hop: Hop) -> Option<Self> {
        Self::from_server(server, FromServer::Back(client), hop)
    }

    /// This way back, for a packet of no connection: on to whom it is addressed.
    pub(crate) const fn onward(self) -> Self {
        let from_server = match self.from_server {
            Some(FromServer::Back(address)) => Some(FromServer::On(address)),
            other => other,
        };
        Self { from_server, ..self }
    }

    const fn from_server(server: ServerId, whom: FromServer, hop: Hop) -> Option<Self> {
        let (mtu, hop) = match hop {
            Hop::Ready(hop) => (hop.mtu, Some(hop)),
            Hop::Resolving { mtu } => (mtu, None),
            Hop::Unreachable | Hop::Local => return None,
        };
        Some(Self { server, from_server: Some(whom), mtu, hop })
    }

    /// The verdict on a packet that takes this way as it is.
    pub(crate) fn verdict(&self, packet: &Packet<'_>) -> Verdict {
        let (server, egress) = (self.server, self.egress());
        let length = u32::try_from(packet.ip.end).unwrap_or(u32::MAX);
        match self.from_server {
            None => Verdict::Forward { server, egress, length },
            Some(FromServer::Back(_)) => Verdict::Return { server, egress, length },
            Some(FromServer::On(_)) => Verdict::Route { server, egress, length },
        }
    }

    /// The verdict on a packet that takes it in pieces.
    pub(crate) const fn verdict_of_fragments(&self) -> Verdict {
        let server = self.server;
        match self.from_server {
            None => Verdict::ForwardFragments { server },
            Some(FromServer::Back(_)) => Verdict::ReturnFragments { server },
            Some(FromServer::On(_)) => Verdict::RouteFragments { server },
        }
    }

    /// Where frames on this way leave.
    pub(crate) const fn egress(&self) -> Egress {
        match (self.hop, self.from_server) {
            (Some(hop), _) => Egress::Interface(hop.interface),
            (None, None) => Egress::Neighbour(self.server),
            (None, Some(FromServer::Back(whom) | FromServer::On(whom))) => Egress::Client(whom),
        }
    }

    /// Writes the hardware addresses, if they are known yet.
    pub(crate) fn address(&self, frame: &mut [u8]) {
        if let Some(hop) = self.hop {
            write_addresses(frame, hop.destination, hop.source);
        }
    }
}

/// Writes destination and source of an Ethernet header.
pub(crate) fn write_addresses(frame: &mut [u8], destination: MacAddress, source: MacAddress) {
    if let Some((to, from)) = frame.get_mut(..12).map(|addresses| addresses.split_at_mut(6)) {
        to.copy_from_slice(&destination.0);
        from.copy_from_slice(&source.0);
    }
}
