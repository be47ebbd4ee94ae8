//! The state of a UDP flow: there is only one.

use super::timeouts::Timeouts;

/// State of a UDP flow (IPVS: always this one, always inactive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UdpState {
    /// Datagrams were seen.
    #[default]
    Normal,
}

impl UdpState {
    /// Seconds a flow may idle.
    #[must_use]
    pub const fn timeout_seconds(self, timeouts: &Timeouts) -> u32 {
        match self {
            Self::Normal => timeouts.udp(),
        }
    }

    /// Whether a flow counts as active: never.
    #[must_use]
    pub const fn is_active(self) -> bool {
        match self {
            Self::Normal => false,
        }
    }

    /// The name `ipvsadm -L -c` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "UDP",
        }
    }

    pub(super) const fn raw(self) -> u8 {
        match self {
            Self::Normal => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_300_seconds_inactive() {
        let state = UdpState::default();
        assert_eq!(state.name(), "UDP");
        assert_eq!(state.timeout_seconds(&Timeouts::default()), 300);
        assert!(!state.is_active());
    }
}
