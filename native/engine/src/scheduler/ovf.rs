//! `ovf`, weighted overflow: the heaviest server until it has more active connections than weight,
//! then the next one.

use crate::configuration::Server;

/// Of the usable servers with no more active connections than weight, the one with the greatest
/// weight; of equals the first. UDP connections are never active (IPVS): they never overflow.
pub(super) fn pick(servers: &[Server]) -> Option<usize> {
    let has_room = |server: &Server| server.is_usable() && server.load.active() <= server.weight;
    let candidates = servers.iter().enumerate().filter(|(_, server)| has_room(server));
    // The last of equals wins in `max_by_key`: so from the end.
    candidates.rev().max_by_key(|(_, server)| server.weight).map(|(index, _)| index)
}
