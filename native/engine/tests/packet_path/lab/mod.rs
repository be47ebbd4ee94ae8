//! A small lab for tests of the whole engine: one director, servers by address, frames by hand.

pub(crate) mod decapsulate;
pub(crate) mod frames;
pub(crate) mod masquerading;
pub(crate) mod sent;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerFlag, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, ServiceSpec, SettingsPatch,
};
use engine::configuration::Configuration;
use engine::connection::ConnectionKey;
use engine::frame::{ChecksumState, FrameMeta, InterfaceId, Outputs};
use engine::hop::{Hop, Hops, NextHop, ServerId};
use engine::time::Instant;
use engine::verdict::Verdict;
use engine::{Engine, FastCounts, Limits};
use wire::ethernet::MacAddress;

pub(crate) const CLIENT_SIDE: InterfaceId = InterfaceId(1);
pub(crate) const SERVER_SIDE: InterfaceId = InterfaceId(2);
pub(crate) const DIRECTOR_MAC: MacAddress = MacAddress([2, 0, 0, 0, 13, 0]);
pub(crate) const ROUTER_MAC: MacAddress = MacAddress([2, 0, 0, 0, 12, 1]);
pub(crate) const EGRESS_MAC: MacAddress = MacAddress([2, 0, 0, 0, 13, 1]);

/// Every server has the same way: ready, with an MTU of 1500 unless told otherwise; the same address
/// of the director's for tunnels; and every client the same way back, ready too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ways(pub(crate) Option<Hop>, pub(crate) Option<IpAddr>, pub(crate) Option<Hop>);

impl Hops for Ways {
    fn hop(&self, server: ServerId) -> Hop {
        self.0.unwrap_or_else(|| {
            Hop::Ready(NextHop {
                interface: SERVER_SIDE,
                mtu: 1500,
                source: EGRESS_MAC,
                destination: server_mac(server),
            })
        })
    }

    fn source(&self, _: ServerId) -> Option<IpAddr> {
        self.1
    }

    fn client_hop(&self, _client: IpAddr) -> Hop {
        self.2.unwrap_or_else(|| way_back(1500))
    }
}

/// The lab's ways, and what a fast path carried that the engine was not told of yet.
struct Known<'l> {
    ways: Ways,
    carried: &'l RefCell<HashMap<ConnectionKey, FastCounts>>,
}

impl Hops for Known<'_> {
    fn hop(&self, server: ServerId) -> Hop {
        self.ways.hop(server)
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        self.ways.source(server)
    }

    fn client_hop(&self, client: IpAddr) -> Hop {
        self.ways.client_hop(client)
    }

    fn recall(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        self.carried.borrow_mut().remove(connection)
    }
}

/// A way to a client that takes packets of `mtu` octets.
pub(crate) fn way_back(mtu: u32) -> Hop {
    Hop::Ready(NextHop {
        interface: CLIENT_SIDE,
        mtu,
        source: DIRECTOR_MAC,
        destination: ROUTER_MAC,
    })
}

pub(crate) fn server_mac(server: ServerId) -> MacAddress {
    MacAddress([2, 0, 1, 0, 0, u8::try_from(server.0).unwrap()])
}

/// What came of one frame.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// All frames that leave, in order.
    pub(crate) frames: Vec<Vec<u8>>,
    /// The tags that go into the frames the engine made.
    pub(crate) tags: Vec<Option<u16>>,
    /// What is left for the device of a frame that leaves as it lies.
    pub(crate) left: ChecksumState,
}

pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) configuration: Configuration,
    pub(crate) ways: Ways,
    /// What a fast path carried that the engine was not told of yet, by connections it has.
    pub(crate) carried: RefCell<HashMap<ConnectionKey, FastCounts>>,
    pub(crate) now: Instant,
}

impl Lab {
    pub(crate) fn new(commands: &[Command]) -> Self {
        Self::with_limits(Limits { connections: 64, events: 64, ..Limits::default() }, commands)
    }

    pub(crate) fn with_limits(limits: Limits, commands: &[Command]) -> Self {
        let mut lab = Self {
            engine: Engine::new(limits, 1),
            configuration: Configuration::default(),
            ways: Ways(None, None, None),
            carried: RefCell::default(),
            now: Instant::from_millis(1_000_000),
        };
        lab.apply(commands);
        lab
    }

    pub(crate) fn apply(&mut self, commands: &[Command]) {
        self.configuration = self.configuration.apply(commands).expect("commands are valid");
        self.engine.configure(Arc::new(self.configuration.clone()));
    }

    pub(crate) fn process(&mut self, frame: &[u8]) -> Outcome {
        self.process_with(frame, &FrameMeta::plain(CLIENT_SIDE))
    }

    pub(crate) fn process_with(&mut self, frame: &[u8], meta: &FrameMeta) -> Outcome {
        let mut frame = frame.to_vec();
        let mut outputs = Outputs::default();
        let known = Known { ways: self.ways, carried: &self.carried };
        let verdict = self.engine.process(&mut frame, meta, self.now, &known, &mut outputs);
        let mut frames = Vec::new();
        if let Verdict::Forward { length, .. }
        | Verdict::Return { length, .. }
        | Verdict::Route { length, .. } = verdict
        {
            frame.truncate(length as usize);
            frames.push(frame);
        } else if let Verdict::Encapsulate { from, end, .. } = verdict {
            frames.push([outputs.prefix().octets(), &frame[from as usize..end as usize]].concat());
        }
        frames.extend(outputs.frames().iter().map(|made| outputs.octets(made).to_vec()));
        let tags = outputs.frames().iter().map(|made| made.vlan).collect();
        Outcome { verdict, frames, tags, left: outputs.checksum() }
    }

    /// Lets time pass.
    pub(crate) fn wait_ms(&mut self, milliseconds: u64) {
        self.now = self.now + std::time::Duration::from_millis(milliseconds);
        while !self.engine.handle_timeout(self.now) {}
    }
}

/// The server a frame went to; panics with the verdict if it went to none.
pub(crate) fn server(outcome: &Outcome) -> ServerId {
    match outcome.verdict {
        Verdict::Forward { server, .. }
        | Verdict::Encapsulate { server, .. }
        | Verdict::ForwardFragments { server } => server,
        verdict => panic!("not forwarded: {verdict:?}"),
    }
}

pub(crate) const VIP: &str = "198.51.100.1";
pub(crate) const VIP6: &str = "2001:db8:5::1";
pub(crate) const PORT: u16 = 80;

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn key(protocol: Protocol, vip: &str) -> ServiceKey {
    ServiceKey::Address { protocol, address: address(vip), port: PORT }
}

pub(crate) fn service(
    key: ServiceKey,
    scheduler: SchedulerName,
    flags: &[SchedulerFlag],
) -> ServiceSpec {
    ServiceSpec {
        key,
        scheduler: Some(scheduler),
        flags: flags.to_vec(),
        sloppy: None,
        persistence: None,
        persistence_engine: None,
        one_packet: false,
    }
}

pub(crate) fn server_spec(at: &str, weight: u32) -> ServerSpec {
    ServerSpec {
        key: ServerKey { address: address(at), port: None },
        weight,
        forwarding: ForwardingMethod::DirectRouting,
        tunnel: None,
        upper_threshold: 0,
        lower_threshold: 0,
    }
}

pub(crate) fn add_server(service: ServiceKey, at: &str, weight: u32) -> Command {
    Command::AddServer { service, server: server_spec(at, weight) }
}

pub(crate) fn set_weight(service: ServiceKey, at: &str, weight: u32) -> Command {
    Command::SetWeight { service, server: ServerKey { address: address(at), port: None }, weight }
}

pub(crate) fn settings(settings: SettingsPatch) -> Command {
    Command::Settings { settings }
}

/// A TCP service with `sh-port` and `sh-fallback` over three servers, as a group of directors has.
pub(crate) fn cluster_service() -> Vec<Command> {
    let key = key(Protocol::Tcp, VIP);
    let flags = [SchedulerFlag::ShPort, SchedulerFlag::ShFallback];
    vec![
        Command::AddService { service: service(key, SchedulerName::Sh, &flags) },
        add_server(key, "10.0.0.11", 1),
        add_server(key, "10.0.0.12", 1),
        add_server(key, "10.0.0.13", 1),
    ]
}

/// A TCP service over three servers of which the one with the fewest connections gets the next.
pub(crate) fn least_connections() -> Vec<Command> {
    let mut commands = cluster_service();
    let service = service(key(Protocol::Tcp, VIP), SchedulerName::Wlc, &[]);
    commands[0] = Command::AddService { service };
    commands
}

pub(crate) fn sloppy_tcp() -> Command {
    settings(SettingsPatch { sloppy_tcp: Some(true), ..SettingsPatch::default() })
}

/// A service of one server.
pub(crate) fn one_server(protocol: Protocol, vip: &str, at: &str) -> Vec<Command> {
    let key = key(protocol, vip);
    vec![
        Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
        add_server(key, at, 1),
    ]
}

/// A way to the servers that takes packets of `mtu` octets.
pub(crate) fn way(mtu: u32) -> Ways {
    let hop = NextHop { interface: SERVER_SIDE, mtu, source: EGRESS_MAC, destination: ROUTER_MAC };
    Ways(Some(Hop::Ready(hop)), None, None)
}
