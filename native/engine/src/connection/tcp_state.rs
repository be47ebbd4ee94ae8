//! TCP states of a connection entry and their transition table.

use super::state::Direction;
use super::timeouts::Timeouts;

/// State of a TCP connection, as far as one can tell from the packets that pass (IPVS; not the
/// state machine of RFC 9293, whose names it borrows).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// Just created: no packet has gone through the table yet.
    #[default]
    None,
    /// Data flows.
    Established,
    /// The server opened (a SYN from its side).
    SynSent,
    /// The client opened.
    SynRecv,
    /// One side closed.
    FinWait,
    /// Both sides closed.
    TimeWait,
    /// Reset, or never begun properly.
    Close,
    /// The client closed, the server has not.
    CloseWait,
    /// The last FIN is to be acknowledged.
    LastAck,
    /// Unused by the ordinary table, kept for the table's shape.
    Listen,
    /// The server answered the client's SYN (`secure_tcp` only).
    SynAck,
}

/// What a TCP segment means to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TcpEvent {
    /// SYN, with or without ACK.
    Syn,
    /// FIN, with or without ACK.
    Fin,
    /// ACK alone.
    Ack,
    /// RST, whatever else is set.
    Rst,
    /// None of these.
    None,
}

impl TcpEvent {
    /// All events, in the order of the table's rows; [`TcpEvent::None`] has no row.
    pub const ALL: [Self; 5] = [Self::Syn, Self::Fin, Self::Ack, Self::Rst, Self::None];

    /// The event of a segment with these flags (RFC 9293 §3.1: the octet that holds CWR to FIN).
    ///
    /// IPVS: the first of RST, SYN, FIN, ACK that is set.
    #[must_use]
    pub const fn from_flags(flags: u8) -> Self {
        const FIN: u8 = 0x01;
        const SYN: u8 = 0x02;
        const RST: u8 = 0x04;
        const ACK: u8 = 0x10;
        if flags & RST != 0 {
            Self::Rst
        } else if flags & SYN != 0 {
            Self::Syn
        } else if flags & FIN != 0 {
            Self::Fin
        } else if flags & ACK != 0 {
            Self::Ack
        } else {
            Self::None
        }
    }
}

impl TcpState {
    /// All states, in the order of the table's columns.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
    ];

    /// The state after `event`, seen from `direction`.
    #[must_use]
    pub const fn after(self, event: TcpEvent, direction: Direction) -> Self {
        match event {
            // IPVS: a segment without any of the four flags closes, whatever the state.
            TcpEvent::None => Self::Close,
            TcpEvent::Syn | TcpEvent::Fin | TcpEvent::Ack | TcpEvent::Rst => {
                TRANSITIONS[direction as usize][event as usize][self as usize]
            }
        }
    }

    /// The state after `event` while the defence secures TCP: a client's SYN counts for less until
    /// it was followed by more (IPVS: `secure_tcp`).
    #[must_use]
    pub const fn after_under_attack(self, event: TcpEvent, direction: Direction) -> Self {
        match event {
            TcpEvent::None => Self::Close,
            TcpEvent::Syn | TcpEvent::Fin | TcpEvent::Ack | TcpEvent::Rst => {
                SECURE_TRANSITIONS[direction as usize][event as usize][self as usize]
            }
        }
    }

    /// Seconds a connection in this state may idle.
    #[must_use]
    pub const fn timeout_seconds(self, timeouts: &Timeouts) -> u32 {
        match self {
            Self::None => 2,
            Self::Established => timeouts.tcp_established(),
            Self::FinWait => timeouts.tcp_fin_wait(),
            Self::SynSent | Self::TimeWait | Self::Listen | Self::SynAck => 120,
            Self::SynRecv | Self::CloseWait => 60,
            Self::Close => 10,
            Self::LastAck => 30,
        }
    }

    /// Whether a connection in this state counts as active.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established | Self::SynSent | Self::SynRecv | Self::SynAck)
    }

    /// The name `ipvsadm -L -c` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
        }
    }

    /// Two letters, as the transition table spells the state.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::None => "NO",
            Self::Established => "ES",
            Self::SynSent => "SS",
            Self::SynRecv => "SR",
            Self::FinWait => "FW",
            Self::TimeWait => "TW",
            Self::Close => "CL",
            Self::CloseWait => "CW",
            Self::LastAck => "LA",
            Self::Listen => "LI",
            Self::SynAck => "SA",
        }
    }

    pub(super) fn from_raw(raw: u8) -> Self {
        Self::ALL.get(usize::from(raw)).copied().unwrap_or_default()
    }

    pub(super) const fn raw(self) -> u8 {
        self as u8
    }
}

const ES: TcpState = TcpState::Established;
const SS: TcpState = TcpState::SynSent;
const SR: TcpState = TcpState::SynRecv;
const FW: TcpState = TcpState::FinWait;
const TW: TcpState = TcpState::TimeWait;
const CL: TcpState = TcpState::Close;
const CW: TcpState = TcpState::CloseWait;
const LA: TcpState = TcpState::LastAck;
const LI: TcpState = TcpState::Listen;
const SA: TcpState = TcpState::SynAck;

/// IPVS: the ordinary table. Direction, event, state before -> state after.
// Columns: NO, ES, SS, SR, FW, TW, CL, CW, LA, LI, SA.
static TRANSITIONS: [[[TcpState; 11]; 4]; 3] = [
    // INPUT
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR], // syn
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW], // fin
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES], // ack
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR], // rst
    ],
    // OUTPUT
    [
        [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR], // syn
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW], // fin
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES], // ack
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL], // rst
    ],
    // INPUT_ONLY
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR], // syn
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW], // fin
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES], // ack
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL], // rst
    ],
];

/// IPVS: the table for times of attack (`secure_tcp`).
// Columns: NO, ES, SS, SR, FW, TW, CL, CW, LA, LI, SA.
static SECURE_TRANSITIONS: [[[TcpState; 11]; 4]; 3] = [
    // INPUT
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA], // syn
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA], // fin
        [ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA], // ack
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL], // rst
    ],
    // OUTPUT
    [
        [SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA], // syn
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW], // fin
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES], // ack
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL], // rst
    ],
    // INPUT_ONLY
    [
        [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA], // syn
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW], // fin
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES], // ack
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL], // rst
    ],
];

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    /// The whole matrix, copied from the description of IPVS, not from the table above.
    const MATRIX: &str = "\
INPUT syn: SR ES ES SR SR SR SR SR SR SR SR
INPUT fin: CL CW SS TW TW TW CL CW LA LI TW
INPUT ack: ES ES SS ES FW TW CL CW CL LI ES
INPUT rst: CL CL CL SR CL CL CL CL LA LI SR
OUTPUT syn: SS ES SS SR SS SS SS SS SS LI SR
OUTPUT fin: TW FW SS TW FW TW CL TW LA LI TW
OUTPUT ack: ES ES SS ES FW TW CL CW LA ES ES
OUTPUT rst: CL CL SS CL CL TW CL CL CL CL CL
INPUT_ONLY syn: SR ES ES SR SR SR SR SR SR SR SR
INPUT_ONLY fin: CL FW SS TW FW TW CL CW LA LI TW
INPUT_ONLY ack: ES ES SS ES FW TW CL CW CL LI ES
INPUT_ONLY rst: CL CL CL SR CL CL CL CL LA LI CL
";

    /// Likewise, of `secure_tcp`.
    const SECURE_MATRIX: &str = "\
INPUT syn: SR ES ES SR SR SR SR SR SR SR SA
INPUT fin: CL CW SS TW TW TW CL CW LA LI SA
INPUT ack: ES ES SS SR FW TW CL CW CL LI SA
INPUT rst: CL CL CL SR CL CL CL CL LA LI CL
OUTPUT syn: SS ES SS SA SS SS SS SS SS LI SA
OUTPUT fin: TW FW SS TW FW TW CL TW LA LI TW
OUTPUT ack: ES ES SS ES FW TW CL CW LA ES ES
OUTPUT rst: CL CL SS CL CL TW CL CL CL CL CL
INPUT_ONLY syn: SA ES ES SR SA SA SA SA SA SA SA
INPUT_ONLY fin: CL FW SS TW FW TW CL CW LA LI TW
INPUT_ONLY ack: ES ES SS ES FW TW CL CW CL LI ES
INPUT_ONLY rst: CL CL CL SR CL CL CL CL LA LI CL
";

    #[test]
    fn matrix_is_that_of_ipvs() {
        assert_eq!(matrix(TcpState::after), MATRIX);
        assert_eq!(matrix(TcpState::after_under_attack), SECURE_MATRIX);
    }

    fn matrix(after: fn(TcpState, TcpEvent, Direction) -> TcpState) -> String {
        let mut text = String::new();
        for (direction, name) in Direction::NAMED {
            for (event, row) in TcpEvent::ALL.into_iter().zip(["syn", "fin", "ack", "rst"]) {
                text += name;
                text += " ";
                text += row;
                text += ":";
                for state in TcpState::ALL {
                    text += " ";
                    text += after(state, event, direction).abbreviation();
                }
                text += "\n";
            }
        }
        text
    }

    #[test]
    fn segment_without_flags_closes_from_every_state() {
        for state in TcpState::ALL {
            for (direction, _) in Direction::NAMED {
                assert_eq!(state.after(TcpEvent::None, direction), TcpState::Close);
            }
        }
    }

    #[test]
    fn states_have_the_names_timeouts_and_classes_of_ipvs() {
        const TABLE: &str = "\
NO NONE 2 -
ES ESTABLISHED 900 active
SS SYN_SENT 120 active
SR SYN_RECV 60 active
FW FIN_WAIT 120 -
TW TIME_WAIT 120 -
CL CLOSE 10 -
CW CLOSE_WAIT 60 -
LA LAST_ACK 30 -
LI LISTEN 120 -
SA SYNACK 120 active
";
        let mut text = String::new();
        for state in TcpState::ALL {
            text += &alloc::format!(
                "{} {} {} {}\n",
                state.abbreviation(),
                state.name(),
                state.timeout_seconds(&Timeouts::default()),
                if state.is_active() { "active" } else { "-" },
            );
        }
        assert_eq!(text, TABLE);
    }

    #[test]
    fn flags_are_asked_in_the_order_of_ipvs() {
        assert_eq!(TcpEvent::from_flags(0x02), TcpEvent::Syn);
        assert_eq!(TcpEvent::from_flags(0x12), TcpEvent::Syn);
        assert_eq!(TcpEvent::from_flags(0x03), TcpEvent::Syn);
        assert_eq!(TcpEvent::from_flags(0x11), TcpEvent::Fin);
        assert_eq!(TcpEvent::from_flags(0x18), TcpEvent::Ack);
        assert_eq!(TcpEvent::from_flags(0xff), TcpEvent::Rst);
        assert_eq!(TcpEvent::from_flags(0xe8), TcpEvent::None);
    }

    #[test]
    fn raw_values_round_trip() {
        for state in TcpState::ALL {
            assert_eq!(TcpState::from_raw(state.raw()), state);
        }
    }
}
