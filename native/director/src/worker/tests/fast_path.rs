//! Connections on the fast path, from the first packet to the last.

use engine::command::SchedulerName;
use engine::hop::NextHop;
use engine::snapshot::ConnectionFilter;
use engine::{FastCounts, FastFlow};

use super::*;
use crate::fast_path::Forwarder;
use crate::fast_path::memory::MemoryForwarder;
use crate::testing::service_spec;

/// A worker with a fast path.
fn with_fast_path() -> (Bench<MemoryPort>, Arc<MemoryForwarder>) {
    let (port, wire) = MemoryPort::new();
    let (fast, share) = MemoryForwarder::share(16);
    (bench_with(port, wire, Some(share)), fast)
}

/// Has a client send these segments.
fn send(bench: &mut Bench<MemoryPort>, segments: &[u8]) {
    for flags in segments {
        bench.put(segment(1000, 80, *flags));
    }
    bench.turn();
    for _ in segments {
        assert!(bench.wire.take().is_some(), "it goes through the director");
    }
}

fn key_of_client() -> ConnectionKey {
    ConnectionKey {
        protocol: 6,
        client: CLIENT.into(),
        client_port: 1000,
        virtual_address: VIRTUAL.into(),
        virtual_port: 80,
    }
}

/// State and packets of the one connection, from a page of a listing.
fn listed(bench: &mut Bench<MemoryPort>, cursor: u32) -> Option<(&'static str, u64)> {
    let (query, answer) = Query::new();
    let question = Question::Connections(ConnectionFilter::default(), cursor, 10, query);
    bench.command(WorkerCommand::Ask(question));
    bench.turn();
    let page = answer.try_recv().expect("the worker answered");
    page.rows.first().map(|row| (row.state, row.in_packets.0))
}

/// A fast path that looks at what the worker has sent by the time it takes a connection.
#[derive(Debug)]
struct Onlooker(MemoryWire);

impl Forwarder for Onlooker {
    fn take_over(&self, _flow: &FastFlow, _hop: &NextHop) -> bool {
        assert_eq!(self.0.take(), None, "its first packet is out already");
        true
    }

    fn carried(&self, _connection: &ConnectionKey) -> Option<FastCounts> {
        Some(FastCounts::default())
    }

    fn give_back(&self, _connection: &ConnectionKey) -> Option<FastCounts> {
        None
    }
}

#[test]
fn a_new_connection_is_on_it_before_its_first_packet_leaves() {
    let (port, wire) = MemoryPort::new();
    let forwarder = Arc::new(Onlooker(wire.clone()));
    let mut bench = bench_with(port, wire, Some(FastPathShare { forwarder, connections: 16 }));
    bench.serve(ready());
    send(&mut bench, &[SYN]);
    assert_eq!(bench.statistics().engine.fast_path.connections, 1);
}

#[test]
fn what_it_carries_counts_and_the_end_of_the_connection_is_noticed() {
    let (mut bench, fast) = with_fast_path();
    bench.serve(ready());
    send(&mut bench, &[SYN]);
    let key = key_of_client();
    assert_eq!(fast.way(&key), Some(hops::assumed([10, 0, 0, 11].into())));
    assert!(fast.carry(&key, 60_040, false) && fast.carry(&key, 40, true));
    while fast.way(&key).is_some() {
        bench.turn();
    }
    assert_eq!(listed(&mut bench, 0), Some(("FIN_WAIT", 3)));
    let statistics = bench.statistics().engine;
    let fast_path = statistics.fast_path;
    assert_eq!((fast_path.packets, fast_path.octets), (Counter(2), Counter(60_080)));
    assert_eq!((statistics.forwarded, fast_path.connections), (Counter(3), 0));
}

#[test]
fn who_asks_is_told_all_that_was_carried_by_then() {
    let (mut bench, fast) = with_fast_path();
    bench.serve(ready());
    send(&mut bench, &[SYN]);
    for packets in [2, 4, 6] {
        assert!(fast.carry(&key_of_client(), 40, false));
        assert_eq!(listed(&mut bench, 0), Some(("ESTABLISHED", packets)));
        assert!(fast.carry(&key_of_client(), 40, false));
        assert_eq!(bench.statistics().engine.forwarded, Counter(packets + 1));
    }
    assert!(fast.carry(&key_of_client(), 40, false));
    let (query, _answer) = Query::new();
    bench.command(WorkerCommand::Ask(Question::Zero(None, query)));
    let traffic = bench.statistics().engine.services[0].traffic;
    assert_eq!(traffic.in_packets, Counter(0), "what was carried before is zero, too");
}

/// Its segments with FIN come to the director, which knows at every moment how many are active.
#[test]
fn where_active_connections_are_compared_it_takes_lively_ones_until_they_end() {
    let (mut bench, fast) = with_fast_path();
    let spec =
        ServiceSpec { scheduler: Some(SchedulerName::Wlc), flags: vec![], ..service_spec(80) };
    bench.serve_with(ready(), &[Command::EditService { service: spec }]);
    send(&mut bench, &[SYN]);
    send(&mut bench, &[ACK; 7]);
    assert_eq!(fast.way(&key_of_client()), None);
    send(&mut bench, &[ACK]);
    assert!(fast.carry(&key_of_client(), 40, false));
    send(&mut bench, &[FIN | ACK]);
    assert_eq!(fast.way(&key_of_client()), None);
    assert_eq!(listed(&mut bench, 0), Some(("FIN_WAIT", 11)));
}

#[test]
fn a_segment_that_opens_or_resets_brings_a_connection_back_with_what_was_carried() {
    let (mut bench, fast) = with_fast_path();
    bench.serve(ready());
    send(&mut bench, &[SYN]);
    assert!(fast.carry(&key_of_client(), 40, false));
    assert_eq!(listed(&mut bench, 0), Some(("ESTABLISHED", 2)));
    assert!(fast.carry(&key_of_client(), 40, false));
    send(&mut bench, &[4]);
    assert_eq!(fast.way(&key_of_client()), None);
    assert_eq!(listed(&mut bench, 0), Some(("CLOSE", 4)));
    send(&mut bench, &[SYN]);
    assert!(fast.way(&key_of_client()).is_some(), "it is a new one");
}

#[test]
fn a_connection_it_lost_comes_back_and_may_go_again() {
    let (mut bench, fast) = with_fast_path();
    bench.serve(ready());
    send(&mut bench, &[SYN]);
    fast.lose();
    while bench.statistics().engine.fast_path.connections > 0 {}
    send(&mut bench, &[ACK; 8]);
    assert!(fast.way(&key_of_client()).is_some());
}

#[test]
fn a_changed_way_brings_a_connection_back() {
    let (mut bench, fast) = with_fast_path();
    let id = bench.serve(ready());
    send(&mut bench, &[SYN]);
    bench.command(WorkerCommand::Hops(HopTable::from_iter([(id, ready())]).into()));
    bench.turn();
    assert!(fast.way(&key_of_client()).is_some(), "the same way again changes nothing");
    assert!(fast.carry(&key_of_client(), 40, false));
    let other = Hop::Ready(hops::assumed([10, 0, 0, 12].into()));
    bench.command(WorkerCommand::Hops(HopTable::from_iter([(id, other)]).into()));
    bench.turn();
    assert_eq!(fast.way(&key_of_client()), None);
    let fast_path = bench.statistics().engine.fast_path;
    assert_eq!((fast_path.connections, fast_path.packets), (0, Counter(1)));
}

#[test]
fn without_a_way_to_the_server_a_connection_stays_here() {
    let (mut bench, fast) = with_fast_path();
    bench.serve(Hop::Resolving { mtu: 1500 });
    bench.put(segment(1000, 80, SYN));
    bench.turn();
    assert_eq!(fast.way(&key_of_client()), None);
    assert_eq!(bench.statistics().engine.fast_path.connections, 0);
}

#[test]
fn a_removed_service_brings_its_connections_back() {
    let (mut bench, fast) = with_fast_path();
    let id = bench.serve(ready());
    send(&mut bench, &[SYN]);
    assert!(fast.way(&key_of_client()).is_some());
    let (query, _answer) = Query::new();
    let hops = HopTable::from_iter([(id, ready())]);
    bench.command(WorkerCommand::Configure(Arc::default(), hops.into(), query));
    bench.turn();
    assert_eq!(fast.way(&key_of_client()), None);
}

#[test]
fn a_worker_without_it_forwards_everything_itself() {
    let mut bench = memory();
    bench.serve(ready());
    send(&mut bench, &[SYN]);
    send(&mut bench, &[ACK; 20]);
    assert_eq!(bench.statistics().engine.fast_path.connections, 0);
}

/// The octets of a segment, called UDP.
fn datagram() -> Vec<u8> {
    const LENGTH: u8 = 20;
    let mut packet = segment(1000, 80, ACK);
    packet[23] = 17;
    packet[24..26].fill(0);
    let sum = wire::checksum::of(&packet[14..34]);
    packet[24..26].copy_from_slice(&sum.to_be_bytes());
    packet[38..42].copy_from_slice(&[0, LENGTH, 0, 0]);
    packet
}

/// Whether a UDP flow is on the fast path after so many full batches of its datagrams, when frames
/// were lost before the first or not.
fn is_fast_after(batches: usize, frames_are_lost: bool) -> bool {
    let (mut bench, fast) = with_fast_path();
    let udp = |command| with_protocol(command, Protocol::Udp);
    bench.serve_with(ready(), &[udp(add_service(80)), udp(add_server(80, 11))]);
    if frames_are_lost {
        bench.wire.lose();
    }
    for _ in 0..batches {
        for _ in 0..BATCH {
            bench.put(datagram());
        }
        bench.turn();
    }
    bench.turn();
    fast.way(&ConnectionKey { protocol: 17, ..key_of_client() }).is_some()
}

#[test]
fn small_udp_flows_take_the_fast_path_while_frames_are_lost() {
    assert!(!is_fast_after(3, false));
    assert!(is_fast_after(2, true));
}
