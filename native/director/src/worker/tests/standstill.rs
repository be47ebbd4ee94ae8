//! A worker that stood still: a stopped process, a suspended machine.

use engine::command::SettingsPatch;
use engine::snapshot::ConnectionFilter;

use super::*;
use crate::fast_path::memory::MemoryForwarder;

/// Connections last two seconds from packet to packet.
fn lasting_two_seconds() -> [Command; 1] {
    let patch = SettingsPatch { tcp_timeout_seconds: Some(2), ..SettingsPatch::default() };
    [Command::Settings { settings: patch }]
}

/// A worker that has just seen the client open a connection and send again.
fn established() -> Bench<MemoryPort> {
    let mut bench = memory();
    bench.serve_with(ready(), &lasting_two_seconds());
    bench.put_late(SYN, Duration::ZERO);
    bench.put_late(ACK, Duration::ZERO);
    bench.turn();
    bench
}

impl Bench<MemoryPort> {
    /// The client's segment, which came so long ago.
    fn put_late(&mut self, flags: u8, waited: Duration) {
        let frame = WireFrame::plain(InterfaceId(1), segment(1000, 80, flags));
        self.wire.put(WireFrame { waited, ..frame });
    }

    /// Has the clock leap.
    fn leap(&mut self, time: Duration) {
        self.worker.clock = self.worker.clock.ahead(time);
    }

    fn adopted(&mut self) -> u64 {
        std::iter::from_fn(|| self.events.poll_event())
            .map(|event| match event {
                Event::Adopted { count, .. } => count.0,
                other => panic!("{other:?}"),
            })
            .sum()
    }

    fn states(&mut self) -> Vec<(&'static str, u64)> {
        let (query, answer) = Query::new();
        let question = Question::Connections(ConnectionFilter::default(), 0, 10, query);
        self.command(WorkerCommand::Ask(question));
        self.turn();
        let page = answer.try_recv().expect("the worker answered");
        page.rows.iter().map(|row| (row.state, row.in_packets.0)).collect()
    }
}

/// Five seconds went by, with a segment in each: none of the gaps is as long as the timeout.
#[test]
fn frames_that_waited_find_the_connection_they_came_for() {
    let mut bench = established();
    bench.leap(Duration::from_secs(5));
    for seconds in [4, 3, 2, 1, 0] {
        bench.put_late(ACK, Duration::from_secs(seconds));
    }
    bench.turn();
    bench.turn();
    assert_eq!(bench.adopted(), 0, "it was known all the time");
    assert_eq!(bench.states(), [("ESTABLISHED", 7)]);
}

/// More waits than a batch takes, and timers are due.
#[test]
fn timers_wait_until_the_frames_before_them_are_judged() {
    let mut bench = established();
    bench.leap(Duration::from_secs(20));
    for number in (0..400).rev() {
        bench.put_late(ACK, Duration::from_millis(50 * number));
    }
    for _ in 0..5 {
        bench.turn();
    }
    assert_eq!(bench.adopted(), 0);
    assert_eq!(bench.states(), [("ESTABLISHED", 402)]);
}

#[test]
fn a_gap_longer_than_the_timeout_ends_a_connection_all_the_same() {
    let mut bench = established();
    bench.leap(Duration::from_secs(5));
    bench.put_late(ACK, Duration::from_millis(2500));
    bench.turn();
    bench.turn();
    assert_eq!(bench.adopted(), 1);
    assert_eq!(bench.states(), [], "and 2.5 s later this one, too");
}

#[test]
fn a_date_that_was_set_does_not_turn_time_back() {
    let mut bench = memory();
    bench.serve_with(ready(), &lasting_two_seconds());
    bench.put_late(SYN, Duration::ZERO);
    bench.turn();
    bench.put_late(ACK, Duration::from_secs(1 << 30));
    bench.turn();
    assert_eq!(bench.states(), [("ESTABLISHED", 2)]);
}

/// The kernel went on forwarding what the fast path had.
#[test]
fn what_the_fast_path_carried_meanwhile_is_asked_before_timers_fire() {
    let (port, wire) = MemoryPort::new();
    let (fast, share) = MemoryForwarder::share(16);
    let mut bench = bench_with(port, wire, Some(share));
    bench.serve_with(ready(), &lasting_two_seconds());
    bench.put_late(SYN, Duration::ZERO);
    bench.turn();
    let key = ConnectionKey {
        protocol: 6,
        client: CLIENT.into(),
        client_port: 1000,
        virtual_address: VIRTUAL.into(),
        virtual_port: 80,
    };
    bench.leap(Duration::from_secs(100));
    assert!(fast.carry(&key, 40, false));
    bench.turn();
    bench.turn();
    assert_eq!(bench.adopted(), 0);
    assert_eq!(bench.states(), [("ESTABLISHED", 2)]);
}
