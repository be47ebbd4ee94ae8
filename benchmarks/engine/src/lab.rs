//! One director with three servers whose ways are known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerFlag, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, ServiceSpec, Tunnel, TunnelChecksum, TunnelKind,
};
use engine::configuration::Configuration;
use engine::frame::{FrameMeta, InterfaceId, Outputs};
use engine::hop::{Hop, Hops, NextHop, ServerId};
use engine::time::Instant;
use engine::verdict::Verdict;
use engine::{Engine, Limits};
use wire::ethernet::MacAddress;

use crate::frames::{Frame, PORT, VIP, VIP6};

/// Where clients are.
pub const CLIENT_SIDE: InterfaceId = InterfaceId(1);
/// Where servers are.
pub const SERVER_SIDE: InterfaceId = InterfaceId(2);
/// The port of masqueraded servers.
pub const SERVER_PORT: u16 = 8080;
const SERVERS: u8 = 3;
const SEED: u64 = 1;

/// All ways lead to one neighbour on each side.
#[derive(Clone, Copy, Debug)]
pub struct Ways;

const fn way(interface: InterfaceId) -> Hop {
    let (source, destination) = (MacAddress([2, 0, 0, 0, 13, 1]), MacAddress([2, 0, 1, 0, 0, 1]));
    Hop::Ready(NextHop { interface, mtu: 1500, source, destination })
}

impl Hops for Ways {
    fn hop(&self, _server: ServerId) -> Hop {
        way(SERVER_SIDE)
    }

    fn source(&self, _server: ServerId) -> Option<IpAddr> {
        Some(Ipv4Addr::new(10, 0, 0, 1).into())
    }

    fn client_hop(&self, _client: IpAddr) -> Hop {
        way(CLIENT_SIDE)
    }
}

/// An engine with one TCP service of each family, and what it is driven with.
#[derive(Debug)]
pub struct Lab {
    /// The engine.
    pub engine: Engine,
    /// The time of the next frame.
    pub now: Instant,
    outputs: Outputs,
}

impl Lab {
    /// A director that holds `connections` and forwards by `forwarding`, as `scheduler` says.
    ///
    /// # Panics
    ///
    /// If the engine refuses the commands.
    #[must_use]
    pub fn new(connections: u32, scheduler: SchedulerName, forwarding: ForwardingMethod) -> Self {
        let mut engine = Engine::new(Limits { connections, events: 64, ..Limits::default() }, SEED);
        let commands = [IpAddr::from(VIP), IpAddr::from(VIP6)]
            .into_iter()
            .flat_map(|address| commands(address, scheduler, forwarding))
            .collect::<Vec<_>>();
        let configuration =
            Configuration::default().apply(&commands).expect("the commands are valid");
        engine.configure(Arc::new(configuration));
        let now = Instant::from_millis(1_000_000);
        Self { engine, now, outputs: Outputs::with_capacity(1 << 16, 64) }
    }

    /// Judges one frame from a client, 10 microseconds after the one before.
    pub fn from_client(&mut self, frame: &mut Frame) -> Verdict {
        self.process(frame, CLIENT_SIDE)
    }

    /// Judges one frame from a server, 10 microseconds after the one before.
    pub fn from_server(&mut self, frame: &mut Frame) -> Verdict {
        self.process(frame, SERVER_SIDE)
    }

    fn process(&mut self, frame: &mut Frame, interface: InterfaceId) -> Verdict {
        self.now = Instant::from_nanos(self.now.as_nanos() + 10_000);
        let meta = FrameMeta::plain(interface);
        let verdict = self.engine.process(frame, &meta, self.now, &Ways, &mut self.outputs);
        self.outputs.clear();
        verdict
    }
}

/// The address of the server numbered `number`, of the family of `like`.
#[must_use]
pub fn server(number: u8, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::new(10, 0, 0, 11 + number).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 11 + u16::from(number)).into(),
    }
}

fn commands(
    address: IpAddr,
    scheduler: SchedulerName,
    forwarding: ForwardingMethod,
) -> Vec<Command> {
    let key = ServiceKey::Address { protocol: Protocol::Tcp, address, port: PORT };
    let flags = match scheduler {
        SchedulerName::Sh => vec![SchedulerFlag::ShPort, SchedulerFlag::ShFallback],
        SchedulerName::Mh => vec![SchedulerFlag::MhPort, SchedulerFlag::MhFallback],
        _ => Vec::new(),
    };
    let service = ServiceSpec {
        key,
        scheduler: Some(scheduler),
        flags,
        sloppy: None,
        persistence: None,
        persistence_engine: None,
        one_packet: false,
    };
    let servers = (0..SERVERS).map(|number| Command::AddServer {
        service: key,
        server: server_spec(server(number, address), forwarding),
    });
    [Command::AddService { service }].into_iter().chain(servers).collect()
}

fn server_spec(address: IpAddr, forwarding: ForwardingMethod) -> ServerSpec {
    let ipip = Tunnel { kind: TunnelKind::Ipip, port: None, checksum: TunnelChecksum::Nocsum };
    ServerSpec {
        key: ServerKey {
            address,
            port: (forwarding == ForwardingMethod::Masquerading).then_some(SERVER_PORT),
        },
        weight: 1,
        forwarding,
        tunnel: (forwarding == ForwardingMethod::Tunnelling).then_some(ipip),
        upper_threshold: 0,
        lower_threshold: 0,
    }
}
