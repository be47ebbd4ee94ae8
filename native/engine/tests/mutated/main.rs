//! Frames of recordings, changed: bits flipped, ends cut off, lengths lied about. Each gets a verdict
//! with a reason; what leaves fits its interface, and is whole where what came was.

mod good;
mod mutate;

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
use engine::verdict::Verdict;
use engine::{Engine, Limits};
use mutate::{Numbers, mutate};
use wire::dissect::{Dissection, dissect};
use wire::ethernet::MacAddress;

/// Frames judged, over all threads.
const FRAMES: u64 = 10_000_000;
const THREADS: u64 = 2;
const MTU: usize = 1500;
const CLIENTS: InterfaceId = InterfaceId(1);
const OWN_IPV6: [u16; 8] = [0x2001, 0xdb8, 1, 0, 0, 0, 0, 1];
const SERVERS: InterfaceId = InterfaceId(2);

/// A recorded frame.
struct Recorded {
    from: InterfaceId,
    octets: Vec<u8>,
}

/// The frames that `test/conformance/corpus.ts` took from the recordings.
fn corpus() -> Vec<Recorded> {
    let mut left: &[u8] = include_bytes!("frames.bin");
    let mut frames = Vec::new();
    while let Some((&[side, high, low], rest)) = left.split_first_chunk::<3>() {
        let (octets, rest) = rest.split_at(usize::from(u16::from_be_bytes([high, low])));
        let from = if side == 0 { CLIENTS } else { SERVERS };
        frames.push(Recorded { from, octets: octets.to_vec() });
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

    fn client_hop(&self, _: IpAddr, _: &FrameMeta) -> Hop {
        self.hop(ServerId(2))
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        Some(if server.0.is_multiple_of(2) { [10, 1, 0, 1].into() } else { OWN_IPV6.into() })
    }
}

/// A service for every address and port the recorded clients ask for.
fn configuration(corpus: &[Recorded]) -> Configuration {
    let keys: BTreeSet<ServiceKey> = corpus
        .iter()
        .filter(|frame| frame.from == CLIENTS)
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
        one_packet: false,
    }
}

fn server_of(key: ServiceKey, number: usize) -> ServerSpec {
    let ServiceKey::Address { address, .. } = key else { panic!("all are by address") };
    let [high, low] = u16::try_from(number).expect("a small number").to_be_bytes();
    // Of nine services six have tunnels and one is masqueraded. Tunnels lead to servers of either
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
        None if (number / 2).is_multiple_of(9) => ForwardingMethod::Masquerading,
        None => ForwardingMethod::DirectRouting,
    };
    ServerSpec {
        key: ServerKey { address, port: None },
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

/// What became of the frames of one thread.
#[derive(Default)]
struct Tally {
    forwarded: u64,
    whole: u64,
    encapsulated: u64,
    held: u64,
    fragments: u64,
    replied: BTreeSet<&'static str>,
    passed: BTreeSet<&'static str>,
    dropped: BTreeSet<&'static str>,
}

#[test]
fn ten_million_changed_frames_each_get_a_verdict() {
    let corpus = Arc::new(corpus());
    let configuration = Arc::new(configuration(&corpus));
    let threads: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (corpus, configuration) = (Arc::clone(&corpus), Arc::clone(&configuration));
            std::thread::spawn(move || run(&corpus, configuration, seed))
        })
        .collect();
    let mut sum = Tally::default();
    for thread in threads {
        let tally = thread.join().expect("no frame panics");
        sum.forwarded += tally.forwarded;
        sum.whole += tally.whole;
        sum.encapsulated += tally.encapsulated;
        sum.held += tally.held;
        sum.fragments += tally.fragments;
        sum.replied.extend(tally.replied);
        sum.passed.extend(tally.passed);
        sum.dropped.extend(tally.dropped);
    }
    // The frames went everywhere, so that the assertions on the way meant something.
    assert!(sum.forwarded > FRAMES / 20, "{} forwarded", sum.forwarded);
    assert!(sum.encapsulated > FRAMES / 10, "{} in tunnels", sum.encapsulated);
    assert!(sum.whole > FRAMES / 40, "{} forwarded with good checksums", sum.whole);
    assert!(sum.held > 1000 && sum.fragments > 100, "{} {}", sum.held, sum.fragments);
    assert!(sum.replied.len() >= 3, "{:?}", sum.replied);
    assert!(sum.passed.len() >= 6, "{:?}", sum.passed);
    assert!(sum.dropped.len() >= 12, "{:?}", sum.dropped);
}

fn run(corpus: &[Recorded], configuration: Arc<Configuration>, seed: u64) -> Tally {
    let limits = Limits { connections: 4096, events: 64, ..Limits::default() };
    let mut engine = Engine::new(limits, seed);
    engine.configure(configuration);
    let mut numbers = Numbers(seed + 1);
    let mut outputs = Outputs::default();
    let mut tally = Tally::default();
    let (mut came, mut frame) = (Vec::new(), Vec::new());
    for number in 0..FRAMES / THREADS {
        let now = Instant::ZERO + Duration::from_micros(number * 50);
        let recorded = numbers.pick(corpus);
        came.clone_from(&recorded.octets);
        mutate(&mut came, &mut numbers);
        frame.clone_from(&came);
        let meta = FrameMeta::plain(recorded.from);
        let verdict = engine.process(&mut frame, &meta, now, &Ways, &mut outputs);
        judge(&came, &frame, verdict, &outputs, &mut tally);
        outputs.clear();
        while engine.poll_event().is_some() {}
        if engine.poll_timeout().is_some_and(|at| at <= now) {
            engine.handle_timeout(now);
        }
    }
    tally
}

/// Checks what a frame's verdict let out.
fn judge(came: &[u8], frame: &[u8], verdict: Verdict, outputs: &Outputs, tally: &mut Tally) {
    for made in outputs.frames() {
        let octets = outputs.octets(made);
        fits(octets);
        let own = matches!(verdict, Verdict::Reply(_));
        let good = good::header(octets) && (!own || good::transport(octets));
        assert!(good, "made by the director: {octets:02x?} of {came:02x?}");
    }
    match verdict {
        Verdict::Forward { length, .. } | Verdict::Return { length, .. } => {
            let out = &frame[..usize::try_from(length).expect("small")];
            fits(out);
            assert!(good::header(out), "{out:02x?} of {came:02x?}");
            tally.forwarded += 1;
            if good::transport(came) {
                tally.whole += 1;
                assert!(good::transport(out), "{out:02x?} of {came:02x?}");
            }
            assert_eq!(outputs.frames().len(), 0);
        }
        Verdict::Encapsulate { from, end, .. } => {
            let octets = |at: u32| usize::try_from(at).expect("small");
            let inner = &frame[octets(from)..octets(end)];
            let out = [outputs.prefix().octets(), inner].concat();
            fits(&out);
            assert!(good::header(&out), "{out:02x?} of {came:02x?}");
            tally.encapsulated += 1;
            // The transport header is the inner packet's own, or the tunnel's.
            let inner = [&[0; 12], &came[12..14], inner].concat();
            if good::transport(came) {
                assert!(good::transport(&inner), "{out:02x?} of {came:02x?}");
            }
        }
        Verdict::ForwardFragments { .. } | Verdict::ReturnFragments { .. } => {
            tally.fragments += 1;
            assert!(!outputs.frames().is_empty());
        }
        Verdict::Hold => tally.held += 1,
        Verdict::Reply(reason) => {
            tally.replied.insert(reason.name());
            assert_eq!(outputs.frames().len(), 1);
        }
        Verdict::Pass(reason) => {
            tally.passed.insert(reason.name());
        }
        Verdict::Drop(reason) => {
            tally.dropped.insert(reason.name());
        }
    }
    let cut = matches!(verdict, Verdict::ForwardFragments { .. } | Verdict::ReturnFragments { .. });
    let leaves = cut || matches!(verdict, Verdict::Reply(_));
    assert!(leaves || outputs.frames().is_empty());
}

fn fits(octets: &[u8]) {
    let (_, l3) = wire::ethernet::payload(octets).expect("an Ethernet header");
    assert!(octets.len() - l3 <= MTU, "{} octets: {octets:02x?}", octets.len());
}
