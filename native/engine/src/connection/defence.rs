//! Which entries may go when the table is under attack (IPVS: `drop_entry`).

use super::entry::ConnectionId;
use super::sctp_state::SctpState;
use super::table::ConnectionTable;
use super::tcp_state::TcpState;
use crate::time::Instant;

/// A connection that was active this lately is not thinned out (IPVS).
const IDLE_SECONDS: u32 = 60;

/// What becomes of an entry.
enum Fate {
    Stays,
    Goes,
    /// One of several like it goes.
    Thinned,
}

impl ConnectionTable {
    /// Entries that were ever in use at a time: positions worth looking at.
    #[must_use]
    pub fn slots(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// The entry at `position`, if it is in use.
    #[must_use]
    pub fn occupied(&self, position: u32) -> Option<ConnectionId> {
        let entry = self.entries.get(position as usize)?;
        if entry.is_occupied() { ConnectionId::from_index(position) } else { None }
    }

    /// Whether the defence drops the entry. `thins` is asked, with the number of packets, for
    /// connections of which some of many go.
    ///
    /// IPVS: half-open connections and templates without an answered connection go; established
    /// ones and UDP flows are thinned out when they have been idle for a minute; others stay, and
    /// so does what controls others.
    pub fn is_droppable(
        &self,
        id: ConnectionId,
        now: Instant,
        thins: impl FnOnce(u32) -> bool,
    ) -> bool {
        let entry = self.entry(id);
        if entry.controlled() > 0 {
            return false;
        }
        match self.fate(id) {
            Fate::Stays => false,
            Fate::Goes => true,
            Fate::Thinned => {
                let left = self.expires_in(id, now).as_secs();
                let idle = u64::from(entry.timeout_seconds()).saturating_sub(left);
                idle >= u64::from(IDLE_SECONDS) && thins(entry.in_packets())
            }
        }
    }

    fn fate(&self, id: ConnectionId) -> Fate {
        let entry = self.entry(id);
        if entry.is_template() {
            return if entry.is_assured() { Fate::Stays } else { Fate::Goes };
        }
        match (entry.tcp_state(), entry.sctp_state()) {
            (Some(TcpState::SynRecv | TcpState::SynAck), _)
            | (_, Some(SctpState::Init1 | SctpState::Init)) => Fate::Goes,
            (Some(TcpState::Established), _) | (_, Some(SctpState::Established)) => Fate::Thinned,
            (None, None) => Fate::Thinned,
            _ => Fate::Stays,
        }
    }
}
