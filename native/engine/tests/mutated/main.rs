//! Frames of recordings and frames made here, changed: bits flipped, ends cut off, lengths lied about,
//! offloads that are not there. Each gets a verdict with a reason; what leaves fits its interface, and
//! is whole where what came was.

#[path = "../reference/crc32c.rs"]
mod crc32c;
mod good;
mod judge;
mod made;
mod mutate;
mod wrapped;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::command::{
    Command, ForwardingMethod, SchedulerName, ServerKey, ServerSpec, ServiceKey, ServiceSpec,
    SettingsPatch, Tunnel, TunnelChecksum, TunnelKind,
};
use engine::configuration::Configuration;
use engine::frame::{FrameMeta, InterfaceId, Outputs};
use engine::hop::{Hop, Hops, NextHop, ServerId};
use engine::time::Instant;
use engine::{Engine, Limits};
use judge::{Case, Tally};
use mutate::{Numbers, mutate, mutate_meta};
use wire::dissect::{Dissection, dissect};
use wire::ethernet::MacAddress;

/// Frames judged, over all threads.
const FRAMES: u64 = 10_000_000;
const THREADS: u64 = 2;
const MTU: usize = 1500;
const CLIENTS: InterfaceId = InterfaceId(1);
const SERVERS: InterfaceId = InterfaceId(2);

/// A frame and what the port says of it.
#[derive(Debug)]
struct Frame {
    octets: Vec<u8>,
    meta: FrameMeta,
}

/// All frames there are, before any is changed.
struct Corpus {
    recorded: Vec<Frame>,
    clients: Vec<Frame>,
    answers: Vec<Frame>,
}

impl Corpus {
    /// A recorded frame, or as often a made one: of a client, or from a server's side.
    fn pick(&self, numbers: &mut Numbers) -> &Frame {
        let from = match numbers.below(4) {
            0 => &self.clients,
            1 => &self.answers,
            _ => &self.recorded,
        };
        numbers.pick(from)
    }
}

/// The frames that `test/conformance/corpus.ts` took from the recordings.
fn recorded() -> Vec<Frame> {
    let mut left: &[u8] = include_bytes!("frames.bin");
    let mut frames = Vec::new();
    while let Some((&[side, high, low], rest)) = left.split_first_chunk::<3>() {
        let (octets, rest) = rest.split_at(usize::from(u16::from_be_bytes([high, low])));
        let from = if side == 0 { CLIENTS } else { SERVERS };
        frames.push(Frame { octets: octets.to_vec(), meta: FrameMeta::plain(from) });
        left = rest;
    }
    assert!(frames.len() > 2000, "the corpus is there");
    frames
}

struct Ways;

impl Hops for Ways {
    fn hop(&self, server: ServerId) -> Hop {
        let mtu = u32::try_from(MTU).expect("a small number");
        let source = MacAddress([2, 0, 0, 0, 13, 1]);
        let destination = MacAddress([2, 0, 1, 0, 0, 1]);
        match server.0 % 16 {
            0 => Hop::Unreachable,
            1 => Hop::Resolving { mtu },
            _ => Hop::Ready(NextHop { interface: SERVERS, mtu, source, destination }),
        }
    }

    fn client_hop(&self, _: IpAddr) -> Hop {
        self.hop(ServerId(2))
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        let [ipv4, ipv6] = tunnel_sources();
        Some(if server.0.is_multiple_of(2) { ipv4 } else { ipv6 })
    }
}

/// The director's own addresses, where tunnels begin.
fn tunnel_sources() -> [IpAddr; 2] {
    [[10, 1, 0, 1].into(), [0x2001, 0xdb8, 1, 0, 0, 0, 0, 1].into()]
}

/// A service for every address and port the clients ask for.
fn configuration<'a>(frames: impl Iterator<Item = &'a Frame>) -> Configuration {
    let keys: BTreeSet<ServiceKey> = frames
        .filter(|frame| frame.meta.interface == CLIENTS)
        .filter_map(|frame| match dissect(&frame.octets) {
            Ok(Dissection::Ip(ip)) => {
                let protocol = engine::command::Protocol::from_number(ip.protocol)?;
                let (_, port) = ip.upper.ports()?;
                Some(ServiceKey::Address { protocol, address: ip.destination, port })
            }
            _ => None,
        })
        .collect();
    assert!(keys.len() > 50);
    let mut commands: Vec<Command> = Vec::new();
    for (number, key) in keys.into_iter().enumerate() {
        commands.push(Command::AddService { service: service(key) });
        for server in 0..2 {
            let server = server_of(key, number * 2 + server);
            commands.push(Command::AddServer { service: key, server });
        }
    }
    commands.push(Command::Settings {
        settings: SettingsPatch {
            sloppy_tcp: Some(true),
            sloppy_sctp: Some(true),
            schedule_icmp: Some(true),
            nat_icmp_send: Some(true),
            reset_midstream: Some(true),
            expire_nodest_conn: Some(true),
            icmp_errors_per_second: Some(0),
            drop_entry: Some(1),
            secure_tcp: Some(1),
            ..SettingsPatch::default()
        },
    });
    Configuration::default().apply(&commands).expect("commands are valid")
}

fn service(key: ServiceKey) -> ServiceSpec {
    ServiceSpec {
        key,
        scheduler: Some(SchedulerName::Rr),
        flags: Vec::new(),
        sloppy: None,
        persistence: None,
        persistence_engine: None,
        one_packet: false,
    }
}

fn server_of(key: ServiceKey, number: usize) -> ServerSpec {
    let ServiceKey::Address { address, .. } = key else { panic!("all are by address") };
    let [high, low] = u16::try_from(number).expect("a small number").to_be_bytes();
    // Of nine services six have tunnels and two are masqueraded. Tunnels lead to servers of either
    // family, by what `source` says.
    let tunnel = tunnels(number / 2);
    let ipv4 = tunnel.map_or_else(|| address.is_ipv4(), |_| number.is_multiple_of(2));
    let address: IpAddr = if ipv4 {
        [10, 9, high, low].into()
    } else {
        [0x2001, 0xdb8, 9, 0, 0, 0, 0, u16::from_be_bytes([high, low])].into()
    };
    let forwarding = match tunnel {
        Some(_) => ForwardingMethod::Tunnelling,
        None if number / 2 % 9 < 2 => ForwardingMethod::Masquerading,
        None => ForwardingMethod::DirectRouting,
    };
    let port = (forwarding == ForwardingMethod::Masquerading).then_some(made::MAPPED);
    ServerSpec {
        key: ServerKey { address, port },
        weight: 1,
        forwarding,
        tunnel,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

/// The tunnel to the servers of the service with this number, or none.
fn tunnels(number: usize) -> Option<Tunnel> {
    use TunnelChecksum::{Csum, Nocsum, Remcsum};
    use TunnelKind::{Gre, Gue, Ipip};
    let (kind, checksum) = match number % 9 {
        0..=2 => return None,
        3 => (Ipip, Nocsum),
        4 => (Gre, Nocsum),
        5 => (Gre, Csum),
        6 => (Gue, Nocsum),
        7 => (Gue, Csum),
        _ => (Gue, Remcsum),
    };
    Some(Tunnel { kind, checksum, port: (kind == Gue).then_some(6080) })
}

#[test]
fn ten_million_changed_frames_each_get_a_verdict() {
    let (recorded, clients) = (recorded(), made::clients());
    let configuration = Arc::new(configuration(recorded.iter().chain(&clients)));
    let answers = made::answers(&configuration);
    let corpus = Arc::new(Corpus { recorded, clients, answers });
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (corpus, configuration) = (Arc::clone(&corpus), Arc::clone(&configuration));
            std::thread::spawn(move || run(&corpus, configuration, seed))
        })
        .collect();
    let mut sum = Tally::default();
    for thread in threads {
        sum.add(thread.join().expect("no frame panics"));
    }
    // The frames went everywhere, so that the assertions on the way meant something.
    assert!(sum.forwarded > FRAMES / 20, "{sum:?}");
    assert!(sum.returned > FRAMES / 60, "{sum:?}");
    assert!(sum.encapsulated > FRAMES / 10, "{sum:?}");
    assert!(sum.whole > FRAMES / 20, "{sum:?}");
    assert!(sum.open > FRAMES / 100 && sum.segmented > FRAMES / 200, "{sum:?}");
    assert!(sum.completed > FRAMES / 400, "{sum:?}");
    assert!(sum.pieces > FRAMES / 100 && sum.whole_pieces > FRAMES / 500, "{sum:?}");
    assert!(sum.held > 1000, "{sum:?}");
    assert!(sum.replied.len() >= 5, "{sum:?}");
    assert!(sum.passed.len() >= 6, "{sum:?}");
    assert!(sum.dropped.len() >= 14, "{sum:?}");
}

fn run(corpus: &Corpus, configuration: Arc<Configuration>, seed: u64) -> Tally {
    let limits = Limits { connections: 1 << 15, events: 64, ..Limits::default() };
    let mut engine = Engine::new(limits, seed);
    engine.configure(configuration);
    let mut numbers = Numbers(seed + 1);
    let mut outputs = Outputs::default();
    let mut tally = Tally::default();
    let (mut came, mut frame, mut wrapped) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..FRAMES / THREADS {
        let now = Instant::ZERO + Duration::from_micros(number * 50);
        // Now and then somebody has something to say about the last packet in a tunnel.
        let about_tunnel = (number % 64 == 0).then(|| made::error_about(&wrapped)).flatten();
        let picked = about_tunnel.as_ref().unwrap_or_else(|| corpus.pick(&mut numbers));
        came.clone_from(&picked.octets);
        mutate(&mut came, &mut numbers);
        let mut meta = picked.meta;
        mutate_meta(&mut meta, &mut numbers);
        frame.clone_from(&came);
        let verdict = engine.process(&mut frame, &meta, now, &Ways, &mut outputs);
        let case = Case { came: &came, meta: &meta, frame: &frame, verdict, outputs: &outputs };
        case.judge(&mut tally);
        case.keep_wrapped(&mut wrapped);
        outputs.clear();
        while engine.poll_event().is_some() {}
        if engine.poll_timeout().is_some_and(|at| at <= now) {
            engine.handle_timeout(now);
        }
    }
    tally
}
