//! Protocol-independent view of the state machines.

use super::sctp_state::{SctpEvent, SctpState};
use super::tcp_state::{TcpEvent, TcpState};
use super::timeouts::Timeouts;
use super::udp_state::UdpState;

pub use wire::protocol::{SCTP, TCP, UDP};

/// Which rows of a transition table apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the client, on a connection whose replies pass the director.
    Input,
    /// From the server.
    Output,
    /// From the client, on a connection whose replies go past the director (direct routing).
    InputOnly,
}

impl Direction {
    #[cfg(test)]
    pub(super) const NAMED: [(Self, &'static str); 3] =
        [(Self::Input, "INPUT"), (Self::Output, "OUTPUT"), (Self::InputOnly, "INPUT_ONLY")];
}

/// What a packet means to the state machine of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionEvent {
    /// A TCP segment.
    Tcp(TcpEvent),
    /// A UDP datagram.
    Udp,
    /// An SCTP packet.
    Sctp(SctpEvent),
}

/// What a transition did to the number of active connections of the entry's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the server's active and inactive counts follow this"]
pub enum Activity {
    /// Nothing.
    Unchanged,
    /// Inactive became active: active + 1, inactive - 1.
    Activated,
    /// Active became inactive: active - 1, inactive + 1.
    Deactivated,
}

/// Where an event leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) state: u8,
    pub(super) timeout_seconds: u32,
    pub(super) active: bool,
    /// The entry's template becomes assured by this.
    pub(super) assures: bool,
}

/// The step from the state numbered `state` by `event`.
pub(super) fn step(
    state: u8,
    event: ConnectionEvent,
    direction: Direction,
    timeouts: &Timeouts,
) -> Step {
    match event {
        ConnectionEvent::Tcp(event) => {
            let state = TcpState::from_raw(state);
            let next = if timeouts.secure_tcp() {
                state.after_under_attack(event, direction)
            } else {
                state.after(event, direction)
            };
            Step {
                state: next.raw(),
                timeout_seconds: next.timeout_seconds(timeouts),
                active: next.is_active(),
                assures: matches!(next, TcpState::Established),
            }
        }
        ConnectionEvent::Udp => {
            let next = UdpState::Normal;
            Step {
                state: next.raw(),
                timeout_seconds: next.timeout_seconds(timeouts),
                active: next.is_active(),
                // IPVS: a UDP flow proves itself by a reply.
                assures: matches!(direction, Direction::Output),
            }
        }
        ConnectionEvent::Sctp(event) => {
            let next = SctpState::from_raw(state).after(event, direction);
            Step {
                state: next.raw(),
                timeout_seconds: next.timeout_seconds(),
                active: next.is_active(),
                assures: matches!(next, SctpState::Established),
            }
        }
    }
}

/// The name `ipvsadm -L -c` prints for the state numbered `state` of a connection of `protocol`.
pub(super) fn name(protocol: u8, state: u8) -> &'static str {
    match protocol {
        TCP => TcpState::from_raw(state).name(),
        UDP => UdpState::Normal.name(),
        SCTP => SctpState::from_raw(state).name(),
        _ => "NONE",
    }
}
