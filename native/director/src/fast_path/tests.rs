//! When connections leave the fast path, in a time of the tests' own.

use engine::Limits;
use engine::command::{Command, SettingsPatch};
use engine::configuration::Configuration;
use engine::frame::{FrameMeta, InterfaceId, Outputs};
use engine::hop::ServerId;
use engine::snapshot::{ConnectionFilter, ConnectionRow};

use super::memory::MemoryForwarder;
use super::*;
use crate::hops;
use crate::testing::{CLIENT, SYN, VIRTUAL, add_server, add_service, segment};

struct Lab {
    engine: Engine,
    flows: FastFlows,
    forwarder: Arc<MemoryForwarder>,
    hops: HopTable,
    now: Instant,
}

impl Lab {
    fn new(connections: u32) -> Self {
        let (forwarder, share) = MemoryForwarder::share(connections);
        let mut engine = Engine::new(Limits { connections: 4096, ..Limits::default() }, 1);
        let patch = SettingsPatch { tcp_timeout_seconds: Some(40), ..SettingsPatch::default() };
        let commands = [add_service(80), add_server(80, 11), Command::Settings { settings: patch }];
        let configuration = Configuration::default().apply(&commands).expect("valid commands");
        engine.configure(Arc::new(configuration));
        engine.use_fast_path(connections);
        let hop = Hop::Ready(hops::assumed([10, 0, 0, 11].into()));
        Self {
            engine,
            flows: FastFlows::new(Some(share)),
            forwarder,
            hops: HopTable::from_iter([(ServerId(0), hop)]),
            now: Instant::from_millis(1_000_000),
        }
    }

    /// Has connections last so many seconds from packet to packet.
    fn last(&mut self, seconds: u32) {
        let patch = SettingsPatch { tcp_timeout_seconds: Some(seconds), ..Default::default() };
        let commands = [Command::Settings { settings: patch }];
        let configuration = self.engine.configuration().apply(&commands).expect("valid commands");
        self.engine.configure(Arc::new(configuration));
    }

    /// Opens connections from so many ports.
    fn open(&mut self, count: u16) {
        self.open_from(1000, count);
    }

    fn open_from(&mut self, first: u16, count: u16) {
        for port in first..first + count {
            let mut frame = segment(port, 80, SYN);
            let (meta, mut outputs) = (FrameMeta::plain(InterfaceId(1)), Outputs::default());
            self.engine.process(&mut frame, &meta, self.now, &self.hops, &mut outputs);
            while self.flows.follow(&mut self.engine, &self.hops, self.now) {}
        }
    }

    fn carry(&self, port: u16, fin: bool) -> bool {
        self.forwarder.carry(&key(port), 40, fin)
    }

    /// Lets time pass, a turn every ten milliseconds.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(10);
            self.engine.handle_timeout(self.now);
            self.flows.handle_timeout(&mut self.engine, self.now);
            self.flows.follow(&mut self.engine, &self.hops, self.now);
        }
    }

    fn held(&self) -> usize {
        let held = self.flows.held.borrow().len();
        assert_eq!(self.engine.statistics().fast_path.connections as usize, held);
        held
    }

    fn row(&self) -> Option<ConnectionRow> {
        self.engine.connections(&ConnectionFilter::default(), 0, 1, self.now).rows.pop()
    }
}

fn key(port: u16) -> ConnectionKey {
    ConnectionKey {
        protocol: 6,
        client: CLIENT.into(),
        client_port: port,
        virtual_address: VIRTUAL.into(),
        virtual_port: 80,
    }
}

#[test]
fn what_is_carried_is_known_a_tenth_of_a_second_later() {
    let mut lab = Lab::new(16);
    lab.open(1);
    lab.wait(Duration::from_millis(200));
    assert!(lab.carry(1000, false));
    lab.wait(Duration::from_millis(110));
    let row = lab.row().expect("it is there");
    assert_eq!((row.state, row.in_packets.0), ("ESTABLISHED", 2));
    assert!(lab.carry(1000, true));
    lab.wait(Duration::from_millis(110));
    assert_eq!(lab.row().expect("it is there").state, "FIN_WAIT");
    assert_eq!(lab.held(), 0);
}

#[test]
fn a_connection_that_carries_stays_longer_than_its_timeout() {
    let mut lab = Lab::new(16);
    lab.open(1);
    for _ in 0..5 {
        assert!(lab.carry(1000, false));
        lab.wait(Duration::from_secs(30));
        assert!(lab.row().is_some() && lab.held() == 1);
    }
    lab.wait(Duration::from_secs(11));
    assert!(lab.row().is_none(), "40 s are over");
    assert_eq!((lab.held(), lab.forwarder.way(&key(1000))), (0, None));
}

#[test]
fn connections_that_went_on_stay_however_quiet_they_are() {
    let mut lab = Lab::new(64);
    lab.last(900);
    lab.open(32);
    for port in 1000..1032 {
        assert!(lab.carry(port, false));
    }
    lab.wait(Duration::from_secs(800));
    assert_eq!(lab.held(), 32);
    assert!(lab.carry(1007, false));
    lab.wait(Duration::from_millis(1100));
    assert_eq!(lab.engine.statistics().fast_path.packets.0, 33, "asked once a second");
    lab.wait(Duration::from_secs(100));
    assert_eq!(lab.held(), 1, "the time of the others is over");
}

/// As a flood of forged sources does.
#[test]
fn connections_of_which_nothing_is_heard_go_soon_and_are_half_of_all_at_most() {
    let mut lab = Lab::new(64);
    lab.last(900);
    lab.open(60);
    assert_eq!(lab.held(), 32);
    for port in 1000..1010 {
        assert!(lab.carry(port, false));
    }
    lab.wait(Duration::from_millis(2100));
    assert_eq!(lab.held(), 10);
    assert!(lab.forwarder.way(&key(1003)).is_some());
    assert!(lab.forwarder.way(&key(1020)).is_none());
    lab.open_from(2000, 60);
    assert_eq!(lab.held(), 42, "the others do not count for opening ones");
}

#[test]
fn quiet_connections_make_room_where_three_quarters_are_taken() {
    let mut lab = Lab::new(64);
    lab.last(900);
    for first in [1000, 1030] {
        lab.open_from(first, 30);
        for port in first..first + 30 {
            assert!(lab.carry(port, false));
        }
        lab.wait(Duration::from_millis(150));
    }
    assert_eq!(lab.held(), 60);
    for _ in 0..10 {
        assert!(lab.carry(1003, false));
        lab.wait(Duration::from_millis(300));
    }
    assert_eq!(lab.held(), 48);
    assert!(lab.forwarder.way(&key(1003)).is_some(), "not one that carried");
}

#[test]
fn many_are_read_in_several_turns() {
    let mut lab = Lab::new(4096);
    lab.open(1000);
    assert_eq!(lab.held(), 1000);
    lab.wait(Duration::from_millis(90));
    for port in 1000..2000 {
        assert!(lab.carry(port, false));
    }
    lab.now = lab.now + INTERVAL;
    let before = lab.engine.statistics().fast_path.packets.0;
    lab.flows.handle_timeout(&mut lab.engine, lab.now);
    let carried = lab.engine.statistics().fast_path.packets.0 - before;
    assert!(carried <= READINGS as u64);
    assert_eq!(lab.flows.poll_timeout(), Some(Instant::ZERO), "at once");
    lab.flows.read_all(&mut lab.engine, lab.now);
    assert_eq!(lab.engine.statistics().fast_path.packets.0, 1000);
    assert_eq!(lab.flows.poll_timeout(), Some(lab.now + INTERVAL));
}
