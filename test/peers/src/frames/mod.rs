//! Programs that work on whole frames: floods, and the barest forwarder there can be.

pub(crate) mod datagram;
pub(crate) mod flood;
pub(crate) mod forged_flood;
pub(crate) mod forward;
pub(crate) mod segment;

use std::str::FromStr;

use afpacket::netlink::Netlink;
use afpacket::netlink::link::Link;

use crate::ProgramError;

/// A hardware address as `02:00:00:00:00:01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl Mac {
    /// What an option of this type takes.
    pub(crate) const TAKES: &'static str = "a hardware address like 02:00:00:00:00:01";
}

impl FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let octets = text.split(':').map(|part| u8::from_str_radix(part, 16).map_err(drop));
        let octets = octets.collect::<Result<Vec<u8>, ()>>()?;
        octets.try_into().map(Self).map_err(drop)
    }
}

/// The interface of that name in this network namespace, and its hardware address.
fn interface(netlink: &mut Netlink, name: &str) -> Result<(Link, Mac), ProgramError> {
    let link = netlink.link_by_name(name)?.ok_or_else(|| format!("no interface {name}"))?;
    let mac = link.mac.ok_or_else(|| format!("{name} has no hardware address"))?;
    Ok((link, Mac(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_have_six_octets() {
        assert_eq!("02:00:0a:00:00:ff".parse(), Ok(Mac([2, 0, 10, 0, 0, 255])));
        for wrong in ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "02:00:00:00:00:0g"] {
            assert_eq!(wrong.parse::<Mac>(), Err(()), "{wrong}");
        }
    }
}
