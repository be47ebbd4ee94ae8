//! Defence against floods of connections (IPVS: `drop_entry`, `drop_packet`, `secure_tcp`).
//!
//! IPVS acts when memory is short. Here what is short is entries of the connection table: all its
//! memory was reserved at the start.

use core::time::Duration;

use super::{Engine, load};
use crate::configuration::Settings;
use crate::connection::ConnectionId;
use crate::snapshot::{Counter, DefenceStatistics};
use crate::time::Instant;

/// Between two looks at what is left (IPVS).
const INTERVAL: Duration = Duration::from_secs(1);
/// `drop_entry` looks at one entry in so many each second (IPVS).
const SHARE: u32 = 32;
/// Entries looked at by one call, at most.
const BUDGET: u32 = 1024;
/// Connections with more packets than this are not thinned out (IPVS).
const PACKETS_MAX: usize = 8;

/// What the defence does at present.
#[derive(Clone, Debug, Default)]
pub(super) struct Defence {
    due: Option<Instant>,
    random: u64,
    drops_entries: bool,
    secures_tcp: bool,
    /// One of so many packets that would make a connection is dropped; 0 for none.
    rate: u32,
    countdown: u32,
    /// Where the search for entries goes on, and how many are left to look at.
    scan: Option<(u32, u32)>,
    /// For each number of packets: how many such connections live on before the next goes.
    thinning: [u32; PACKETS_MAX + 1],
    entries: u64,
}

impl Defence {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: seed, ..Self::default() }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if self.scan.is_some() { Some(Instant::ZERO) } else { self.due }
    }

    pub(super) const fn secures_tcp(&self) -> bool {
        self.secures_tcp
    }

    pub(super) const fn statistics(&self) -> DefenceStatistics {
        DefenceStatistics {
            drops_entries: self.drops_entries,
            drop_rate: self.rate,
            secures_tcp: self.secures_tcp,
            dropped_entries: Counter(self.entries),
        }
    }

    /// Whether this packet, which would make a connection, is the one of many to be dropped.
    pub(super) const fn drops_packet(&mut self) -> bool {
        if self.rate == 0 {
            return false;
        }
        self.countdown = self.countdown.saturating_sub(1);
        if self.countdown > 0 {
            return false;
        }
        self.countdown = self.rate;
        true
    }

    /// Decides anew what to do while `free` entries are left.
    fn decide(&mut self, settings: &Settings, free: u32) {
        let threshold = settings.amemthresh;
        let short = free < threshold;
        // IPVS flips modes 1 and 2 between themselves; both mean "when it is needed".
        let acts = |mode| mode == 3 || (mode != 0 && short);
        self.drops_entries = acts(settings.drop_entry);
        self.secures_tcp = acts(settings.secure_tcp);
        self.rate = match settings.drop_packet {
            3 => settings.am_droprate,
            1 | 2 if short => threshold / (threshold - free),
            _ => 0,
        };
        if settings.drop_packet != 3 {
            self.countdown = self.rate;
        }
    }

    /// SplitMix64.
    const fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Of the connections with `packets` packets one in `packets` goes (IPVS).
    fn thins(&mut self, packets: u32) -> bool {
        let Some(left) = self.thinning.get_mut(packets as usize).filter(|_| packets > 0) else {
            return false;
        };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        *left = packets;
        true
    }
}

impl Engine {
    /// Begins or ends the defence's looks as the configuration has it.
    pub(super) fn arm_defence(&mut self) {
        let settings = self.configuration.settings();
        let wanted = settings.drop_entry | settings.drop_packet | settings.secure_tcp != 0;
        // What is acting is decided anew at once; the next call knows the time.
        self.defence.due = Some(Instant::ZERO);
        if !wanted {
            self.defence.due = None;
            self.defence.scan = None;
            self.defence.decide(settings, u32::MAX);
            self.set_timeouts();
        }
    }

    /// Looks every second at what is left. Whether all that is due is done.
    pub(super) fn defend(&mut self, now: Instant) -> bool {
        if self.defence.due.is_some_and(|due| due <= now) {
            self.defence.due = Some(now + INTERVAL);
            let free = self.connections.limit() - self.connections.len();
            self.defence.decide(self.configuration.settings(), free);
            self.set_timeouts();
            if self.defence.drops_entries {
                let slots = self.connections.slots();
                let start = self.defence.next_random() % u64::from(slots.max(1));
                let start = u32::try_from(start).unwrap_or(0);
                self.defence.scan = Some((start, slots.div_ceil(SHARE)));
            }
        }
        self.drop_entries(now)
    }

    fn drop_entries(&mut self, now: Instant) -> bool {
        let Some((mut at, left)) = self.defence.scan else { return true };
        let slots = self.connections.slots();
        for _ in 0..left.min(BUDGET) {
            if let Some(id) = self.connections.occupied(at)
                && self.connections.is_droppable(id, now, |packets| self.defence.thins(packets))
            {
                self.drop_entry(id);
            }
            at = if at + 1 >= slots { 0 } else { at + 1 };
        }
        let left = left.saturating_sub(BUDGET);
        self.defence.scan = (left > 0).then_some((at, left));
        self.defence.scan.is_none()
    }

    /// Ends an entry, and a template that nobody ever answered with its last connection (IPVS).
    fn drop_entry(&mut self, id: ConnectionId) {
        let Self { configuration, connections, events, fast_path, defence, .. } = self;
        let Some(expired) = connections.remove(id) else { return };
        defence.entries += 1;
        fast_path.ended(&expired);
        load::ended(configuration, events, &expired);
        let template = expired.controller.filter(|&it| !connections.entry(it).is_assured());
        if let Some(expired) = template.and_then(|template| connections.remove(template)) {
            defence.entries += 1;
            load::ended(configuration, events, &expired);
        }
    }
}
