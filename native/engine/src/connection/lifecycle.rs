//! What packets do to connection entries.

use super::entry::{ConnectionId, Entry, Flags};
use super::key::ConnectionKey;
use super::state::{self, Activity, ConnectionEvent, Direction};
use super::table::{ConnectionTable, TableFull};
use super::tcp_state::TcpState;
use super::timeouts::{MAX_TIMEOUT_SECONDS, NEW_CONNECTION_SECONDS, Timeouts};
use crate::command::ForwardingMethod;
use crate::hop::ServerId;
use crate::time::Instant;

/// Where a new connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The real server.
    pub server: ServerId,
    /// The port it is spoken to.
    pub server_port: u16,
    /// How packets reach it. With every method but masquerading replies go past the director (IPVS).
    pub forwarding: ForwardingMethod,
}

impl ConnectionTable {
    /// The connection with this key. One whose time has come is gone, even if its timer has not
    /// fired yet. Of several with one key the newest counts.
    #[must_use]
    pub fn lookup(&self, key: &ConnectionKey, now: Instant) -> Option<ConnectionId> {
        self.find(key, Flags::NONE, self.clock.at(now))
    }

    /// Makes a connection in its initial state, inactive, with a timeout of 3 seconds (IPVS). The
    /// packet that caused it then goes to [`ConnectionTable::transition`], unless it is an ICMP
    /// error: that leaves the connection as it is. An older connection with the same key is
    /// shadowed from now on.
    ///
    /// # Errors
    ///
    /// [`TableFull`] if there is no room; nothing has changed then.
    pub fn create(
        &mut self,
        key: &ConnectionKey,
        assignment: Assignment,
        now: Instant,
    ) -> Result<ConnectionId, TableFull> {
        let Assignment { server, server_port, forwarding } = assignment;
        let flags = Flags::of_method(forwarding).with(Flags::INACTIVE);
        let id =
            self.insert(key, Flags::NONE, |key| Entry::new(key, server, server_port, flags))?;
        if forwarding == ForwardingMethod::Masquerading {
            self.index_reply(id);
        }
        self.start_timer(id, NEW_CONNECTION_SECONDS, now);
        Ok(id)
    }

    /// Takes a packet of the connection through the state machine of its protocol: sets state and
    /// timeout and begins the timeout anew, even if the state stays (IPVS).
    ///
    /// `direction` is [`Direction::Input`] for packets from the client; on a connection whose
    /// replies go past the director the rows of [`Direction::InputOnly`] are taken of themselves. A
    /// packet from the server ([`Direction::Output`]) proves that replies do come by: from then on
    /// the connection is an ordinary one, for good (IPVS).
    ///
    /// The template of a connection that becomes established, or of a UDP flow that is answered,
    /// becomes assured (IPVS).
    pub fn transition(
        &mut self,
        id: ConnectionId,
        event: ConnectionEvent,
        direction: Direction,
        timeouts: &Timeouts,
        now: Instant,
    ) -> Activity {
        let expires = self.clock.after(now);
        let entry = &mut self.entries[id.position()];
        let direction = observed(entry, direction);
        let step = state::step(entry.state, event, direction, timeouts);
        let was_active = entry.is_active();
        entry.state = step.state;
        entry.timeout_seconds = step.timeout_seconds;
        entry.expires = expires.plus_seconds(step.timeout_seconds);
        let flags = entry.flags.without(Flags::LAPSED);
        entry.flags =
            if step.active { flags.without(Flags::INACTIVE) } else { flags.with(Flags::INACTIVE) };
        let controller = entry.controller.filter(|_| step.assures);
        self.wheel.adjust(&mut self.entries, id);
        if let Some(template) = controller {
            let template = &mut self.entries[template.position()];
            template.flags = template.flags.with(Flags::ASSURED);
        }
        match (was_active, step.active) {
            (false, true) => Activity::Activated,
            (true, false) => Activity::Deactivated,
            _ => Activity::Unchanged,
        }
    }

    /// Begins the connection's current timeout anew without a transition, as a later fragment does.
    pub fn refresh(&mut self, id: ConnectionId, now: Instant) {
        let expires = self.clock.after(now);
        let entry = &mut self.entries[id.position()];
        entry.expires = expires.plus_seconds(entry.timeout_seconds);
        self.wheel.adjust(&mut self.entries, id);
    }

    /// Counts a packet from the client; `segments` above 1 for one that stands for several. Returns
    /// whether the connection is confirmed ([`Entry::is_confirmed`]) from now on.
    pub fn count_packets(&mut self, id: ConnectionId, segments: u32) -> bool {
        self.entries[id.position()].count_packets(segments)
    }

    /// Shows the confirmed connections among at most `budget` entries from position `cursor` on (0 at
    /// first). Returns where to go on; none when the table is through.
    pub fn confirmed(
        &self,
        cursor: u32,
        budget: u32,
        mut show: impl FnMut(&ConnectionKey),
    ) -> Option<u32> {
        let size = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let end = cursor.saturating_add(budget).min(size);
        let ids = (cursor..end).filter_map(ConnectionId::from_index);
        ids.filter(|id| self.entry(*id).is_confirmed()).for_each(|id| show(&self.key(id)));
        (end < size).then_some(end)
    }

    /// Notes that the frames of a connection take the fast path.
    pub fn enter_fast_path(&mut self, id: ConnectionId) {
        let flags = &mut self.entries[id.position()].flags;
        *flags = flags.with(Flags::FAST);
    }

    /// Notes that the frames of a connection take the fast path no longer, and that what they did there
    /// is known. Returns whether the connection goes on: its time may be over.
    pub fn leave_fast_path(&mut self, id: ConnectionId, now: Instant) -> bool {
        let tick = self.clock.at(now);
        let entry = &mut self.entries[id.position()];
        let lapsed = entry.flags.has(Flags::LAPSED);
        entry.flags = entry.flags.without(Flags::FAST).without(Flags::LAPSED);
        if lapsed {
            self.expire_now(id, now);
        }
        self.entry(id).is_alive(tick)
    }

    /// Ends an entry: it is not found any more, and reported by the next
    /// [`ConnectionTable::expire`]. A template that controls connections stays as it is (IPVS: a
    /// rescheduled connection's timer is set to now unless it controls others).
    pub fn expire_now(&mut self, id: ConnectionId, now: Instant) {
        let tick = self.clock.at(now);
        let entry = &mut self.entries[id.position()];
        if entry.is_occupied() && entry.controlled() == 0 && entry.is_alive(tick) {
            entry.expires = tick;
            self.wheel.adjust(&mut self.entries, id);
        }
    }

    /// Whether the first packet of a new connection (TCP: SYN; SCTP: INIT) that meets this
    /// connection is to be scheduled anew, under this `conn_reuse_mode` (IPVS: 0 never; otherwise
    /// if the connection has no template and is a TCP one in `TIME_WAIT` or `CLOSE`, or with bit 1
    /// set one in `FIN_WAIT` whose replies go past the director, or an SCTP one in `CLOSED`).
    #[must_use]
    pub fn reusable(&self, id: ConnectionId, conn_reuse_mode: u8) -> bool {
        let entry = self.entry(id);
        if conn_reuse_mode == 0 || entry.controller().is_some() {
            return false;
        }
        match entry.tcp_state() {
            Some(TcpState::FinWait) => conn_reuse_mode & 2 != 0 && entry.is_input_only(),
            _ => entry.has_ended(),
        }
    }

    /// Gives a new entry its first timeout.
    pub(super) fn start_timer(&mut self, id: ConnectionId, seconds: u32, now: Instant) {
        let seconds = seconds.clamp(1, MAX_TIMEOUT_SECONDS);
        let expires = self.clock.after(now);
        let entry = &mut self.entries[id.position()];
        entry.timeout_seconds = seconds;
        entry.expires = expires.plus_seconds(seconds);
        self.wheel.place(&mut self.entries, id);
    }
}

/// The rows that apply to `entry`, which learns from a packet from the server.
fn observed(entry: &mut Entry, direction: Direction) -> Direction {
    match direction {
        Direction::Output => {
            entry.flags = entry.flags.without(Flags::NO_OUTPUT);
            Direction::Output
        }
        Direction::Input | Direction::InputOnly if entry.is_input_only() => Direction::InputOnly,
        Direction::Input | Direction::InputOnly => Direction::Input,
    }
}
