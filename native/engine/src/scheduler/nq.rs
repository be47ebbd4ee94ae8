//! `nq`, never queue: an idle server if there is one, else as `sed`.

use super::sed;
use crate::configuration::Server;

/// The first usable server without active connections, else the one `sed` picks. UDP connections
/// are never active (IPVS): for them it is always the first usable one.
pub(super) fn pick(servers: &[Server]) -> Option<usize> {
    let idle = |server: &Server| server.is_usable() && server.load.active() == 0;
    servers.iter().position(idle).or_else(|| sed::pick(servers))
}
