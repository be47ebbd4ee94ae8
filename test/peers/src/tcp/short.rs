//! `tcp-short`: a new connection for every checked request, at a rate or as fast as possible.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::cause::Failure;
use crate::control::Controls;
use crate::options::Options;
use crate::payload::{Direction, record_length, run_number};
use crate::record::{AnswerCheck, Record};
use crate::tcp::connect::{connect, source_for};
use crate::tcp::long::exchange;
use crate::tcp::record_stream::RecordStream;
use crate::tcp::short_counts::{Attempt, ShortCounts};
use crate::{Outcome, ProgramError};

/// How often the pacing of `--rate` looks whether connections are due.
const PACE: Duration = Duration::from_millis(2);

/// Who closes first, and so keeps the TIME_WAIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    Client,
    Server,
    Reset,
}

impl FromStr for Close {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "client" => Ok(Self::Client),
            "server" => Ok(Self::Server),
            "reset" => Ok(Self::Reset),
            _ => Err(()),
        }
    }
}

#[derive(Debug)]
struct Plan {
    peer: SocketAddr,
    sources: Vec<IpAddr>,
    stall: Duration,
    payload: usize,
    close: Close,
    run: u64,
    limit: u64,
    started: Cell<u64>,
    stop: Cell<bool>,
    counts: RefCell<ShortCounts>,
}

/// Runs until `--count` connections are done or it is told to finish.
pub(crate) async fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let peer = options.require("connect", "ADDRESS:PORT or [ADDRESS]:PORT")?;
    let plan = Rc::new(Plan {
        peer,
        sources: options.sources(peer)?,
        stall: options.millis("stall-ms", 5000)?,
        payload: options.payload_bytes(64)?,
        close: options.get("close", "client, server or reset")?.unwrap_or(Close::Client),
        run: run_number(),
        limit: options.count("count", u64::MAX)?,
        started: Cell::new(0),
        stop: Cell::new(false),
        counts: RefCell::new(ShortCounts::new()),
    });
    let rate = options.get::<f64>("rate", "new connections a second, above 0")?;
    let concurrency = usize::try_from(options.count("concurrency", 2000)?)?;
    let report = options.millis("report-ms", 1000)?;
    let mut controls = Controls::from_options(&mut options)?;
    options.finish()?;
    if rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err("--rate takes new connections a second, above 0".into());
    }
    let mut ticks = interval_at(Instant::now() + report, report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let traffic = async {
        match rate {
            Some(rate) => paced(&plan, rate, concurrency).await,
            None => as_fast_as_possible(&plan, concurrency).await,
        }
    };
    tokio::pin!(traffic);
    loop {
        tokio::select! {
            () = &mut traffic => break,
            () = controls.finished() => plan.stop.set(true),
            _ = ticks.tick() => plan.counts.borrow_mut().report(),
        }
    }
    Ok(plan.counts.borrow_mut().summary())
}

async fn as_fast_as_possible(plan: &Rc<Plan>, concurrency: usize) {
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let plan = Rc::clone(plan);
        workers.spawn_local(async move {
            while let Some(number) = plan.claim() {
                plan.attempt(number).await;
            }
        });
    }
    while workers.join_next().await.is_some() {}
}

/// Starts connections at the rate whatever becomes of earlier ones, up to `concurrency` at a time.
async fn paced(plan: &Rc<Plan>, rate: f64, concurrency: usize) {
    let mut attempts = JoinSet::new();
    let mut ticks = interval(PACE);
    let (mut due, mut before) = (1.0, Instant::now());
    loop {
        ticks.tick().await;
        let now = Instant::now();
        // What could not start within a second is given up, not sent in one burst later.
        due = f64::min(due + rate * (now - before).as_secs_f64(), rate.max(1.0));
        before = now;
        while attempts.try_join_next().is_some() {}
        while due >= 1.0 && attempts.len() < concurrency {
            let Some(number) = plan.claim() else {
                while attempts.join_next().await.is_some() {}
                return;
            };
            due -= 1.0;
            let plan = Rc::clone(plan);
            attempts.spawn_local(async move { plan.attempt(number).await });
        }
        if plan.stop.get() {
            while attempts.join_next().await.is_some() {}
            return;
        }
    }
}

impl Plan {
    /// The number of the next connection; nothing when no more are to start.
    fn claim(&self) -> Option<u64> {
        let number = self.started.get();
        if self.stop.get() || number >= self.limit {
            return None;
        }
        self.started.set(number + 1);
        Some(number)
    }

    async fn attempt(&self, number: u64) {
        self.counts.borrow_mut().begin();
        let result = self.connect_and_ask(number).await;
        self.counts.borrow_mut().end(result);
    }

    async fn connect_and_ask(&self, number: u64) -> Result<Attempt, Failure> {
        let began = Instant::now();
        let turn = usize::try_from(number).unwrap_or(0);
        let stream = connect(self.peer, source_for(&self.sources, 0, turn), self.stall).await?;
        let connected = began.elapsed();
        let flow = self.run.wrapping_add(number);
        let request = Record {
            flow,
            sequence: 0,
            last: self.close == Close::Server,
            name: String::new(),
            length: record_length(flow, 0, self.payload),
        };
        let mut check = AnswerCheck::new(flow);
        let mut records = RecordStream::new(stream, Some(self.stall));
        exchange(&mut records, &request, &mut check).await?;
        let server = check.server().unwrap_or_default().to_owned();
        match self.close {
            Close::Client => records.close(Direction::Response).await?,
            Close::Server => records.expect_end(Direction::Response).await?,
            Close::Reset => records.close_with_reset()?,
        }
        Ok(Attempt { server, connected, whole: began.elapsed() })
    }
}
