//! The ways to the real servers: routes and neighbours, read as a [`HopTable`]. Touches no socket
//! and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use engine::command::ForwardingMethod;
use engine::frame::InterfaceId;
use engine::hop::{Hop, NextHop, ServerId};
use engine::time::Instant;
use wire::ethernet::MacAddress;

use crate::hops::HopTable;
use crate::neighbours::{Neighbour, Neighbours, Place};

/// Whom frames are to reach, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) address: IpAddr,
    /// Not by way of routers: with direct routing the server itself is the next hop even when the
    /// route has a gateway (IPVS).
    pub(crate) direct: bool,
}

impl Target {
    /// A server that is reached by `method`.
    pub(crate) fn server(address: IpAddr, method: ForwardingMethod) -> Self {
        Self { address, direct: method == ForwardingMethod::DirectRouting }
    }

    /// A client, which may be anywhere.
    pub(crate) const fn client(address: IpAddr) -> Self {
        Self { address, direct: false }
    }
}

/// Where the kernel would send packets for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// By this neighbour.
    Via {
        next_hop: Place,
        mtu: u32,
        /// The interface's hardware address.
        source: MacAddress,
        /// The host's own address on this way, where tunnels begin.
        local: Option<IpAddr>,
    },
    /// The address is the host's own.
    Local,
    /// Nowhere.
    None,
}

impl Route {
    pub(crate) const fn next_hop(&self) -> Option<Place> {
        match self {
            Self::Via { next_hop, .. } => Some(*next_hop),
            Self::Local | Self::None => None,
        }
    }

    /// The way, given what is known of the neighbour.
    pub(crate) fn hop(&self, neighbours: &Neighbours) -> Hop {
        let Self::Via { next_hop, mtu, source, .. } = *self else {
            return if *self == Self::Local { Hop::Local } else { Hop::Unreachable };
        };
        match neighbours.get(&next_hop) {
            Neighbour::Known(destination) => {
                Hop::Ready(NextHop { interface: next_hop.interface, mtu, source, destination })
            }
            Neighbour::Unknown => Hop::Resolving { mtu },
            Neighbour::Failed => Hop::Unreachable,
        }
    }

    /// The host's own address on the way.
    const fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Via { local, .. } => *local,
            Self::Local | Self::None => None,
        }
    }
}

/// A way somebody needs.
#[derive(Debug)]
struct Way {
    route: Route,
    /// Who: servers of several services with one address share a way.
    servers: BTreeSet<ServerId>,
}

/// The ways to all real servers.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    ways: BTreeMap<Target, Way>,
    neighbours: Neighbours,
    /// As the packet path reads them, once somebody asked for that.
    table: Option<Arc<HopTable>>,
}

impl Ways {
    /// Follows a change of the servers, of which some are gone and some new; those that are both
    /// stay. Ways nobody needs are forgotten; `route` is asked for new targets, and its neighbour is
    /// due to be asked at once.
    pub(crate) fn change_servers(
        &mut self,
        gone: &BTreeSet<(ServerId, Target)>,
        new: &BTreeSet<(ServerId, Target)>,
        mut route: impl FnMut(Target) -> Route,
    ) {
        if gone == new {
            return;
        }
        let Self { ways, table, .. } = self;
        *table = None;
        let before = ways.len();
        for &(server, target) in new.difference(gone) {
            let way = || Way { route: route(target), servers: BTreeSet::new() };
            ways.entry(target).or_insert_with(way).servers.insert(server);
        }
        let mut is_other = ways.len() != before;
        for (server, target) in gone.difference(new) {
            let Some(way) = ways.get_mut(target) else { continue };
            way.servers.remove(server);
            if way.servers.is_empty() {
                ways.remove(target);
                is_other = true;
            }
        }
        if is_other {
            self.follow_routes();
        }
    }

    /// Asks `route` again for every target. Returns whether a way changed.
    pub(crate) fn check_routes(&mut self, mut route: impl FnMut(Target) -> Route) -> bool {
        let mut changed = false;
        for (target, known) in &mut self.ways {
            let route = route(*target);
            changed |= known.route != route;
            known.route = route;
        }
        if changed {
            self.table = None;
            self.follow_routes();
        }
        changed
    }

    /// Wants the neighbours that the routes lead to, and no others.
    fn follow_routes(&mut self) {
        let wanted: BTreeSet<_> =
            self.ways.values().filter_map(|way| way.route.next_hop()).collect();
        self.neighbours.retain(|place| wanted.contains(place));
        wanted.into_iter().for_each(|place| self.neighbours.want(place));
    }

    /// Takes in what the kernel says of a neighbour. Returns whether a way changed.
    pub(crate) fn handle_neighbour(&mut self, place: Place, neighbour: Neighbour) -> bool {
        let changed = self.neighbours.handle(place, neighbour);
        if changed {
            self.table = None;
        }
        changed
    }

    /// Takes in that an interface is gone. Returns whether a way changed.
    pub(crate) fn handle_interface_gone(&mut self, interface: InterfaceId) -> bool {
        let changed = self.neighbours.forget(interface);
        if changed {
            self.table = None;
        }
        changed
    }

    /// Hands out one neighbour that is due to be asked for, and counts it as asked at `now`.
    pub(crate) fn poll_ask(&mut self, now: Instant) -> Option<Place> {
        self.neighbours.poll_ask(now)
    }

    /// When [`Self::poll_ask`] has something to hand out.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.neighbours.poll_timeout()
    }

    /// The ways as the packet path reads them; the same table until something changes.
    pub(crate) fn table(&mut self) -> Arc<HopTable> {
        let Self { ways, neighbours, table } = self;
        let make = || {
            let mut table = HopTable::new();
            for way in ways.values() {
                let (hop, source) = (way.route.hop(neighbours), way.route.source());
                for server in &way.servers {
                    table.set(*server, hop);
                    table.set_source(*server, source);
                }
            }
            Arc::new(table)
        };
        Arc::clone(table.get_or_insert_with(make))
    }

    /// The ways, each with whom it leads to and what comes first on it.
    pub(crate) fn hops(&self) -> impl Iterator<Item = (Target, Option<Place>, Hop)> + '_ {
        let ways = self.ways.iter();
        ways.map(|(target, Way { route, .. })| {
            (*target, route.next_hop(), route.hop(&self.neighbours))
        })
    }

    /// How often a neighbour was given up.
    pub(crate) const fn failures(&self) -> u64 {
        self.neighbours.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::hop::Hops;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
    const LINK: InterfaceId = InterfaceId(3);

    fn server(last: u8) -> Target {
        Target::server([10, 0, 0, last].into(), ForwardingMethod::DirectRouting)
    }

    fn place(interface: InterfaceId, last: u8) -> Place {
        Place { interface, address: [10, 0, 0, last].into() }
    }

    fn via(next_hop: Place, mtu: u32) -> Route {
        Route::Via { next_hop, mtu, source: MacAddress([2; 6]), local: None }
    }

    type Servers = BTreeSet<(ServerId, Target)>;

    fn set(
        ways: &mut Ways,
        before: &mut Servers,
        now: Servers,
        route: impl FnMut(Target) -> Route,
    ) {
        ways.change_servers(before, &now, route);
        *before = now;
    }

    fn one_way() -> Ways {
        let mut ways = Ways::default();
        let servers = Servers::from([(ServerId(0), server(11))]);
        set(&mut ways, &mut Servers::new(), servers, |_| via(place(LINK, 11), 1500));
        ways
    }

    fn hop(ways: &mut Ways) -> Hop {
        ways.table().hop(ServerId(0))
    }

    fn ready_with(ways: &mut Ways) -> Option<MacAddress> {
        match hop(ways) {
            Hop::Ready(next) => Some(next.destination),
            _ => None,
        }
    }

    #[test]
    fn a_way_is_ready_with_its_neighbour_and_ends_with_it() {
        let mut ways = one_way();
        assert_eq!(hop(&mut ways), Hop::Resolving { mtu: 1500 });
        assert_eq!(ways.poll_ask(Instant::ZERO), Some(place(LINK, 11)));
        assert!(ways.handle_neighbour(place(LINK, 11), Neighbour::Known(MAC)));
        assert_eq!(ready_with(&mut ways), Some(MAC));
        ways.handle_neighbour(place(LINK, 11), Neighbour::Failed);
        assert!(ways.handle_neighbour(place(LINK, 11), Neighbour::Failed));
        assert_eq!((hop(&mut ways), ways.failures()), (Hop::Unreachable, 1));
    }

    #[test]
    fn an_interface_that_is_gone_leaves_no_neighbours_to_the_next_with_its_number() {
        let mut ways = one_way();
        ways.handle_neighbour(place(LINK, 11), Neighbour::Known(MAC));
        assert_eq!(ready_with(&mut ways), Some(MAC));
        assert!(ways.handle_interface_gone(LINK));
        assert_eq!(hop(&mut ways), Hop::Resolving { mtu: 1500 });
        assert!(!ways.handle_interface_gone(LINK));
    }

    #[test]
    fn a_route_change_is_followed() {
        let mut ways = one_way();
        ways.handle_neighbour(place(LINK, 11), Neighbour::Known(MAC));
        let smaller = via(place(LINK, 11), 1400);
        assert!(ways.check_routes(|_| smaller));
        assert_eq!(ready_with(&mut ways), Some(MAC), "the neighbour stays on the same link");
        assert!(!ways.check_routes(|_| smaller));
        assert!(ways.check_routes(|_| via(place(InterfaceId(4), 11), 1500)));
        assert_eq!(hop(&mut ways), Hop::Resolving { mtu: 1500 });
        assert!(!ways.handle_neighbour(place(LINK, 11), Neighbour::Known(MAC)), "the old link");
        assert!(ways.check_routes(|_| Route::Local));
        assert_eq!(hop(&mut ways), Hop::Local);
        assert!(ways.check_routes(|_| Route::None));
        assert_eq!((hop(&mut ways), ways.poll_timeout()), (Hop::Unreachable, None));
    }

    #[test]
    fn servers_with_one_address_share_a_way_and_known_ways_survive_changes() {
        let mut ways = one_way();
        ways.handle_neighbour(place(LINK, 11), Neighbour::Known(MAC));
        let servers =
            [(ServerId(0), server(11)), (ServerId(1), server(12)), (ServerId(2), server(11))];
        let mut present = Servers::from([(ServerId(0), server(11))]);
        set(&mut ways, &mut present, servers.into(), |asked| {
            assert_eq!(asked, server(12), "known ways are not asked for again");
            Route::None
        });
        assert_eq!(ready_with(&mut ways), Some(MAC));
        let shared = hop(&mut ways);
        assert_eq!(ways.table().hop(ServerId(2)), shared);
        assert_eq!(ways.table().hop(ServerId(1)), Hop::Unreachable);
        let other = Servers::from([(ServerId(1), server(12))]);
        set(&mut ways, &mut present, other, |_| via(place(LINK, 12), 1500));
        assert_eq!(hop(&mut ways), Hop::Unreachable, "forgotten");
        assert_eq!(ways.poll_ask(Instant::ZERO), None, "its neighbour as well");
    }

    #[test]
    fn the_table_is_made_anew_only_when_a_way_changed() {
        let mut ways = one_way();
        let table = ways.table();
        let servers = Servers::from([(ServerId(0), server(11))]);
        ways.change_servers(&servers, &servers, |_| Route::None);
        assert!(Arc::ptr_eq(&table, &ways.table()));
        ways.handle_neighbour(place(LINK, 11), Neighbour::Known(MAC));
        assert!(!Arc::ptr_eq(&table, &ways.table()));
        let table = ways.table();
        ways.check_routes(|_| via(place(LINK, 11), 1500));
        assert!(Arc::ptr_eq(&table, &ways.table()));
        ways.check_routes(|_| Route::Local);
        assert_eq!(hop(&mut ways), Hop::Local);
    }

    #[test]
    fn servers_behind_one_router_become_ready_with_it() {
        let mut ways = Ways::default();
        let router = place(LINK, 1);
        let tunnelled =
            |last| Target::server([10, 9, 0, last].into(), ForwardingMethod::Tunnelling);
        let servers = [(ServerId(0), tunnelled(1)), (ServerId(1), tunnelled(2))];
        set(&mut ways, &mut Servers::new(), servers.into(), |target| {
            assert!(!target.direct);
            via(router, 1500)
        });
        assert_eq!(ways.poll_ask(Instant::ZERO), Some(router));
        assert_eq!(ways.poll_ask(Instant::ZERO), None, "asked for once");
        assert!(ways.handle_neighbour(router, Neighbour::Known(MAC)));
        assert_eq!(ready_with(&mut ways), Some(MAC));
        let shared = hop(&mut ways);
        assert_eq!(ways.table().hop(ServerId(1)), shared);
    }
}
