//! Which way a packet would take.

use std::net::IpAddr;

use super::message::{Attributes, Request, address_of, octets_of, u32_at};
use super::{Netlink, NetlinkError};

const FIXED_OCTETS: usize = 12;
const DESTINATION: u16 = 1;
const INTERFACE: u16 = 4;
const GATEWAY: u16 = 5;
const PREFERRED_SOURCE: u16 = 7;
const METRICS: u16 = 8;
const VIA: u16 = 18;
const METRIC_MTU: u16 = 2;

/// What a route does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Sends them on.
    Unicast,
    /// Delivers them here: the address is this machine's.
    Local,
    /// Anything else that is no way to one machine: broadcast, multicast.
    Other,
    /// Refuses them: unreachable, prohibited, black hole, or no route at all.
    Unreachable,
}

/// The way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What happens to packets.
    pub kind: RouteKind,
    /// Index of the interface they leave by.
    pub interface: Option<u32>,
    /// The router they are handed to; `None` when the destination is on the link. May be of the
    /// other address family.
    pub gateway: Option<IpAddr>,
    /// Address this machine would send from.
    pub source: Option<IpAddr>,
    /// Largest IP packet, in octets, where the route or the path has one of its own; the
    /// interface's otherwise.
    pub mtu: Option<u32>,
}

impl Route {
    const UNREACHABLE: Self = Self {
        kind: RouteKind::Unreachable,
        interface: None,
        gateway: None,
        source: None,
        mtu: None,
    };

    /// The neighbour frames to `destination` go to.
    #[must_use]
    pub fn next_hop(&self, destination: IpAddr) -> IpAddr {
        self.gateway.unwrap_or(destination)
    }

    fn parse(body: &[u8]) -> Option<Self> {
        let mut route = Self { kind: kind_of(*body.get(7)?), ..Self::UNREACHABLE };
        for (kind, value) in Attributes::behind(body, FIXED_OCTETS) {
            match kind {
                INTERFACE => route.interface = u32_at(value, 0),
                GATEWAY => route.gateway = address_of(value),
                // Family, then the address: a gateway of the other family.
                VIA => route.gateway = value.get(2..).and_then(address_of),
                PREFERRED_SOURCE => route.source = address_of(value),
                METRICS => route.mtu = mtu_of(value),
                _ => {}
            }
        }
        Some(route)
    }
}

fn kind_of(kind: u8) -> RouteKind {
    match kind {
        libc::RTN_UNICAST => RouteKind::Unicast,
        libc::RTN_LOCAL => RouteKind::Local,
        libc::RTN_UNREACHABLE | libc::RTN_BLACKHOLE | libc::RTN_PROHIBIT | libc::RTN_THROW => {
            RouteKind::Unreachable
        }
        _ => RouteKind::Other,
    }
}

fn mtu_of(metrics: &[u8]) -> Option<u32> {
    Attributes::new(metrics)
        .find(|(kind, _)| *kind == METRIC_MTU)
        .and_then(|(_, value)| u32_at(value, 0))
        .filter(|mtu| *mtu != 0)
}

impl Netlink {
    /// The way packets to `destination` take now, as the kernel would send its own.
    ///
    /// # Errors
    /// When the kernel does not answer. An address no route leads to is no error.
    pub fn route(&mut self, destination: IpAddr) -> Result<Route, NetlinkError> {
        let (family, bits, octets) = octets_of(destination);
        let fixed = [family, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let request = Request::new(libc::RTM_GETROUTE, &fixed).attribute(DESTINATION, &octets);
        let mut route = None;
        let answer = self.ask("look-up of a route", request, |kind, body| {
            if kind == libc::RTM_NEWROUTE {
                route = Route::parse(body);
            }
        });
        match answer {
            Err(error) if is_no_route(&error) => Ok(Route::UNREACHABLE),
            other => other.map(|()| route.unwrap_or(Route::UNREACHABLE)),
        }
    }
}

/// For routes that refuse, the kernel answers the error a sender would get.
fn is_no_route(error: &NetlinkError) -> bool {
    let refusals =
        [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::EACCES, libc::EINVAL, libc::EAGAIN];
    matches!(error, NetlinkError::Refused { .. })
        && error.number().is_some_and(|number| refusals.contains(&number))
}
