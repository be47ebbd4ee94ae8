//! `bulk-server`: receives or sends bulk streams as each client asks.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::bulk::order::{Order, write_name};
use crate::bulk::transfer::{receive, send};
use crate::cause::{Cause, Failure};
use crate::control::Controls;
use crate::events::{ErrorEvent, emit};
use crate::options::Options;
use crate::percentiles::bits_per_second;
use crate::server_counts::Listening;
use crate::tcp::server::listen;
use crate::{Outcome, ProgramError};

/// The client decides how long to wait; this only ends streams whose client vanished.
const STALL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Counts {
    streams: Cell<u64>,
    received: Cell<u64>,
    reported: Cell<u64>,
    sent: Cell<u64>,
    errors: Cell<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
    name: &'a str,
    streams: u64,
    received: u64,
    received_bits_per_second: f64,
    sent: u64,
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
        let listener = listen(address).map_err(|error| format!("listen on {address}: {error}"))?;
        emit("listening", &Listening { name: &name, address: listener.local_addr()? });
        spawn_local(accept_all(listener, Rc::clone(&name), Rc::clone(&counts)));
    }
    let (began, mut last) = (Instant::now(), Instant::now());
    let mut ticks = interval(report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = controls.finished() => break,
            _ = ticks.tick() => {
                let fresh = counts.received.get() - counts.reported.replace(counts.received.get());
                counts.emit("state", &name, bits_per_second(fresh, last.elapsed()));
                last = Instant::now();
            }
        }
    }
    counts.emit("summary", &name, bits_per_second(counts.received.get(), began.elapsed()));
    Ok(Outcome::from_failures(counts.errors.get()))
}

async fn accept_all(listener: TcpListener, name: Rc<str>, counts: Rc<Counts>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (name, counts) = (Rc::clone(&name), Rc::clone(&counts));
        spawn_local(async move {
            counts.streams.set(counts.streams.get() + 1);
            if let Err(failure) = serve(stream, &name, &counts).await {
                counts.errors.set(counts.errors.get() + 1);
                let message = format!("stream from {peer}: {}", failure.detail);
                emit("warning", &ErrorEvent { message });
            }
            counts.streams.set(counts.streams.get() - 1);
        });
    }
}

async fn serve(mut stream: TcpStream, name: &str, counts: &Counts) -> Result<(), Failure> {
    let order = Order::read(&mut stream).await?;
    write_name(&mut stream, name).await.map_err(|error| Failure::from_io(&error))?;
    if order.download {
        let progress = |bytes| add(&counts.sent, bytes);
        send(&mut stream, &order, STALL, progress, || false).await?;
        return Ok(());
    }
    let progress = |bytes| add(&counts.received, bytes);
    let receipt = receive(&mut stream, &order, STALL, progress).await?;
    receipt.write(&mut stream).await.map_err(|error| Failure::from_io(&error))?;
    if receipt.corrupt {
        return Err(Failure::new(Cause::Corrupt, "content differs from what was sent"));
    }
    Ok(())
}

fn add(count: &Cell<u64>, bytes: usize) {
    count.set(count.get() + bytes as u64);
}

impl Counts {
    fn emit(&self, event: &str, name: &str, received_bits_per_second: f64) {
        let state = State {
            name,
            streams: self.streams.get(),
            received: self.received.get(),
            received_bits_per_second,
            sent: self.sent.get(),
            errors: self.errors.get(),
        };
        emit(event, &state);
    }
}
