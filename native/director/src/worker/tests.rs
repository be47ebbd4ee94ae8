use std::sync::mpsc::{SyncSender, sync_channel};

use afpacket::vnet::PartialChecksum;
use engine::command::{Command, Protocol, ServiceKey, ServiceSpec};
use engine::connection::ConnectionKey;
use engine::frame::InterfaceId;
use engine::hop::{Hop, Hops, ServerId};
use engine::snapshot::Counter;

use super::*;
use crate::events::{EventReceiver, channel};
use crate::port::{FaultPort, FaultRates, MemoryPort, MemoryWire, WireFrame};
use crate::query::Question;
use crate::testing::{ACK, CLIENT, FIN, SYN, VIRTUAL, add_server, add_service, segment};
use crate::{clients, hops};

mod masquerading;

struct Bench<P: PacketPort> {
    worker: Worker<P>,
    wire: MemoryWire,
    commands: SyncSender<WorkerCommand<P::Control>>,
    events: EventReceiver,
    questions: Receiver<clients::Question>,
}

fn bench<P: PacketPort>(port: P, wire: MemoryWire) -> Bench<P> {
    let (commands, receiver) = sync_channel(64);
    let (sender, events) = channel(|| {});
    let (enquiry, questions) = clients::enquiry(|| {});
    let worker = Worker::new(WorkerParts {
        busy_poll: Duration::ZERO,
        port,
        limits: Limits { connections: 4096, events: 64, ..Limits::default() },
        seed: 1,
        clock: Clock::start(),
        commands: receiver,
        events: sender,
        stations: Vec::new(),
        fast_path: 16,
        enquiry,
    });
    Bench { worker, wire, commands, events, questions }
}

impl<P: PacketPort> Bench<P> {
    fn command(&self, command: WorkerCommand<P::Control>) {
        assert!(self.commands.try_send(command).is_ok(), "there is room for a command");
        self.wire.wake();
    }

    /// Serves port 80 by one server, whose way is `hop`.
    fn serve(&mut self, hop: Hop) -> ServerId {
        self.serve_with(hop, &[])
    }

    /// The same with more, whose servers have the same way.
    fn serve_with(&mut self, hop: Hop, more: &[Command]) -> ServerId {
        let configuration = Configuration::default()
            .apply(&[&[add_service(80), add_server(80, 11)], more].concat())
            .expect("valid commands");
        let servers = configuration.services().map(|service| service.servers[0].id);
        let hops = HopTable::from_iter(servers.map(|id| (id, hop)));
        let id = configuration.services().next().expect("one service").servers[0].id;
        let (query, answer) = Query::new();
        self.command(WorkerCommand::Configure(configuration.into(), hops.into(), query));
        self.turn();
        answer.try_recv().expect("the worker said it switched");
        id
    }

    fn turn(&mut self) {
        assert_eq!(self.worker.turn().expect("memory does not fail"), Flow::Continue);
    }

    fn put(&mut self, octets: Vec<u8>) {
        self.wire.put(WireFrame::plain(InterfaceId(1), octets));
    }

    fn statistics(&mut self) -> WorkerStatistics {
        let (query, answer) = Query::new();
        self.command(WorkerCommand::Ask(Question::Statistics(None, query)));
        self.turn();
        answer.try_recv().expect("the worker answered")
    }
}

fn ready() -> Hop {
    Hop::Ready(hops::assumed([10, 0, 0, 11].into()))
}

fn memory() -> Bench<MemoryPort> {
    let (port, wire) = MemoryPort::new();
    bench(port, wire)
}

#[test]
fn a_frame_goes_through_to_the_server() {
    let mut bench = memory();
    bench.serve(ready());
    bench.put(segment(1000, 80, SYN));
    bench.turn();
    let frame = bench.wire.take().expect("it was forwarded");
    assert_eq!((frame.interface, frame.octets.len()), (InterfaceId(1), 54));
    assert_eq!(frame.octets[..6], hops::assumed([10, 0, 0, 11].into()).destination.0);
}

#[test]
fn a_batch_is_bounded_and_the_rest_follows_without_sleep() {
    let mut bench = memory();
    bench.serve(ready());
    for port in 0..300 {
        bench.put(segment(port + 1024, 80, SYN));
    }
    bench.turn();
    assert_eq!(std::iter::from_fn(|| bench.wire.take()).count(), BATCH);
    bench.turn();
    bench.turn();
    assert_eq!(std::iter::from_fn(|| bench.wire.take()).count(), 300 - BATCH);
}

#[test]
fn frames_wait_for_the_neighbour_and_leave_with_the_next_table() {
    let mut bench = memory();
    let id = bench.serve(Hop::Resolving { mtu: 1500 });
    bench.put(segment(1000, 80, SYN));
    bench.turn();
    assert_eq!(bench.wire.take(), None);
    assert_eq!(bench.statistics().pending.waiting, Counter(1));
    let hops = HopTable::from_iter([(id, ready())]);
    assert_eq!(hops.hop(id), ready());
    bench.command(WorkerCommand::Hops(hops.into()));
    bench.turn();
    let frame = bench.wire.take().expect("it was released");
    assert_eq!(frame.octets[..6], hops::assumed([10, 0, 0, 11].into()).destination.0);
    assert_eq!(bench.statistics().pending.released, Counter(1));
}

#[test]
fn an_unreachable_server_is_answered_for() {
    let mut bench = memory();
    bench.serve(Hop::Unreachable);
    bench.put(segment(1000, 80, SYN));
    bench.turn();
    let frame = bench.wire.take().expect("an ICMP error goes back");
    assert_eq!(frame.octets[..6], [2, 0, 0, 0, 0, 9]);
    assert_eq!(frame.octets[23], 1, "ICMP");
}

#[test]
fn adoptions_are_told_together() {
    let mut bench = memory();
    bench.serve(ready());
    for port in 0..50 {
        bench.put(segment(port + 1024, 80, ACK));
    }
    bench.turn();
    let mut told = 0;
    while told < 50 {
        match bench.events.poll_event() {
            Some(Event::Adopted { count, .. }) => told += count.0,
            Some(event) => panic!("{event:?}"),
            None => bench.turn(),
        }
    }
    assert_eq!(told, 50);
    assert_eq!(bench.events.poll_event(), None);
}

#[test]
fn questions_and_the_end_are_commands() {
    let mut bench = memory();
    bench.serve(ready());
    bench.put(segment(1000, 80, SYN));
    bench.turn();
    let statistics = bench.statistics();
    assert_eq!(statistics.engine.forwarded, Counter(1));
    assert_eq!(statistics.ports[0].received, Counter(1));
    let (query, answer) = Query::new();
    bench.command(WorkerCommand::Ask(Question::Zero(None, query)));
    bench.turn();
    answer.try_recv().expect("the worker answered");
    assert_eq!(bench.statistics().engine.traffic.in_packets, Counter(0));
    bench.command(WorkerCommand::Stop);
    assert_eq!(bench.worker.turn().expect("memory does not fail"), Flow::Stop);
}

#[test]
fn a_worker_nobody_can_reach_comes_to_an_end() {
    let mut bench = memory();
    drop(bench.commands);
    assert_eq!(bench.worker.turn().expect("memory does not fail"), Flow::Stop);
}

#[test]
fn damaged_frames_are_counted_and_nothing_else_happens() {
    let (port, wire) = MemoryPort::new();
    let rates = FaultRates {
        drop_per_million: 100_000,
        corrupt_per_million: 500_000,
        truncate_per_million: 300_000,
    };
    let mut bench = bench(FaultPort::new(port, rates, 42), wire);
    bench.serve(ready());
    for round in 0..200_u16 {
        for port in 0..100 {
            bench.put(segment(1024 + port, 80, if round == 0 { SYN } else { ACK }));
        }
        bench.turn();
    }
    let statistics = bench.statistics();
    let named = |counters: &[engine::snapshot::NamedCounter]| {
        counters.iter().map(|counter| counter.count.0).sum::<u64>()
    };
    let engine = &statistics.engine;
    let judged = engine.forwarded.0
        + named(&engine.passed)
        + named(&engine.dropped)
        + named(&engine.replied);
    assert!((17_000..19_000).contains(&judged), "{judged} judged");
    assert!(named(&engine.dropped) > 1000, "{:?}", engine.dropped);
}

/// What a device is still to do where TCP and SCTP have their checksums.
const OPEN: [PartialChecksum; 2] =
    [PartialChecksum { start: 34, offset: 16 }, PartialChecksum { start: 34, offset: 8 }];

#[test]
fn only_what_a_packet_socket_can_ask_for_is_left_to_the_device() {
    let mut bench = memory();
    let sctp = |command| with_protocol(command, Protocol::Sctp);
    bench.serve_with(ready(), &[sctp(add_service(80)), sctp(add_server(80, 11))]);
    let mut packet = segment(1000, 80, SYN);
    let mut put = |octets: Vec<u8>, checksum| {
        let mut frame = WireFrame::plain(InterfaceId(1), octets);
        frame.offload.checksum = Some(checksum);
        bench.wire.put(frame);
        bench.turn();
        bench.wire.take().expect("it was forwarded").offload.checksum
    };
    assert_eq!(put(packet.clone(), OPEN[0]), Some(OPEN[0]));
    // The same octets, called SCTP; the header's own checksum follows.
    packet[23] = 132;
    packet[24..26].fill(0);
    let sum = wire::checksum::of(&packet[14..34]);
    packet[24..26].copy_from_slice(&sum.to_be_bytes());
    packet[46] = 1;
    assert_eq!(put(packet, OPEN[1]), None);
}

fn with_protocol(mut command: Command, wanted: Protocol) -> Command {
    let (Command::AddService { service: ServiceSpec { key, .. } }
    | Command::AddServer { service: key, .. }) = &mut command
    else {
        panic!("it adds something")
    };
    if let ServiceKey::Address { protocol, .. } = key {
        *protocol = wanted;
    }
    command
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
    let mut bench = memory();
    bench.wire.open_fast_path();
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
    bench.wire.fast(&ConnectionKey { protocol: 17, ..key_of_client() }).is_some()
}

#[test]
fn small_udp_flows_take_the_fast_path_while_frames_are_lost() {
    assert!(!is_fast_after(3, false));
    assert!(is_fast_after(2, true));
}

/// A connection lively enough for the fast path of `bench`, and its key.
fn lively_connection(bench: &mut Bench<MemoryPort>) -> ConnectionKey {
    bench.put(segment(1000, 80, SYN));
    for _ in 0..8 {
        bench.put(segment(1000, 80, ACK));
    }
    bench.turn();
    bench.turn();
    while bench.wire.take().is_some() {}
    key_of_client()
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

#[test]
fn a_lively_connection_takes_the_fast_path_until_it_ends() {
    let mut bench = memory();
    bench.wire.open_fast_path();
    bench.serve(ready());
    let key = lively_connection(&mut bench);
    assert_eq!(bench.wire.fast(&key), Some(hops::assumed([10, 0, 0, 11].into())));
    bench.wire.carry(&key, 60_040);
    while bench.statistics().engine.fast_path.packets != Counter(1) {
        bench.turn();
    }
    bench.wire.carry(&key, 60_040);
    bench.put(segment(1000, 80, FIN | ACK));
    bench.turn();
    assert!(bench.wire.take().is_some(), "the end goes through the director");
    assert_eq!(bench.wire.fast(&key), None);
    let fast_path = bench.statistics().engine.fast_path;
    assert_eq!((fast_path.packets, fast_path.octets), (Counter(2), Counter(120_080)));
}

#[test]
fn a_connection_that_goes_on_stays_on_the_fast_path() {
    let mut bench = memory();
    bench.wire.open_fast_path();
    bench.serve(ready());
    let key = lively_connection(&mut bench);
    for packets in 1..=12 {
        bench.wire.carry(&key, 40);
        while bench.statistics().engine.fast_path.packets != Counter(packets) {
            assert!(bench.wire.fast(&key).is_some());
            bench.turn();
        }
    }
}

#[test]
fn a_connection_that_fell_silent_comes_back_and_may_go_again() {
    let mut bench = memory();
    bench.wire.open_fast_path();
    bench.serve(ready());
    let key = lively_connection(&mut bench);
    assert!(bench.wire.fast(&key).is_some());
    while bench.wire.fast(&key).is_some() {
        bench.turn();
    }
    let statistics = bench.statistics().engine;
    assert_eq!((statistics.fast_path.connections, statistics.connections), (0, 1));
    lively_connection(&mut bench);
    assert!(bench.wire.fast(&key).is_some());
}

#[test]
fn a_changed_way_brings_a_connection_back() {
    let mut bench = memory();
    bench.wire.open_fast_path();
    let id = bench.serve(ready());
    let key = lively_connection(&mut bench);
    assert!(bench.wire.fast(&key).is_some());
    bench.command(WorkerCommand::Hops(HopTable::from_iter([(id, ready())]).into()));
    bench.turn();
    assert!(bench.wire.fast(&key).is_some(), "the same way again changes nothing");
    let other = Hop::Ready(hops::assumed([10, 0, 0, 12].into()));
    bench.command(WorkerCommand::Hops(HopTable::from_iter([(id, other)]).into()));
    bench.turn();
    assert_eq!(bench.wire.fast(&key), None);
    assert_eq!(bench.statistics().engine.fast_path.connections, 0);
}

#[test]
fn a_removed_service_brings_its_connections_back() {
    let mut bench = memory();
    bench.wire.open_fast_path();
    let id = bench.serve(ready());
    let key = lively_connection(&mut bench);
    assert!(bench.wire.fast(&key).is_some());
    let (query, _answer) = Query::new();
    let hops = HopTable::from_iter([(id, ready())]);
    bench.command(WorkerCommand::Configure(Arc::default(), hops.into(), query));
    bench.turn();
    assert_eq!(bench.wire.fast(&key), None);
}

#[test]
fn a_port_without_a_fast_path_forwards_everything_itself() {
    let mut bench = memory();
    bench.serve(ready());
    let key = lively_connection(&mut bench);
    assert_eq!(bench.wire.fast(&key), None);
    bench.put(segment(1000, 80, ACK));
    bench.turn();
    assert!(bench.wire.take().is_some());
    assert_eq!(bench.statistics().engine.fast_path.connections, 0);
}
