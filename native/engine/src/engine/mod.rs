//! The engine: connection table, books and the packet path over one configuration.

mod admission;
mod books;
mod defence;
mod estimation;
mod fast_path;
mod fragments;
mod judge;
mod known;
mod ledger;
mod load;
mod neighbour;
mod observe;
mod onward;
mod opening;
mod own_tunnel;
mod persistence;
mod related;
mod returning;
mod schedule;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use wire::Malformed;
use wire::dissect::{Dissection, Fragment, Upper, dissect};
use wire::ethernet::MacAddress;
use wire::glimpse::glimpse;

use crate::command::ServiceKey;
use crate::configuration::{Configuration, Families};
use crate::connection::{ConnectionKey, ConnectionTable, Timeouts};
use crate::counters::VerdictCounters;
use crate::engine::admission::Admission;
use crate::engine::books::Books;
use crate::engine::defence::Defence;
use crate::engine::estimation::Estimation;
use crate::engine::fast_path::FastPath;
use crate::engine::fragments::Fragments;
use crate::engine::judge::Judge;
use crate::engine::neighbour::Answering;
use crate::event::Event;
use crate::event_queue::EventQueue;
use crate::forward::Answers;
use crate::frame::{FrameMeta, InterfaceId, Outputs};
use crate::hop::Hops;
use crate::identification::Identification;
use crate::packet::Packet;
use crate::rate_limit::RateLimit;
use crate::time::Instant;
use crate::verdict::{DropReason, PassReason, Verdict};

pub use fast_path::{FastCounts, FastFlow, FastPathChange};

/// Connection entries one [`Engine::handle_timeout`] looks at, at most: far below a millisecond.
const EXPIRY_BUDGET: u32 = 1024;

/// How much an engine may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the connection table, templates included; default 1,048,576.
    pub connections: u32,
    /// Events kept until somebody takes them; default 4,096.
    pub events: usize,
    /// Octets of fragments that wait for the rest of their packets; default 4,194,304.
    pub fragment_octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1 << 20, events: 4096, fragment_octets: 4 << 20 }
    }
}

/// Judges frames and keeps the connections they belong to.
#[derive(Debug)]
pub struct Engine {
    configuration: Arc<Configuration>,
    /// What the configuration says of timeouts.
    timeouts: Timeouts,
    connections: ConnectionTable,
    books: Books,
    verdicts: VerdictCounters,
    events: EventQueue,
    icmp_errors: RateLimit,
    identification: Identification,
    fragments: Fragments,
    defence: Defence,
    estimation: Estimation,
    placed_without_entry: u64,
    answering: Answering,
    fast_path: FastPath,
    admission: Admission,
    /// The address families of the services; packets of others are nobody's.
    families: Families,
    /// Where the search for connections of removed servers goes on (`expire_nodest_conn`).
    purge: Option<u32>,
}

impl Engine {
    /// An engine with an empty configuration. All memory is reserved here, nothing is allocated
    /// for a frame. `seed` keys the hash of the connection table and begins the random choices of `twos`: it
    /// should be random, so that nobody can choose connections that collide.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let configuration = Arc::new(Configuration::default());
        let icmp_errors = RateLimit::new(configuration.settings().icmp_errors_per_second);
        Self {
            configuration,
            timeouts: Timeouts::default(),
            connections: ConnectionTable::new(limits.connections, seed),
            books: Books::new(seed),
            verdicts: VerdictCounters::new(),
            events: EventQueue::new(limits.events),
            icmp_errors,
            identification: Identification::new(seed),
            fragments: Fragments::new(limits.fragment_octets, seed),
            defence: Defence::new(seed),
            estimation: Estimation::default(),
            placed_without_entry: 0,
            answering: Answering::default(),
            fast_path: FastPath::default(),
            admission: Admission::default(),
            families: Families::default(),
            purge: None,
        }
    }

    /// The configuration in force.
    #[must_use]
    pub const fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// Puts `configuration` in force. Connections, counters and cursors carry over.
    pub fn configure(&mut self, configuration: Arc<Configuration>) {
        self.books.reconcile(&self.configuration, &configuration);
        let limit = configuration.settings().icmp_errors_per_second;
        if limit != self.configuration.settings().icmp_errors_per_second {
            self.icmp_errors.set(limit);
        }
        // IPVS, expire_nodest_conn: all connections of a removed server expire in the background.
        let removed = configuration.removed_servers().next().is_some();
        if configuration.settings().expire_nodest_conn && removed {
            self.purge = Some(0);
        }
        self.families = configuration.families();
        self.configuration = configuration;
        self.set_timeouts();
        self.arm_defence();
        self.pace_estimation();
    }

    fn set_timeouts(&mut self) {
        let settings = self.configuration.settings();
        let timeouts = Timeouts::new(
            settings.tcp_timeout_seconds,
            settings.tcp_fin_timeout_seconds,
            settings.udp_timeout_seconds,
        );
        self.timeouts = timeouts.with_secure_tcp(self.defence.secures_tcp());
    }

    /// Judges one frame and rewrites it in place. Frames the engine makes itself are appended to
    /// `outputs`. Any octets are a valid input.
    pub fn process(
        &mut self,
        frame: &mut [u8],
        meta: &FrameMeta,
        now: Instant,
        hops: &impl Hops,
        outputs: &mut Outputs,
    ) -> Verdict {
        let verdict = match dissect(frame) {
            Ok(Dissection::Ip(ip)) => {
                let packet = Packet::new(frame, ip, meta);
                self.judge(packet, now, hops, outputs)
            }
            Ok(Dissection::Arp) => self.arp(frame, meta, outputs),
            Ok(Dissection::NotIp(_)) => Verdict::Pass(PassReason::NotIp),
            Err(malformed) => Verdict::Drop(drop_reason(malformed)),
        };
        self.verdicts.count(verdict);
        verdict
    }

    /// Reads what the next frames will look up, all at once; worth it before a batch of them. Changes
    /// nothing, and frames it was not told of are judged just as well. Returns the connection entries
    /// it came by, none in a table that the processor's cache holds anyway.
    pub fn foresee<'f>(&self, frames: impl Iterator<Item = &'f [u8]>) -> usize {
        self.connections.foresee(frames.filter_map(glimpse).map(|flow| ConnectionKey {
            protocol: flow.protocol,
            client: flow.source,
            client_port: flow.source_port,
            virtual_address: flow.destination,
            virtual_port: flow.destination_port,
        }))
    }

    /// The addresses of the memory that look-ups of connections go to, reserved by [`Engine::new`] and
    /// used only as connections come.
    #[must_use]
    pub fn memory(&self) -> [Range<usize>; 2] {
        self.connections.memory()
    }

    /// Has the engine answer ARP requests and neighbour solicitations for the virtual addresses, on
    /// these interfaces with these hardware addresses and on no others; at first on none.
    pub fn answer_neighbours(&mut self, stations: Vec<(InterfaceId, MacAddress)>) {
        self.answering = Answering(stations);
    }

    fn arp(&self, frame: &[u8], meta: &FrameMeta, outputs: &mut Outputs) -> Verdict {
        self.answering
            .hardware(meta.interface)
            .and_then(|hardware| {
                neighbour::arp(frame, meta, hardware, &self.configuration, outputs)
            })
            .unwrap_or(Verdict::Pass(PassReason::NotIp))
    }

    fn judge(
        &mut self,
        mut packet: Packet<'_>,
        now: Instant,
        hops: &impl Hops,
        outputs: &mut Outputs,
    ) -> Verdict {
        if let Upper::Icmpv6 { kind, .. } = packet.ip.upper
            && neighbour::is_solicitation(kind)
            && let Some(hardware) = self.answering.hardware(packet.meta.interface)
            && let Some(verdict) =
                neighbour::solicitation(&packet, hardware, &self.configuration, outputs)
        {
            return verdict;
        }
        if !self.families.concern(&packet) {
            return Verdict::Pass(PassReason::NoService);
        }
        if packet.ip.fragment != Fragment::No {
            return self.fragment(&packet, now, hops, outputs);
        }
        let mut judge = Judge {
            configuration: &self.configuration,
            timeouts: &self.timeouts,
            connections: &mut self.connections,
            books: &mut self.books,
            events: &mut self.events,
            fast_path: &mut self.fast_path,
            admission: &mut self.admission,
            placed_without_entry: &mut self.placed_without_entry,
            defence: &mut self.defence,
            hops,
            answers: Answers {
                outputs,
                limit: &mut self.icmp_errors,
                identification: &mut self.identification,
                now,
            },
            now,
        };
        let verdict = judge.judge(&mut packet);
        outputs.set_checksum(packet.checksum);
        verdict
    }

    /// When [`Engine::handle_timeout`] is to be called next. Changes with every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.purge.is_some() {
            return Some(Instant::ZERO);
        }
        let due = [
            self.connections.next_deadline(),
            self.fragments.next_deadline(),
            self.defence.next_deadline(),
            self.estimation.next_deadline(),
        ];
        due.into_iter().flatten().min()
    }

    /// Expires what is due, up to a bound. Returns whether everything is done; if not, it is to be
    /// called again soon, and [`Engine::poll_timeout`] lies in the past.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        self.fragments.expire(now);
        let Self { configuration, connections, events, fast_path, .. } = self;
        let expired = connections.expire(now, EXPIRY_BUDGET as usize, |expired| {
            fast_path.ended(expired);
            load::ended(configuration, events, expired);
        });
        while let Some(key) = connections.poll_lapsed() {
            fast_path.lapsed(key);
        }
        let purged = self.purge_removed();
        let defended = self.defend(now);
        let estimated = self.estimate(now);
        expired && purged && defended && estimated
    }

    /// The oldest event nobody has taken yet.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Sets the traffic counters of one service, or of all, to zero (`ipvsadm -Z`). Unknown
    /// services are ignored.
    pub fn zero(&mut self, service: Option<&ServiceKey>) {
        match service {
            None => self.books.zero(None),
            Some(key) => {
                if let Some(service) = self.configuration.service(key) {
                    self.books.zero(Some(service));
                }
            }
        }
    }

    /// Ends connections and templates of removed servers, some at a time.
    fn purge_removed(&mut self) -> bool {
        let Some(cursor) = self.purge else { return true };
        let Self { configuration, connections, events, fast_path, .. } = self;
        let is_removed = |server| configuration.server_by_id(server).is_none();
        self.purge = connections.flush(cursor, EXPIRY_BUDGET, is_removed, |expired| {
            fast_path.ended(expired);
            load::ended(configuration, events, expired);
        });
        self.purge.is_none()
    }
}

const fn drop_reason(malformed: Malformed) -> DropReason {
    match malformed {
        Malformed::Truncated => DropReason::Truncated,
        Malformed::BadLength => DropReason::BadLength,
        Malformed::BadHeader => DropReason::BadHeader,
        Malformed::BadChecksum => DropReason::BadChecksum,
        Malformed::BadSource => DropReason::BadSource,
        Malformed::BadOption => DropReason::BadOption,
    }
}
