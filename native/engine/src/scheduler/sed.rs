//! `sed`, shortest expected delay: as `wlc`, but counting active connections and the new one.

use super::cost::{delay, least};
use crate::configuration::Server;

/// The usable server with the least delay for its weight; of equals the first.
pub(super) fn pick(servers: &[Server]) -> Option<usize> {
    least(servers.iter().enumerate(), delay)
}
