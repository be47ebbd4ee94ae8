//! What a live director needs to keep known connections going under overload: a second ring for each
//! socket, and what tells known from unknown.

use std::sync::Arc;

use afpacket::netlink::link::Link;
use afpacket::{Admission, SocketOptions};

use super::options::StartOptions;
use crate::overload::SeparatorShare;

/// Frames of unknown connections that may wait on each interface, over all workers: 16 MB of short frames.
const FRAMES: u32 = 8192;
/// For each worker at least.
const FRAMES_MIN: u32 = 1024;
/// Octets of a slot at least, and what one takes beside the frame.
const SLOT_MIN: u32 = 2048;
const SLOT_HEADERS: u32 = 256;
const SLOT_MAX: u32 = 1 << 16;

/// One for each worker; none where the kernel does not permit it, as for the fast path. `permitted` says
/// whether it did for that.
pub(super) fn open(options: &StartOptions, permitted: bool) -> Vec<Arc<Admission>> {
    if !permitted {
        return Vec::new();
    }
    let open = |_| Admission::open(options.limits().connections).map(Arc::new);
    // Without them a director works as on a kernel that does not permit them.
    (0..options.workers()).map(open).collect::<Result<_, _>>().unwrap_or_default()
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
