//! TCP of the kernel, offloads on, through sockets until it is given to the kernel: nearly all of
//! its octets then go by the fast path, and all of them arrive.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
use afpacket::netlink::Netlink;
use afpacket::{FastPath, Flow, OutgoingFrame, PacketSocket, PollSet, Sender, Transport, Way};

use crate::capture::{sender, small};
use crate::fast_host::fast_path_or_not_run;
use crate::forward::{LENGTH, Stop, octet, serve};
use crate::frames::{Mac, TCP};
use crate::lab::{Lab, Namespace, PATIENCE, with_lab};

/// One side of the bridge: what comes in, and how it goes out on the other.
struct Side {
    socket: PacketSocket,
    sender: Sender,
    onward: (Mac, Mac),
    /// Octets that came by here.
    seen: u64,
}

impl Side {
    /// Receives on `from` and sends on `to`, to the machine behind.
    fn new(lab: &Lab, path: &FastPath, from: &str, to: &str, beyond: &Namespace) -> Self {
        let (index, audience) = (lab.here.index(from), SocketAudience::default());
        let mut socket = lab.here.run(|| PacketSocket::open(index, &small()).unwrap());
        let addresses = ["10.1.0.1", "10.1.0.2"].map(|address| address.parse().unwrap());
        let matches = addresses.map(|address| ServiceMatch::service(TCP, address, 0));
        let classifier = Classifier::new(matches);
        socket.set_classifier_and_fast_path(&classifier, &audience, path).unwrap();
        let onward = (beyond.mac("wire"), lab.here.mac(to));
        Self { socket, sender: sender(&lab.here, to), onward, seen: 0 }
    }

    fn way(&self, lab: &Lab, to: &str) -> Way {
        let (destination, source) = self.onward;
        Way { interface: lab.here.index(to), mtu: 1500, destination, source, ends: true }
    }

    fn pass(&mut self) {
        let mut batch = self.socket.receive(64);
        for index in 0..batch.len() {
            let Some((octets, _)) = batch.frame_mut(index) else { continue };
            self.seen += octets.len() as u64;
            octets[..6].copy_from_slice(&self.onward.0);
            octets[6..12].copy_from_slice(&self.onward.1);
        }
        let frames = (0..batch.len()).filter_map(|index| {
            let (octets, meta) = (batch.frame(index)?, batch.meta(index)?);
            Some(OutgoingFrame { prefix: &[], octets, vlan: meta.vlan, vnet: meta.vnet })
        });
        self.sender.send(frames);
    }
}

fn bridge(sides: &mut [Side; 2], stop: &AtomicBool) {
    let mut set = PollSet::new();
    while !stop.load(Ordering::Relaxed) {
        sides.iter_mut().for_each(Side::pass);
        set.clear();
        for side in sides.iter() {
            set.watch(side.socket.as_fd());
        }
        set.wait(Some(Duration::from_millis(20))).unwrap();
    }
}

/// Sends all of the data, and returns the address it came from.
fn transfer(connected: impl FnOnce(SocketAddr)) -> SocketAddr {
    let address = "10.1.0.2:80".parse().unwrap();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    let own = stream.local_addr().unwrap();
    connected(own);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let data: Vec<u8> = (0..LENGTH).map(octet).collect();
    stream.write_all(&data).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "whole");
    own
}

#[test]
fn a_bulk_transfer_goes_by_the_kernel() {
    const NAME: &str = "a_bulk_transfer_goes_by_the_kernel";
    with_lab(NAME, |lab| {
        let Some(path) = fast_path_or_not_run(NAME) else { return };
        let client = lab.neighbour("left", "wire");
        let server = lab.neighbour("right", "wire");
        // Each takes the machine in the middle for the other.
        for (end, own, other, near) in
            [(&client, "10.1.0.1", "10.1.0.2", "left"), (&server, "10.1.0.2", "10.1.0.1", "right")]
        {
            end.ip(&format!("addr add {own}/24 dev wire"));
            let [a, b, c, d, e, f] = lab.here.mac(near);
            let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
            end.ip(&format!("neigh replace {other} lladdr {mac} dev wire nud permanent"));
        }
        let mut netlink = lab.here.run(|| Netlink::open().unwrap());
        let filters = ["left", "right"]
            .map(|name| path.install(&mut netlink, lab.here.index(name), "one").unwrap());
        let mut sides = [
            Side::new(lab, &path, "left", "right", &server),
            Side::new(lab, &path, "right", "left", &client),
        ];
        let ways = [sides[0].way(lab, "right"), sides[1].way(lab, "left")];
        let listener = server.run(|| TcpListener::bind("10.1.0.2:80").unwrap());
        let stop = AtomicBool::new(false);
        let flows = thread::scope(|scope| {
            let bridge = scope.spawn(|| bridge(&mut sides, &stop));
            let stopping = Stop(&stop);
            let serving = scope.spawn(|| serve(&listener));
            let destination = "10.1.0.2:80".parse().unwrap();
            let flows = |source| {
                let forth = Flow { transport: Transport::Tcp, source, destination };
                [forth, Flow { source: destination, destination: source, ..forth }]
            };
            let own = client.run(|| {
                transfer(|own| {
                    for (flow, way) in flows(own).iter().zip(&ways) {
                        path.insert(flow, way).unwrap();
                    }
                })
            });
            serving.join().unwrap();
            drop(stopping);
            bridge.join().unwrap();
            flows(own)
        });
        let forwarded = flows.map(|flow| path.counters(&flow).unwrap().unwrap());
        assert!(forwarded[0].octets > LENGTH as u64 * 9 / 10 && forwarded[1].packets > 0);
        assert!(sides[0].seen < LENGTH as u64 / 10, "{} octets", sides[0].seen);
        lab.here.run(|| drop(filters));
    });
}
