//! Makes one snapshot out of the workers' snapshots.

use engine::snapshot::{
    ConnectionPage, Counter, DefenceStatistics, Explanation, FragmentStatistics, NamedCounter,
    Rates, ServerSnapshot, ServiceSnapshot, Statistics, Traffic,
};

use crate::port::InterfaceCounters;

/// The sum of the workers' statistics. All must be of one configuration.
pub(crate) fn statistics(parts: impl IntoIterator<Item = Statistics>) -> Option<Statistics> {
    let mut parts = parts.into_iter();
    let mut sum = parts.next()?;
    for part in parts {
        add_statistics(&mut sum, &part);
    }
    Some(sum)
}

fn add_statistics(sum: &mut Statistics, part: &Statistics) {
    for (service, more) in sum.services.iter_mut().zip(&part.services) {
        add_service(service, more);
    }
    add_traffic(&mut sum.traffic, &part.traffic);
    add_rates(&mut sum.rates, &part.rates);
    add_defence(&mut sum.defence, &part.defence);
    add(&mut sum.forwarded, part.forwarded);
    add(&mut sum.held, part.held);
    add_fragments(&mut sum.fragments, &part.fragments);
    add(&mut sum.returned, part.returned);
    add(&mut sum.routed, part.routed);
    add_named(&mut sum.passed, &part.passed);
    add_named(&mut sum.dropped, &part.dropped);
    add_named(&mut sum.replied, &part.replied);
    sum.connections = sum.connections.saturating_add(part.connections);
    sum.connection_limit = sum.connection_limit.saturating_add(part.connection_limit);
    add(&mut sum.placed_without_entry, part.placed_without_entry);
    sum.fast_path.connections += part.fast_path.connections;
    add(&mut sum.fast_path.packets, part.fast_path.packets);
    add(&mut sum.fast_path.octets, part.fast_path.octets);
    add(&mut sum.fast_path.unknown, part.fast_path.unknown);
}

const fn add_fragments(sum: &mut FragmentStatistics, part: &FragmentStatistics) {
    sum.waiting = sum.waiting.saturating_add(part.waiting);
    add(&mut sum.reassembled, part.reassembled);
    add(&mut sum.expired, part.expired);
    add(&mut sum.evicted, part.evicted);
}

fn add_service(sum: &mut ServiceSnapshot, part: &ServiceSnapshot) {
    for (server, more) in sum.servers.iter_mut().zip(&part.servers) {
        add_server(server, more);
    }
    add_traffic(&mut sum.traffic, &part.traffic);
    add_rates(&mut sum.rates, &part.rates);
    add_named(&mut sum.adopted, &part.adopted);
    add(&mut sum.moved_by_fallback, part.moved_by_fallback);
    add(&mut sum.refused, part.refused);
}

const fn add_server(sum: &mut ServerSnapshot, part: &ServerSnapshot) {
    // A server's load is one for all engines, not one for each: the latest reading counts.
    sum.active_connections = part.active_connections;
    sum.inactive_connections = part.inactive_connections;
    sum.persistent_connections = part.persistent_connections;
    sum.overloaded = part.overloaded;
    add_traffic(&mut sum.traffic, &part.traffic);
    add_rates(&mut sum.rates, &part.rates);
}

const fn add_rates(sum: &mut Rates, part: &Rates) {
    add(&mut sum.connections, part.connections);
    add(&mut sum.in_packets, part.in_packets);
    add(&mut sum.out_packets, part.out_packets);
    add(&mut sum.in_octets, part.in_octets);
    add(&mut sum.out_octets, part.out_octets);
}

/// Each worker defends its own part of the table: what any of them does is told.
const fn add_defence(sum: &mut DefenceStatistics, part: &DefenceStatistics) {
    sum.drops_entries |= part.drops_entries;
    sum.secures_tcp |= part.secures_tcp;
    if part.drop_rate != 0 && (sum.drop_rate == 0 || part.drop_rate < sum.drop_rate) {
        sum.drop_rate = part.drop_rate;
    }
    add(&mut sum.dropped_entries, part.dropped_entries);
}

const fn add_traffic(sum: &mut Traffic, part: &Traffic) {
    add(&mut sum.connections, part.connections);
    add(&mut sum.in_packets, part.in_packets);
    add(&mut sum.out_packets, part.out_packets);
    add(&mut sum.in_octets, part.in_octets);
    add(&mut sum.out_octets, part.out_octets);
}

/// Adds counters by name, so that a worker may leave out what it never counted.
fn add_named(sum: &mut Vec<NamedCounter>, part: &[NamedCounter]) {
    for more in part {
        match sum.iter_mut().find(|counter| counter.name == more.name) {
            Some(counter) => add(&mut counter.count, more.count),
            None => sum.push(more.clone()),
        }
    }
}

const fn add(sum: &mut Counter, part: Counter) {
    sum.0 = sum.0.saturating_add(part.0);
}

/// One line for each interface, in the order of first mention.
pub(crate) fn ports(parts: impl IntoIterator<Item = InterfaceCounters>) -> Vec<InterfaceCounters> {
    let mut ports: Vec<InterfaceCounters> = Vec::new();
    for part in parts {
        match ports.iter_mut().find(|port| port.interface == part.interface) {
            Some(port) => port.add(&part),
            None => ports.push(part),
        }
    }
    ports
}

/// The worker's explanation that knows the connection; the first one's when none does.
pub(crate) fn explanation(parts: impl IntoIterator<Item = Explanation>) -> Option<Explanation> {
    let mut parts = parts.into_iter();
    let first = parts.next()?;
    if first.connection.is_some() {
        return Some(first);
    }
    Some(parts.find(|part| part.connection.is_some()).unwrap_or(first))
}

/// Where a listing over several workers goes on: the worker in the upper bits, its own cursor in
/// the lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The worker, from 0.
    pub(crate) worker: usize,
    /// The worker's own cursor.
    pub(crate) inner: u32,
}

/// Bits of a cursor that belong to the worker's own table.
const INNER_BITS: u32 = 26;

/// Workers a cursor can tell apart.
pub(crate) const WORKERS_MAX: usize = 1 << (u32::BITS - INNER_BITS);

/// Entries of one worker's table a cursor can tell apart.
pub(crate) const ENTRIES_PER_WORKER_MAX: u32 = (1 << INNER_BITS) - 1;

impl Cursor {
    /// Takes apart what [`Self::encode`] made.
    pub(crate) const fn decode(cursor: u32) -> Self {
        Self { worker: (cursor >> INNER_BITS) as usize, inner: cursor & ENTRIES_PER_WORKER_MAX }
    }

    /// The cursor as one number.
    pub(crate) fn encode(self) -> u32 {
        let worker = u32::try_from(self.worker).unwrap_or(u32::MAX);
        (worker << INNER_BITS) | (self.inner & ENTRIES_PER_WORKER_MAX)
    }
}

/// Fills `page` up to `limit` rows from the workers one after the other; `ask` gives a worker's page.
pub(crate) fn connections<E>(
    workers: usize,
    cursor: u32,
    limit: usize,
    mut ask: impl FnMut(usize, u32, usize) -> Result<ConnectionPage, E>,
) -> Result<ConnectionPage, E> {
    let mut cursor = Cursor::decode(cursor);
    let mut rows = Vec::new();
    while cursor.worker < workers && rows.len() < limit {
        let page = ask(cursor.worker, cursor.inner, limit - rows.len())?;
        rows.extend(page.rows);
        cursor = match page.next {
            Some(inner) => Cursor { inner, ..cursor },
            None => Cursor { worker: cursor.worker + 1, inner: 0 },
        };
    }
    let next = (cursor.worker < workers).then(|| cursor.encode());
    Ok(ConnectionPage { rows, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::{ForwardingMethod, Protocol};
    use engine::snapshot::ConnectionRow;

    fn row(port: u32) -> ConnectionRow {
        let port = u16::try_from(port).expect("a small number");
        ConnectionRow {
            protocol: Some(Protocol::Tcp),
            client: ([198, 51, 100, 1], port).into(),
            virtual_address: ([192, 0, 2, 80], 80).into(),
            server: ([10, 0, 0, 11], 80).into(),
            state: "ESTABLISHED",
            expires_in_ms: Counter(0),
            template: false,
            forwarding: ForwardingMethod::DirectRouting,
            in_packets: Counter(1),
            persistence_engine: None,
            persistence_data: None,
        }
    }

    /// A worker with `held` entries, the first of them numbered `first`.
    fn worker(first: u32, held: u32, cursor: u32, limit: usize) -> ConnectionPage {
        let limit = u32::try_from(limit).expect("a small number");
        let end = held.min(cursor + limit);
        let rows = (cursor..end).map(|entry| row(first + entry)).collect();
        ConnectionPage { rows, next: (end < held).then_some(end) }
    }

    #[test]
    fn a_listing_visits_every_entry_of_every_worker_once() {
        for limit in 1..12 {
            let mut seen = Vec::new();
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let page = connections(3, at, limit, |index, inner, limit| {
                    let (first, held) = [(0, 4), (100, 0), (200, 3)][index];
                    Ok::<_, ()>(worker(first, held, inner, limit))
                })
                .expect("workers answer");
                assert!(page.rows.len() <= limit);
                seen.extend(page.rows.iter().map(|row| row.client.port()));
                cursor = page.next;
            }
            assert_eq!(seen, [0, 1, 2, 3, 200, 201, 202], "limit {limit}");
        }
    }

    #[test]
    fn a_cursor_past_all_workers_ends() {
        let cursor = Cursor { worker: 5, inner: 0 }.encode();
        let page = connections(2, cursor, 10, |_, _, _| Err(())).expect("nobody is asked");
        assert_eq!((page.rows.len(), page.next), (0, None));
    }

    #[test]
    fn counters_are_added_by_name() {
        let named = |name, count| NamedCounter { name, count: Counter(count) };
        let mut sum = vec![named("no-service", 1)];
        add_named(&mut sum, &[named("icmp", 5), named("no-service", 2)]);
        assert_eq!(sum, [named("no-service", 3), named("icmp", 5)]);
    }
}
