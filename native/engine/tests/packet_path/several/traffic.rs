//! Every kind of packet that belongs to a connection, in both directions and both families.

use engine::command::{
    Command, ForwardingMethod, Protocol, SchedulerFlag, SchedulerName, ServerKey, ServerSpec,
    ServiceKey, SettingsPatch,
};
use proptest::prelude::*;

use crate::lab::frames::{ACK, FIN, Ip, RST, SYN, pseudo_header, reference_checksum};
use crate::lab::frames::{sctp_packet, tcp_segment, udp_datagram};
use crate::lab::{VIP, VIP6, address, server_spec, service, settings};

/// Where services are, by family, with their port; 0 for all ports of a range.
const SERVICES: [([&str; 2], u16); 3] = [
    ([VIP, VIP6], 80),
    (["198.51.100.2", "2001:db8:5::2"], 90),
    (["198.51.100.3", "2001:db8:5::3"], 0),
];

/// Those of the second are clients, too.
const SERVERS: [[&str; 2]; 4] = [
    ["10.0.0.11", "2001:db8:1::11"],
    ["10.0.0.12", "2001:db8:1::12"],
    ["10.0.0.60", "2001:db8:1::60"],
    ["10.0.0.61", "2001:db8:1::61"],
];

const CLIENTS: [[&str; 2]; 5] = [
    ["203.0.113.9", "2001:db8:c::9"],
    ["203.0.113.10", "2001:db8:c::10"],
    SERVERS[2],
    SERVERS[3],
    SERVERS[0],
];

const ROUTER: [&str; 2] = ["192.0.2.254", "2001:db8:c::254"];
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];

/// Services of every protocol and family that place by client and port, so that it does not matter who
/// places: the first masqueraded at another port, the second by direct routing and masqueraded, the
/// third masqueraded at every port.
pub(super) fn commands() -> Vec<Command> {
    let sloppy = SettingsPatch {
        sloppy_tcp: Some(true),
        sloppy_sctp: Some(true),
        ..SettingsPatch::default()
    };
    let mut commands = vec![settings(sloppy)];
    for protocol in PROTOCOLS {
        for family in [0, 1] {
            for (number, (vips, port)) in SERVICES.into_iter().enumerate() {
                let at = address(vips[family]);
                let key = match port {
                    0 => ServiceKey::Range {
                        protocol,
                        address: at,
                        prefix_length: None,
                        ports: (1, 65535),
                    },
                    port => ServiceKey::Address { protocol, address: at, port },
                };
                let spec = service(key, SchedulerName::Sh, &[SchedulerFlag::ShPort]);
                commands.push(Command::AddService { service: spec });
                let (servers, masqueraded, own_port) = match number {
                    0 => (&SERVERS[..2], [true, true], Some(8080)),
                    1 => (&SERVERS[2..], [true, false], None),
                    _ => (&SERVERS[1..3], [true, true], None),
                };
                for (server, masqueraded) in servers.iter().zip(masqueraded) {
                    let forwarding = match masqueraded {
                        true => ForwardingMethod::Masquerading,
                        false => ForwardingMethod::DirectRouting,
                    };
                    let key_of_server =
                        ServerKey { address: address(server[family]), port: own_port };
                    let spec = server_spec(server[family], 1);
                    let server = ServerSpec { key: key_of_server, forwarding, ..spec };
                    commands.push(Command::AddServer { service: key, server });
                }
            }
        }
    }
    commands
}

/// Who speaks to whom.
#[derive(Clone, Debug)]
struct Connection {
    family: usize,
    protocol: Protocol,
    client: usize,
    client_port: u16,
    service: usize,
    /// Of those of the service: which one answers, whether it was chosen or not.
    server: usize,
}

/// What a packet says.
#[derive(Clone, Copy, Debug)]
enum Saying {
    /// From the client.
    Asks(u8),
    /// From the server.
    Answers(u8),
    /// An error about an answer, as the client got it, from a router or the client.
    AboutAnswer { kind: u8, by_router: bool },
    /// An error about a question, as the server got it.
    AboutQuestion { kind: u8 },
}

/// How a packet is made up.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// IPv4 options, or an IPv6 extension header.
    options: bool,
    /// The same of a quoted packet.
    quoted_options: bool,
    /// Two fragments; the later one comes first if the inner one is set.
    fragments: Option<bool>,
    tags: usize,
    tag_of_port: bool,
}

/// A packet of a connection.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    connection: Connection,
    saying: Saying,
    shape: Shape,
    identification: u16,
}

/// Packets of a few connections in any order, each with the engine it comes to first.
pub(super) fn packets() -> impl Strategy<Value = Vec<(usize, Packet)>> {
    let connection =
        (0_usize..2, 0_usize..3, 0..CLIENTS.len(), 0_u16..3, 0..SERVICES.len(), 0_usize..2)
            .prop_map(|(family, protocol, client, port, service, server)| Connection {
                family,
                protocol: PROTOCOLS[protocol],
                client,
                // The last one is a port that servers answer from.
                client_port: [40_000, 40_001, 90][usize::from(port)],
                service,
                server,
            });
    let flags = prop::sample::select(vec![SYN, ACK, FIN | ACK, SYN | ACK, RST]);
    let error = prop::sample::select(vec![1_u8, 2, 3, 4, 5, 8, 11, 12]);
    let saying = prop_oneof![
        3 => flags.clone().prop_map(Saying::Asks),
        3 => flags.prop_map(Saying::Answers),
        2 => (error.clone(), any::<bool>())
            .prop_map(|(kind, by_router)| Saying::AboutAnswer { kind, by_router }),
        2 => error.prop_map(|kind| Saying::AboutQuestion { kind }),
    ];
    let plain = Shape {
        options: false,
        quoted_options: false,
        fragments: None,
        tags: 0,
        tag_of_port: false,
    };
    let shape = prop_oneof![
        Just(plain),
        (any::<bool>(), any::<bool>(), any::<Option<bool>>(), 0_usize..3, any::<bool>()).prop_map(
            |(options, quoted_options, fragments, tags, tag_of_port)| Shape {
                options,
                quoted_options,
                fragments,
                tags,
                tag_of_port,
            }
        ),
    ];
    prop::collection::vec(connection, 1..4).prop_flat_map(move |connections| {
        let one = (0_usize..64, prop::sample::select(connections), saying.clone(), shape.clone());
        prop::collection::vec(one, 1..24).prop_map(|all| {
            let number = |(number, (first, connection, saying, shape))| {
                let packet = Packet { connection, saying, shape, identification: number };
                (first, packet)
            };
            (1..).zip(all).map(number).collect()
        })
    })
}

/// One end of a connection.
type End = (&'static str, u16);

impl Connection {
    fn client(&self) -> End {
        (CLIENTS[self.client][self.family], self.client_port)
    }

    fn virtual_end(&self) -> End {
        let (vips, port) = SERVICES[self.service];
        (vips[self.family], if port == 0 { 5000 } else { port })
    }

    fn server(&self) -> End {
        let (first, port) = [(0, 8080), (2, 90), (1, 5000)][self.service];
        (SERVERS[first + self.server][self.family], port)
    }

    fn segment(&self, from: End, to: End, flags: u8) -> Vec<u8> {
        match self.protocol {
            Protocol::Tcp => tcp_segment(from.1, to.1, flags, &[7; 40]),
            Protocol::Udp => udp_datagram(from.1, to.1, &[7; 40]),
            Protocol::Sctp => [sctp_packet(from.1, to.1, 3), vec![7; 40]].concat(),
        }
    }

    fn quoted(&self, from: End, to: End, options: bool) -> Vec<u8> {
        let segment = self.segment(from, to, ACK);
        packet(from.0, to.0, self.protocol.number(), &segment, options, 1)
    }
}

/// An IP packet, with options or an extension header if `options`.
fn packet(
    from: &str,
    to: &str,
    protocol: u8,
    payload: &[u8],
    options: bool,
    identification: u16,
) -> Vec<u8> {
    let mut ip = Ip::new(from, to);
    ip.flags = 0;
    if ip.source.is_ipv4() {
        if options {
            // No operation, and a route to be recorded.
            ip.options = vec![1, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        }
        let mut packet = ip.packet(protocol, payload);
        number(&mut packet, identification);
        return packet;
    }
    if options {
        // Destination options, nothing but padding.
        return ip.packet(60, &[&[protocol, 0, 1, 4, 0, 0, 0, 0], payload].concat());
    }
    ip.packet(protocol, payload)
}

/// Numbers an IPv4 packet.
fn number(packet: &mut [u8], identification: u16) {
    let header = usize::from(packet[0] & 0xf) * 4;
    packet[4..6].copy_from_slice(&identification.to_be_bytes());
    packet[10..12].fill(0);
    let checksum = reference_checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

impl Packet {
    /// What it is, family included; fragments and the like apart.
    pub(super) fn kind(&self) -> String {
        let saying = match self.saying {
            Saying::Asks(_) => "asks",
            Saying::Answers(_) => "answers",
            Saying::AboutAnswer { .. } => "about an answer",
            Saying::AboutQuestion { .. } => "about a question",
        };
        let fragments = if self.shape.fragments.is_some() { ", in fragments" } else { "" };
        format!("{saying}, family {}{fragments}", self.connection.family)
    }

    pub(super) fn tag(&self) -> Option<u16> {
        self.shape.tag_of_port.then_some(7)
    }

    /// Addresses, upper protocol and payload.
    fn parts(&self) -> (&'static str, &'static str, u8, Vec<u8>) {
        let Self { connection, saying, shape, .. } = self;
        let (client, virtual_end) = (connection.client(), connection.virtual_end());
        let server = connection.server();
        let number = connection.protocol.number();
        let error = |kind, from, to, quote: Vec<u8>| {
            let head = if connection.family == 0 {
                vec![kind, 0, 0, 0, 0, 0, 5, 0]
            } else {
                vec![kind, 0, 0, 0, 0, 0, 5, 0x78]
            };
            let mut message = [head, quote].concat();
            let whole = Ip::new(from, to).packet(58, &message);
            let summed = match connection.family {
                0 => message.clone(),
                _ => [pseudo_header(&whole), message.clone()].concat(),
            };
            message[2..4].copy_from_slice(&reference_checksum(&summed).to_be_bytes());
            (from, to, if connection.family == 0 { 1 } else { 58 }, message)
        };
        match *saying {
            Saying::Asks(flags) => {
                let segment = connection.segment(client, virtual_end, flags);
                (client.0, virtual_end.0, number, segment)
            }
            Saying::Answers(flags) => {
                (server.0, client.0, number, connection.segment(server, client, flags))
            }
            Saying::AboutAnswer { kind, by_router } => {
                let from = if by_router { ROUTER[connection.family] } else { client.0 };
                let quote = connection.quoted(virtual_end, client, shape.quoted_options);
                error(kind, from, virtual_end.0, quote)
            }
            Saying::AboutQuestion { kind } => {
                let quote = connection.quoted(client, server, shape.quoted_options);
                error(kind, server.0, client.0, quote)
            }
        }
    }

    /// The frames of the packet, in the order they come.
    pub(super) fn frames(&self) -> Vec<Vec<u8>> {
        let Self { shape, identification, connection, .. } = self;
        let (from, to, protocol, payload) = self.parts();
        let mut packets = match shape.fragments {
            None => vec![packet(from, to, protocol, &payload, shape.options, *identification)],
            Some(_) => [(0, 24), (24, payload.len())]
                .map(|(start, end)| {
                    let part = &payload[start..end];
                    let more = u16::from(end < payload.len());
                    if connection.family == 0 {
                        let options = shape.options;
                        let mut piece = packet(from, to, protocol, part, options, *identification);
                        let field = u16::try_from(start / 8).unwrap() | more << 13;
                        piece[6..8].copy_from_slice(&field.to_be_bytes());
                        number(&mut piece, *identification);
                        return piece;
                    }
                    let field = (u16::try_from(start).unwrap() | more).to_be_bytes();
                    let [high, low] = identification.to_be_bytes();
                    let head = [protocol, 0, field[0], field[1], 0, 0, high, low];
                    packet(from, to, 44, &[&head, part].concat(), shape.options, 0)
                })
                .to_vec(),
        };
        if shape.fragments == Some(true) {
            packets.reverse();
        }
        packets.iter().map(|packet| self.frame(packet)).collect()
    }

    fn frame(&self, packet: &[u8]) -> Vec<u8> {
        let link = Ip::new(ROUTER[0], ROUTER[0]).frame(0, &[]);
        let mut frame = link[..12].to_vec();
        for _ in 0..self.shape.tags {
            frame.extend([0x81, 0, 0, 5]);
        }
        frame.extend(if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] });
        frame.extend(packet);
        frame
    }
}
