//! Which packets may create a connection (IPVS behaviour, "Which packets may create a conn").

use wire::dissect::Upper;
use wire::sctp::kind as chunk;
use wire::tcp;

use crate::event::AdoptionCause;
use crate::verdict::{DropReason, PassReason, Verdict};

/// What a packet without a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Create a connection: it is a first packet.
    First,
    /// Create a connection where the service is sloppy: it is adopted.
    Midstream(AdoptionCause),
    /// Nothing, sloppy or not.
    Never(Verdict),
}

/// Classifies the transport header of a packet.
pub(crate) fn opening(upper: &Upper) -> Opening {
    match upper {
        Upper::Tcp { flags, .. } => tcp_opening(*flags),
        Upper::Udp { .. } => Opening::First,
        Upper::Sctp { chunk: Some(first), .. } => sctp_opening(first.kind),
        _ => Opening::Never(Verdict::Drop(DropReason::TruncatedTransport)),
    }
}

/// Whether a packet asks for a new connection even where an old one stands (IPVS: TCP with SYN,
/// whatever the other flags; SCTP whose first chunk is INIT; never UDP).
pub(crate) fn asks_for_new(upper: &Upper) -> bool {
    match upper {
        Upper::Tcp { flags, .. } => flags.syn(),
        Upper::Sctp { chunk: Some(first), .. } => first.kind == chunk::INIT,
        _ => false,
    }
}

/// SYN opens whatever else is set, SYN+ACK too (active FTP needs it); RST never does.
fn tcp_opening(flags: tcp::Flags) -> Opening {
    if flags.rst() {
        Opening::Never(Verdict::Pass(PassReason::TcpNotFirst))
    } else if flags.syn() {
        Opening::First
    } else if flags.fin() {
        Opening::Midstream(AdoptionCause::TcpFin)
    } else if flags.ack() {
        Opening::Midstream(AdoptionCause::TcpAck)
    } else {
        Opening::Midstream(AdoptionCause::TcpOther)
    }
}

fn sctp_opening(kind: u8) -> Opening {
    match kind {
        chunk::INIT => Opening::First,
        chunk::ABORT => Opening::Never(Verdict::Pass(PassReason::SctpNotFirst)),
        chunk::INIT_ACK | chunk::COOKIE_ECHO | chunk::COOKIE_ACK => {
            Opening::Midstream(AdoptionCause::SctpSetup)
        }
        chunk::SHUTDOWN | chunk::SHUTDOWN_ACK | chunk::SHUTDOWN_COMPLETE | chunk::ERROR => {
            Opening::Midstream(AdoptionCause::SctpShutdown)
        }
        _ => Opening::Midstream(AdoptionCause::SctpData),
    }
}

/// The pass reason of a mid-stream packet that nobody adopts.
pub(crate) const fn not_adopted(cause: AdoptionCause) -> PassReason {
    match cause {
        AdoptionCause::TcpAck | AdoptionCause::TcpFin | AdoptionCause::TcpOther => {
            PassReason::TcpNotFirst
        }
        AdoptionCause::SctpData | AdoptionCause::SctpSetup | AdoptionCause::SctpShutdown => {
            PassReason::SctpNotFirst
        }
        AdoptionCause::Icmp => PassReason::IcmpNoConnection,
    }
}
