//! Frames that other workers handed over: judged as those of the port are.

use std::iter::once;

use engine::frame::InterfaceId;
use engine::time::Instant;

use super::judging::Judging;
use super::{BATCH, Worker};
use crate::hand_over::Handed;
use crate::hops::KnownWays;
use crate::port::{
    Disposition, FrameHandler as _, Offload, Outgoing, PacketPort, Received, describe,
};

impl<P: PacketPort> Worker<P> {
    /// Judges one batch of frames that other workers handed over. Returns how many there were.
    pub(super) fn handle_handed(&mut self, now: Instant) -> usize {
        let mut count = 0;
        while count < BATCH
            && let Some(handed) = self.exchange.as_mut().and_then(|exchange| exchange.take())
        {
            count += 1;
            self.judge_handed(handed, now);
        }
        if count > 0 {
            self.clients.ask(now);
            self.send_outputs(now);
        }
        count
    }

    fn judge_handed(&mut self, handed: Handed, now: Instant) {
        let Handed { mut octets, interface, vlan, offload, waited, turn } = handed;
        let Self { engine, port, hops, clients, fast, pending, outputs, exchange, judged, .. } =
            self;
        let share = exchange.as_ref().map(|exchange| exchange.share(turn));
        let ways = KnownWays { servers: hops, clients, fast, share };
        let mut judging = Judging { engine, ways, outputs, pending, exchange, now, judged };
        let meta = describe(interface, vlan, &offload);
        let disposition = judging.handle(Received { octets: &mut octets, meta, offload, waited });
        judging.before_sending();
        if let Some((interface, offload)) = leaves(&mut octets, &disposition) {
            port.send(once(Outgoing { interface, octets: &octets, vlan, offload }));
        }
        if let Some(exchange) = exchange {
            exchange.retire(octets);
        }
    }
}

/// Makes of a frame what leaves, if anything does.
fn leaves(octets: &mut Vec<u8>, disposition: &Disposition) -> Option<(InterfaceId, Offload)> {
    let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    match disposition {
        Disposition::Done => None,
        Disposition::Send { interface, length, offload } => {
            octets.truncate(place(*length));
            Some((*interface, *offload))
        }
        Disposition::SendBehind { interface, prefix, from, end } => {
            octets.truncate(place(*end));
            let from = place(*from).min(octets.len());
            octets.splice(..from, prefix.octets().iter().copied());
            // What was left for the device was done before: it cannot look inside.
            Some((*interface, Offload::default()))
        }
    }
}
