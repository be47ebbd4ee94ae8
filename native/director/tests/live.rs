//! A live director between namespaces, with connections of the kernel's own TCP.

mod lab;
#[path = "live/workers.rs"]
mod workers;

use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use afpacket::Waker;
use director::event::Event;
use director::live::{Director, StartOptions};
use director::port::{AfPacketOptions, AfPacketPort, Offload, Outgoing, PacketPort};
use director::{ApplyError, StartError};
use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerFlag, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, ServiceSpec,
};
use engine::frame::InterfaceId;
use engine::snapshot::{ConnectionFilter, Counter, Flow};
use lab::{Lab, PATIENCE, PORT, VIRTUAL, VIRTUAL_IPV6, privileged, wait_for};

const SERVICE: ServiceKey =
    ServiceKey::Address { protocol: Protocol::Tcp, address: IpAddr::V4(VIRTUAL), port: PORT };

fn add_service() -> Command {
    Command::AddService {
        service: ServiceSpec {
            key: SERVICE,
            scheduler: Some(SchedulerName::Sh),
            flags: vec![SchedulerFlag::ShPort, SchedulerFlag::ShFallback],
            sloppy: Some(true),
            persistence: None,
            persistence_engine: None,
            one_packet: false,
        },
    }
}

/// A service at another port.
fn other_service() -> ServiceSpec {
    let Command::AddService { mut service } = add_service() else { unreachable!("it adds one") };
    service.key =
        ServiceKey::Address { protocol: Protocol::Tcp, address: VIRTUAL.into(), port: PORT + 1 };
    service
}

fn key(server: u8) -> ServerKey {
    ServerKey { address: [10, 2, server, 2].into(), port: None }
}

fn add_server(server: u8) -> Command {
    Command::AddServer {
        service: SERVICE,
        server: ServerSpec {
            key: key(server),
            weight: 1,
            forwarding: ForwardingMethod::DirectRouting,
            tunnel: None,
            upper_threshold: 0,
            lower_threshold: 0,
        },
    }
}

fn both_servers() -> Vec<Command> {
    vec![add_service(), add_server(1), add_server(2)]
}

/// The same service by IPv6.
fn by_ipv6() -> Vec<Command> {
    let key = ServiceKey::Address {
        protocol: Protocol::Tcp,
        address: IpAddr::V6(VIRTUAL_IPV6),
        port: PORT,
    };
    let mut commands = both_servers();
    for command in &mut commands {
        match command {
            Command::AddService { service } => service.key = key,
            Command::AddServer { service, server } => {
                *service = key;
                let IpAddr::V4(address) = server.key.address else { continue };
                let [_, _, number, _] = address.octets();
                server.key.address = [0xfd02, number.into(), 0, 0, 0, 0, 0, 2].into();
            }
            _ => {}
        }
    }
    commands
}

fn options(services: Vec<Command>) -> StartOptions {
    StartOptions {
        interfaces: vec!["in0".into()],
        ring_frames: Some(64),
        connections: Some(4096),
        services,
        ..StartOptions::default()
    }
}

/// Starts a director in the lab; its events arrive at the receiver.
fn start(lab: &Lab, options: StartOptions) -> Result<(Director, Receiver<Event>), StartError> {
    let (sender, events) = channel();
    let sink = Box::new(move |event| drop(sender.send(event)));
    let director = lab.inside("d", || Director::start(options, sink))?;
    Ok((director, events))
}

fn lab_with_servers() -> Lab {
    let lab = Lab::new();
    lab.serve("s1");
    lab.serve("s2");
    lab
}

fn wait_for_event(events: &Receiver<Event>, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(PATIENCE);
        let event = event.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"));
        if wanted(&event) {
            return event;
        }
    }
}

#[test]
fn connections_reach_both_servers_and_the_host_keeps_quiet() {
    if !privileged("connections_reach_both_servers_and_the_host_keeps_quiet") {
        return;
    }
    let lab = lab_with_servers();
    let (director, _events) = start(&lab, options(both_servers())).expect("it starts");
    assert_eq!(lab.guards("in0").len(), 1, "{}", lab.filters("in0"));
    let mut seen = std::collections::BTreeSet::new();
    let mut connections = Vec::new();
    for _ in 0..16 {
        let mut connection = lab.connect().expect("the service answers");
        // Long enough for super-frames, whose segmentation the director must pass on.
        seen.insert(connection.exchange(200_000).expect("the connection holds"));
        connections.push(connection);
    }
    assert_eq!(seen.len(), 2, "sixteen connections went to {seen:?} only");
    let statistics = director.statistics().expect("it is at work");
    assert_eq!(statistics.engine.services[0].traffic.connections, Counter(16));
    assert_eq!(statistics.engine.connections, 16);
    let port = statistics.ports.iter().find(|port| port.interface == "in0").expect("a port");
    let carried = port.counters.received.0 + statistics.engine.fast_path.packets.0;
    assert!(carried > 100 && port.counters.ring_drops == Counter(0), "{port:?}");
    let ways: Vec<_> =
        statistics.hops.iter().map(|hop| (hop.state, hop.interface.as_deref())).collect();
    assert_eq!(ways, [("ready", Some("out1")), ("ready", Some("out2"))]);
    let page = director.connections(&ConnectionFilter::default(), 0, 10).expect("it is at work");
    assert_eq!((page.rows.len(), page.next.is_some()), (10, true));
    let flow = Flow {
        protocol: Protocol::Tcp,
        client_address: page.rows[0].client.ip(),
        client_port: page.rows[0].client.port(),
        virtual_address: VIRTUAL.into(),
        virtual_port: PORT,
        interface: None,
        vlan: None,
    };
    let explanation = director.explain(&flow).expect("it is at work");
    assert_eq!(explanation.connection.map(|row| row.server), Some(page.rows[0].server));
    director.zero(None).expect("it is at work");
    let statistics = director.statistics().expect("it is at work");
    assert_eq!(statistics.engine.traffic.in_packets, Counter(0));
    director.close().expect("nothing stays");
    director.close().expect("nothing stays");
    assert!(director.closed());
    assert!(matches!(director.apply(&[]), Err(ApplyError::Closed)));
    assert_eq!(lab.filters("in0"), "");
    assert!(!lab.disciplines("in0").contains("clsact"), "{}", lab.disciplines("in0"));
    assert!(lab.connect().is_err(), "without a guard the host resets what nobody listens to");
}

#[test]
fn services_come_and_go_with_their_guards_and_claims() {
    if !privileged("services_come_and_go_with_their_guards_and_claims") {
        return;
    }
    let lab = lab_with_servers();
    let (director, _events) = start(&lab, options(Vec::new())).expect("it starts");
    assert!(lab.guards("in0").is_empty());
    lab.inside("d", || director.apply(&both_servers())).expect("the commands are right");
    lab.connect().and_then(|mut connection| connection.exchange(10)).expect("it answers");
    let error = start(&lab, options(both_servers())).expect_err("the service is taken");
    assert_eq!(error.code(), "service-in-use");
    assert!(error.to_string().contains("tcp 192.0.2.80 port 80"), "{error}");
    assert!(error.to_string().contains("in0"), "{error}");
    lab.connect().and_then(|mut connection| connection.exchange(10)).expect("it still answers");
    let remove = [Command::RemoveService { service: SERVICE }];
    lab.inside("d", || director.apply(&remove)).expect("the service is there");
    assert!(lab.guards("in0").is_empty());
    let (other, _events) = start(&lab, options(both_servers())).expect("the service is free");
    lab.connect().and_then(|mut connection| connection.exchange(10)).expect("it answers");
    drop(other);
    assert_eq!(director.statistics().expect("it is at work").engine.services.len(), 0);
}

#[test]
fn a_director_that_cannot_start_leaves_nothing() {
    if !privileged("a_director_that_cannot_start_leaves_nothing") {
        return;
    }
    let lab = Lab::new();
    let mut unknown = options(both_servers());
    unknown.interfaces.push("nowhere0".into());
    let error = start(&lab, unknown).expect_err("there is no such interface");
    assert_eq!((error.code(), error.issues().len()), ("interface-not-found", 0));
    let mut loopback = options(both_servers());
    loopback.interfaces = vec!["lo".into()];
    assert_eq!(start(&lab, loopback).expect_err("no Ethernet").code(), "interface-unsuitable");
    let error = start(&lab, options(vec![add_server(1)])).expect_err("there is no service");
    assert_eq!((error.code(), error.issues().len()), ("invalid", 1));
    assert!(!lab.disciplines("in0").contains("clsact"), "{}", lab.disciplines("in0"));
}

#[test]
fn a_guard_that_another_program_removes_is_put_back() {
    if !privileged("a_guard_that_another_program_removes_is_put_back") {
        return;
    }
    let lab = lab_with_servers();
    let (director, events) = start(&lab, options(both_servers())).expect("it starts");
    lab.remove_filters("in0");
    assert_eq!(lab.filters("in0"), "");
    let told = wait_for_event(&events, "word of it", |event| matches!(event, Event::Error { .. }));
    assert!(matches!(told, Event::Error { code: "guard-failed", .. }), "{told:?}");
    assert_eq!(lab.guards("in0").len(), 1);
    lab.connect().and_then(|mut connection| connection.exchange(10)).expect("it answers");
    director.close().expect("nothing stays");
    assert_eq!(lab.filters("in0"), "");
}

#[test]
fn interfaces_that_go_down_and_up_are_told_and_traffic_goes_on() {
    if !privileged("interfaces_that_go_down_and_up_are_told_and_traffic_goes_on") {
        return;
    }
    let lab = lab_with_servers();
    let (director, events) = start(&lab, options(both_servers())).expect("it starts");
    let mut connection = lab.connect().expect("the service answers");
    connection.exchange(10).expect("the connection holds");
    lab.ip("d", "link set in0 down");
    wait_for_event(
        &events,
        "down",
        |event| matches!(event, Event::InterfaceDown { interface, .. } if interface == "in0"),
    );
    lab.ip("d", "link set in0 up");
    wait_for_event(
        &events,
        "up",
        |event| matches!(event, Event::InterfaceUp { interface } if interface == "in0"),
    );
    connection.exchange(10).expect("the connection survived");
    drop(director);
}

#[test]
fn an_interface_that_is_deleted_and_made_again_is_used_again() {
    if !privileged("an_interface_that_is_deleted_and_made_again_is_used_again") {
        return;
    }
    let lab = lab_with_servers();
    let mut options = options(both_servers());
    options.workers = Some(2);
    let (director, events) = start(&lab, options).expect("it starts");
    let mut connection = lab.connect().expect("the service answers");
    connection.exchange(10).expect("the connection holds");
    lab.ip("d", "link delete in0");
    wait_for_event(&events, "down", |event| matches!(event, Event::InterfaceDown { .. }));
    let remove = [Command::RemoveServer { service: SERVICE, server: key(2) }, add_server(2)];
    lab.inside("d", || director.apply(&remove)).expect("changes go on meanwhile");
    let more = Command::AddService { service: other_service() };
    lab.inside("d", || director.apply(&[more])).expect("new services as well");
    lab.link_client();
    wait_for_event(&events, "up", |event| matches!(event, Event::InterfaceUp { .. }));
    wait_for("the guard", || !lab.guards("in0").is_empty());
    connection.exchange(10).expect("the connection survived");
    for _ in 0..8 {
        lab.connect().and_then(|mut connection| connection.exchange(10)).expect("it answers");
    }
    director.close().expect("nothing stays");
    assert_eq!(lab.filters("in0"), "");
}

#[test]
fn a_server_that_changes_its_hardware_address_is_followed() {
    if !privileged("a_server_that_changes_its_hardware_address_is_followed") {
        return;
    }
    let lab = lab_with_servers();
    let (director, events) =
        start(&lab, options(vec![add_service(), add_server(1)])).expect("it starts");
    let mut connection = lab.connect().expect("the service answers");
    connection.exchange(10).expect("the connection holds");
    lab.ip("s1", "link set out0 address 02:00:00:00:00:77");
    // The kernel of the director learns of it as of any neighbour: by the next packet or question.
    lab.ip("d", "neighbour replace 10.2.1.2 dev out1 lladdr 02:00:00:00:00:77 nud reachable");
    connection.exchange(10).expect("the connection survived");
    lab.ip("d", "neighbour replace 10.2.1.2 dev out1 lladdr 02:00:00:00:00:77 nud failed");
    // Given up once is not unreachable: it is asked again, and until it answers the old address
    // serves on.
    connection.exchange(10).expect("the neighbour answered");
    let state = || lab.ip("d", "neighbour show 10.2.1.2 dev out1");
    wait_for("the neighbour to be asked again", || state().contains("REACHABLE"));
    connection.exchange(10).expect("the connection holds");
    let statistics = director.statistics().expect("it is at work");
    assert_eq!(statistics.neighbour_failures, Counter(0));
    assert_eq!(events.try_iter().count(), 0);
}

#[test]
fn ipv6_services_work_alike() {
    if !privileged("ipv6_services_work_alike") {
        return;
    }
    let lab = lab_with_servers();
    let (director, _events) = start(&lab, options(by_ipv6())).expect("it starts");
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let mut connection = lab.connect_to(VIRTUAL_IPV6.into()).expect("the service answers");
        seen.insert(connection.exchange(100_000).expect("the connection holds"));
    }
    assert_eq!(seen.len(), 2, "sixteen connections went to {seen:?} only");
    drop(director);
}

#[test]
fn a_lone_director_answers_for_its_virtual_addresses() {
    if !privileged("a_lone_director_answers_for_its_virtual_addresses") {
        return;
    }
    let lab = lab_with_servers();
    lab.ip("d", &format!("address delete {VIRTUAL}/32 dev lo"));
    lab.ip("c", &format!("route replace {VIRTUAL}/32 dev in0"));
    lab.ip("c", &format!("route replace {VIRTUAL_IPV6}/128 dev in0"));
    let mut options = options([both_servers(), by_ipv6()].concat());
    options.answer_neighbours = true;
    let (director, _events) = start(&lab, options).expect("it starts");
    for (address, answered) in [(IpAddr::V4(VIRTUAL), 1), (IpAddr::V6(VIRTUAL_IPV6), 2)] {
        let mut connection = lab.connect_to(address).expect("the service answers");
        connection.exchange(10).expect("the connection holds");
        let statistics = director.statistics().expect("it is at work");
        let replied = &statistics.engine.replied;
        let neighbours = replied.iter().find(|counter| counter.name == "neighbour");
        assert!(neighbours.is_some_and(|counter| counter.count.0 >= answered), "{replied:?}");
    }
}

#[test]
fn several_workers_share_the_clients() {
    if !privileged("several_workers_share_the_clients") {
        return;
    }
    let lab = lab_with_servers();
    for last in 10..40 {
        lab.ip("c", &format!("address add 10.1.0.{last}/24 dev in0"));
        for server in ["1", "2"] {
            lab.ip(
                &format!("s{server}"),
                &format!("route add 10.1.0.{last}/32 via 10.3.{server}.1"),
            );
        }
    }
    let mut options = options(both_servers());
    options.workers = Some(2);
    options.spread = director::live::Spread::AddressAndPort;
    let (director, _events) = start(&lab, options).expect("it starts");
    let mut connections: Vec<_> =
        (0..32).map(|_| lab.connect().expect("the service answers")).collect();
    for connection in &mut connections {
        connection.exchange(50_000).expect("the connection holds");
    }
    let statistics = director.statistics().expect("it is at work");
    assert_eq!(statistics.engine.connections, 32);
    assert_eq!(statistics.engine.services[0].traffic.connections, Counter(32));
    let active: u32 =
        statistics.engine.services[0].servers.iter().map(|server| server.active_connections).sum();
    assert_eq!(active, 32, "a server's load is counted once");
    let (mut cursor, mut rows) = (Some(0), Vec::new());
    while let Some(at) = cursor {
        let page = director.connections(&ConnectionFilter::default(), at, 5).expect("at work");
        rows.extend(page.rows);
        cursor = page.next;
    }
    rows.sort_by_key(|row| row.client);
    rows.dedup_by_key(|row| row.client);
    assert_eq!(rows.len(), 32);
    for row in rows {
        let flow = Flow {
            protocol: Protocol::Tcp,
            client_address: row.client.ip(),
            client_port: row.client.port(),
            virtual_address: VIRTUAL.into(),
            virtual_port: PORT,
            interface: None,
            vlan: None,
        };
        let explanation = director.explain(&flow).expect("it is at work");
        assert_eq!(explanation.connection.map(|found| found.server), Some(row.server));
    }
}

#[test]
fn changes_and_questions_from_many_threads_disturb_no_connection() {
    if !privileged("changes_and_questions_from_many_threads_disturb_no_connection") {
        return;
    }
    let lab = lab_with_servers();
    let mut options = options(both_servers());
    options.workers = Some(2);
    let (director, _events) = start(&lab, options).expect("it starts");
    let mut connections: Vec<_> =
        (0..8).map(|_| lab.connect().expect("the service answers")).collect();
    let weight = |weight| Command::SetWeight { service: SERVICE, server: key(1), weight };
    let more = || Command::AddService { service: other_service() };
    let less = || Command::RemoveService { service: other_service().key };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..200 {
                director.apply(&[weight(round % 2)]).expect("the commands are right");
            }
        });
        scope.spawn(|| {
            lab.inside("d", || {
                for _ in 0..20 {
                    director.apply(&[more()]).expect("the commands are right");
                    director.apply(&[less()]).expect("the commands are right");
                }
            });
        });
        scope.spawn(|| {
            for _ in 0..200 {
                let statistics = director.statistics().expect("it is at work");
                assert!(!statistics.engine.services.is_empty());
                director.connections(&ConnectionFilter::default(), 0, 100).expect("at work");
            }
        });
        for _ in 0..20 {
            for connection in &mut connections {
                connection.exchange(5000).expect("the connection holds");
            }
        }
    });
    let configuration = director.configuration().expect("it is at work");
    assert_eq!(configuration.version().number, 1 + 200 + 40);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| director.close().expect("nothing stays"));
            scope.spawn(|| drop(director.statistics()));
        }
    });
    assert!(director.closed());
}

#[test]
fn a_killed_director_is_succeeded_with_its_guard_taken_over() {
    if !privileged("a_killed_director_is_succeeded_with_its_guard_taken_over") {
        return;
    }
    let lab = lab_with_servers();
    let mut killed = other_process(&lab);
    let mut connection = lab.connect().expect("the service answers");
    let server = connection.exchange(10).expect("the connection holds");
    killed.kill().expect("it can be killed");
    killed.wait().expect("it is over");
    assert_eq!(lab.guards("in0").len(), 1, "the guard outlives its director");
    let (director, events) = start(&lab, options(both_servers())).expect("it starts");
    let filters = lab.filters("in0");
    assert_eq!(lab.guards("in0").len(), 1, "one guard, the successor's: {filters}");
    assert!(filters.matches("l4-director-fast:").count() <= 1, "the successor's: {filters}");
    assert_eq!(connection.exchange(10).expect("the connection survived"), server);
    wait_for_event(&events, "an adoption", |event| matches!(event, Event::Adopted { .. }));
    drop(director);
    assert_eq!(lab.filters("in0"), "");
}

#[test]
fn two_directors_leave_nothing_behind_in_either_order() {
    if !privileged("two_directors_leave_nothing_behind_in_either_order") {
        return;
    }
    let lab = lab_with_servers();
    let other = || vec![Command::AddService { service: other_service() }];
    for first_leaves_first in [true, false] {
        let (first, _) = start(&lab, options(both_servers())).expect("it starts");
        let (second, _) = start(&lab, options(other())).expect("it starts");
        let (leaves, stays) = if first_leaves_first { (first, second) } else { (second, first) };
        leaves.close().expect("nothing stays");
        assert_eq!(lab.guards("in0").len(), 1, "{}", lab.filters("in0"));
        stays.close().expect("nothing stays");
        assert!(!lab.disciplines("in0").contains("clsact"), "{}", lab.disciplines("in0"));
    }
}

#[test]
fn the_successor_of_a_killed_director_leaves_nothing_behind() {
    if !privileged("the_successor_of_a_killed_director_leaves_nothing_behind") {
        return;
    }
    let lab = lab_with_servers();
    let mut killed = other_process(&lab);
    killed.kill().expect("it can be killed");
    killed.wait().expect("it is over");
    let (director, _events) = start(&lab, options(both_servers())).expect("it starts");
    director.close().expect("nothing stays");
    assert!(!lab.disciplines("in0").contains("clsact"), "{}", lab.disciplines("in0"));
}

#[test]
fn a_sender_that_could_not_be_opened_is_tried_again() {
    if !privileged("a_sender_that_could_not_be_opened_is_tried_again") {
        return;
    }
    let lab = Lab::new();
    let later = InterfaceId(4711);
    lab.inside("d", || {
        let waker = Arc::new(Waker::new().expect("a descriptor is left"));
        let mut port = AfPacketPort::new(AfPacketOptions::default(), waker);
        let mut send = || {
            let octets = &[0; 60];
            let frame =
                Outgoing { interface: later, octets, vlan: None, offload: Offload::default() };
            port.send(std::iter::once(frame));
            let mut counters = Vec::new();
            port.counters(&mut counters);
            counters[0]
        };
        assert_eq!(send().send_failures, Counter(1), "there is no such interface");
        lab.ip("d", "link add later index 4711 type veth peer name far");
        lab.ip("d", "link set later up");
        lab.ip("d", "link set far up");
        wait_for("the frame to be sent", || send().sent > Counter(0));
    });
}

/// A director in another process, at work.
fn other_process(lab: &Lab) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Process::new(program)
        .args(["--exact", "the_process_to_be_killed", "--ignored", "--nocapture"])
        .env("L4DIR_NAMESPACE", lab.path("d"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started");
    let output = BufReader::new(child.stdout.take().expect("its output is ours"));
    let ready = output.lines().map_while(Result::ok).any(|line| line.contains("at work"));
    assert!(ready, "the other process started no director");
    child
}

#[test]
#[ignore = "not a test: other tests start it as a process of its own"]
fn the_process_to_be_killed() {
    let namespace = std::env::var_os("L4DIR_NAMESPACE").expect("started by another test");
    afpacket::thread::enter_network_namespace_at(namespace.as_ref()).expect("it can be entered");
    let director = Director::start(options(both_servers()), Box::new(|_| {})).expect("it starts");
    #[expect(clippy::print_stdout, reason = "it is how the other process knows")]
    {
        println!("at work");
    }
    std::thread::park_timeout(PATIENCE * 3);
    drop(director);
}
