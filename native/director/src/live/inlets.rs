//! The sockets of one interface, one for each worker.

use std::sync::Arc;

use afpacket::netlink::link::Link;
use afpacket::{Admission, Fanout, FanoutGroup, OpenError, SyscallError, capability};
use engine::frame::InterfaceId;
use wire::ethernet::MacAddress;

use super::options::StartOptions;
use super::overload;
use crate::error::StartError;
use crate::port::Inlet;
use crate::worker::Stations;

/// Opens the sockets. They receive nothing until their filters are set. Those of a worker that has an
/// admission are two.
pub(super) fn open(
    options: &StartOptions,
    link: &Link,
    admissions: &[Arc<Admission>],
) -> Result<Vec<Inlet>, StartError> {
    let port = options.port();
    let unknown = overload::ring(options, link);
    let (mut group, mut group_of_unknown) = (None, None);
    let mut open = |admission: Option<&Arc<Admission>>| {
        let fail = |error: OpenError| refused(&link.name, error);
        let socket = |error: SyscallError| StartError::refused(&error);
        let fanout = |group| fanout(options, group);
        let mut inlet = Inlet::open(InterfaceId(link.index), &port, fanout(group)).map_err(fail)?;
        if let Some(admission) = admission {
            let fanout = fanout(group_of_unknown);
            inlet.separate_unknown(admission, &unknown, fanout).map_err(fail)?;
        }
        group = group.or(inlet.fanout_group().map_err(socket)?);
        group_of_unknown = group_of_unknown.or(inlet.unknown_fanout_group().map_err(socket)?);
        Ok(inlet)
    };
    let workers = 0..usize::try_from(options.workers()).unwrap_or(usize::MAX);
    workers.map(|worker| open(admissions.get(worker))).collect()
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

/// A socket of an interface that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{interface}: {source}")]
struct OnInterface {
    interface: String,
    source: OpenError,
}

fn refused(interface: &str, error: OpenError) -> StartError {
    match &error {
        OpenError::Syscall { source, .. } if source.is_permission() => {
            StartError::MissingCapability {
                call: format!("a packet socket on {interface} was refused"),
                advice: capability::advice(),
            }
        }
        _ => StartError::refused(&OnInterface { interface: interface.to_owned(), source: error }),
    }
}
