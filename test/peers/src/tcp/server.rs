//! `tcp-server`: checks the records of thousands of connections and answers each with its name.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cause::Failure;
use crate::control::Controls;
use crate::events::{ErrorEvent, emit};
use crate::options::Options;
use crate::payload::Direction;
use crate::record::RequestCheck;
use crate::server_counts::{Listening, ServerCounts};
use crate::tcp::record_stream::RecordStream;
use crate::{Outcome, ProgramError};

/// The kernel clamps this to net.core.somaxconn.
const BACKLOG: i32 = 65_535;

/// Runs until told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let addresses = options.socket_addresses("listen")?;
    let name: Rc<str> =
        options.require::<String>("name", "the name this server answers with")?.into();
    let report = options.millis("report-ms", 1000)?;
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    let counts = Rc::new(ServerCounts::default());
    for address in addresses {
        let listener = listen(address).map_err(|error| format!("listen on {address}: {error}"))?;
        emit("listening", &Listening { name: &name, address: listener.local_addr()? });
        spawn_local(accept_all(listener, Rc::clone(&name), Rc::clone(&counts)));
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

/// A listening socket with a long backlog.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept_all(listener: TcpListener, name: Rc<str>, counts: Rc<ServerCounts>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(serve(stream, Rc::clone(&name), Rc::clone(&counts)));
            }
            Err(error) => {
                // Out of files or memory: connections wait in the backlog until some close.
                emit("warning", &ErrorEvent { message: format!("accept: {error}") });
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, name: Rc<str>, counts: Rc<ServerCounts>) {
    counts.open();
    let peer = stream.peer_addr();
    let result = converse(stream, &name, &counts).await;
    let peer = peer.map_or_else(|_| "a lost peer".to_owned(), |peer| peer.to_string());
    counts.close(&peer, result);
}

async fn converse(stream: TcpStream, name: &str, counts: &ServerCounts) -> Result<(), Failure> {
    stream.set_nodelay(true).map_err(|error| Failure::from_io(&error))?;
    let mut records = RecordStream::new(stream, None);
    let mut check = RequestCheck::default();
    while let Some(request) = records.receive(Direction::Request).await? {
        let answer = check.answer(&request, name)?;
        records.send(&answer, Direction::Response).await?;
        counts.record();
        if request.last {
            return records.close(Direction::Request).await;
        }
    }
    Ok(())
}
