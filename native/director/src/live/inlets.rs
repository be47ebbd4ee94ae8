//! The sockets of one interface, one for each worker.

use afpacket::netlink::link::Link;
use afpacket::{Fanout, FanoutGroup, OpenError, capability};
use engine::frame::InterfaceId;
use wire::ethernet::MacAddress;

use super::options::StartOptions;
use crate::error::StartError;
use crate::port::Inlet;
use crate::worker::Stations;

/// Opens the sockets. They receive nothing until their filters are set.
pub(super) fn open(options: &StartOptions, link: &Link) -> Result<Vec<Inlet>, StartError> {
    let port = options.port();
    let mut group = None;
    let mut open = || {
        let fanout = fanout(options, group);
        let inlet = Inlet::open(InterfaceId(link.index), &port, fanout);
        let inlet = inlet.map_err(|error| refused(&link.name, &error))?;
        if group.is_none() {
            let joined = inlet.fanout_group();
            group = joined.map_err(|error| StartError::Socket { message: error.to_string() })?;
        }
        Ok(inlet)
    };
    (0..options.workers()).map(|_| open()).collect()
}

/// How a worker's socket shares its interface; a lone worker shares with nobody.
fn fanout(options: &StartOptions, group: Option<u16>) -> Option<Fanout> {
    let group = group.map_or(FanoutGroup::New, FanoutGroup::Join);
    (options.workers() > 1).then(|| Fanout { group, hash: options.spread.hash() })
}

/// Who asks for virtual addresses is answered with the hardware address of the interface.
pub(super) fn stations<'a>(
    options: &StartOptions,
    links: impl IntoIterator<Item = &'a Link>,
) -> Stations {
    let station = |link: &Link| Some((InterfaceId(link.index), MacAddress(link.mac?)));
    let links = links.into_iter().filter(|_| options.answer_neighbours);
    links.filter_map(station).collect()
}

fn refused(interface: &str, error: &OpenError) -> StartError {
    match error {
        OpenError::Syscall { source, .. } if source.is_permission() => {
            StartError::MissingCapability {
                call: format!("a packet socket on {interface} was refused"),
                advice: capability::advice(),
            }
        }
        _ => StartError::Socket { message: format!("{interface}: {error}") },
    }
}
