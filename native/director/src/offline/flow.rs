//! The flow of a frame.

use engine::command::Protocol;
use engine::snapshot::Flow;
use thiserror::Error;
use wire::{Dissection, Malformed, Upper, dissect};

/// Why a frame has no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlowError {
    /// ARP, or another protocol.
    #[error("the frame carries no IP packet")]
    NotIp,
    /// Its headers contradict its length or themselves.
    #[error("the frame is malformed: {0:?}")]
    Malformed(Malformed),
    /// ICMP, a fragment, or another protocol.
    #[error("the frame has no TCP, UDP or SCTP ports")]
    NoPorts,
}

/// The flow that a frame belongs to, as its headers say.
pub(super) fn of_frame(frame: &[u8]) -> Result<Flow, FlowError> {
    let ip = match dissect(frame) {
        Ok(Dissection::Ip(ip)) => ip,
        Ok(_) => return Err(FlowError::NotIp),
        Err(malformed) => return Err(FlowError::Malformed(malformed)),
    };
    let (protocol, client_port, virtual_port) = match ip.upper {
        Upper::Tcp { source_port, destination_port, .. } => {
            (Protocol::Tcp, source_port, destination_port)
        }
        Upper::Udp { source_port, destination_port } => {
            (Protocol::Udp, source_port, destination_port)
        }
        Upper::Sctp { source_port, destination_port, .. } => {
            (Protocol::Sctp, source_port, destination_port)
        }
        _ => return Err(FlowError::NoPorts),
    };
    let (client_address, virtual_address) = (ip.source, ip.destination);
    Ok(Flow {
        protocol,
        client_address,
        client_port,
        virtual_address,
        virtual_port,
        interface: None,
        vlan: None,
    })
}
