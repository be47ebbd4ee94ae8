//! Forwarding methods: how a packet reaches its real server, one file each.

pub(crate) mod again;
pub(crate) mod direct_routing;
pub(crate) mod fragment;
mod segment;
pub(crate) mod tunnel;

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
        reply::icmp_error(packet, answer, self)
    }
}

/// A way to a server that frames can take now or soon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) server: ServerId,
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
            Hop::Ready(hop) => Ok(Self { server, mtu: hop.mtu, hop: Some(hop) }),
            Hop::Resolving { mtu } => Ok(Self { server, mtu, hop: None }),
            Hop::Unreachable => Err(answers.answer(packet, Answer::Unreachable)),
            Hop::Local => Err(Verdict::Drop(DropReason::ServerIsLocal)),
        }
    }

    /// Where frames on this way leave.
    pub(crate) const fn egress(&self) -> Egress {
        match self.hop {
            Some(hop) => Egress::Interface(hop.interface),
            None => Egress::Neighbour(self.server),
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
