//! The machine's own addresses.

use std::net::IpAddr;

use super::message::{Attributes, Request, address_of, u32_at};
use super::{Netlink, NetlinkError};

const FIXED_OCTETS: usize = 8;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnAddress {
    /// Index of the interface that has it.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its network's prefix in bits.
    pub prefix_length: u8,
}

impl OwnAddress {
    /// Reads an `RTM_NEWADDR` or `RTM_DELADDR` body.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let (mut local, mut address) = (None, None);
        for (kind, value) in Attributes::behind(body, FIXED_OCTETS) {
            match kind {
                LOCAL => local = address_of(value),
                ADDRESS => address = address_of(value),
                _ => {}
            }
        }
        Some(Self {
            interface: u32_at(body, 4)?,
            // On point-to-point links ADDRESS is the other end.
            address: local.or(address)?,
            prefix_length: *body.get(1)?,
        })
    }
}

impl Netlink {
    /// All addresses of this machine.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn addresses(&mut self) -> Result<Vec<OwnAddress>, NetlinkError> {
        let mut addresses: Vec<OwnAddress> = Vec::new();
        let request = Request::new(libc::RTM_GETADDR, &[0; FIXED_OCTETS]);
        self.dump("list of addresses", &request, |kind, body| {
            let found = (kind == libc::RTM_NEWADDR).then(|| OwnAddress::parse(body)).flatten();
            addresses.extend(found.filter(|one| !addresses.contains(one)));
        })?;
        Ok(addresses)
    }
}
