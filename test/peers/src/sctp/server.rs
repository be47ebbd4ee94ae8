//! `sctp-server`: checks the records of many associations and answers each with its name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::cause::{Cause, Failure};
use crate::control::Controls;
use crate::events::emit;
use crate::options::Options;
use crate::payload::Direction;
use crate::record::{Record, RequestCheck};
use crate::sctp::association::{Arrival, Association, Ends, Happening, WAITING_PACKETS};
use crate::sctp::packet::{Head, is_whole};
use crate::sctp::raw_port::RawPort;
use crate::sctp::warn_of_kernel_sctp;
use crate::server_counts::{Listening, ServerCounts};
use crate::{Outcome, ProgramError};

/// INITs beyond this many associations are ignored.
const ASSOCIATIONS_LIMIT: usize = 65_536;
/// How long an INIT may wait for its COOKIE ECHO.
const SETUP_LIMIT: Duration = Duration::from_secs(30);
/// With one a second at most, a client that vanished is given up after half a minute or so.
const RETRANSMISSIONS: u32 = 30;

struct Server {
    name: String,
    local_port: u16,
    heartbeat: Duration,
    port: Rc<RawPort>,
    counts: ServerCounts,
    associations: RefCell<HashMap<Ends, mpsc::Sender<Arrival>>>,
}

/// Runs until told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let address: IpAddr = options.require("address", "the virtual address, local to this host")?;
    let local_port = options.require("port", "an SCTP port, 1..65535")?;
    let name: String = options.require("name", "the name this server answers with")?;
    let report = options.millis("report-ms", 1000)?;
    let heartbeat = options.millis("heartbeat-ms", 1000)?;
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    warn_of_kernel_sctp();
    let server = Rc::new(Server {
        name,
        local_port,
        heartbeat,
        port: Rc::new(RawPort::sctp(address)?),
        counts: ServerCounts::default(),
        associations: RefCell::default(),
    });
    let address = SocketAddr::new(address, local_port);
    emit("listening", &Listening { name: &server.name, address });
    let mut ticks = interval(report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut packet = Vec::new();
    loop {
        tokio::select! {
            () = controls.finished() => break,
            _ = ticks.tick() => server.counts.emit("state", &server.name),
            from = server.port.receive(&mut packet) => Rc::clone(&server).dispatch(from?, &packet),
        }
    }
    server.counts.emit("summary", &server.name);
    Ok(Outcome::from_failures(server.counts.errors.get()))
}

impl Server {
    fn dispatch(self: Rc<Self>, peer: IpAddr, packet: &[u8]) {
        let Some(head) =
            Head::parse(packet).filter(|head| head.destination_port == self.local_port)
        else {
            return;
        };
        let ends = Ends { local_port: self.local_port, peer, peer_port: head.source_port };
        let known = self.associations.borrow().get(&ends).cloned();
        let inbox = match known {
            Some(inbox) => inbox,
            // Only INIT makes an association: a COOKIE ECHO of another server's INIT ACK must
            // fail here as it would at a kernel, which signs its cookies (RFC 9260 §5.1.3).
            None if head.is_init() => match self.admit(ends) {
                Some(inbox) => inbox,
                None => return,
            },
            None => {
                if is_whole(packet)
                    && let Some(answer) = head.answer_out_of_the_blue()
                {
                    self.port.send(&answer, peer);
                }
                return;
            }
        };
        let _ = inbox.try_send(Arrival::Packet(packet.to_vec()));
    }

    fn admit(self: Rc<Self>, ends: Ends) -> Option<mpsc::Sender<Arrival>> {
        if self.associations.borrow().len() >= ASSOCIATIONS_LIMIT {
            return None;
        }
        let (inbox, arrivals) = mpsc::channel(WAITING_PACKETS);
        self.associations.borrow_mut().insert(ends, inbox.clone());
        let port = Rc::clone(&self.port);
        let association =
            Association::new(ends, port, arrivals, self.heartbeat, Some(RETRANSMISSIONS));
        spawn_local(self.serve(ends, association));
        Some(inbox)
    }

    async fn serve(self: Rc<Self>, ends: Ends, mut association: Association) {
        let first = timeout_at(Instant::now() + SETUP_LIMIT, association.next()).await;
        if matches!(first, Ok(Some(Happening::Connected))) {
            self.counts.open();
            let result = self.converse(&mut association).await;
            self.counts.close(&format!("{}:{}", ends.peer, ends.peer_port), result);
        }
        self.associations.borrow_mut().remove(&ends);
    }

    async fn converse(&self, association: &mut Association) -> Result<(), Failure> {
        let mut check = RequestCheck::default();
        while let Some(happening) = association.next().await {
            match happening {
                Happening::Message(body) => {
                    let request = Record::parse(&body, Direction::Request)?;
                    let answer = check.answer(&request, &self.name)?;
                    let mut reply = Vec::new();
                    answer.put_body(Direction::Response, &mut reply);
                    association.send(reply)?;
                    self.counts.record();
                }
                Happening::Restarted => check = RequestCheck::default(),
                Happening::Connected => {}
                Happening::Closed => return Ok(()),
                Happening::Failed(failure) => return Err(failure),
            }
        }
        Err(Failure::new(Cause::Local, "the server is ending"))
    }
}
