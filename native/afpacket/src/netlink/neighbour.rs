//! Hardware addresses of the machines on a link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use super::message::{Attributes, Request, address_of, octets_of, u16_at, u32_at};
use super::{Netlink, NetlinkError};

const FIXED_OCTETS: usize = 12;
const DESTINATION: u16 = 1;
const HARDWARE_ADDRESS: u16 = 2;

/// What the kernel knows about a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// The address can be used: confirmed lately, fixed, or not yet disproved (stale, probing).
    Usable,
    /// The kernel is asking.
    Resolving,
    /// Asked, and nobody answered.
    Failed,
}

impl NeighbourState {
    const fn of(state: u16) -> Self {
        const FAILED: u16 = libc::NUD_FAILED;
        const ASKING: u16 = libc::NUD_INCOMPLETE;
        match state {
            0 | ASKING => Self::Resolving,
            state if state & FAILED != 0 => Self::Failed,
            _ => Self::Usable,
        }
    }
}

/// A neighbour of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Index of the interface.
    pub interface: u32,
    /// Its IP address.
    pub address: IpAddr,
    /// Its hardware address; never all zero.
    pub mac: Option<[u8; 6]>,
    /// What the kernel knows. Only together with a `mac` is [`NeighbourState::Usable`] usable.
    pub state: NeighbourState,
}

impl Neighbour {
    /// Reads an `RTM_NEWNEIGH` or `RTM_DELNEIGH` body.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (mut address, mut mac) = (None, None);
        for (kind, value) in Attributes::behind(body, FIXED_OCTETS) {
            match kind {
                DESTINATION => address = address_of(value),
                HARDWARE_ADDRESS => mac = value.try_into().ok().filter(|mac| *mac != [0; 6]),
                _ => {}
            }
        }
        let state = NeighbourState::of(u16_at(body, 8)?);
        Some(Self {
            interface: u32_at(body, 4)?,
            // Without an address: an entry of a bridge, not of IP.
            address: address?,
            mac: mac.filter(|_| state == NeighbourState::Usable),
            state,
        })
    }

    /// The hardware address frames can be sent to now.
    #[must_use]
    pub fn usable_mac(&self) -> Option<[u8; 6]> {
        self.mac.filter(|_| self.state == NeighbourState::Usable)
    }
}

impl Netlink {
    /// All IP neighbours of all interfaces.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn neighbours(&mut self) -> Result<Vec<Neighbour>, NetlinkError> {
        let mut neighbours: Vec<Neighbour> = Vec::new();
        let request = Request::new(libc::RTM_GETNEIGH, &[0; FIXED_OCTETS]);
        self.dump("list of neighbours", &request, |kind, body| {
            neighbours
                .extend((kind == libc::RTM_NEWNEIGH).then(|| Neighbour::parse(body)).flatten());
        })?;
        Ok(neighbours)
    }

    /// What the kernel knows about one neighbour; `None` when nothing.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn neighbour(
        &mut self,
        interface: u32,
        address: IpAddr,
    ) -> Result<Option<Neighbour>, NetlinkError> {
        let request = request(libc::RTM_GETNEIGH, interface, address, 0);
        let mut neighbour = None;
        let answer = self.ask("look-up of a neighbour", request, |kind, body| {
            if kind == libc::RTM_NEWNEIGH {
                neighbour = Neighbour::parse(body);
            }
        });
        match answer {
            Err(error) if error.number() == Some(libc::ENOENT) => Ok(None),
            other => other.map(|()| neighbour),
        }
    }

    /// Makes the kernel find out, or confirm, the hardware address of a neighbour, as if it had a
    /// packet to send there. The answer comes by [`super::monitor::Monitor`]. Needs
    /// `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// When the right is missing, or the interface is down or gone.
    pub fn resolve(&mut self, interface: u32, address: IpAddr) -> Result<(), NetlinkError> {
        let request =
            request(libc::RTM_NEWNEIGH, interface, address, libc::NTF_USE).flag(libc::NLM_F_CREATE);
        self.command("resolution of a neighbour", request)
    }
}

/// The port of the discard protocol: what comes to it is thrown away.
const DISCARD: u16 = 9;

/// Makes the kernel ask for a neighbour where the right to tell it so is missing: by an empty datagram
/// to it, which the kernel can only send once it knows the hardware address. It goes by the route of
/// the kernel, so it serves for neighbours that packets to themselves are routed to.
pub fn provoke(interface: u32, address: IpAddr) {
    let (own, to) = match address {
        IpAddr::V4(address) => {
            (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from((address, DISCARD)))
        }
        IpAddr::V6(address) => (
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            SocketAddrV6::new(address, DISCARD, 0, interface).into(),
        ),
    };
    // The caller knows that asking fails, and tells of it; without a route nothing helps.
    if let Ok(socket) = UdpSocket::bind(own)
        && socket.set_nonblocking(true).is_ok()
    {
        drop(socket.send_to(&[], to));
    }
}

fn request(kind: u16, interface: u32, address: IpAddr, flags: u8) -> Request {
    let (family, _, octets) = octets_of(address);
    let [i0, i1, i2, i3] = interface.to_ne_bytes();
    let fixed = [family, 0, 0, 0, i0, i1, i2, i3, 0, 0, flags, 0];
    Request::new(kind, &fixed).attribute(DESTINATION, &octets)
}
