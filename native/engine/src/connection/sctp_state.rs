//! SCTP states of a connection entry and their transition table.

use super::state::Direction;

/// State of an SCTP association, as far as one can tell from the packets that pass (IPVS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SctpState {
    /// Just created: no packet has gone through the table yet.
    #[default]
    None,
    /// The client sent INIT.
    Init1,
    /// The client sent INIT again.
    Init,
    /// The server answered with INIT-ACK.
    CookieSent,
    /// The client sent COOKIE-ECHO.
    CookieReplied,
    /// The server sent INIT.
    CookieWait,
    /// The client answered the server with INIT-ACK.
    Cookie,
    /// The server sent COOKIE-ECHO.
    CookieEchoed,
    /// Data flows.
    Established,
    /// The server sent SHUTDOWN.
    ShutdownSent,
    /// The client sent SHUTDOWN.
    ShutdownReceived,
    /// The server acknowledged the shutdown.
    ShutdownAckSent,
    /// One side aborted the setup.
    Rejected,
    /// Shut down or aborted.
    Closed,
}

/// What an SCTP packet means to the table: its first chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SctpEvent {
    /// DATA, SACK, HEARTBEAT, and every type without a row of its own.
    Data,
    /// INIT.
    Init,
    /// INIT-ACK.
    InitAck,
    /// COOKIE-ECHO.
    CookieEcho,
    /// COOKIE-ACK.
    CookieAck,
    /// SHUTDOWN.
    Shutdown,
    /// SHUTDOWN-ACK.
    ShutdownAck,
    /// SHUTDOWN-COMPLETE.
    ShutdownComplete,
    /// ERROR.
    Error,
    /// ABORT, also directly behind COOKIE-ECHO or COOKIE-ACK.
    Abort,
}

impl SctpEvent {
    /// All events, in the order of the table's rows.
    pub const ALL: [Self; 10] = [
        Self::Data,
        Self::Init,
        Self::InitAck,
        Self::CookieEcho,
        Self::CookieAck,
        Self::Shutdown,
        Self::ShutdownAck,
        Self::ShutdownComplete,
        Self::Error,
        Self::Abort,
    ];

    /// The event of a packet whose first chunk has this type (RFC 9260 §3.2). A COOKIE-ECHO or
    /// COOKIE-ACK directly followed by an ABORT is to be given as the ABORT's type, 6.
    #[must_use]
    pub const fn from_chunk_kind(kind: u8) -> Self {
        match kind {
            1 => Self::Init,
            2 => Self::InitAck,
            6 => Self::Abort,
            7 => Self::Shutdown,
            8 => Self::ShutdownAck,
            9 => Self::Error,
            10 => Self::CookieEcho,
            11 => Self::CookieAck,
            14 => Self::ShutdownComplete,
            _ => Self::Data,
        }
    }
}

impl SctpState {
    /// All states, in the order of the table's columns.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Init1,
        Self::Init,
        Self::CookieSent,
        Self::CookieReplied,
        Self::CookieWait,
        Self::Cookie,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownSent,
        Self::ShutdownReceived,
        Self::ShutdownAckSent,
        Self::Rejected,
        Self::Closed,
    ];

    /// The state after `event`, seen from `direction`.
    #[must_use]
    pub const fn after(self, event: SctpEvent, direction: Direction) -> Self {
        TRANSITIONS[direction as usize][event as usize][self as usize]
    }

    /// Seconds an association in this state may idle; `ipvsadm --set` changes none of these.
    #[must_use]
    pub const fn timeout_seconds(self) -> u32 {
        match self {
            Self::None => 2,
            Self::Init1 | Self::Rejected => 4,
            Self::Established => 900,
            Self::Init
            | Self::CookieSent
            | Self::CookieReplied
            | Self::CookieWait
            | Self::Cookie
            | Self::CookieEchoed
            | Self::ShutdownSent
            | Self::ShutdownReceived
            | Self::ShutdownAckSent
            | Self::Closed => 61,
        }
    }

    /// Whether an association in this state counts as active.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Established)
    }

    /// The name `ipvsadm -L -c` prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Init1 => "INIT1",
            Self::Init => "INIT",
            Self::CookieSent => "C-SENT",
            Self::CookieReplied => "C-REPLIED",
            Self::CookieWait => "C-WAIT",
            Self::Cookie => "COOKIE",
            Self::CookieEchoed => "C-ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownSent => "S-SENT",
            Self::ShutdownReceived => "S-RECEIVED",
            Self::ShutdownAckSent => "S-ACK-SENT",
            Self::Rejected => "REJECTED",
            Self::Closed => "CLOSED",
        }
    }

    /// Two letters, as the transition table spells the state.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::None => "NO",
            Self::Init1 => "I1",
            Self::Init => "IN",
            Self::CookieSent => "CS",
            Self::CookieReplied => "CR",
            Self::CookieWait => "CW",
            Self::Cookie => "CO",
            Self::CookieEchoed => "CE",
            Self::Established => "ES",
            Self::ShutdownSent => "SS",
            Self::ShutdownReceived => "SR",
            Self::ShutdownAckSent => "SA",
            Self::Rejected => "RJ",
            Self::Closed => "CL",
        }
    }

    pub(super) fn from_raw(raw: u8) -> Self {
        Self::ALL.get(usize::from(raw)).copied().unwrap_or_default()
    }

    pub(super) const fn raw(self) -> u8 {
        self as u8
    }
}

const I1: SctpState = SctpState::Init1;
const IN: SctpState = SctpState::Init;
const CS: SctpState = SctpState::CookieSent;
const CR: SctpState = SctpState::CookieReplied;
const CW: SctpState = SctpState::CookieWait;
const CO: SctpState = SctpState::Cookie;
const CE: SctpState = SctpState::CookieEchoed;
const ES: SctpState = SctpState::Established;
const SS: SctpState = SctpState::ShutdownSent;
const SR: SctpState = SctpState::ShutdownReceived;
const SA: SctpState = SctpState::ShutdownAckSent;
const RJ: SctpState = SctpState::Rejected;
const CL: SctpState = SctpState::Closed;

/// Direction, event, state before -> state after.
// Columns: NO, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL.
static TRANSITIONS: [[[SctpState; 14]; 10]; 3] = [
    // INPUT
    [
        [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // data/other
        [I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN], // INIT
        [CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL], // INIT-ACK
        [CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // COOKIE-ECHO
        [ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL], // COOKIE-ACK
        [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL], // SHUTDOWN
        [CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL], // SHUTDOWN-ACK
        [CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL], // SHUTDOWN-COMPLETE
        [CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL], // ERROR
        [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    ],
    // OUTPUT
    [
        [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // data/other
        [CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW], // INIT
        [CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // INIT-ACK
        [CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL], // COOKIE-ECHO
        [ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL], // COOKIE-ACK
        [SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL], // SHUTDOWN
        [SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL], // SHUTDOWN-ACK
        [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // SHUTDOWN-COMPLETE
        [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // ERROR
        [CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    ],
    // INPUT_ONLY
    [
        [ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL], // data/other
        [I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN], // INIT
        [CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL], // INIT-ACK
        [ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL], // COOKIE-ECHO
        [ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL], // COOKIE-ACK
        [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL], // SHUTDOWN
        [CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL], // SHUTDOWN-ACK
        [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL], // SHUTDOWN-COMPLETE
        [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL], // ERROR
        [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    ],
];

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    const ROWS: [&str; 10] = [
        "data/other",
        "INIT",
        "INIT-ACK",
        "COOKIE-ECHO",
        "COOKIE-ACK",
        "SHUTDOWN",
        "SHUTDOWN-ACK",
        "SHUTDOWN-COMPLETE",
        "ERROR",
        "ABORT",
    ];

    /// The whole matrix, copied from the description of IPVS, not from the table above.
    const MATRIX: &str = "\
INPUT data/other: ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
INPUT INIT: I1 IN IN CS CR CW CO CE ES SS SR SA IN IN
INPUT INIT-ACK: CW CW CW CS CR CO CO CE ES SS SR SA RJ CL
INPUT COOKIE-ECHO: CR IN IN CR CR CW CO CE ES SS SR SA RJ CL
INPUT COOKIE-ACK: ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL
INPUT SHUTDOWN: SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL
INPUT SHUTDOWN-ACK: CL IN IN CS CR CW CO CE ES CL SR CL RJ CL
INPUT SHUTDOWN-COMPLETE: CL CL CL CS CR CW CO CE ES SS SR CL RJ CL
INPUT ERROR: CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL
INPUT ABORT: CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
OUTPUT data/other: ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL
OUTPUT INIT: CW CW CW CW CW CW CW CW ES CW CW CW CW CW
OUTPUT INIT-ACK: CS CS CS CS CR CW CO CE ES SS SR SA RJ CL
OUTPUT COOKIE-ECHO: CE CE CE CE CE CE CE CE ES SS SR SA RJ CL
OUTPUT COOKIE-ACK: ES ES ES ES ES ES ES ES ES SS SR SA RJ CL
OUTPUT SHUTDOWN: SS SS SS SS SS SS SS SS SS SS SR SA RJ CL
OUTPUT SHUTDOWN-ACK: SA SA SA SA SA CW CO CE ES SA SA SA RJ CL
OUTPUT SHUTDOWN-COMPLETE: CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL
OUTPUT ERROR: CL CL CL CL CL CW CO CE ES SS SR SA RJ CL
OUTPUT ABORT: CL RJ CL CL CL CL CL CL CL CL CL CL CL CL
INPUT_ONLY data/other: ES I1 IN CS CR ES CO CE ES SS SR SA RJ CL
INPUT_ONLY INIT: I1 IN IN IN IN IN CO CE ES SS SR SA IN IN
INPUT_ONLY INIT-ACK: CE CE CE CE CE CE CO CE ES SS SR SA RJ CL
INPUT_ONLY COOKIE-ECHO: ES ES ES ES ES ES CO CE ES SS SR SA RJ CL
INPUT_ONLY COOKIE-ACK: ES I1 IN ES ES CW ES ES ES SS SR SA RJ CL
INPUT_ONLY SHUTDOWN: SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL
INPUT_ONLY SHUTDOWN-ACK: CL IN IN CS CR CW CO CE CL CL SR CL RJ CL
INPUT_ONLY SHUTDOWN-COMPLETE: CL CL CL CL CL CW CO CE ES SS CL CL RJ CL
INPUT_ONLY ERROR: CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL
INPUT_ONLY ABORT: CL CL CL CL CL RJ CL CL CL CL CL CL CL CL
";

    #[test]
    fn matrix_is_that_of_ipvs() {
        let mut text = String::new();
        for (direction, name) in Direction::NAMED {
            for (event, row) in SctpEvent::ALL.into_iter().zip(ROWS) {
                text += name;
                text += " ";
                text += row;
                text += ":";
                for state in SctpState::ALL {
                    text += " ";
                    text += state.after(event, direction).abbreviation();
                }
                text += "\n";
            }
        }
        assert_eq!(text, MATRIX);
    }

    #[test]
    fn states_have_the_names_timeouts_and_classes_of_ipvs() {
        const TABLE: &str = "\
NO NONE 2 -
I1 INIT1 4 -
IN INIT 61 -
CS C-SENT 61 -
CR C-REPLIED 61 -
CW C-WAIT 61 -
CO COOKIE 61 -
CE C-ECHOED 61 -
ES ESTABLISHED 900 active
SS S-SENT 61 -
SR S-RECEIVED 61 -
SA S-ACK-SENT 61 -
RJ REJECTED 4 -
CL CLOSED 61 -
";
        let mut text = String::new();
        for state in SctpState::ALL {
            text += &alloc::format!(
                "{} {} {} {}\n",
                state.abbreviation(),
                state.name(),
                state.timeout_seconds(),
                if state.is_active() { "active" } else { "-" },
            );
        }
        assert_eq!(text, TABLE);
    }

    #[test]
    fn chunk_types_without_a_row_count_as_data() {
        for kind in [0, 3, 4, 5, 12, 13, 15, 64, 130, 255] {
            assert_eq!(SctpEvent::from_chunk_kind(kind), SctpEvent::Data);
        }
        assert_eq!(SctpEvent::from_chunk_kind(6), SctpEvent::Abort);
        assert_eq!(SctpEvent::from_chunk_kind(14), SctpEvent::ShutdownComplete);
    }

    #[test]
    fn raw_values_round_trip() {
        for state in SctpState::ALL {
            assert_eq!(SctpState::from_raw(state.raw()), state);
        }
    }
}
