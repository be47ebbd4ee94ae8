//! SCTP programs: a user-space SCTP endpoint (dcsctp) on raw IP sockets of protocol 132.

mod association;
pub(crate) mod client;
mod packet;
mod raw_port;
pub(crate) mod server;

use std::path::Path;

use crate::events::{ErrorEvent, emit};

/// Says so when the kernel has its own SCTP: it would answer our packets, too.
fn warn_of_kernel_sctp() {
    if Path::new("/proc/net/sctp").exists() {
        let message = "the kernel's own SCTP is loaded: it answers packets of associations it does \
                       not know with ABORT, which ends ours; unload it (modprobe -r sctp)";
        emit("warning", &ErrorEvent { message: message.to_owned() });
    }
}
