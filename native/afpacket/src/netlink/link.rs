//! Network interfaces.

use super::message::{Attributes, Request, text_of, u16_at, u32_at};
use super::{Netlink, NetlinkError};

const FIXED_OCTETS: usize = 16;
const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const MASTER: u16 = 10;
const WIRELESS: u16 = 11;
const PROPERTIES: u16 = 52;
const ALTERNATIVE_NAME: u16 = 53;
const ETHERNET: u16 = 1;
/// Longest alternative name with its terminating zero (`ALTIFNAMSIZ`).
const ALTERNATIVE_NAME_OCTETS: usize = 128;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the interface. At any moment no other of the network namespace has it; one that is
    /// gone may leave it to another, and one that was moved away and back has the same again.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Alternative names: each can stand for the name.
    pub alternative_names: Vec<String>,
    /// Hardware address; `None` for an interface without Ethernet headers.
    pub mac: Option<[u8; 6]>,
    /// Largest IP packet, in octets.
    pub mtu: u32,
    /// Switched on.
    pub up: bool,
    /// Able to pass frames: up and with a carrier.
    pub running: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Index of the bridge, bond or VRF the interface belongs to.
    pub master: Option<u32>,
}

impl Link {
    /// Whether this is the interface's name or one of its alternative names.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.name == name || self.alternative_names.iter().any(|other| other == name)
    }

    /// Reads an `RTM_NEWLINK` or `RTM_DELLINK` body. `None` for one that does not speak of the whole
    /// interface: a bridge tells in messages of the same type of its ports (also when one leaves the
    /// bridge), a wireless driver of its events.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        if i32::from(*body.first()?) != libc::AF_UNSPEC {
            return None;
        }
        let flags = u32_at(body, 8)?.cast_signed();
        let ethernet = u16_at(body, 2)? == ETHERNET;
        let mut link = Self {
            index: u32_at(body, 4)?,
            name: String::new(),
            alternative_names: Vec::new(),
            mac: None,
            mtu: 0,
            up: flags & libc::IFF_UP != 0,
            running: flags & libc::IFF_RUNNING != 0,
            loopback: flags & libc::IFF_LOOPBACK != 0,
            master: None,
        };
        for (kind, value) in Attributes::behind(body, FIXED_OCTETS) {
            match kind {
                NAME => link.name = text_of(value),
                ADDRESS if ethernet => link.mac = value.try_into().ok(),
                MTU => link.mtu = u32_at(value, 0)?,
                MASTER => link.master = u32_at(value, 0),
                PROPERTIES => link.alternative_names = alternative_names(value),
                WIRELESS => return None,
                _ => {}
            }
        }
        Some(link)
    }
}

fn alternative_names(properties: &[u8]) -> Vec<String> {
    let names = Attributes::new(properties).filter(|(kind, _)| *kind == ALTERNATIVE_NAME);
    names.map(|(_, name)| text_of(name)).collect()
}

impl Netlink {
    /// All interfaces.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn links(&mut self) -> Result<Vec<Link>, NetlinkError> {
        let mut links: Vec<Link> = Vec::new();
        let request = Request::new(libc::RTM_GETLINK, &[0; FIXED_OCTETS]);
        self.dump("list of interfaces", &request, |kind, body| {
            links.extend((kind == libc::RTM_NEWLINK).then(|| Link::parse(body)).flatten());
        })?;
        // A list that changed while it was read is read again: what came last holds.
        links.reverse();
        links.sort_by_key(|link| link.index);
        links.dedup_by_key(|link| link.index);
        Ok(links)
    }

    /// The interface of that name, which may be an alternative one; `None` when there is none.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn link_by_name(&mut self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let kind = if name.len() < libc::IFNAMSIZ { NAME } else { ALTERNATIVE_NAME };
        // Longer names cannot exist, and the kernel calls them invalid rather than unknown.
        if name.is_empty() || name.len() >= ALTERNATIVE_NAME_OCTETS {
            return Ok(None);
        }
        let text = [name.as_bytes(), &[0]].concat();
        self.link(Request::new(libc::RTM_GETLINK, &[0; FIXED_OCTETS]).attribute(kind, &text))
    }

    /// The interface of that index; `None` when there is none.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn link_by_index(&mut self, index: u32) -> Result<Option<Link>, NetlinkError> {
        if index == 0 {
            return Ok(None);
        }
        let mut fixed = [0; FIXED_OCTETS];
        fixed.iter_mut().skip(4).zip(index.to_ne_bytes()).for_each(|(to, from)| *to = from);
        self.link(Request::new(libc::RTM_GETLINK, &fixed))
    }

    fn link(&mut self, request: Request) -> Result<Option<Link>, NetlinkError> {
        let mut link = None;
        let answer = self.ask("look-up of an interface", request, |kind, body| {
            if kind == libc::RTM_NEWLINK {
                link = Link::parse(body);
            }
        });
        match answer {
            // Invalid to a kernel that knows no alternative names.
            Err(error) if matches!(error.number(), Some(libc::ENODEV | libc::EINVAL)) => Ok(None),
            other => other.map(|()| link),
        }
    }
}
