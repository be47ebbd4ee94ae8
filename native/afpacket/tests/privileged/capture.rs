//! Short ways to send frames and to wait for them.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use afpacket::bpf::Program;
use afpacket::vnet::VnetHeader;
use afpacket::{
    OutgoingFrame, PacketSocket, PollSet, ReceivedMeta, Sender, SenderOptions, SocketOptions,
};

use crate::lab::{Namespace, PATIENCE};

/// Options for a small ring.
pub(crate) fn small() -> SocketOptions {
    SocketOptions { ring_frames: 15, ..SocketOptions::default() }
}

/// A socket that receives everything on an interface.
pub(crate) fn open_all(namespace: &Namespace, interface: &str) -> PacketSocket {
    let index = namespace.index(interface);
    let options = SocketOptions { filter: Program::constant(u32::MAX), ..small() };
    namespace.run(|| PacketSocket::open(index, &options).expect("open"))
}

/// A sender on an interface.
pub(crate) fn sender(namespace: &Namespace, interface: &str) -> Sender {
    let index = namespace.index(interface);
    namespace.run(|| Sender::open(index, &SenderOptions::default()).expect("open"))
}

/// Sends plain frames and insists that the kernel takes them all.
pub(crate) fn send(sender: &mut Sender, frames: &[Vec<u8>]) {
    let plain =
        |octets| OutgoingFrame { prefix: &[], octets, vlan: None, vnet: VnetHeader::default() };
    let sent = sender.send(frames.iter().map(|frame| plain(frame.as_slice())));
    assert_eq!(sent.taken, frames.len() as u64, "{sent:?}");
}

/// Hands each frame to `look` until it returns an answer; fails after [`PATIENCE`].
pub(crate) fn until<T>(
    socket: &mut PacketSocket,
    what: &str,
    mut look: impl FnMut(&[u8], ReceivedMeta) -> Option<T>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut set = PollSet::new();
    loop {
        let batch = socket.receive(64);
        for index in 0..batch.len() {
            let (Some(octets), Some(meta)) = (batch.frame(index), batch.meta(index)) else {
                continue;
            };
            if let Some(answer) = look(octets, meta) {
                return answer;
            }
        }
        drop(batch);
        assert!(Instant::now() < deadline, "not seen: {what}");
        set.clear();
        set.watch(socket.as_fd());
        set.wait(Some(Duration::from_millis(100))).unwrap();
    }
}

/// The frames that come before `last`, which is the last one and not among them.
pub(crate) fn before(socket: &mut PacketSocket, last: &[u8]) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    until(socket, "the last frame", |octets, _| {
        if octets == last {
            return Some(());
        }
        seen.push(octets.to_vec());
        None
    });
    seen
}
