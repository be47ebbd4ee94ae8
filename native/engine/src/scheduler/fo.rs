//! `fo`, weighted fail-over: everything to the heaviest server that can take it.

use crate::configuration::Server;

/// The usable server with the greatest weight; of equals the first.
pub(super) fn pick(servers: &[Server]) -> Option<usize> {
    let usable = servers.iter().enumerate().filter(|(_, server)| server.is_usable());
    // The last of equals wins in `max_by_key`: so from the end.
    usable.rev().max_by_key(|(_, server)| server.weight).map(|(index, _)| index)
}
