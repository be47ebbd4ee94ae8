//! A director's machine with a fast path, between a client and a real server.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
use afpacket::netlink::Netlink;
use afpacket::{
    FastFilter, FastPath, FastPathError, Flow, Guard, PacketSocket, ReceivedMeta, Sender,
    Transport, Way, guard,
};

use crate::capture::{before, open_all, send, sender, small, until};
use crate::frames::{self, Mac, TCP, UDP};
use crate::lab::{Lab, Namespace, with_lab};

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub(crate) const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
pub(crate) const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const VIRTUAL6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80);
pub(crate) const ACK: u8 = 0x10;
pub(crate) const MTU: u32 = 1500;

/// A director's machine with a client on one side and a real server on the other.
pub(crate) struct Host<'l> {
    pub(crate) lab: &'l Lab,
    pub(crate) client: Sender,
    pub(crate) server: PacketSocket,
    /// To `near` from `far`; to the server's interface from `out`.
    pub(crate) macs: (Mac, Mac),
    pub(crate) onward: (Mac, Mac),
    pub(crate) near: u32,
    pub(crate) out: u32,
    pub(crate) netlink: Netlink,
    _namespaces: (Namespace, Namespace),
}

impl<'l> Host<'l> {
    pub(crate) fn new(lab: &'l Lab) -> Self {
        let (there, beyond) = (lab.neighbour("near", "far"), lab.neighbour("out", "eth"));
        Self {
            client: sender(&there, "far"),
            server: open_all(&beyond, "eth"),
            macs: (lab.here.mac("near"), there.mac("far")),
            onward: (beyond.mac("eth"), lab.here.mac("out")),
            near: lab.here.index("near"),
            out: lab.here.index("out"),
            netlink: lab.here.run(|| Netlink::open().unwrap()),
            lab,
            _namespaces: (there, beyond),
        }
    }

    /// The guard, the fast path on the near interface, and the socket on it.
    pub(crate) fn start(&mut self, path: &FastPath) -> (Guard, FastFilter, PacketSocket) {
        let guard = self.guard();
        let filter = path.install(&mut self.netlink, self.near, "one").unwrap();
        let near = self.near;
        let mut socket = self.lab.here.run(|| PacketSocket::open(near, &small()).unwrap());
        let audience = SocketAudience::default();
        socket.set_classifier_and_fast_path(&services(), &audience, path).unwrap();
        (guard, filter, socket)
    }

    pub(crate) fn guard(&mut self) -> Guard {
        let mut guard = Guard::install(&mut self.netlink, self.near, "one").unwrap();
        guard.set(&mut self.netlink, &services()).unwrap();
        guard
    }

    pub(crate) fn way(&self) -> Way {
        let (destination, source) = self.onward;
        Way { interface: self.out, mtu: MTU, destination, source, ends: true }
    }

    pub(crate) fn frame(&self, packet: &[u8]) -> Vec<u8> {
        frames::ethernet(self.macs.0, self.macs.1, packet)
    }

    /// What the server has to see of `frame`.
    pub(crate) fn forwarded(&self, frame: &[u8]) -> Vec<u8> {
        let mut packet = frame[14..].to_vec();
        if packet[0] >> 4 == 4 {
            packet[8] -= 1;
            packet[10..12].fill(0);
            let sum = frames::checksum(&packet[..20]).to_be_bytes();
            packet[10..12].copy_from_slice(&sum);
        } else {
            packet[7] -= 1;
        }
        frames::ethernet(self.onward.0, self.onward.1, &packet)
    }

    /// Sends a frame and waits until the server has it; returns what it got before that.
    pub(crate) fn pass(&mut self, frame: &[u8]) -> Vec<Vec<u8>> {
        send(&mut self.client, &[frame.to_vec()]);
        let expected = self.forwarded(frame);
        let mut seen = before(&mut self.server, &expected);
        // The kernels on both ends have words of their own.
        seen.retain(|one| one[..12] == [self.onward.0, self.onward.1].concat());
        seen
    }

    /// Filters of directors on the near interface.
    pub(crate) fn filters(&mut self) -> usize {
        guard::find(&mut self.netlink, self.near).unwrap().len()
    }
}

/// Runs `test` with a fast path for 16 flows, or says why it cannot.
pub(crate) fn with_fast_path(name: &str, test: impl FnOnce(Host<'_>, FastPath)) {
    with_lab(name, |lab| {
        if let Some(path) = fast_path_or_not_run(name) {
            test(Host::new(lab), path);
        }
    });
}

/// A fast path for 16 flows, or nothing, said aloud.
pub(crate) fn fast_path_or_not_run(name: &str) -> Option<FastPath> {
    match FastPath::open(16) {
        Ok(path) => Some(path),
        Err(error @ FastPathError::NotPermitted { .. }) if !is_permitted() => {
            let required = std::env::var("L4_REQUIRE_PRIVILEGED").is_ok_and(|value| value == "1");
            let line =
                format!("NOT RUN: {name}: run as root, no user namespace will do: {error}\n");
            assert!(!required, "{line}");
            // Not by `eprintln!`, which the test harness hides for tests that do not fail.
            io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Whether the kernel lets this process load programs: with the right, and not in a user namespace
/// of its own. Then a refusal is a failure.
pub(crate) fn is_permitted() -> bool {
    const BPF_OR_SYS_ADMIN: u64 = 1 << 39 | 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let initial = users.split_whitespace().eq(["0", "0", "4294967295"]);
    initial && u64::from_str_radix(mask.trim(), 16).unwrap() & BPF_OR_SYS_ADMIN != 0
}

pub(crate) fn services() -> Classifier {
    let addresses = [VIRTUAL.into(), VIRTUAL6.into()];
    let services = [TCP, UDP]
        .map(|protocol| addresses.map(|address| ServiceMatch::service(protocol, address, 80)));
    Classifier::new(services.into_iter().flatten())
}

pub(crate) fn flow(port: u16) -> Flow {
    of(CLIENT.into(), port, VIRTUAL.into())
}

pub(crate) fn flow6(port: u16) -> Flow {
    of(CLIENT6.into(), port, VIRTUAL6.into())
}

pub(crate) fn of(client: IpAddr, port: u16, service: IpAddr) -> Flow {
    let (source, destination) = (SocketAddr::new(client, port), SocketAddr::new(service, 80));
    Flow { transport: Transport::Tcp, source, destination }
}

/// A TCP segment to port 80 whose checksum nobody looks at.
pub(crate) fn segment(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&port.to_be_bytes());
    segment[3] = 80;
    segment[12..14].copy_from_slice(&[0x50, flags]);
    segment.extend_from_slice(payload);
    segment
}

pub(crate) fn packet(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    frames::ipv4(TCP, CLIENT, VIRTUAL, &[], 0x4000, &segment(port, flags, payload))
}

pub(crate) fn packet6(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    frames::ipv6(TCP, CLIENT6, VIRTUAL6, &segment(port, flags, payload))
}

/// The next frame of the services at the socket.
pub(crate) fn captured(socket: &mut PacketSocket) -> (Vec<u8>, ReceivedMeta) {
    until(socket, "a frame at the director", |octets, meta| {
        // The other end's kernel has words for IPv6 groups, which a coarse filter lets through.
        let to_group = octets.starts_with(&[0x33, 0x33]);
        (!to_group).then(|| (octets.to_vec(), meta))
    })
}

pub(crate) fn sent_here(socket: &mut PacketSocket, frame: &[u8], what: &str) {
    let (octets, _) = captured(socket);
    assert_eq!(octets, frame, "{what}");
}

/// Nothing came here before a frame that has to.
pub(crate) fn nothing_here(host: &mut Host<'_>, socket: &mut PacketSocket) {
    let mark = host.frame(&packet(5000, ACK, b"mark"));
    send(&mut host.client, std::slice::from_ref(&mark));
    sent_here(socket, &mark, "the mark, and nothing before it");
}
