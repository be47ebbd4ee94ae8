//! Persistence templates: clients that belong to a server, and the connections made through them.

use super::entry::{ConnectionId, Entry, Flags};
use super::key::ConnectionKey;
use super::table::{ConnectionTable, TableFull};
use crate::hop::ServerId;
use crate::time::Instant;

impl ConnectionTable {
    /// The template with this key, unless it is disabled. One that controls connections does not
    /// go, even if its time has come.
    #[must_use]
    pub fn lookup_template(&self, key: &ConnectionKey, now: Instant) -> Option<ConnectionId> {
        self.find(key, Flags::TEMPLATE, self.clock.at(now))
    }

    /// Makes a template. Its timeout, in seconds (1..=2678400; the nearest of the range is taken),
    /// is that of the service now, and stays so when the service is edited (IPVS). `server_port` is
    /// 0 where the template is for all ports.
    ///
    /// # Errors
    ///
    /// [`TableFull`] if there is no room; nothing has changed then.
    pub fn create_template(
        &mut self,
        key: &ConnectionKey,
        server: ServerId,
        server_port: u16,
        timeout_seconds: u32,
        now: Instant,
    ) -> Result<ConnectionId, TableFull> {
        // IPVS: a template counts in neither active nor inactive connections.
        let id = self.insert(key, Flags::TEMPLATE, |key| {
            Entry::new(key, server, server_port, Flags::INACTIVE)
        })?;
        self.start_timer(id, timeout_seconds, now);
        Ok(id)
    }

    /// Puts a new connection under the control of the template it was made through, and begins the
    /// template's timeout anew (IPVS: a new connection does so, later packets do not).
    ///
    /// Nothing happens if `template` is none or `connection` is one.
    pub fn attach(&mut self, connection: ConnectionId, template: ConnectionId, now: Instant) {
        if !self.entry(template).is_template() || self.entry(connection).is_template() {
            return;
        }
        self.detach(connection);
        self.entries[connection.position()].controller = Some(template);
        self.entries[template.position()].count_up();
        self.refresh(template, now);
    }

    /// Frees a connection from the control of its template, if it has one; returns that.
    pub fn detach(&mut self, connection: ConnectionId) -> Option<ConnectionId> {
        let template = self.entries[connection.position()].controller.take()?;
        self.entries[template.position()].count_down();
        Some(template)
    }

    /// Sees to it that a template is not found again; it runs out by itself (IPVS: a template whose
    /// server is gone, or quiesced with `expire_quiescent_template`). Does nothing to a connection.
    pub fn disable_template(&mut self, id: ConnectionId) {
        let entry = &mut self.entries[id.position()];
        if entry.is_template() {
            entry.flags = entry.flags.with(Flags::DISABLED);
        }
    }
}
