//! Templates found by data of a packet instead of the client's address (IPVS: persistence engines).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::IpAddr;

use super::entry::{ConnectionId, Entry, Flags};
use super::key::ConnectionKey;
use super::table::{ConnectionTable, TableFull};
use crate::command::Family;
use crate::hop::ServerId;
use crate::time::Instant;

/// Most octets of a packet's data that a template can have (IPVS).
const DATA_MAX: usize = 255;
/// Family, protocol, virtual port and virtual address: what stands before the data.
const SCOPE: usize = 20;

/// What such templates have beside their entries, which are in no hash chain: no more of these than
/// entries. A tree, so that nobody can choose data that collide.
#[derive(Debug, Default)]
pub(super) struct KeyedTemplates {
    newest: BTreeMap<Arc<[u8]>, ConnectionId>,
    names: BTreeMap<ConnectionId, Arc<[u8]>>,
}

impl KeyedTemplates {
    fn insert(&mut self, id: ConnectionId, name: &[u8]) {
        let name: Arc<[u8]> = Arc::from(name);
        self.newest.insert(Arc::clone(&name), id);
        self.names.insert(id, name);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if let Some(name) = self.names.remove(&id)
            && self.newest.get(&name) == Some(&id)
        {
            self.newest.remove(&name);
        }
    }
}

impl ConnectionTable {
    /// The template with this key, its client set aside, and this data of a packet; as
    /// [`ConnectionTable::lookup_template`] otherwise.
    #[must_use]
    pub fn lookup_keyed_template(
        &self,
        key: &ConnectionKey,
        data: &[u8],
        now: Instant,
    ) -> Option<ConnectionId> {
        let mut buffer = [0; SCOPE + DATA_MAX];
        let id = *self.keyed.newest.get(name(key, data, &mut buffer)?)?;
        let entry = self.entry(id);
        (!entry.is_disabled() && entry.is_alive(self.clock.at(now))).then_some(id)
    }

    /// Makes a template that is found by data of a packet, 1 to 255 octets, whoever the client is;
    /// with other data one as [`ConnectionTable::create_template`] makes. `key` tells the client it
    /// was made for.
    ///
    /// # Errors
    ///
    /// [`TableFull`] if there is no room; nothing has changed then.
    pub fn create_keyed_template(
        &mut self,
        key: &ConnectionKey,
        data: &[u8],
        (server, server_port): (ServerId, u16),
        timeout_seconds: u32,
        now: Instant,
    ) -> Result<ConnectionId, TableFull> {
        let mut buffer = [0; SCOPE + DATA_MAX];
        let Some(name) = name(key, data, &mut buffer) else {
            return self.create_template(key, server, server_port, timeout_seconds, now);
        };
        let id = self.insert(key, Flags::TEMPLATE.with(Flags::KEYED), |key| {
            Entry::new(key, server, server_port, Flags::INACTIVE)
        })?;
        self.keyed.insert(id, name);
        self.start_timer(id, timeout_seconds, now);
        Ok(id)
    }

    /// The data of a packet that a template is found by; none for any other entry.
    #[must_use]
    pub fn template_data(&self, id: ConnectionId) -> Option<&[u8]> {
        if !self.entry(id).is_keyed() {
            return None;
        }
        self.keyed.names.get(&id)?.get(SCOPE..)
    }
}

/// What a template with this data is found by; none where the data are no key.
fn name<'a>(
    key: &ConnectionKey,
    data: &[u8],
    buffer: &'a mut [u8; SCOPE + DATA_MAX],
) -> Option<&'a [u8]> {
    if data.is_empty() {
        return None;
    }
    let address = match key.virtual_address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let family = u8::from(key.family() == Family::Ipv6);
    let [high, low] = key.virtual_port.to_be_bytes();
    let (scope, rest) = buffer.split_at_mut(SCOPE);
    scope[..4].copy_from_slice(&[family, key.protocol, high, low]);
    scope[4..].copy_from_slice(&address.octets());
    rest.get_mut(..data.len())?.copy_from_slice(data);
    buffer.get(..SCOPE + data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &[u8] = b"a84b4c76@example.com";

    fn key(client: &str, virtual_port: u16) -> ConnectionKey {
        ConnectionKey {
            protocol: 17,
            client: client.parse().unwrap(),
            client_port: 0,
            virtual_address: "192.0.2.80".parse().unwrap(),
            virtual_port,
        }
    }

    fn make(table: &mut ConnectionTable, key: &ConnectionKey, data: &[u8]) -> ConnectionId {
        table
            .create_keyed_template(key, data, (ServerId(1), 5060), 100, Instant::default())
            .unwrap()
    }

    fn found(table: &ConnectionTable, port: u16, data: &[u8]) -> Option<ConnectionId> {
        table.lookup_keyed_template(&key("203.0.113.77", port), data, Instant::default())
    }

    #[test]
    fn data_and_service_find_it_and_the_client_does_not() {
        let mut table = ConnectionTable::new(8, 1);
        let id = make(&mut table, &key("203.0.113.9", 5060), CALL);
        assert_eq!(found(&table, 5060, CALL), Some(id));
        assert_eq!(found(&table, 5061, CALL), None);
        assert_eq!(found(&table, 5060, b"another"), None);
        let now = Instant::default();
        assert_eq!(table.lookup_template(&key("203.0.113.9", 5060), now), None);
        assert_eq!(table.template_data(id), Some(CALL));
    }

    #[test]
    fn an_address_of_the_other_family_is_another() {
        let mut table = ConnectionTable::new(8, 1);
        let mapped = ConnectionKey {
            client: "2001:db8::9".parse().unwrap(),
            virtual_address: "::ffff:192.0.2.80".parse().unwrap(),
            ..key("203.0.113.9", 5060)
        };
        make(&mut table, &mapped, CALL);
        assert_eq!(found(&table, 5060, CALL), None);
    }

    #[test]
    fn one_whose_time_is_over_is_found_no_more() {
        let mut table = ConnectionTable::new(8, 1);
        make(&mut table, &key("203.0.113.9", 5060), CALL);
        let find = |seconds: u64| {
            let now = Instant::from_millis(seconds * 1000);
            table.lookup_keyed_template(&key("203.0.113.9", 5060), CALL, now)
        };
        assert!(find(90).is_some());
        assert_eq!(find(110), None);
    }

    #[test]
    fn a_disabled_one_makes_room_for_the_next_and_leaves_it_there() {
        let mut table = ConnectionTable::new(8, 1);
        let first = make(&mut table, &key("203.0.113.9", 5060), CALL);
        table.disable_template(first);
        assert_eq!(found(&table, 5060, CALL), None);
        let second = make(&mut table, &key("203.0.113.9", 5060), CALL);
        table.keyed.remove(first);
        assert_eq!(found(&table, 5060, CALL), Some(second));
    }

    #[test]
    fn what_ran_out_leaves_nothing() {
        let mut table = ConnectionTable::new(64, 1);
        for call in 0..64_u8 {
            make(&mut table, &key("203.0.113.9", 5060), &[call; 255]);
        }
        let mut ended = 0;
        table.expire(Instant::from_millis(200_000), 1000, |_| ended += 1);
        assert_eq!((ended, table.len()), (64, 0));
        assert!(table.keyed.newest.is_empty() && table.keyed.names.is_empty());
    }

    #[test]
    fn data_that_are_no_key_make_an_ordinary_template() {
        let mut table = ConnectionTable::new(8, 1);
        for data in [&[][..], &[7; 256]] {
            let id = make(&mut table, &key("203.0.113.9", 5060), data);
            assert_eq!((table.template_data(id), found(&table, 5060, data)), (None, None));
            let found = table.lookup_template(&key("203.0.113.9", 5060), Instant::default());
            assert_eq!(found, Some(id));
        }
    }
}
