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

mod fast_path;
mod masquerading;
mod standstill;

struct Bench<P: PacketPort> {
    worker: Worker<P>,
    wire: MemoryWire,
    commands: SyncSender<WorkerCommand<P::Control>>,
    events: EventReceiver,
    questions: Receiver<clients::Question>,
}

fn bench<P: PacketPort>(port: P, wire: MemoryWire) -> Bench<P> {
    bench_with(port, wire, None)
}

fn bench_with<P: PacketPort>(
    port: P,
    wire: MemoryWire,
    fast_path: Option<FastPathShare>,
) -> Bench<P> {
    bench_of(port, wire, fast_path, None)
}

fn bench_of<P: PacketPort>(
    port: P,
    wire: MemoryWire,
    fast_path: Option<FastPathShare>,
    separator: Option<SeparatorShare>,
) -> Bench<P> {
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
        fast_path,
        separator,
        enquiry,
        exchange: None,
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
