//! TCP of the kernel through a bridge of sockets, offloads on: frames with partial checksums and
//! many segments have to come and go whole.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use afpacket::{OutgoingFrame, PacketSocket, PollSet, Sender};

use crate::capture::{open_all, sender};
use crate::lab::{PATIENCE, eventually, with_lab};

/// Octets sent; each is a function of its position.
pub(crate) const LENGTH: usize = 16 << 20;

pub(crate) fn octet(position: usize) -> u8 {
    u8::try_from(position % 251).unwrap()
}

#[derive(Default)]
struct Seen {
    partial_checksums: u64,
    segmented: u64,
    longest: usize,
    lost: u64,
}

fn pass(socket: &mut PacketSocket, sender: &mut Sender, seen: &mut Seen) {
    let batch = socket.receive(64);
    let frames = (0..batch.len()).filter_map(|index| {
        let (octets, meta) = (batch.frame(index)?, batch.meta(index)?);
        seen.partial_checksums += u64::from(meta.vnet.checksum.is_some());
        seen.segmented += u64::from(meta.vnet.segmentation.is_some());
        seen.longest = seen.longest.max(octets.len());
        Some(OutgoingFrame { prefix: &[], octets, vlan: meta.vlan, vnet: meta.vnet })
    });
    let sent = sender.send(frames);
    seen.lost += sent.lost();
}

fn bridge(mut ends: [(PacketSocket, Sender); 2], stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut set = PollSet::new();
    while !stop.load(Ordering::Relaxed) {
        let [(left, left_sender), (right, right_sender)] = &mut ends;
        pass(left, right_sender, &mut seen);
        pass(right, left_sender, &mut seen);
        set.clear();
        set.watch(left.as_fd());
        set.watch(right.as_fd());
        set.wait(Some(Duration::from_millis(20))).unwrap();
    }
    for (socket, _) in &mut ends {
        assert_eq!(socket.statistics().unwrap().truncated, 0);
    }
    seen
}

/// Ends the bridge however the test ends.
pub(crate) struct Stop<'s>(pub(crate) &'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn serve(listener: &TcpListener) {
    listener.set_nonblocking(true).unwrap();
    let (mut stream, _) = eventually("a connection", || listener.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = Vec::with_capacity(LENGTH);
    stream.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), LENGTH);
    assert!(received.iter().enumerate().all(|(position, found)| *found == octet(position)));
    stream.write_all(b"whole").unwrap();
}

#[test]
fn tcp_with_offloads_passes_a_bridge_of_sockets() {
    with_lab("tcp_with_offloads", |lab| {
        let client = lab.neighbour("left", "wire");
        let server = lab.neighbour("right", "wire");
        client.ip("addr add 10.1.0.1/24 dev wire");
        server.ip("addr add 10.1.0.2/24 dev wire");
        let ends =
            ["left", "right"].map(|name| (open_all(&lab.here, name), sender(&lab.here, name)));
        let listener = server.run(|| TcpListener::bind("10.1.0.2:80").unwrap());
        let stop = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let bridge = scope.spawn(|| bridge(ends, &stop));
            let stopping = Stop(&stop);
            let serving = scope.spawn(|| serve(&listener));
            client.run(|| {
                let address = "10.1.0.2:80".parse().unwrap();
                let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let data: Vec<u8> = (0..LENGTH).map(octet).collect();
                stream.write_all(&data).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert_eq!(answer, "whole");
            });
            serving.join().unwrap();
            drop(stopping);
            bridge.join().unwrap()
        });
        assert!(seen.partial_checksums > 0, "the kernel left checksums to the device");
        assert!(seen.segmented > 0 && seen.longest > 16_000, "longest {}", seen.longest);
        assert_eq!(seen.lost, 0);
    });
}
