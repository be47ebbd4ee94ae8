//! What becomes of the memory of a frame once it is judged.

use engine::frame::{ChecksumState, InterfaceId, Outputs};
use engine::hop::Egress;
use engine::time::Instant;
use engine::verdict::Verdict;

use crate::pending::{Pending, Whom};
use crate::port::{Disposition, Offload, Received, part};

/// What becomes of a judged frame's memory.
pub(super) fn dispose(
    verdict: Verdict,
    frame: &Received<'_>,
    outputs: &Outputs,
    pending: &mut Pending,
    now: Instant,
) -> Disposition {
    let (meta, prefix) = (&frame.meta, outputs.prefix());
    match verdict {
        Verdict::Forward { egress, length, .. }
        | Verdict::Return { egress, length, .. }
        | Verdict::Route { egress, length, .. } => {
            let offload = left(frame.offload, outputs.checksum());
            let whom = match whom(egress) {
                Ok(whom) => whom,
                Err(interface) => return Disposition::Send { interface, length, offload },
            };
            pending.push(whom, part(frame.octets, 0, length), meta.vlan, offload, now);
        }
        Verdict::Encapsulate { egress, from, end, .. } => {
            let whom = match whom(egress) {
                Ok(whom) => whom,
                Err(interface) => {
                    return Disposition::SendBehind { interface, prefix: *prefix, from, end };
                }
            };
            let parts = [prefix.octets(), part(frame.octets, from, end)];
            pending.push_parts(whom, parts, meta.vlan, Offload::default(), now);
        }
        Verdict::ForwardFragments { .. }
        | Verdict::ReturnFragments { .. }
        | Verdict::RouteFragments { .. }
        | Verdict::Hold
        | Verdict::Reply(_)
        | Verdict::Pass(_)
        | Verdict::Drop(_) => {}
    }
    Disposition::Done
}

/// What is left for the device of a frame, after the engine did what it could not.
fn left(offload: Offload, checksum: ChecksumState) -> Offload {
    match checksum {
        ChecksumState::Complete => Offload { checksum: None, ..offload },
        ChecksumState::Partial(_) => offload,
    }
}

/// The interface a frame leaves by; as the error, if none is known yet, whom it waits for.
const fn whom(egress: Egress) -> Result<Whom, InterfaceId> {
    match egress {
        Egress::Interface(interface) => Err(interface),
        Egress::Neighbour(server) => Ok(Whom::Server(server)),
        Egress::Client(client) => Ok(Whom::Client(client)),
    }
}
