//! Direct routing: the packet as it is, one hop older, to the server's hardware address.

use crate::forward::{Answers, departure};
use crate::hop::{Hops, ServerId};
use crate::packet::Packet;
use crate::verdict::Verdict;

/// Sends `packet` on its way to `server` (IPVS: `-g`).
pub(crate) fn transmit(
    packet: &mut Packet<'_>,
    server: ServerId,
    hops: &impl Hops,
    answers: &mut Answers<'_>,
) -> Verdict {
    departure::transmit(packet, server, hops, answers, |_| {})
}
