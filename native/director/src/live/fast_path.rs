//! The kernel's fast path of a live director: opened where it is permitted, one filter in front of
//! each guard.

use std::sync::Arc;

use afpacket::netlink::Netlink;
use afpacket::{FastFilter, FastPath};

use super::options::StartOptions;
use crate::error::StartError;
use crate::fast_path::FastPathShare;

/// Connections on it at a time, over all workers.
const CONNECTIONS: u32 = 16_384;

/// Opens a fast path as `options` want it; none where it is not permitted and not required.
pub(super) fn open(options: &StartOptions) -> Result<Option<Arc<FastPath>>, StartError> {
    if options.fast_path == Some(false) {
        return Ok(None);
    }
    match FastPath::open(CONNECTIONS) {
        Ok(fast_path) => Ok(Some(Arc::new(fast_path))),
        Err(error) => forgo(options, &error).map(|()| None),
    }
}

/// Goes on without a fast path, unless it is required.
pub(super) fn forgo(
    options: &StartOptions,
    error: &dyn std::error::Error,
) -> Result<(), StartError> {
    if options.fast_path == Some(true) {
        return Err(StartError::FastPath { message: error.to_string() });
    }
    Ok(())
}

/// What each worker may use of it.
pub(super) fn share(fast_path: &Arc<FastPath>, options: &StartOptions) -> FastPathShare {
    let connections = (CONNECTIONS / options.workers()).max(1);
    FastPathShare { forwarder: Arc::<FastPath>::clone(fast_path), connections }
}

/// Why the kernel does not forward by an interface.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    #[error(transparent)]
    Refused(#[from] afpacket::FastPathError),
    #[error(
        "no kernel fast path on interface {0}: another program's filter comes first and may drop \
         or take what the director would not see whole"
    )]
    Behind(u32),
}

/// Puts the filter of `fast_path` on an interface, ahead of every other.
pub(super) fn install(
    fast_path: &FastPath,
    netlink: &mut Netlink,
    interface: u32,
    id: &str,
) -> Result<FastFilter, Unavailable> {
    let filter = fast_path.install(netlink, interface, id)?;
    // A kernel that does not answer says nothing about others.
    if filter.is_behind_others(netlink).unwrap_or(false) {
        return Err(Unavailable::Behind(interface));
    }
    Ok(filter)
}
