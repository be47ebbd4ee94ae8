//! The ways back to clients, as a worker knows them. Clients are many and come from everywhere, so
//! ways are asked for when the first frame goes their way, and forgotten when none does any more.
//!
//! What is known is used for 10 to 20 seconds and then asked for again while it is still used, so
//! no frame waits for a client that is known. The same happens at once when routes change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use engine::hop::Hop;
use engine::time::Instant;

/// How long a way counts as fresh. The kernel does not tell of path MTUs it learns.
const FRESH: Duration = Duration::from_secs(10);

/// Fresh ways kept at most; as many again may be kept that are not fresh any more.
const CLIENTS_MAX: usize = 65_536;

/// Clients asked for in one go at most. Who is not among them is asked for with the next frame.
const ASKED_MAX: usize = 256;

/// Questions that may wait to be answered.
const QUESTIONS_MAX: usize = 64;

/// Clients whose ways a worker wants to know.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) worker: usize,
    pub(crate) clients: Vec<IpAddr>,
}

/// Where a worker asks. The answer comes as [`crate::worker::WorkerCommand::Clients`].
#[derive(Clone)]
pub(crate) struct Enquiry {
    worker: usize,
    channel: SyncSender<Question>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Enquiry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Enquiry").finish_non_exhaustive()
    }
}

/// A place to ask at, for worker 0 to begin with. `wake` is called when there is a question.
pub(crate) fn enquiry(wake: impl Fn() + Send + Sync + 'static) -> (Enquiry, Receiver<Question>) {
    let (channel, receiver) = sync_channel(QUESTIONS_MAX);
    (Enquiry { worker: 0, channel, wake: Arc::new(wake) }, receiver)
}

impl Enquiry {
    /// The same for another worker.
    pub(crate) fn of(&self, worker: usize) -> Self {
        Self { worker, ..self.clone() }
    }

    /// Returns whether the question is on its way.
    fn ask(&self, clients: &[IpAddr]) -> bool {
        let question = Question { worker: self.worker, clients: clients.to_vec() };
        let asked = self.channel.try_send(question).is_ok();
        if asked {
            (self.wake)();
        }
        asked
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// None while it is asked for, for the first time.
    hop: Option<Hop>,
    /// The generation of routes it was asked for in.
    generation: u32,
}

/// Larger frames than fit are caught when the way is known.
const UNKNOWN: Hop = Hop::Resolving { mtu: u32::MAX };

/// The ways one worker knows.
#[derive(Debug)]
pub(crate) struct ClientWays {
    enquiry: Enquiry,
    fresh: HashMap<IpAddr, Known>,
    /// What was fresh before.
    stale: HashMap<IpAddr, Known>,
    since: Instant,
    generation: u32,
    /// Whom frames were to go to that is not fresh.
    missed: RefCell<Vec<IpAddr>>,
}

impl ClientWays {
    pub(crate) fn new(enquiry: Enquiry) -> Self {
        Self {
            enquiry,
            fresh: HashMap::new(),
            stale: HashMap::new(),
            since: Instant::ZERO,
            generation: 0,
            missed: RefCell::new(Vec::with_capacity(ASKED_MAX)),
        }
    }

    /// The way to `client`. What is not fresh is noted, and asked for by [`Self::ask`].
    pub(crate) fn hop(&self, client: IpAddr) -> Hop {
        let fresh = self.fresh.get(&client);
        if fresh.is_none_or(|known| known.generation != self.generation) {
            let mut missed = self.missed.borrow_mut();
            if missed.len() < ASKED_MAX {
                missed.push(client);
            }
        }
        let known = fresh.or_else(|| self.stale.get(&client));
        known.and_then(|known| known.hop).unwrap_or(UNKNOWN)
    }

    /// Asks for what was missed since this was called last. Where that is not possible, the next
    /// frame has it missed again.
    pub(crate) fn ask(&mut self, now: Instant) {
        let Self { enquiry, fresh, stale, generation, missed, .. } = self;
        let missed = missed.get_mut();
        if missed.is_empty() {
            return;
        }
        missed.sort_unstable();
        missed.dedup();
        if enquiry.ask(missed) {
            for client in missed.iter() {
                let known = fresh.get(client).or_else(|| stale.get(client));
                let hop = known.and_then(|known| known.hop);
                fresh.insert(*client, Known { hop, generation: *generation });
            }
        }
        missed.clear();
        if self.fresh.len() >= CLIENTS_MAX {
            self.age(now);
        }
    }

    /// Takes answers in.
    pub(crate) fn learn(&mut self, answers: &[(IpAddr, Hop)]) {
        let generation = self.generation;
        let known = |hop: Hop| Known { hop: Some(hop), generation };
        self.fresh.extend(answers.iter().map(|(client, hop)| (*client, known(*hop))));
    }

    /// Routes or neighbours have changed: whatever is known is asked for again, once it is used.
    pub(crate) const fn distrust(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// Lets what is known age, and forgets what nobody has used for long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let age = now.saturating_since(self.since);
        if age >= FRESH * 2 {
            self.fresh.clear();
        }
        if age >= FRESH {
            self.age(now);
        }
    }

    fn age(&mut self, now: Instant) {
        std::mem::swap(&mut self.fresh, &mut self.stale);
        self.fresh.clear();
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::hops::assumed;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bench {
        ways: ClientWays,
        questions: Receiver<Question>,
    }

    impl Bench {
        fn new() -> Self {
            let (enquiry, questions) = enquiry(|| {});
            Self { ways: ClientWays::new(enquiry.of(3)), questions }
        }

        fn asked(&mut self, now: Instant) -> Vec<IpAddr> {
            self.ways.ask(now);
            self.questions.try_iter().flat_map(|question| question.clients).collect()
        }
    }

    fn client(last: u8) -> IpAddr {
        [198, 51, 100, last].into()
    }

    fn ready(last: u8) -> Hop {
        Hop::Ready(assumed(client(last)))
    }

    #[test]
    fn a_client_is_asked_for_once_and_known_by_the_answer() {
        let mut bench = Bench::new();
        let now = Instant::from_millis(5);
        for _ in 0..3 {
            assert_eq!(bench.ways.hop(client(1)), UNKNOWN);
        }
        bench.ways.ask(now);
        let question = bench.questions.try_recv().expect("it was asked");
        assert_eq!((question.worker, question.clients), (3, vec![client(1)]));
        assert_eq!(bench.ways.hop(client(1)), UNKNOWN);
        assert!(bench.asked(now).is_empty(), "not while the answer is on its way");
        bench.ways.learn(&[(client(1), ready(1))]);
        assert_eq!(bench.ways.hop(client(1)), ready(1));
        assert!(bench.asked(now).is_empty());
    }

    #[test]
    fn what_is_used_is_asked_for_again_in_time_and_what_is_not_is_forgotten() {
        let mut bench = Bench::new();
        bench.ways.learn(&[(client(1), ready(1)), (client(2), ready(2))]);
        let later = Instant::ZERO + FRESH;
        bench.ways.handle_timeout(later);
        assert_eq!(bench.ways.hop(client(1)), ready(1), "used meanwhile");
        assert_eq!(bench.asked(later), [client(1)]);
        let latest = later + FRESH;
        bench.ways.handle_timeout(latest);
        assert_eq!(bench.ways.hop(client(1)), ready(1));
        assert_eq!(bench.ways.hop(client(2)), UNKNOWN, "forgotten");
    }

    #[test]
    fn after_a_long_pause_nothing_is_known() {
        let mut bench = Bench::new();
        bench.ways.learn(&[(client(1), ready(1))]);
        bench.ways.handle_timeout(Instant::ZERO + FRESH * 2);
        assert_eq!(bench.ways.hop(client(1)), UNKNOWN);
    }

    #[test]
    fn a_change_has_everything_in_use_asked_for_again_at_once() {
        let mut bench = Bench::new();
        bench.ways.learn(&[(client(1), ready(1))]);
        for _ in 0..3 {
            bench.ways.distrust();
        }
        assert_eq!(bench.ways.hop(client(1)), ready(1));
        assert_eq!(bench.asked(Instant::ZERO + SECOND), [client(1)]);
        assert_eq!(bench.ways.hop(client(1)), ready(1), "until the answer is there");
        bench.ways.learn(&[(client(1), Hop::Unreachable)]);
        assert_eq!(bench.ways.hop(client(1)), Hop::Unreachable);
    }

    #[test]
    fn questions_and_ways_are_bounded() {
        let mut bench = Bench::new();
        let now = Instant::from_millis(1);
        let address = |number: u32| IpAddr::V4(number.into());
        for number in 0..1000 {
            bench.ways.hop(address(number));
        }
        assert_eq!(bench.asked(now).len(), ASKED_MAX);
        for number in 0..400_000 {
            bench.ways.hop(address(number));
            bench.ways.ask(now);
            bench.questions.try_iter().count();
        }
        assert!(bench.ways.fresh.len() + bench.ways.stale.len() <= 2 * CLIENTS_MAX);
        for number in 0..1000 {
            bench.ways.hop(address(number));
            bench.ways.ask(now);
        }
        let first = bench.ways.fresh.contains_key(&address(0));
        let last = bench.ways.fresh.contains_key(&address(999));
        assert!(first && !last, "nobody answers: what could not be asked is missed again");
    }
}
