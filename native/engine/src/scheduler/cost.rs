//! What connections cost a server, and who has the least of it.

use crate::configuration::Server;

/// Overhead of a server's connections. IPVS (6.1.192 and later): 256 times the active ones and all
/// of them once; so an active one weighs 257.
pub(super) fn overhead(server: &Server) -> u64 {
    256 * u64::from(server.load.active()) + u64::from(server.load.total())
}

/// Delay a new connection can expect (IPVS: `sed`): the active ones before it, and itself.
pub(super) fn delay(server: &Server) -> u64 {
    u64::from(server.load.active()) + 1
}

/// Whether `cost` per `weight` is more than `other` per `other_weight`, without a division.
pub(super) fn exceeds(cost: u64, weight: u32, other: u64, other_weight: u32) -> bool {
    u128::from(cost) * u128::from(other_weight) > u128::from(other) * u128::from(weight)
}

/// Of the usable servers the one with the least cost for its weight; of equals the first.
pub(super) fn least<'a>(
    servers: impl Iterator<Item = (usize, &'a Server)>,
    cost: impl Fn(&Server) -> u64,
) -> Option<usize> {
    let mut least: Option<(usize, u64, u32)> = None;
    for (index, server) in servers.filter(|(_, server)| server.is_usable()) {
        let (cost, weight) = (cost(server), server.weight);
        if least.is_none_or(|(_, best, of)| exceeds(best, of, cost, weight)) {
            least = Some((index, cost, weight));
        }
    }
    least.map(|(index, ..)| index)
}

/// Whether a server has more than it should while another has room: then `lblc` and `lblcr` move a
/// destination elsewhere. IPVS: more active connections than its weight, another less than half.
pub(super) fn is_busy(server: &Server, servers: &[Server]) -> bool {
    let has_room = |other: &Server| 2 * u64::from(other.load.active()) < u64::from(other.weight);
    server.load.active() > server.weight && servers.iter().any(has_room)
}
