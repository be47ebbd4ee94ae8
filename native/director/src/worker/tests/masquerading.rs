//! Replies of masqueraded servers find their way back.

use std::net::Ipv4Addr;

use engine::command::{ForwardingMethod, ServerKey, ServerSpec};
use engine::hop::NextHop;

use super::*;
use crate::testing::{remove_server, segment_between, server_spec, service};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 11);

/// Serves port 80 by one masqueraded server; a client has begun a connection from port 1000.
fn with_connection() -> Bench<MemoryPort> {
    let mut bench = memory();
    let key = ServerKey { address: SERVER.into(), port: Some(8080) };
    let forwarding = ForwardingMethod::Masquerading;
    let server = ServerSpec { key, forwarding, ..server_spec(11) };
    let add = Command::AddServer { service: service(80), server };
    bench.serve_with(ready(), &[remove_server(80, 11), add]);
    bench.put(segment(1000, 80, SYN));
    bench.turn();
    let frame = bench.wire.take().expect("it was forwarded");
    assert_eq!(frame.octets[30..34], SERVER.octets());
    bench
}

fn reply(bench: &mut Bench<MemoryPort>) {
    bench.put(segment_between((SERVER, 8080), (CLIENT, 1000), SYN | ACK));
    bench.turn();
}

fn to_client() -> NextHop {
    hops::assumed(CLIENT.into())
}

fn learn(bench: &mut Bench<MemoryPort>, hop: Hop) {
    bench.command(WorkerCommand::Clients(vec![(CLIENT.into(), hop)]));
    bench.turn();
}

#[test]
fn the_way_back_is_asked_for_when_a_connection_begins() {
    let mut bench = with_connection();
    let question = bench.questions.try_recv().expect("it was asked");
    assert_eq!(question.clients, [CLIENT]);
    learn(&mut bench, Hop::Ready(to_client()));
    reply(&mut bench);
    let frame = bench.wire.take().expect("it went back at once");
    assert_eq!(frame.octets[..6], to_client().destination.0);
    assert_eq!(frame.octets[26..30], VIRTUAL.octets());
    assert_eq!(frame.octets[34..36], 80_u16.to_be_bytes());
    assert!(bench.questions.try_recv().is_err(), "nothing else is to be asked");
}

#[test]
fn a_reply_waits_for_the_way_back() {
    let mut bench = with_connection();
    reply(&mut bench);
    assert_eq!(bench.wire.take(), None);
    learn(&mut bench, Hop::Resolving { mtu: 1500 });
    assert_eq!(bench.statistics().pending.waiting, Counter(1));
    learn(&mut bench, Hop::Ready(to_client()));
    let frame = bench.wire.take().expect("it was released");
    assert_eq!(frame.octets[..6], to_client().destination.0);
    assert_eq!(frame.octets[26..30], VIRTUAL.octets());
}

#[test]
fn a_reply_that_waited_and_does_not_fit_is_counted() {
    let mut bench = with_connection();
    reply(&mut bench);
    learn(&mut bench, Hop::Ready(NextHop { mtu: 39, ..to_client() }));
    assert_eq!(bench.wire.take(), None);
    let pending = bench.statistics().pending;
    assert_eq!((pending.too_big, pending.waiting), (Counter(1), Counter(0)));
}

#[test]
fn a_change_of_routes_has_the_way_asked_for_again_and_used_meanwhile() {
    let mut bench = with_connection();
    learn(&mut bench, Hop::Ready(to_client()));
    assert!(bench.questions.try_recv().is_ok());
    bench.command(WorkerCommand::DistrustClients);
    reply(&mut bench);
    assert!(bench.wire.take().is_some());
    assert!(bench.questions.try_recv().is_ok());
}

#[test]
fn clients_without_a_way_are_reported_to_the_server() {
    let mut bench = with_connection();
    learn(&mut bench, Hop::Unreachable);
    reply(&mut bench);
    let frame = bench.wire.take().expect("an ICMP error goes to the server");
    assert_eq!((frame.octets[23], &frame.octets[30..34]), (1, &SERVER.octets()[..]));
}
