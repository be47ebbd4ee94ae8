//! When frames are separated, and who is known, in a time of the tests' own.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use engine::configuration::Configuration;
use engine::frame::{FrameMeta, InterfaceId, Outputs};
use engine::hop::{Hop, ServerId};
use engine::{Engine, Limits};

use super::*;
use crate::hops::{self, HopTable};
use crate::testing::{ACK, CLIENT, SYN, add_server, add_service, segment};

/// Who is known in the set in force and in the other, and whether frames are separated.
#[derive(Debug, Default)]
struct Memory {
    known: [BTreeSet<u16>; 2],
    overload: bool,
    granted: u32,
}

#[derive(Debug, Default)]
struct MemorySeparator(Mutex<Memory>);

impl MemorySeparator {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().expect("no test panics while it holds it")
    }
}

impl Separator for MemorySeparator {
    fn learn(&self, client: IpAddr, port: u16) {
        assert_eq!(client, IpAddr::from(CLIENT));
        self.memory().known[0].insert(port);
    }

    fn begin_renewal(&self) {
        self.memory().known[1].clear();
    }

    fn learn_anew(&self, client: IpAddr, port: u16) {
        self.learn(client, port);
        self.memory().known[1].insert(port);
    }

    fn end_renewal(&self) {
        self.memory().known.swap(0, 1);
    }

    fn set_overload(&self, overload: bool) {
        self.memory().overload = overload;
    }

    fn allow(&self, frames: u32) {
        self.memory().granted += frames;
    }
}

struct Lab {
    engine: Engine,
    overload: Overload,
    separator: Arc<MemorySeparator>,
    hops: HopTable,
    now: Instant,
}

impl Lab {
    fn new(connections: u32) -> Self {
        let mut engine = Engine::new(Limits { connections: 8192, ..Limits::default() }, 1);
        let commands = [add_service(80), add_server(80, 11)];
        let configuration = Configuration::default().apply(&commands).expect("valid commands");
        engine.configure(Arc::new(configuration));
        let separator = Arc::new(MemorySeparator::default());
        let share =
            SeparatorShare { separator: Arc::<MemorySeparator>::clone(&separator), connections };
        let overload = Overload::new(Some(share), &mut engine);
        let hop = Hop::Ready(hops::assumed([10, 0, 0, 11].into()));
        let hops = HopTable::from_iter([(ServerId(0), hop)]);
        Self { engine, overload, separator, hops, now: Instant::from_millis(1_000_000) }
    }

    fn send(&mut self, port: u16, flags: u8) {
        let (meta, mut outputs) = (FrameMeta::plain(InterfaceId(1)), Outputs::default());
        let mut frame = segment(port, 80, flags);
        self.engine.process(&mut frame, &meta, self.now, &self.hops, &mut outputs);
    }

    /// A turn in which frames of known connections and of others came; whether frames are separated then.
    fn turn(&mut self, known: u16, unknown: u16, congested: bool) -> bool {
        (0..known).for_each(|_| self.send(1000, ACK));
        let handled = usize::from(known + unknown);
        self.overload.follow(&mut self.engine, handled, congested, self.now);
        self.separator.memory().overload
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = self.now + Duration::from_millis(milliseconds);
    }

    fn known(&self) -> Vec<u16> {
        self.separator.memory().known[0].iter().copied().collect()
    }
}

#[test]
fn a_connection_is_known_once_its_client_sends_again() {
    let mut lab = Lab::new(100);
    lab.send(1000, SYN);
    lab.send(1001, SYN);
    lab.turn(0, 2, false);
    assert_eq!(lab.known(), []);
    lab.send(1000, ACK);
    lab.turn(0, 1, false);
    assert_eq!(lab.known(), [1000]);
}

#[test]
fn frames_are_separated_where_many_wait_that_belong_to_nobody() {
    let mut lab = Lab::new(100);
    lab.send(1000, SYN);
    assert!(!lab.turn(1, 127, false), "nothing waits");
    assert!(!lab.turn(96, 32, true), "most are of known connections");
    assert!(lab.turn(95, 33, true));
    assert_eq!(lab.separator.memory().granted, 2 * GRANT);
}

#[test]
fn they_are_separated_until_a_second_after_the_last_congestion() {
    let mut lab = Lab::new(100);
    lab.send(1000, SYN);
    assert!(lab.turn(0, 128, true));
    lab.wait(900);
    assert!(lab.turn(128, 0, true), "whoever causes it");
    assert_eq!(lab.overload.poll_timeout(), Some(lab.now + CALM));
    lab.wait(999);
    let granted = lab.separator.memory().granted;
    assert!(lab.turn(1, 0, false));
    assert_eq!(lab.separator.memory().granted, granted + GRANT, "granted anew in each turn");
    lab.wait(1);
    assert!(!lab.turn(1, 0, false));
    assert_eq!(lab.overload.poll_timeout(), None);
}

/// Opens connections from these ports, and lets a renewal that this brings about end.
fn open(lab: &mut Lab, ports: std::ops::Range<u16>) {
    for port in ports {
        lab.send(port, SYN);
        lab.send(port, ACK);
        lab.turn(0, 0, false);
    }
    while lab.overload.renewal.is_some() {
        lab.turn(0, 0, false);
    }
}

#[test]
fn connections_that_ended_are_forgotten_once_many_were_learned() {
    let mut lab = Lab::new(1000);
    for first in [1000, 3000, 5000] {
        open(&mut lab, first..first + 999);
        lab.wait(2_000_000);
        while !lab.engine.handle_timeout(lab.now) {}
        // Until the last one that there is room for, all are known.
        assert!(lab.known().contains(&first));
        open(&mut lab, first + 999..first + 1000);
        assert_eq!(lab.known(), [first + 999]);
    }
}

#[test]
fn a_renewal_takes_several_turns_and_what_is_new_meanwhile_stays() {
    let mut lab = Lab::new(5000);
    for port in 1000..6000 {
        lab.send(port, SYN);
        lab.send(port, ACK);
        lab.turn(0, 0, false);
    }
    assert!(lab.overload.renewal.is_some());
    assert_eq!(lab.overload.poll_timeout(), Some(Instant::ZERO), "at once");
    lab.send(7000, SYN);
    lab.send(7000, ACK);
    lab.turn(0, 0, false);
    let told_anew = |lab: &Lab| lab.separator.memory().known[1].contains(&7000);
    assert!(lab.overload.renewal.is_some() && told_anew(&lab), "before its turn comes");
    while lab.overload.renewal.is_some() {
        lab.turn(0, 0, false);
    }
    assert_eq!(lab.known(), (1000..6000).chain([7000]).collect::<Vec<_>>());
}

#[test]
fn without_something_that_separates_nothing_is_noted() {
    let mut lab = Lab::new(100);
    lab.engine.tell_confirmed(0);
    lab.overload = Overload::new(None, &mut lab.engine);
    lab.send(1000, SYN);
    assert!(!lab.turn(1, 127, true));
    assert_eq!((lab.known(), lab.overload.poll_timeout()), (vec![], None));
}
