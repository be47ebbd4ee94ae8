//! What is known of the way to each real server, fed with answers about routes and neighbours and
//! read as a [`HopTable`]. Touches no socket and no clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use engine::frame::InterfaceId;
use engine::hop::{Hop, NextHop, ServerId};
use engine::time::Instant;
use wire::ethernet::MacAddress;

use crate::hops::HopTable;

/// How often a neighbour in use is confirmed. Frames sent past the kernel's own neighbour table do
/// not keep its entries alive, so somebody has to.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(30);

/// How often a neighbour that does not answer is asked again.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// Where the kernel would send packets for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// By this interface. A gateway is not asked for: with direct routing the server itself is the
    /// next hop even when the route has one (IPVS).
    Via {
        interface: InterfaceId,
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

/// What the kernel says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// It has this address.
    Known(MacAddress),
    /// It did not answer.
    Failed,
    /// Nothing: being asked for, or forgotten.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Way {
    route: Route,
    neighbour: Option<MacAddress>,
    /// The kernel gave up a neighbour that was known. That may only mean that somebody deleted its
    /// entry: it is asked for again before the server counts as unreachable.
    doubted: bool,
    failed: bool,
    asked: Option<Instant>,
}

impl Way {
    const fn new(route: Route) -> Self {
        Self { route, neighbour: None, doubted: false, failed: false, asked: None }
    }

    const fn hop(&self) -> Hop {
        match (self.route, self.neighbour) {
            (Route::Local, _) => Hop::Local,
            (Route::None, _) => Hop::Unreachable,
            (Route::Via { .. }, _) if self.failed => Hop::Unreachable,
            (Route::Via { mtu, .. }, None) => Hop::Resolving { mtu },
            (Route::Via { interface, mtu, source, .. }, Some(destination)) => {
                Hop::Ready(NextHop { interface, mtu, source, destination })
            }
        }
    }

    /// The host's own address on the way.
    const fn source(&self) -> Option<IpAddr> {
        match self.route {
            Route::Via { local, .. } => local,
            Route::Local | Route::None => None,
        }
    }

    /// When the neighbour is to be asked (again); never for servers without a neighbour.
    fn ask_at(&self) -> Option<Instant> {
        let interval = match self.hop() {
            Hop::Ready(_) => CONFIRM_INTERVAL,
            _ if matches!(self.route, Route::Via { .. }) => ASK_INTERVAL,
            _ => return None,
        };
        Some(self.asked.map_or(Instant::ZERO, |asked| asked + interval))
    }
}

/// The ways to all real servers. Servers of several services with one address share a way.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    ways: BTreeMap<IpAddr, Way>,
    servers: Vec<(ServerId, IpAddr)>,
    failures: u64,
}

impl Ways {
    /// States which servers there are. Ways nobody needs are forgotten; `route` is asked for new
    /// addresses, and its neighbour is due to be asked at once.
    pub(crate) fn set_servers(
        &mut self,
        servers: impl Iterator<Item = (ServerId, IpAddr)>,
        mut route: impl FnMut(IpAddr) -> Route,
    ) {
        self.servers.clear();
        self.servers.extend(servers);
        let mut kept = BTreeMap::new();
        for (_, address) in &self.servers {
            let known = self.ways.get(address).copied();
            kept.entry(*address)
                .or_insert_with(|| known.unwrap_or_else(|| Way::new(route(*address))));
        }
        self.ways = kept;
    }

    /// Asks `route` again for every address. Returns whether a way changed.
    pub(crate) fn check_routes(&mut self, mut route: impl FnMut(IpAddr) -> Route) -> bool {
        let mut changed = false;
        for (address, way) in &mut self.ways {
            let route = route(*address);
            changed |= way.route != route;
            if !same_link(way.route, route) {
                *way = Way::new(route);
            }
            way.route = route;
        }
        changed
    }

    /// Takes in what the kernel says of a neighbour. The address known last is kept while it is
    /// asked for again, and until a new one is known. Returns whether a way changed.
    pub(crate) fn handle_neighbour(
        &mut self,
        interface: InterfaceId,
        address: IpAddr,
        neighbour: Neighbour,
    ) -> bool {
        let Some(way) = self.ways.get_mut(&address) else { return false };
        if !matches!(way.route, Route::Via { interface: of_route, .. } if of_route == interface) {
            return false;
        }
        let before = way.hop();
        match neighbour {
            Neighbour::Known(known) => {
                way.neighbour = Some(known);
                way.doubted = false;
                way.failed = false;
            }
            Neighbour::Failed if way.neighbour.is_some() && !way.doubted => {
                way.doubted = true;
                way.asked = None;
            }
            Neighbour::Failed => {
                self.failures += u64::from(!way.failed);
                way.failed = true;
            }
            Neighbour::Unknown => {}
        }
        way.hop() != before
    }

    /// Hands out one neighbour that is due to be asked for, and counts it as asked at `now`.
    pub(crate) fn poll_ask(&mut self, now: Instant) -> Option<(InterfaceId, IpAddr)> {
        let due = |way: &Way| way.ask_at().is_some_and(|at| at <= now);
        let (address, way) = self.ways.iter_mut().find(|(_, way)| due(way))?;
        way.asked = Some(now);
        match way.route {
            Route::Via { interface, .. } => Some((interface, *address)),
            Route::Local | Route::None => None,
        }
    }

    /// When [`Self::poll_ask`] has something to hand out.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.ways.values().filter_map(Way::ask_at).min()
    }

    /// The ways as the packet path reads them.
    pub(crate) fn table(&self) -> HopTable {
        let mut table = HopTable::new();
        for (server, address) in &self.servers {
            let way = self.ways.get(address);
            table.set(*server, way.map_or(Hop::Unreachable, Way::hop));
            table.set_source(*server, way.and_then(Way::source));
        }
        table
    }

    /// The way to each address, in the order of addresses.
    pub(crate) fn hops(&self) -> impl Iterator<Item = (IpAddr, Hop)> + '_ {
        self.ways.iter().map(|(address, way)| (*address, way.hop()))
    }

    /// How often a neighbour was given up.
    pub(crate) const fn failures(&self) -> u64 {
        self.failures
    }
}

/// Whether a neighbour known by one route is the neighbour by the other.
fn same_link(one: Route, other: Route) -> bool {
    match (one, other) {
        (Route::Via { interface: one, .. }, Route::Via { interface: other, .. }) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::hop::Hops;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
    const LINK: InterfaceId = InterfaceId(3);

    fn via(interface: InterfaceId) -> Route {
        Route::Via { interface, mtu: 1500, source: MacAddress([2; 6]), local: None }
    }

    fn address() -> IpAddr {
        [10, 0, 0, 11].into()
    }

    fn one_way() -> Ways {
        let mut ways = Ways::default();
        ways.set_servers([(ServerId(0), address())].into_iter(), |_| via(LINK));
        ways
    }

    fn hop(ways: &Ways) -> Hop {
        ways.table().hop(ServerId(0))
    }

    fn ready_with(ways: &Ways) -> Option<MacAddress> {
        match hop(ways) {
            Hop::Ready(next) => Some(next.destination),
            _ => None,
        }
    }

    #[test]
    fn a_new_server_is_asked_for_at_once_and_ready_when_it_answers() {
        let mut ways = one_way();
        assert_eq!(hop(&ways), Hop::Resolving { mtu: 1500 });
        let now = Instant::from_millis(1);
        assert_eq!(ways.poll_ask(now), Some((LINK, address())));
        assert_eq!(ways.poll_ask(now), None);
        assert!(ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC)));
        assert_eq!(ready_with(&ways), Some(MAC));
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC)), "no change");
        assert_eq!(ways.poll_timeout(), Some(Instant::from_millis(30_001)));
    }

    #[test]
    fn the_old_address_is_kept_until_a_new_one_is_known() {
        let mut ways = one_way();
        ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC));
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Unknown));
        assert_eq!(ready_with(&ways), Some(MAC));
        let moved = MacAddress([2, 0, 0, 0, 0, 10]);
        assert!(ways.handle_neighbour(LINK, address(), Neighbour::Known(moved)));
        assert_eq!(ready_with(&ways), Some(moved));
    }

    #[test]
    fn a_silent_server_is_unreachable_counted_once_and_asked_again() {
        let mut ways = one_way();
        assert!(ways.poll_ask(Instant::ZERO).is_some());
        assert!(ways.handle_neighbour(LINK, address(), Neighbour::Failed));
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Failed));
        assert_eq!((hop(&ways), ways.failures()), (Hop::Unreachable, 1));
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Unknown), "asked again");
        assert_eq!(ways.poll_timeout(), Some(Instant::from_millis(1000)));
        assert!(ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC)));
        assert_eq!(ready_with(&ways), Some(MAC));
    }

    #[test]
    fn a_known_neighbour_that_is_given_up_is_asked_again_before_it_counts() {
        let mut ways = one_way();
        ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC));
        assert!(ways.poll_ask(Instant::ZERO).is_some());
        assert!(ways.poll_ask(Instant::ZERO).is_none());
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Failed));
        assert_eq!((ready_with(&ways), ways.failures()), (Some(MAC), 0));
        assert!(ways.poll_ask(Instant::ZERO).is_some(), "at once");
        assert!(ways.handle_neighbour(LINK, address(), Neighbour::Failed));
        assert_eq!((hop(&ways), ways.failures()), (Hop::Unreachable, 1));
        assert!(ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC)));
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Failed), "from the start");
    }

    #[test]
    fn a_route_change_is_followed() {
        let mut ways = one_way();
        ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC));
        let smaller =
            Route::Via { interface: LINK, mtu: 1400, source: MacAddress([2; 6]), local: None };
        assert!(ways.check_routes(|_| smaller));
        assert_eq!(ready_with(&ways), Some(MAC), "the neighbour stays on the same link");
        assert!(!ways.check_routes(|_| smaller));
        assert!(ways.check_routes(|_| via(InterfaceId(4))));
        assert_eq!(hop(&ways), Hop::Resolving { mtu: 1500 });
        assert!(!ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC)), "the old link");
        assert!(ways.check_routes(|_| Route::Local));
        assert_eq!(hop(&ways), Hop::Local);
        assert!(ways.check_routes(|_| Route::None));
        assert_eq!((hop(&ways), ways.poll_timeout()), (Hop::Unreachable, None));
    }

    #[test]
    fn servers_with_one_address_share_a_way_and_known_ways_survive_changes() {
        let mut ways = one_way();
        ways.handle_neighbour(LINK, address(), Neighbour::Known(MAC));
        let other: IpAddr = [10, 0, 0, 12].into();
        let servers = [(ServerId(0), address()), (ServerId(1), other), (ServerId(2), address())];
        ways.set_servers(servers.into_iter(), |asked| {
            assert_eq!(asked, other, "known ways are not asked for again");
            Route::None
        });
        assert_eq!(ready_with(&ways), Some(MAC));
        assert_eq!(ways.table().hop(ServerId(2)), hop(&ways));
        assert_eq!(ways.table().hop(ServerId(1)), Hop::Unreachable);
        ways.set_servers([(ServerId(1), other)].into_iter(), |_| via(LINK));
        assert_eq!(hop(&ways), Hop::Unreachable, "forgotten");
    }
}
