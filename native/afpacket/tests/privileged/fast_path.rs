//! The kernel's fast path: frames of inserted flows come out at the other side and their headers
//! here; everything else comes whole and stays.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
use afpacket::netlink::Netlink;
use afpacket::{FastFilter, FastPath, Flow, Guard, PacketSocket, ReceivedMeta, Sender, Way};

use crate::capture::{open_all, send, sender, small, until};
use crate::frames::{self, Mac, TCP};
use crate::lab::{Lab, Namespace, with_lab};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const VIRTUAL6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80);
const ACK: u8 = 0x10;
const MTU: u32 = 1500;

/// A director's machine with a client on one side and a real server on the other.
struct Host<'l> {
    lab: &'l Lab,
    client: Sender,
    server: PacketSocket,
    /// To `near` from `far`; to the server's interface from `out`.
    macs: (Mac, Mac),
    onward: (Mac, Mac),
    near: u32,
    out: u32,
    netlink: Netlink,
    _namespaces: (Namespace, Namespace),
}

impl<'l> Host<'l> {
    fn new(lab: &'l Lab) -> Self {
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
    fn start(&mut self, path: &FastPath) -> (Guard, FastFilter, PacketSocket) {
        let guard = self.guard();
        let filter = path.install(&mut self.netlink, self.near, "one").unwrap();
        let (near, services) = (self.near, services());
        let mut socket = self.lab.here.run(|| PacketSocket::open(near, &small()).unwrap());
        let audience = SocketAudience::default();
        socket.set_classifier_and_fast_path(&services, &audience, path).unwrap();
        (guard, filter, socket)
    }

    fn guard(&mut self) -> Guard {
        let mut guard = Guard::install(&mut self.netlink, self.near, "one").unwrap();
        guard.set(&mut self.netlink, &services()).unwrap();
        guard
    }

    fn way(&self) -> Way {
        let (destination, source) = self.onward;
        Way { interface: self.out, mtu: MTU, destination, source }
    }

    fn frame(&self, packet: &[u8]) -> Vec<u8> {
        frames::ethernet(self.macs.0, self.macs.1, packet)
    }

    /// What the server has to see of `frame`.
    fn forwarded(&self, frame: &[u8]) -> Vec<u8> {
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
}

fn services() -> Classifier {
    let addresses = [VIRTUAL.into(), VIRTUAL6.into()];
    Classifier::new(addresses.map(|address| ServiceMatch::service(TCP, address, 80)))
}

fn flow(port: u16) -> Flow {
    Flow {
        source: SocketAddr::new(CLIENT.into(), port),
        destination: SocketAddr::new(VIRTUAL.into(), 80),
    }
}

fn flow6(port: u16) -> Flow {
    Flow {
        source: SocketAddr::new(CLIENT6.into(), port),
        destination: SocketAddr::new(VIRTUAL6.into(), 80),
    }
}

/// A TCP segment to port 80 whose checksum nobody looks at.
fn segment(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..2].copy_from_slice(&port.to_be_bytes());
    segment[3] = 80;
    segment[12..14].copy_from_slice(&[0x50, flags]);
    segment.extend_from_slice(payload);
    segment
}

fn packet(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    frames::ipv4(TCP, CLIENT, VIRTUAL, &[], 0x4000, &segment(port, flags, payload))
}

fn packet6(port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    frames::ipv6(TCP, CLIENT6, VIRTUAL6, &segment(port, flags, payload))
}

/// The next frame at the socket whose source port is `port`.
fn captured(socket: &mut PacketSocket, port: u16) -> (Vec<u8>, ReceivedMeta) {
    until(socket, "the frame at the director", |octets, meta| {
        let at = if octets[12] == 8 { 34 } else { 54 };
        let found = octets.get(at..at + 2) == Some(&port.to_be_bytes());
        found.then(|| (octets.to_vec(), meta))
    })
}

#[test]
fn frames_of_a_flow_go_out_rewritten_and_their_headers_come_here() {
    with_lab("frames_of_a_flow_go_out_rewritten", |lab| {
        let mut host = Host::new(lab);
        let path = FastPath::open(16).unwrap();
        let (_guard, _filter, mut socket) = host.start(&path);
        path.insert(&flow(4000), &host.way()).unwrap();
        path.insert(&flow6(4001), &host.way()).unwrap();
        assert_eq!(path.len(), 2);
        let long = [7; 1200];
        for (port, packet) in [
            (4000, packet(4000, ACK, &long)),
            (4000, packet(4000, ACK, b"")),
            (4001, packet6(4001, ACK, &long)),
            (4001, packet6(4001, ACK, b"")),
        ] {
            let frame = host.frame(&packet);
            send(&mut host.client, std::slice::from_ref(&frame));
            let (octets, meta) = captured(&mut socket, port);
            assert_eq!(meta.elsewhere, Some(u32::try_from(frame.len()).unwrap()));
            assert_eq!(octets.len(), 96.min(frame.len() - 1));
            assert_eq!(octets, frame[..octets.len()]);
            let expected = host.forwarded(&frame);
            until(&mut host.server, "the frame at the server", |octets, _| {
                (octets == expected).then_some(())
            });
        }
        assert_eq!(socket.statistics().unwrap().truncated, 0);
    });
}
