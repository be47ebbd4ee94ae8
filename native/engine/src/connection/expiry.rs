//! The end of connection entries.

use super::entry::{ConnectionId, Flags};
use super::key::ConnectionKey;
use super::table::ConnectionTable;
use super::tick::Tick;
use super::timeouts::CONTROLLING_SECONDS;
use crate::hop::ServerId;
use crate::time::Instant;

/// How long a connection waits for the fast path's answer.
const LAPSE_SECONDS: u32 = 1;

/// An entry that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// What it was: protocol, client and virtual end.
    pub key: ConnectionKey,
    /// The real server it belonged to.
    pub server: ServerId,
    /// The port the server was spoken to.
    pub server_port: u16,
    /// Whether it counted as active with its server; otherwise, unless a template, as inactive.
    pub active: bool,
    /// Whether it was a persistence template.
    pub template: bool,
    /// The template it was made through, which now controls one connection less.
    pub controller: Option<ConnectionId>,
    /// Whether its frames took the fast path.
    pub fast: bool,
}

impl ConnectionTable {
    /// Ends the entries whose time has come by `now` and reports each. Visits at most `budget`
    /// entries, and goes on from there when called again. Returns whether it is done; until then
    /// [`ConnectionTable::next_deadline`] lies in the past.
    ///
    /// A template whose time comes while it controls connections lives on with a timeout of 60
    /// seconds, which it keeps (IPVS).
    pub fn expire(
        &mut self,
        now: Instant,
        budget: usize,
        mut on_expired: impl FnMut(&Expired),
    ) -> bool {
        let tick = self.clock.advance(now);
        for _ in 0..budget {
            let Some(id) = self.wheel.due(tick) else {
                return true;
            };
            self.wheel.remove(&mut self.entries, id);
            if self.is_over(id, tick) && !self.lapses(id, tick) {
                on_expired(&self.end(id));
            } else {
                self.wheel.place(&mut self.entries, id);
            }
        }
        self.wheel.due(tick).is_none()
    }

    /// When [`ConnectionTable::expire`] is to be called next; none while the table is empty. It may
    /// come to nothing: refreshed entries are found out only then. Changes with every other call.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.wheel.next_turn().map(|tick| self.clock.instant_of(tick))
    }

    /// Removes an entry at once and reports it; none, and nothing done, if it is a template that
    /// controls connections.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Expired> {
        let entry = self.entry(id);
        if !entry.is_occupied() || entry.controlled() > 0 {
            return None;
        }
        self.wheel.remove(&mut self.entries, id);
        Some(self.end(id))
    }

    /// Ends every entry of the servers that `is_picked`, looking at no more than `budget` entries
    /// from position `cursor` on (0 at first). Returns where to go on; none when the table is
    /// through. A template goes as soon as the last of its connections went.
    ///
    /// IPVS: with `expire_nodest_conn`, the removal of a server does this in the background.
    pub fn flush(
        &mut self,
        cursor: u32,
        budget: u32,
        is_picked: impl Fn(ServerId) -> bool,
        mut on_expired: impl FnMut(&Expired),
    ) -> Option<u32> {
        let size = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let end = cursor.saturating_add(budget).min(size);
        for id in (cursor..end).filter_map(ConnectionId::from_index) {
            let entry = self.entry(id);
            if !entry.is_occupied() || !is_picked(entry.server()) {
                continue;
            }
            let Some(expired) = self.remove(id) else {
                continue;
            };
            on_expired(&expired);
            if let Some(template) = expired.controller.and_then(|template| self.remove(template)) {
                on_expired(&template);
            }
        }
        (end < size).then_some(end)
    }

    /// Whether the entry, whose slot's turn it is, ends. Templates and their connections are judged
    /// by the time of their slot, not by the present: after a leap in time they end in the order
    /// they would have ended in. For others that does not matter.
    fn is_over(&mut self, id: ConnectionId, now: Tick) -> bool {
        let turn = self.wheel.cursor();
        let entry = &mut self.entries[id.position()];
        let related = entry.is_template() || entry.controller().is_some();
        if entry.expires.is_after(if related { turn } else { now }) {
            return false;
        }
        if entry.controlled() > 0 {
            entry.timeout_seconds = CONTROLLING_SECONDS;
            entry.expires = entry.expires.plus_seconds(CONTROLLING_SECONDS);
            return false;
        }
        true
    }

    /// Whether an entry whose time is over waits for what the fast path has carried of it: once, for
    /// [`LAPSE_SECONDS`] at most.
    fn lapses(&mut self, id: ConnectionId, now: Tick) -> bool {
        let entry = &mut self.entries[id.position()];
        if !entry.is_fast() || entry.flags.has(Flags::LAPSED) {
            return false;
        }
        entry.flags = entry.flags.with(Flags::LAPSED);
        entry.expires = now.plus_seconds(LAPSE_SECONDS);
        self.lapsed.push_back(id);
        true
    }

    /// A connection whose time is over while the fast path has it: when that is asked what it has
    /// carried, and has the connection no longer ([`ConnectionTable::leave_fast_path`]), it ends or goes on.
    pub fn poll_lapsed(&mut self) -> Option<ConnectionKey> {
        self.lapsed.pop_front().map(|id| self.key(id))
    }

    fn end(&mut self, id: ConnectionId) -> Expired {
        let controller = self.detach(id);
        let key = self.key(id);
        let entry = self.entry(id);
        let expired = Expired {
            key,
            server: entry.server(),
            server_port: entry.server_port(),
            active: entry.is_active(),
            template: entry.is_template(),
            controller,
            fast: entry.is_fast(),
        };
        self.release(id);
        expired
    }
}
