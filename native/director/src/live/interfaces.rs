//! Which interface is which: the devices of the network namespace, as the kernel's messages tell of
//! them, and the device that each of the director's interfaces is at. Touches no socket.
//!
//! An interface of the director is a name. It is at the device that bears the name now, also as an
//! alternative one. When nobody bears it, it stays at the device it had, which was only renamed. So
//! devices that swap their names go on being served, each under the name it has then.

use std::collections::{BTreeMap, BTreeSet};

use afpacket::netlink::link::Link;

use crate::event::DownReason;

/// A device from when it appeared in the network namespace until it is gone. Its number alone may
/// come back, with another device or with the same one, whose sockets and filters are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Device {
    pub(super) index: u32,
    life: u64,
}

/// An interface of the director at its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// As the director was told; the kernel may use another one by now.
    pub(super) name: String,
    pub(super) device: Device,
    pub(super) link: Link,
}

/// Where an interface of the director is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    At(Device),
    /// The device with the name has no Ethernet frames.
    NotEthernet,
    /// The device with the name is one that another of the director's interfaces is at.
    Shared,
    Nowhere,
}

/// The devices there are, and the director's interfaces.
#[derive(Debug)]
pub(super) struct Interfaces {
    devices: BTreeMap<u32, (Device, Link)>,
    lives: u64,
    /// Numbers of devices that went, and nobody has asked about yet.
    gone: Vec<u32>,
    places: Vec<(String, Place)>,
}

impl Interfaces {
    /// Interfaces with these names among these devices.
    pub(super) fn new(names: &[String], links: Vec<Link>) -> Self {
        let places = names.iter().map(|name| (name.clone(), Place::Nowhere)).collect();
        let devices = BTreeMap::new();
        let mut interfaces = Self { devices, lives: 0, gone: Vec::new(), places };
        interfaces.handle_all(links);
        interfaces.settle();
        interfaces
    }

    /// Takes in that a device appeared or changed.
    pub(super) fn handle(&mut self, link: Link) {
        let Self { devices, lives, .. } = self;
        let index = link.index;
        let fresh = || {
            *lives += 1;
            Device { index, life: *lives }
        };
        let device = devices.get(&index).map_or_else(fresh, |(device, _)| *device);
        devices.insert(index, (device, link));
    }

    /// Takes in that a device is gone.
    pub(super) fn handle_removed(&mut self, index: u32) {
        self.devices.remove(&index);
        self.gone.push(index);
    }

    /// Takes in which devices there are, after messages were lost.
    pub(super) fn handle_all(&mut self, links: Vec<Link>) {
        let present: BTreeSet<_> = links.iter().map(|link| link.index).collect();
        let known: BTreeSet<_> = self.devices.keys().copied().collect();
        known.difference(&present).for_each(|index| self.handle_removed(*index));
        links.into_iter().for_each(|link| self.handle(link));
    }

    /// Takes in that a device was away, where no message has told. It, or another one with its number,
    /// may be back.
    pub(super) fn handle_lost(&mut self, device: Device, is_back: bool) {
        let known = self.devices.get(&device.index).filter(|(known, _)| *known == device);
        let Some((_, link)) = known.cloned() else { return };
        self.handle_removed(device.index);
        if is_back {
            self.handle(link);
        }
    }

    /// The numbers of the devices that went since this was called last.
    pub(super) fn take_gone(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.gone)
    }

    /// The device with this number.
    pub(super) fn link(&self, index: u32) -> Option<&Link> {
        self.devices.get(&index).map(|(_, link)| link)
    }

    /// Whether a device is there that an interface without one may have: nothing is gained by
    /// waiting for more changes.
    pub(super) fn is_awaited(&self) -> bool {
        let mut without = self.places.iter().filter(|(_, place)| !matches!(place, Place::At(_)));
        without.any(|(name, _)| self.bearer(name).is_some_and(|(_, link)| is_suitable(link)))
    }

    /// Decides anew where each interface is.
    pub(super) fn settle(&mut self) {
        let mut taken = BTreeSet::new();
        // Who bears a name comes before who bore it.
        let borne: Vec<_> = self.places.iter().map(|(name, _)| self.by_name(name)).collect();
        let borne = borne.into_iter().map(|place| match place {
            Some(Place::At(device)) if !taken.insert(device) => Some(Place::Shared),
            place => place,
        });
        let borne: Vec<_> = borne.collect();
        let Self { devices, places, .. } = self;
        for ((_, place), borne) in places.iter_mut().zip(borne) {
            let mut stays = |place: &Place| match place {
                Place::At(device) => {
                    let there = devices.get(&device.index).filter(|(known, _)| known == device);
                    there.is_some_and(|(_, link)| is_suitable(link)) && taken.insert(*device)
                }
                _ => false,
            };
            *place = borne.unwrap_or_else(|| if stays(place) { *place } else { Place::Nowhere });
        }
    }

    fn by_name(&self, name: &str) -> Option<Place> {
        let (device, link) = self.bearer(name)?;
        Some(if is_suitable(link) { Place::At(*device) } else { Place::NotEthernet })
    }

    fn bearer(&self, name: &str) -> Option<&(Device, Link)> {
        self.devices.values().find(|(_, link)| link.has_name(name))
    }

    /// The interfaces that are at a device.
    pub(super) fn placed(&self) -> Vec<Interface> {
        let placed = self.places.iter().filter_map(|(name, place)| match place {
            Place::At(device) => {
                let link = self.link(device.index)?.clone();
                Some(Interface { name: name.clone(), device: *device, link })
            }
            _ => None,
        });
        placed.collect()
    }

    /// Each interface with why it passes no frames, if it does not. `is_served` says whether the
    /// director has taken a device into use.
    pub(super) fn conditions(
        &self,
        is_served: impl Fn(Device) -> bool,
    ) -> Vec<(String, Option<DownReason>)> {
        let condition = |place: &Place| match place {
            Place::NotEthernet => Some(DownReason::NotEthernet),
            Place::Shared => Some(DownReason::SameDevice),
            Place::Nowhere => Some(DownReason::Gone),
            Place::At(device) => match self.link(device.index) {
                None => Some(DownReason::Gone),
                Some(_) if !is_served(*device) => Some(DownReason::Failed),
                Some(link) if !link.up => Some(DownReason::Down),
                Some(link) if !link.running => Some(DownReason::NoCarrier),
                Some(_) => None,
            },
        };
        let places = self.places.iter();
        places.map(|(name, place)| (name.clone(), condition(place))).collect()
    }

    /// The name of a device, by its number: where an interface of the director is, the director's
    /// name for it.
    pub(super) fn name(&self, index: u32) -> Option<String> {
        let (device, link) = self.devices.get(&index)?;
        let own = self.places.iter().find(|(_, place)| *place == Place::At(*device));
        Some(own.map_or_else(|| link.name.clone(), |(name, _)| name.clone()))
    }
}

/// Whether frames of a device are Ethernet frames to other machines.
pub(super) const fn is_suitable(link: &Link) -> bool {
    link.mac.is_some() && !link.loopback
}

#[cfg(test)]
mod tests;
