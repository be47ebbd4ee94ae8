//! `lc`, least connections: the server with the least overhead, whatever its weight.

use super::cost::overhead;
use crate::configuration::Server;

/// The usable server with the least overhead; of equals the first.
pub(super) fn pick(servers: &[Server]) -> Option<usize> {
    let usable = servers.iter().enumerate().filter(|(_, server)| server.is_usable());
    usable.min_by_key(|(_, server)| overhead(server)).map(|(index, _)| index)
}
