//! The table against a model: a list of entries, searched from end to end.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use crate::command::ForwardingMethod;
use crate::connection::{
    Activity, Assignment, ConnectionEvent, ConnectionId, ConnectionKey, ConnectionTable, Direction,
    Entry, Expired, ReplyKey, SCTP, SctpEvent, TCP, TcpEvent, TcpState, Timeouts, UDP,
};
use crate::hop::ServerId;
use crate::time::Instant;

const SECOND: u64 = 1_000_000_000;

fn seconds(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * SECOND)
}

/// Expires everything due, some entries at a time.
fn expire_all(table: &mut ConnectionTable, now: Instant, budget: usize) -> Vec<Expired> {
    let mut all = Vec::new();
    while !table.expire(now, budget, |expired| all.push(*expired)) {
        assert!(table.next_deadline().is_some_and(|deadline| deadline <= now));
    }
    all
}

#[derive(Clone, Debug)]
enum Operation {
    Create { key: usize, input_only: bool },
    Packet { key: usize, event: usize, output: bool },
    Refresh { key: usize },
    Reopen { key: usize },
    ExpireNow { key: usize },
    Remove { key: usize },
    Advance { nanos: u64 },
    Expire { budget: usize },
    CreateTemplate { key: usize, timeout: u32 },
    CreateThroughTemplate { key: usize, template: usize },
    DisableTemplate { key: usize },
}

fn keys() -> Vec<ConnectionKey> {
    let ends = [
        ("10.0.0.1", 1000, "192.0.2.80"),
        ("10.0.0.1", 1001, "192.0.2.80"),
        ("10.0.0.1", 1000, "192.0.2.81"),
        ("2001:db8::1", 1000, "2001:db8:80::1"),
        ("2001:db8::1", 1000, "2001:db8:80::2"),
        ("::10.0.0.1", 1000, "2001:db8:80::1"),
    ];
    let mut keys = Vec::new();
    for protocol in [TCP, UDP, SCTP] {
        for (client, client_port, virtual_address) in ends {
            let [client, virtual_address] =
                [client, virtual_address].map(|address| address.parse().unwrap());
            let virtual_port = 80;
            keys.push(ConnectionKey {
                protocol,
                client,
                client_port,
                virtual_address,
                virtual_port,
            });
        }
    }
    keys
}

fn template_key(key: usize) -> ConnectionKey {
    ConnectionKey { client_port: 0, ..keys()[key] }
}

const TICK: u64 = SECOND / 16;

#[derive(Clone, Debug)]
struct ModelEntry {
    key: ConnectionKey,
    template: bool,
    disabled: bool,
    assured: bool,
    controller: Option<u32>,
    state: &'static str,
    active: bool,
    input_only: bool,
    masqueraded: bool,
    /// When it was opened last, in the order of all openings.
    opened: u32,
    timeout: u32,
    /// In ticks.
    expires: u64,
}

/// Entries by the order of their creation, which is also their server's number.
struct Model {
    table: ConnectionTable,
    entries: BTreeMap<u32, ModelEntry>,
    created: u32,
    openings: u32,
    now: Instant,
}

const LIMIT: u32 = 24;

impl Model {
    fn new() -> Self {
        Self {
            table: ConnectionTable::new(LIMIT, 3),
            entries: BTreeMap::new(),
            created: 0,
            openings: 0,
            now: seconds(1_000_000),
        }
    }

    fn tick(&self) -> u64 {
        self.now.as_nanos() / TICK
    }

    fn deadline(&self, timeout: u32) -> u64 {
        self.now.as_nanos().div_ceil(TICK) + u64::from(timeout) * 16
    }

    fn controlled(&self, template: u32) -> usize {
        self.entries.values().filter(|entry| entry.controller == Some(template)).count()
    }

    fn find(&self, key: &ConnectionKey, template: bool) -> Option<u32> {
        let alive = |number: &u32, entry: &ModelEntry| {
            entry.expires > self.tick() || self.controlled(*number) > 0
        };
        self.entries
            .iter()
            .rev()
            .find(|(number, entry)| {
                entry.key == *key
                    && entry.template == template
                    && !entry.disabled
                    && alive(number, entry)
            })
            .map(|(number, _)| *number)
    }

    /// Both sides' answer to a lookup, which must be one.
    fn lookup(&self, key: &ConnectionKey, template: bool) -> Option<(ConnectionId, u32)> {
        let found = if template {
            self.table.lookup_template(key, self.now)
        } else {
            self.table.lookup(key, self.now)
        };
        let expected = self.find(key, template);
        assert_eq!(found.map(|id| self.table.entry(id).server().0), expected);
        found.zip(expected)
    }

    fn create(&mut self, entry: ModelEntry) -> Option<(ConnectionId, u32)> {
        let number = self.created;
        let result = if entry.template {
            let server = ServerId(number);
            self.table.create_template(&entry.key, server, 0, entry.timeout, self.now)
        } else {
            let server = ServerId(number);
            let forwarding = if entry.input_only {
                ForwardingMethod::DirectRouting
            } else {
                ForwardingMethod::Masquerading
            };
            let assignment = Assignment { server, server_port: 80, forwarding };
            self.table.create(&entry.key, assignment, self.now)
        };
        assert_eq!(result.is_err(), self.entries.len() == LIMIT as usize);
        let id = result.ok()?;
        self.openings += 1;
        self.entries.insert(number, ModelEntry { opened: self.openings, ..entry });
        self.created += 1;
        Some((id, number))
    }

    fn create_connection(&mut self, key: usize, input_only: bool) -> Option<(ConnectionId, u32)> {
        let key = keys()[key];
        self.create(ModelEntry {
            key,
            template: false,
            disabled: false,
            assured: false,
            controller: None,
            state: if key.protocol == UDP { "UDP" } else { "NONE" },
            active: false,
            input_only,
            masqueraded: !input_only,
            opened: 0,
            timeout: 3,
            expires: self.deadline(3),
        })
    }

    fn create_template(&mut self, key: usize, timeout: u32) {
        self.create(ModelEntry {
            key: template_key(key),
            template: true,
            disabled: false,
            assured: false,
            controller: None,
            state: "NONE",
            active: false,
            input_only: false,
            masqueraded: false,
            opened: 0,
            timeout,
            expires: self.deadline(timeout),
        });
    }

    fn packet(&mut self, key: usize, event: usize, output: bool) {
        let Some((id, number)) = self.lookup(&keys()[key], false) else {
            return;
        };
        let timeouts = Timeouts::new(500, 120, 2000);
        let given = if output { Direction::Output } else { Direction::Input };
        let entry = &self.entries[&number];
        let input_only = entry.input_only && !output;
        let direction = if input_only { Direction::InputOnly } else { given };
        let table_entry = self.table.entry(id);
        let (event, state, timeout, active, assures) = next(table_entry, event, direction);
        let activity = self.table.transition(id, event, given, &timeouts, self.now);
        assert_eq!(
            activity,
            match (entry.active, active) {
                (false, true) => Activity::Activated,
                (true, false) => Activity::Deactivated,
                _ => Activity::Unchanged,
            }
        );
        let (expires, controller) = (self.deadline(timeout), entry.controller);
        let entry = self.entries.get_mut(&number).unwrap();
        *entry = ModelEntry { state, timeout, active, input_only, expires, ..entry.clone() };
        if let Some(template) = controller.filter(|_| assures) {
            self.entries.get_mut(&template).unwrap().assured = true;
        }
    }

    /// What is to be reported by now, in the order of time; templates that live on are set.
    fn run_out(&mut self) -> BTreeMap<u32, ModelEntry> {
        let mut over = BTreeMap::new();
        loop {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.expires);
            let Some((number, entry)) = first.map(|(number, entry)| (*number, entry.expires))
            else {
                return over;
            };
            if entry > self.tick() {
                return over;
            }
            if self.controlled(number) > 0 {
                let template = self.entries.get_mut(&number).unwrap();
                template.timeout = 60;
                template.expires += 60 * 16;
            } else if let Some(entry) = self.entries.remove(&number) {
                over.insert(number, entry);
            }
        }
    }

    fn check_report(expired: &Expired, entry: &ModelEntry) {
        assert_eq!(expired.key, entry.key);
        assert_eq!(expired.active, entry.active);
        assert_eq!(expired.template, entry.template);
        assert_eq!(expired.controller.is_some(), entry.controller.is_some());
    }

    fn expire(&mut self, budget: usize) {
        let partly = self.entries.values().all(|entry| !entry.template);
        if partly {
            let mut reports = Vec::new();
            let done = self.table.expire(self.now, budget, |expired| reports.push(*expired));
            assert!(reports.len() <= budget);
            for expired in reports {
                let entry = self.entries.remove(&expired.server.0).unwrap();
                assert!(entry.expires <= self.tick(), "early");
                Self::check_report(&expired, &entry);
            }
            if !done {
                return;
            }
            assert_eq!(self.run_out().len(), 0, "all reported");
        } else {
            let reports = expire_all(&mut self.table, self.now, budget.max(1));
            let expected = self.run_out();
            assert_eq!(reports.len(), expected.len());
            for expired in reports {
                Self::check_report(&expired, &expected[&expired.server.0]);
            }
        }
        let first = self.entries.values().map(|entry| entry.expires).min();
        let deadline = self.table.next_deadline();
        assert_eq!(deadline.is_some(), first.is_some());
        if let (Some(deadline), Some(first)) = (deadline, first) {
            let late = deadline > self.now && deadline.as_nanos() / TICK <= first;
            assert!(late, "{deadline:?} for tick {first} at {:?}", self.now);
        }
    }

    fn advance(&mut self, nanos: u64) {
        self.now = self.now + Duration::from_nanos(nanos);
    }

    fn create_through_template(&mut self, key: usize, template: usize) {
        let Some((template, template_number)) = self.lookup(&template_key(template), true) else {
            return;
        };
        let Some((id, number)) = self.create_connection(key, true) else {
            return;
        };
        // Half a second between keeps templates and connections from ending at the same tick.
        self.advance(SECOND / 2);
        self.table.attach(id, template, self.now);
        self.entries.get_mut(&number).unwrap().controller = Some(template_number);
        let timeout = self.entries[&template_number].timeout;
        let expires = self.deadline(timeout);
        self.entries.get_mut(&template_number).unwrap().expires = expires;
        self.advance(SECOND / 2);
    }

    fn operate(&mut self, operation: Operation) {
        match operation {
            Operation::Create { key, input_only } => {
                self.create_connection(key, input_only);
            }
            Operation::Packet { key, event, output } => self.packet(key, event, output),
            Operation::Refresh { key } => {
                if let Some((id, number)) = self.lookup(&keys()[key], false) {
                    self.table.refresh(id, self.now);
                    let expires = self.deadline(self.entries[&number].timeout);
                    self.entries.get_mut(&number).unwrap().expires = expires;
                }
            }
            Operation::Reopen { key } => {
                if let Some((id, number)) = self.lookup(&keys()[key], false) {
                    self.table.reopen(id);
                    self.openings += 1;
                    let entry = self.entries.get_mut(&number).unwrap();
                    if ["TIME_WAIT", "CLOSE", "CLOSED"].contains(&entry.state) {
                        entry.opened = self.openings;
                    }
                }
            }
            Operation::ExpireNow { key } => {
                if let Some((id, number)) = self.lookup(&keys()[key], false) {
                    self.table.expire_now(id, self.now);
                    self.entries.get_mut(&number).unwrap().expires = self.tick();
                }
            }
            Operation::Remove { key } => {
                if let Some((id, number)) = self.lookup(&keys()[key], false) {
                    let expired = self.table.remove(id).unwrap();
                    Self::check_report(&expired, &self.entries.remove(&number).unwrap());
                }
            }
            Operation::Advance { nanos } => {
                self.advance(nanos);
                // The table wants to hear of the time at least every 97 days.
                if nanos > 20 * 86_400 * SECOND {
                    self.expire(1);
                }
            }
            Operation::Expire { budget } => self.expire(budget),
            Operation::CreateTemplate { key, timeout } => {
                self.advance(SECOND / 2);
                self.create_template(key, timeout);
                self.advance(SECOND / 2);
            }
            Operation::CreateThroughTemplate { key, template } => {
                self.expire(1);
                self.create_through_template(key, template);
            }
            Operation::DisableTemplate { key } => {
                self.expire(3);
                if let Some((id, number)) = self.lookup(&template_key(key), true) {
                    self.table.disable_template(id);
                    self.entries.get_mut(&number).unwrap().disabled = true;
                }
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.table.len() as usize, self.entries.len());
        for key in keys() {
            self.lookup(&key, false);
            self.lookup(&ConnectionKey { client_port: 0, ..key }, true);
        }
        let mut listed = BTreeSet::new();
        for (id, entry) in self.table.iter_from(0, self.now) {
            listed.insert(entry.server().0);
            self.check_entry(id, entry);
        }
        let alive = self
            .entries
            .iter()
            .filter(|(number, entry)| entry.expires > self.tick() || self.controlled(**number) > 0);
        assert!(alive.map(|(number, _)| number).eq(&listed));
    }

    fn check_entry(&self, id: ConnectionId, entry: &Entry) {
        let number = entry.server().0;
        let model = &self.entries[&number];
        assert_eq!(self.table.key(id), model.key);
        assert_eq!(entry.is_template(), model.template);
        assert_eq!(entry.is_disabled(), model.disabled);
        assert_eq!(entry.is_active(), model.active);
        assert_eq!(entry.is_input_only(), model.input_only);
        assert_eq!(entry.timeout_seconds(), model.timeout);
        let reply = ReplyKey {
            protocol: model.key.protocol,
            client: model.key.client,
            client_port: model.key.client_port,
            server_port: entry.server_port(),
        };
        let found = self.table.lookup_reply(&reply, |server| server.0 == number, self.now);
        assert_eq!(found, entry.is_masqueraded().then_some(id));
        self.check_reply(&reply, |_| true);
        self.check_reply(&reply, |server| server.0.is_multiple_of(2));
        let state = if model.assured { "ASSURED" } else { model.state };
        assert_eq!(entry.state_name(), state);
        let controller = entry.controller().map(|id| self.table.entry(id).server().0);
        assert_eq!(controller, model.controller);
        assert_eq!(entry.controlled() as usize, self.controlled(number));
        let left = Duration::from_nanos((model.expires * TICK).saturating_sub(self.now.as_nanos()));
        assert_eq!(self.table.expires_in(id, self.now), left);
    }

    /// Of the connections that look alike from a server's side, the newest that lives is taken.
    fn check_reply(&self, reply: &ReplyKey, is_server: impl Fn(ServerId) -> bool) {
        let looks_alike = |number: u32, entry: &ModelEntry| {
            let key = &entry.key;
            let client = (key.protocol, key.client, key.client_port);
            entry.masqueraded
                && entry.expires > self.tick()
                && client == (reply.protocol, reply.client, reply.client_port)
                && is_server(ServerId(number))
        };
        let alike = self.entries.iter().filter(|(number, entry)| looks_alike(**number, entry));
        let newest = alike.max_by_key(|(_, entry)| entry.opened).map(|(number, _)| *number);
        let found = self.table.lookup_reply(reply, &is_server, self.now);
        assert_eq!(found.map(|id| self.table.entry(id).server().0), newest);
    }
}

/// The event numbered `number` of the entry's protocol, and where it leads.
fn next(
    entry: &Entry,
    number: usize,
    direction: Direction,
) -> (ConnectionEvent, &'static str, u32, bool, bool) {
    let timeouts = Timeouts::new(500, 120, 2000);
    if let Some(state) = entry.tcp_state() {
        let event = TcpEvent::ALL[number % TcpEvent::ALL.len()];
        let next = state.after(event, direction);
        let timeout = next.timeout_seconds(&timeouts);
        let established = next == TcpState::Established;
        (ConnectionEvent::Tcp(event), next.name(), timeout, next.is_active(), established)
    } else if let Some(state) = entry.sctp_state() {
        let event = SctpEvent::ALL[number % SctpEvent::ALL.len()];
        let next = state.after(event, direction);
        let active = next.is_active();
        (ConnectionEvent::Sctp(event), next.name(), next.timeout_seconds(), active, active)
    } else {
        (ConnectionEvent::Udp, "UDP", 2000, false, direction == Direction::Output)
    }
}

fn key() -> impl Strategy<Value = usize> {
    0..keys().len()
}

/// Spans of `unit` nanoseconds: mostly short, sometimes longer than the wheel, rarely absurd.
fn span(unit: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..5 * SECOND / unit,
        4 => 0..200 * SECOND / unit,
        2 => 0..3000 * SECOND / unit,
        1 => 0..50 * 86_400 * SECOND / unit,
    ]
    .prop_map(move |units| units * unit)
}

fn operation(unit: u64) -> BoxedStrategy<Operation> {
    prop_oneof![
        4 => (key(), any::<bool>()).prop_map(|(key, input_only)| Operation::Create {
            key,
            input_only,
        }),
        8 => (key(), any::<usize>(), prop::bool::weighted(0.2)).prop_map(
            |(key, event, output)| Operation::Packet { key, event, output }
        ),
        1 => key().prop_map(|key| Operation::Refresh { key }),
        1 => key().prop_map(|key| Operation::Reopen { key }),
        1 => key().prop_map(|key| Operation::ExpireNow { key }),
        1 => key().prop_map(|key| Operation::Remove { key }),
        5 => span(unit).prop_map(|nanos| Operation::Advance { nanos }),
        3 => (1..20_usize).prop_map(|budget| Operation::Expire { budget }),
    ]
    .boxed()
}

/// Few templates, so that connections meet theirs.
fn template_operation() -> BoxedStrategy<Operation> {
    prop_oneof![
        3 => (0..3_usize, 1..2000_u32).prop_map(|(key, timeout)| Operation::CreateTemplate {
            key,
            timeout,
        }),
        6 => (key(), 0..3_usize).prop_map(|(key, template)| Operation::CreateThroughTemplate {
            key,
            template,
        }),
        1 => (0..3_usize).prop_map(|key| Operation::DisableTemplate { key }),
        8 => operation(SECOND),
    ]
    .boxed()
}

fn agree(operations: Vec<Operation>) {
    let mut model = Model::new();
    for operation in operations {
        model.operate(operation);
        if model.entries.values().any(|entry| entry.template) {
            model.expire(2);
        }
        model.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn connections_behave_like_the_model(
        operations in prop::collection::vec(operation(1), 1..80),
    ) {
        agree(operations);
    }

    #[test]
    fn templates_behave_like_the_model(
        operations in prop::collection::vec(template_operation(), 1..80),
    ) {
        agree(operations);
    }
}
