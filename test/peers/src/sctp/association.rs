//! One SCTP association: the protocol engine with its clock, its packets and its port.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use dcsctp::api::{
    DcSctpSocket, ErrorKind, Message, Options, PpId, SendOptions, Socket, SocketEvent, SocketTime,
    StreamId,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::cause::{Cause, Failure};
use crate::sctp::packet::{Head, is_whole};
use crate::sctp::raw_port::RawPort;

/// Packets that may wait for an association; more are dropped, and sent again by the peer.
pub(crate) const WAITING_PACKETS: usize = 256;
/// Fits Ethernet with an IPv4 or IPv6 header and room for a tunnel header.
const PACKET_BYTES: usize = 1400;
/// Keeps retransmissions frequent through an outage, so that little time is lost after it.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// What reaches an association from its port.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A packet without its IP header.
    Packet(Vec<u8>),
    /// An ICMP error; whether it says that nobody serves there.
    Unreachable { refused: bool },
}

/// What an association reports.
#[derive(Debug)]
pub(crate) enum Happening {
    Connected,
    /// The peer started again with the same addresses and ports (RFC 9260 §5.2.4.1).
    Restarted,
    Message(Vec<u8>),
    /// Ended in good order.
    Closed,
    /// Ended otherwise.
    Failed(Failure),
}

/// The ends of one association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) local_port: u16,
    pub(crate) peer: IpAddr,
    pub(crate) peer_port: u16,
}

/// See the module. Drive it by awaiting [`Association::next`].
pub(crate) struct Association {
    engine: Socket,
    born: Instant,
    connected: bool,
    ends: Ends,
    port: Rc<RawPort>,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Association {
    /// An association that waits for the peer's INIT. `retransmissions`: consecutive ones before
    /// it gives up; none: it never does.
    pub(crate) fn new(
        ends: Ends,
        port: Rc<RawPort>,
        arrivals: mpsc::Receiver<Arrival>,
        heartbeat: Duration,
        retransmissions: Option<u32>,
    ) -> Self {
        let options = Options {
            local_port: ends.local_port,
            remote_port: ends.peer_port,
            mtu: PACKET_BYTES,
            max_message_size: crate::record::BODY_LIMIT,
            heartbeat_interval: heartbeat,
            max_timer_backoff_duration: Some(LONGEST_BACKOFF),
            max_retransmissions: retransmissions,
            max_init_retransmits: None,
            ..Options::default()
        };
        let engine = Socket::new("peer", &options);
        Self { engine, born: Instant::now(), connected: false, ends, port, arrivals }
    }

    /// Sends INIT.
    pub(crate) fn connect(&mut self) {
        self.tick();
        self.engine.connect();
    }

    /// Queues a message; it goes out as [`Association::next`] is awaited.
    pub(crate) fn send(&mut self, payload: Vec<u8>) -> Result<(), Failure> {
        self.tick();
        let message = Message::new(StreamId(0), PpId(0), payload);
        self.engine
            .send(message, &SendOptions::default())
            .map_err(|error| Failure::new(Cause::Local, error.to_string()))
    }

    /// Starts the shutdown; [`Happening::Closed`] tells its end.
    pub(crate) fn shutdown(&mut self) {
        self.tick();
        self.engine.shutdown();
    }

    /// The next thing that happens; nothing when no packet can come any more. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Happening> {
        loop {
            if let Some(happening) = self.progress() {
                return Some(happening);
            }
            let timer = self.engine.poll_timeout() - SocketTime::zero();
            let timer = self.born + timer.min(self.born.elapsed() + Duration::from_secs(3600));
            tokio::select! {
                arrival = self.arrivals.recv() => {
                    if let Some(failure) = self.arrive(arrival?) {
                        return Some(Happening::Failed(failure));
                    }
                }
                () = sleep_until(timer) => self.tick(),
            }
        }
    }

    fn tick(&mut self) {
        self.engine.advance_time(SocketTime::zero() + self.born.elapsed());
    }

    /// Hands an arrival to the engine. The engine ignores what ends an attempt before it has an
    /// association, so that is told here.
    fn arrive(&mut self, arrival: Arrival) -> Option<Failure> {
        match arrival {
            Arrival::Packet(packet) => {
                let head = Head::parse(&packet)?;
                if !self.connected && head.is_abort() && is_whole(&packet) {
                    let ours = head.tag == self.engine.verification_tag();
                    return ours.then(|| Failure::new(Cause::ConnectRefused, "ABORT to INIT"));
                }
                self.tick();
                self.engine.handle_input(&packet);
                None
            }
            // RFC 9260 §10: an association that is up outlives ICMP errors.
            Arrival::Unreachable { .. } if self.connected => None,
            Arrival::Unreachable { refused: true } => {
                Some(Failure::new(Cause::ConnectRefused, "ICMP port or protocol unreachable"))
            }
            Arrival::Unreachable { refused: false } => {
                Some(Failure::new(Cause::ConnectUnreachable, "ICMP destination unreachable"))
            }
        }
    }

    /// Sends what is due and gives the next thing that is ready.
    fn progress(&mut self) -> Option<Happening> {
        while let Some(event) = self.engine.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.port.send(&packet, self.ends.peer),
                SocketEvent::OnConnected() => {
                    self.connected = true;
                    return Some(Happening::Connected);
                }
                SocketEvent::OnConnectionRestarted() => return Some(Happening::Restarted),
                SocketEvent::OnClosed() => return Some(Happening::Closed),
                SocketEvent::OnAborted(kind, reason) => {
                    return Some(Happening::Failed(aborted(kind, &reason)));
                }
                // The rest is about features we do not use, or errors the protocol recovers from.
                _ => {}
            }
        }
        self.engine.get_next_message().map(|message| Happening::Message(message.payload))
    }
}

fn aborted(kind: ErrorKind, reason: &str) -> Failure {
    let cause = if kind == ErrorKind::TooManyRetries { Cause::Timeout } else { Cause::Reset };
    Failure::new(cause, format!("{kind:?}: {reason}"))
}
