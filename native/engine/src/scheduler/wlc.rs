//! `wlc`, weighted least connections: the server with the least overhead for its weight.

use super::cost::{least, overhead};
use crate::configuration::Server;

/// The usable server with the least overhead for its weight; of equals the first.
pub(super) fn pick(servers: &[Server]) -> Option<usize> {
    least(servers.iter().enumerate(), overhead)
}
