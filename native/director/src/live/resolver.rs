//! Asks the kernel for the ways to the real servers and back to clients, for the workers.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use afpacket::netlink::link::Link;
use afpacket::netlink::neighbour::{self, Neighbour as KernelNeighbour, NeighbourState};
use afpacket::netlink::route::RouteKind;
use afpacket::netlink::{Netlink, NetlinkError};
use engine::configuration::Configuration;
use engine::frame::InterfaceId;
use engine::hop::{Hop, NextHop};
use engine::time::Instant;
use serde::Serialize;
use wire::ethernet::MacAddress;

use super::interfaces::{Device, Interface, Interfaces};
use crate::client_routes::{Answer, ClientRoutes};
use crate::configured;
use crate::hops::HopTable;
use crate::neighbours::{Neighbour, Place};
use crate::retry::{Failures, Retry};
use crate::ways::{Route, Target, Ways};

/// The way to the real servers at one address, for people to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HopSnapshot {
    /// The address.
    pub address: IpAddr,
    /// The router on the way to it, if there is one.
    pub gateway: Option<IpAddr>,
    /// `ready`, `resolving` (frames wait for the neighbour), `unreachable`, or `local`: the address
    /// is the director's own, which cannot be forwarded to.
    pub state: &'static str,
    /// The interface frames leave by.
    pub interface: Option<String>,
    /// The neighbour's hardware address.
    pub neighbour: Option<String>,
    /// Largest IP packet, in octets, that fits.
    pub mtu: Option<u32>,
}

/// Where the interfaces are now, and what went.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) placed: Vec<Interface>,
    pub(super) gone: Vec<InterfaceId>,
    /// Whether ways to servers are others than before.
    pub(super) ways_changed: bool,
}

/// Ways to servers and clients, and the kernel they come from.
#[derive(Debug)]
pub(super) struct Resolver {
    netlink: Netlink,
    interfaces: Interfaces,
    ways: Ways,
    /// The configuration whose servers the ways lead to.
    followed: Arc<Configuration>,
    clients: ClientRoutes,
    asking: Retry,
    rereading: Retry,
    /// Changes were lost, and what there is now could not be read.
    stale: bool,
    /// What there is now was read after that.
    reread: bool,
}

impl Resolver {
    /// A resolver that knows the devices there are now, and the interfaces with these names.
    pub(super) fn new(
        mut netlink: Netlink,
        names: &[String],
        failures: Failures,
    ) -> Result<Self, NetlinkError> {
        let interfaces = Interfaces::new(names, netlink.links()?);
        let what = "the kernel does not ask for neighbours as told".to_owned();
        let asking = Retry::new(failures.clone(), "neighbour", what);
        let what = "changes of links and neighbours were lost, and they cannot be read".to_owned();
        let rereading = Retry::new(failures, "socket", what);
        let (ways, clients) = (Ways::default(), ClientRoutes::default());
        let (followed, stale, reread) = (Arc::default(), false, false);
        Ok(Self { netlink, interfaces, ways, followed, clients, asking, rereading, stale, reread })
    }

    /// Reads links and neighbours anew, after changes were lost. Returns whether a way changed.
    pub(super) fn read_again(&mut self) -> Result<bool, NetlinkError> {
        // Until all is read; it is tried again with the neighbours that are due.
        self.stale = true;
        self.interfaces.handle_all(self.netlink.links()?);
        let neighbours = self.netlink.neighbours()?;
        self.stale = false;
        Ok(neighbours.iter().fold(false, |changed, one| self.handle_neighbour(one) | changed))
    }

    /// Reads again what could not be read. Returns whether a way changed.
    fn catch_up(&mut self, now: Instant) -> bool {
        if !self.stale || !self.rereading.is_due(now) {
            return false;
        }
        match self.read_again() {
            Ok(changed) => {
                self.rereading.succeeded();
                self.reread = true;
                changed
            }
            Err(error) => {
                self.rereading.failed(now, &error);
                false
            }
        }
    }

    /// Whether devices were read anew since this was asked last, after that had failed.
    pub(super) fn take_reread(&mut self) -> bool {
        std::mem::take(&mut self.reread)
    }

    /// The interfaces of the director, and the devices there are.
    pub(super) const fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// Takes in that a device appeared or changed.
    pub(super) fn handle_link(&mut self, link: Link) {
        self.interfaces.handle(link);
    }

    /// Takes in that a device is gone.
    pub(super) fn handle_link_removed(&mut self, interface: u32) {
        self.interfaces.handle_removed(interface);
    }

    /// Decides anew where the interfaces are, given devices that were `lost` meanwhile, and whether
    /// their numbers are in use again.
    pub(super) fn settle_interfaces(&mut self, lost: &[(Device, bool)]) -> Settled {
        let Self { interfaces, ways, clients, .. } = self;
        lost.iter().for_each(|(device, is_back)| interfaces.handle_lost(*device, *is_back));
        interfaces.settle();
        let gone: Vec<_> = interfaces.take_gone().into_iter().map(InterfaceId).collect();
        let mut ways_changed = false;
        for &interface in &gone {
            ways_changed |= ways.handle_interface_gone(interface);
            clients.handle_interface_gone(interface);
        }
        Settled { placed: interfaces.placed(), gone, ways_changed }
    }

    /// The ways, for people to read.
    pub(super) fn hops(&self) -> Vec<HopSnapshot> {
        let ways = self.ways.hops();
        ways.map(|(target, next, hop)| self.describe(target.address, next, hop)).collect()
    }

    fn describe(&self, address: IpAddr, next: Option<Place>, hop: Hop) -> HopSnapshot {
        let gateway = next.map(|next| next.address).filter(|next| *next != address);
        let state = match hop {
            Hop::Ready(_) => "ready",
            Hop::Resolving { .. } => "resolving",
            Hop::Unreachable => "unreachable",
            Hop::Local => "local",
        };
        let (Hop::Ready(NextHop { mtu, .. }) | Hop::Resolving { mtu }) = hop else {
            let (interface, neighbour, mtu) = (None, None, None);
            return HopSnapshot { address, gateway, state, interface, neighbour, mtu };
        };
        let (interface, neighbour) = match hop {
            Hop::Ready(next) => (Some(next.interface.0), Some(next.destination.to_string())),
            _ => (None, None),
        };
        let interface = interface.and_then(|index| self.interfaces.name(index));
        HopSnapshot { address, gateway, state, interface, neighbour, mtu: Some(mtu) }
    }

    /// How often a neighbour was given up.
    pub(super) const fn failures(&self) -> u64 {
        self.ways.failures() + self.clients.failures()
    }

    /// Follows `configuration`: the ways to its servers, with neighbours asked for. Costs in
    /// proportion to what differs from the configuration followed last.
    pub(super) fn follow(&mut self, configuration: &Arc<Configuration>, now: Instant) {
        let Self { netlink, interfaces, ways, followed, .. } = self;
        let (mut gone, mut new) = (BTreeSet::new(), BTreeSet::new());
        for (before, now) in configuration.changes_since(followed) {
            gone.extend(before.into_iter().flat_map(|service| configured::targets(service)));
            new.extend(now.into_iter().flat_map(|service| configured::targets(service)));
        }
        ways.change_servers(&gone, &new, |target| route(netlink, interfaces, target));
        self.followed = Arc::clone(configuration);
        self.ask(now);
    }

    /// Looks at all routes again. Returns whether a way changed.
    pub(super) fn check_routes(&mut self, now: Instant) -> bool {
        let Self { netlink, interfaces, ways, clients, .. } = self;
        clients.handle_route_change();
        let changed = ways.check_routes(|target| route(netlink, interfaces, target));
        self.ask(now) | changed
    }

    /// Takes in what the kernel says of a neighbour. Returns whether a way changed.
    pub(super) fn handle_neighbour(&mut self, neighbour: &KernelNeighbour) -> bool {
        self.tell(neighbour, state(neighbour))
    }

    /// Takes in that the kernel forgot a neighbour, which says nothing about where it is.
    pub(super) fn handle_neighbour_removed(&mut self, neighbour: &KernelNeighbour) -> bool {
        self.tell(neighbour, Neighbour::Unknown)
    }

    fn tell(&mut self, neighbour: &KernelNeighbour, state: Neighbour) -> bool {
        let KernelNeighbour { interface, address, .. } = *neighbour;
        let place = Place { interface: InterfaceId(interface), address };
        self.clients.handle_neighbour(place, state);
        self.ways.handle_neighbour(place, state)
    }

    /// Finds the ways of `worker` back to `clients`; they are in [`Self::take_answers`], now or once
    /// a neighbour has answered.
    pub(super) fn find_clients(&mut self, worker: usize, clients: &[IpAddr], now: Instant) {
        for client in clients {
            let route = route(&mut self.netlink, &self.interfaces, Target::client(*client));
            self.clients.answer(worker, *client, route, now);
        }
        // Known to the kernel already, most often.
        self.ask_for_clients(now);
    }

    /// What workers asked about clients, answered.
    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        self.clients.take_answers()
    }

    /// Whether what workers know of clients may not be true any more.
    pub(super) const fn take_outdated(&mut self) -> bool {
        self.clients.take_outdated()
    }

    /// Asks for all neighbours that are due. Returns whether a way changed by what is known already.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let mut changed = self.catch_up(now);
        while let Some(place) = self.ways.poll_ask(now) {
            changed |= self.ask_for(place, now);
        }
        self.ask_for_clients(now);
        changed
    }

    fn ask_for_clients(&mut self, now: Instant) {
        while let Some(place) = self.clients.poll_ask(now) {
            self.ask_for(place, now);
        }
    }

    fn ask_for(&mut self, place: Place, now: Instant) -> bool {
        let Place { interface, address } = place;
        let known = self.netlink.neighbour(interface.0, address);
        let changed = matches!(known, Ok(Some(known)) if self.handle_known(&known));
        if !self.asking.is_due(now) || !self.resolve(place, now) {
            neighbour::provoke(interface.0, address);
        }
        changed
    }

    /// Tells the kernel to ask for a neighbour. Returns whether it does.
    fn resolve(&mut self, place: Place, now: Instant) -> bool {
        match self.netlink.resolve(place.interface.0, place.address) {
            Ok(()) => self.asking.succeeded(),
            // The link itself tells of that, and the neighbour is asked for again.
            Err(error) if error.is_interface_away() => {}
            Err(error) => {
                self.asking.failed(now, &error);
                return false;
            }
        }
        true
    }

    /// What was known before we asked may be used, but an old failure says nothing: asking again is
    /// what follows.
    fn handle_known(&mut self, known: &KernelNeighbour) -> bool {
        known.usable_mac().is_some() && self.handle_neighbour(known)
    }

    /// When [`Self::ask`] is to be called next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.ways.poll_timeout(), self.clients.poll_timeout()].into_iter().flatten().min()
    }

    /// The ways as the packet path reads them; the same table until something changes.
    pub(super) fn table(&mut self) -> Arc<HopTable> {
        self.ways.table()
    }
}

const fn state(neighbour: &KernelNeighbour) -> Neighbour {
    match (neighbour.state, neighbour.mac) {
        (NeighbourState::Usable, Some(mac)) => Neighbour::Known(MacAddress(mac)),
        (NeighbourState::Failed, _) => Neighbour::Failed,
        _ => Neighbour::Unknown,
    }
}

/// Where the kernel would send packets to `target`.
fn route(netlink: &mut Netlink, interfaces: &Interfaces, target: Target) -> Route {
    let Target { address, direct } = target;
    let Ok(route) = netlink.route(address) else { return Route::None };
    match route.kind {
        RouteKind::Local => return Route::Local,
        RouteKind::Unicast => {}
        RouteKind::Other | RouteKind::Unreachable => return Route::None,
    }
    let Some(link) = route.interface.and_then(|index| interfaces.link(index)) else {
        return Route::None;
    };
    // Without Ethernet headers there is no neighbour to send to.
    let Some(mac) = link.mac else { return Route::None };
    Route::Via {
        next_hop: Place {
            interface: InterfaceId(link.index),
            address: if direct { address } else { route.next_hop(address) },
        },
        mtu: route.mtu.unwrap_or(link.mtu).min(link.mtu),
        source: MacAddress(mac),
        local: route.source,
    }
}
