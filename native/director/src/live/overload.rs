//! What a live director needs to keep known connections going under overload: a second ring for each
//! socket, and what tells known from unknown.

use std::io;
use std::sync::Arc;

use afpacket::netlink::link::Link;
use afpacket::{Admission, SocketOptions};

use super::fast_path;
use super::options::StartOptions;
use crate::error::StartError;
use crate::overload::SeparatorShare;

/// Frames of unknown connections that may wait on each interface, over all workers: 16 MB of short frames.
const FRAMES: u32 = 8192;
/// For each worker at least.
const FRAMES_MIN: u32 = 1024;
/// Octets of a slot at least, and what one takes beside the frame.
const SLOT_MIN: u32 = 2048;
const SLOT_HEADERS: u32 = 256;
const SLOT_MAX: u32 = 1 << 16;

/// One for each worker; none without a fast path, whose rights they need. `permitted` says whether there
/// is one. A kernel that refuses them then is treated as one that refuses the fast path.
pub(super) fn open(
    options: &StartOptions,
    permitted: bool,
) -> Result<Vec<Arc<Admission>>, StartError> {
    if !permitted {
        return Ok(Vec::new());
    }
    let open = |_| Admission::open(options.limits().connections).map(Arc::new);
    match (0..options.workers()).map(open).collect() {
        Ok(admissions) => Ok(admissions),
        Err(error) => {
            let error: io::Error = error;
            let why = format!("no memory to tell known connections from others: {error}");
            fast_path::forgo(options, &io::Error::other(why)).map(|()| Vec::new())
        }
    }
}

/// What a worker may use of its own.
pub(super) fn share(admission: &Arc<Admission>, options: &StartOptions) -> SeparatorShare {
    let separator = Arc::<Admission>::clone(admission);
    SeparatorShare { separator, connections: options.limits().connections }
}

/// The ring for frames of unknown connections: first packets are short, so many small slots. Longer frames
/// than the interface's MTU (GRO) do not fit: their connections are known, or will be after a repetition.
pub(super) fn ring(options: &StartOptions, link: &Link) -> SocketOptions {
    let slot = link.mtu.saturating_add(SLOT_HEADERS).next_multiple_of(1024);
    SocketOptions {
        ring_frames: (FRAMES / options.workers()).max(FRAMES_MIN),
        slot_octets: slot.clamp(SLOT_MIN, SLOT_MAX),
        promiscuous: options.promiscuous,
        ..SocketOptions::default()
    }
}
