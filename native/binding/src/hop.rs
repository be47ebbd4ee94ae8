//! The way to a real server that an offline director is to assume.

use std::net::IpAddr;

use director::hops::assumed;
use engine::frame::InterfaceId;
use engine::hop::{Hop, NextHop};
use serde::Deserialize;
use wire::ethernet::MacAddress;

use crate::outcome::Refusal;

/// A way as JavaScript states it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum BindingHop {
    State(BindingHopState),
    Next(BindingNextHop),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BindingHopState {
    Unreachable,
    Resolving,
    Local,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct BindingNextHop {
    interface: Option<u32>,
    mtu: Option<u32>,
    source: Option<String>,
    destination: Option<String>,
    local: Option<IpAddr>,
}

impl BindingHop {
    /// The director's own address on the way, where it is stated.
    pub(crate) const fn local(&self) -> Option<IpAddr> {
        match self {
            Self::State(_) => None,
            Self::Next(next) => next.local,
        }
    }

    /// The way to the server at `address`; what is not stated is assumed.
    pub(crate) fn resolve(self, address: IpAddr) -> Result<Hop, Refusal> {
        let assumed = assumed(address);
        Ok(match self {
            Self::State(BindingHopState::Unreachable) => Hop::Unreachable,
            Self::State(BindingHopState::Resolving) => Hop::Resolving { mtu: assumed.mtu },
            Self::State(BindingHopState::Local) => Hop::Local,
            Self::Next(next) => Hop::Ready(NextHop {
                interface: next.interface.map_or(assumed.interface, InterfaceId),
                mtu: next.mtu.unwrap_or(assumed.mtu),
                source: hardware_address(next.source.as_deref(), assumed.source)?,
                destination: hardware_address(next.destination.as_deref(), assumed.destination)?,
            }),
        })
    }
}

/// Reads `02:00:00:00:00:01`.
fn hardware_address(text: Option<&str>, assumed: MacAddress) -> Result<MacAddress, Refusal> {
    let Some(text) = text else { return Ok(assumed) };
    let octets: Option<Vec<u8>> =
        text.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect();
    octets.and_then(|octets| octets.try_into().ok()).map(MacAddress).ok_or_else(|| {
        Refusal::new("invalid-address", format!("{text:?} is not a hardware address"))
    })
}
