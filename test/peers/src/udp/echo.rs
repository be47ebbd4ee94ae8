//! `udp-echo`: checks datagrams and answers each with its name.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval};

use crate::control::Controls;
use crate::events::{ErrorEvent, emit};
use crate::options::Options;
use crate::payload::Direction;
use crate::record::Record;
use crate::server_counts::Listening;
use crate::udp::{DATAGRAM_LIMIT, bind};
use crate::{Outcome, ProgramError};

#[derive(Debug, Default)]
struct Counts {
    datagrams: Cell<u64>,
    errors: Cell<u64>,
}

#[derive(Serialize)]
struct State<'a> {
    name: &'a str,
    datagrams: u64,
    errors: u64,
}

/// Runs until told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let addresses = options.socket_addresses("listen")?;
    let name: Rc<str> =
        options.require::<String>("name", "the name this server answers with")?.into();
    let report = options.millis("report-ms", 1000)?;
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    let counts = Rc::new(Counts::default());
    for address in addresses {
        let socket =
            bind(address).await.map_err(|error| format!("listen on {address}: {error}"))?;
        emit("listening", &Listening { name: &name, address: socket.local_addr()? });
        spawn_local(answer_all(socket, Rc::clone(&name), Rc::clone(&counts)));
    }
    let mut ticks = interval(report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = controls.finished() => break,
            _ = ticks.tick() => counts.emit("state", &name),
        }
    }
    counts.emit("summary", &name);
    Ok(Outcome::from_failures(counts.errors.get()))
}

async fn answer_all(socket: UdpSocket, name: Rc<str>, counts: Rc<Counts>) {
    let (mut datagram, mut reply) = (vec![0; DATAGRAM_LIMIT], Vec::new());
    loop {
        // An error here is an earlier answer's ICMP error; the client sees that as loss.
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else { continue };
        let body = datagram.get(..length).unwrap_or(&[]);
        match Record::parse(body, Direction::Request) {
            Ok(request) => {
                let answer = Record { name: name.to_string(), ..request };
                reply.clear();
                answer.put_body(Direction::Response, &mut reply);
                counts.datagrams.set(counts.datagrams.get() + 1);
                let _ = socket.send_to(&reply, from).await;
            }
            Err(failure) => counts.error(from, &failure.detail),
        }
    }
}

impl Counts {
    fn error(&self, from: SocketAddr, detail: &str) {
        self.errors.set(self.errors.get() + 1);
        emit("warning", &ErrorEvent { message: format!("datagram from {from}: {detail}") });
    }

    fn emit(&self, event: &str, name: &str) {
        let (datagrams, errors) = (self.datagrams.get(), self.errors.get());
        emit(event, &State { name, datagrams, errors });
    }
}
