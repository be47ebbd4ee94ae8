//! What fails while a director runs and is tried again: with back-off, told once when it begins and
//! once when it is over, and listed in the statistics meanwhile.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::snapshot::Counter;
use engine::time::Instant;
use serde::Serialize;

use crate::event::Event;
use crate::events::EventSender;

/// How long to wait after the first failure; twice as long after each further one.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// How long to wait at most.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Something that fails at the moment and is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailureSnapshot {
    /// Stable name of the kind of error.
    pub code: &'static str,
    /// What fails and why, as it was told.
    pub message: String,
    /// How often it has failed since it began.
    pub attempts: Counter,
}

/// What fails at the moment in a director, for all its threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    /// None where nobody listens.
    events: Option<EventSender>,
    /// By kind of error and by what it is about.
    failing: BTreeMap<(&'static str, String), Failing>,
}

#[derive(Debug)]
struct Failing {
    message: String,
    attempts: u64,
    /// How many try it: workers do the same each on its own.
    trying: usize,
}

impl Failures {
    pub(crate) fn new(events: EventSender) -> Self {
        Self(Arc::new(Mutex::new(Board { events: Some(events), failing: BTreeMap::new() })))
    }

    /// What fails at the moment.
    pub(crate) fn snapshot(&self) -> Vec<FailureSnapshot> {
        let board = self.board();
        let failing = board.failing.iter().map(|((code, _), failing)| FailureSnapshot {
            code,
            message: failing.message.clone(),
            attempts: Counter(failing.attempts),
        });
        failing.collect()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn failed(&mut self, subject: &(&'static str, String), first: bool, error: &dyn Error) {
        let (code, what) = subject;
        let message = format!("{what}: {error}; it is tried again");
        let Self { events, failing } = self;
        let failing = failing.entry(subject.clone()).or_insert_with(|| {
            tell(events, Event::Error { code, message: message.clone() });
            Failing { message: String::new(), attempts: 0, trying: 0 }
        });
        failing.message = message;
        failing.attempts += 1;
        failing.trying += usize::from(first);
    }

    /// One of those who tried tries no more. `told`: because it works again.
    fn over(&mut self, subject: &(&'static str, String), told: bool) {
        let Some(failing) = self.failing.get_mut(subject) else { return };
        failing.trying = failing.trying.saturating_sub(1);
        if failing.trying > 0 {
            return;
        }
        self.failing.remove(subject);
        if told {
            let (code, what) = subject;
            let message = format!("{what}: it works again");
            tell(&mut self.events, Event::Recovered { code, message });
        }
    }
}

fn tell(events: &mut Option<EventSender>, event: Event) {
    if let Some(events) = events {
        events.send(event);
        events.flush();
    }
}

/// One thing that may fail and is tried again. When this is dropped, nobody tries it any more.
#[derive(Debug)]
pub(crate) struct Retry {
    failures: Failures,
    subject: (&'static str, String),
    /// After how long and when it is tried again; none while it works.
    waiting: Option<(Duration, Instant)>,
    told: bool,
}

impl Retry {
    /// `what` says in a sentence what does not work if it fails: `frames cannot be sent by eth1`.
    pub(crate) const fn new(failures: Failures, code: &'static str, what: String) -> Self {
        Self { failures, subject: (code, what), waiting: None, told: false }
    }

    /// Whether it is to be tried now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.waiting.is_none_or(|(_, at)| at <= now)
    }

    /// Takes in that it failed.
    pub(crate) fn failed(&mut self, now: Instant, error: &dyn Error) {
        self.failures.board().failed(&self.subject, !self.told, error);
        self.told = true;
        self.postpone(now);
    }

    /// Takes in that it failed for a reason that others tell.
    pub(crate) fn postpone(&mut self, now: Instant) {
        let wait = self.waiting.map_or(WAIT_MIN, |(wait, _)| (wait * 2).min(WAIT_MAX));
        self.waiting = Some((wait, now + wait));
    }

    /// Takes in that it worked.
    pub(crate) fn succeeded(&mut self) {
        self.waiting = None;
        if std::mem::take(&mut self.told) {
            self.failures.board().over(&self.subject, true);
        }
    }
}

impl Drop for Retry {
    fn drop(&mut self) {
        if self.told {
            self.failures.board().over(&self.subject, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventReceiver, channel};

    const CODE: &str = "socket";

    fn board() -> (Failures, EventReceiver) {
        let (sender, events) = channel(|| {});
        (Failures::new(sender), events)
    }

    fn retry(failures: &Failures) -> Retry {
        Retry::new(failures.clone(), CODE, "eth1".to_owned())
    }

    fn error(text: &str) -> std::io::Error {
        std::io::Error::other(text.to_owned())
    }

    fn told(events: &EventReceiver) -> Vec<String> {
        let text = |event| match event {
            Event::Error { code: CODE, message } => format!("error {message}"),
            Event::Recovered { code: CODE, message } => format!("recovered {message}"),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| events.poll_event()).map(text).collect()
    }

    #[test]
    fn a_failure_is_tried_again_with_back_off() {
        let (failures, _events) = board();
        let mut retry = retry(&failures);
        let mut now = Instant::ZERO;
        assert!(retry.is_due(now));
        let mut waits = Vec::new();
        for _ in 0..7 {
            retry.failed(now, &error("no"));
            assert!(!retry.is_due(now));
            let (wait, next) = retry.waiting.expect("it is tried again");
            assert_eq!(next, now + wait);
            waits.push(wait.as_secs());
            now = next;
            assert!(retry.is_due(now));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        retry.succeeded();
        assert_eq!(retry.waiting, None);
        retry.failed(now, &error("no"));
        assert_eq!(retry.waiting, Some((WAIT_MIN, now + WAIT_MIN)), "from the start");
    }

    #[test]
    fn it_is_told_once_and_once_when_it_is_over() {
        let (failures, events) = board();
        let mut retry = retry(&failures);
        retry.succeeded();
        assert!(told(&events).is_empty());
        retry.failed(Instant::ZERO, &error("no room"));
        retry.failed(Instant::ZERO, &error("no right"));
        assert_eq!(told(&events), ["error eth1: no room; it is tried again"]);
        let message = "eth1: no right; it is tried again".to_owned();
        let now = [FailureSnapshot { code: CODE, message, attempts: Counter(2) }];
        assert_eq!(failures.snapshot(), now);
        retry.succeeded();
        retry.succeeded();
        assert_eq!(told(&events), ["recovered eth1: it works again"]);
        assert!(failures.snapshot().is_empty());
    }

    #[test]
    fn several_that_try_the_same_tell_it_as_one() {
        let (failures, events) = board();
        let (mut one, mut two) = (retry(&failures), retry(&failures));
        one.failed(Instant::ZERO, &error("no"));
        two.failed(Instant::ZERO, &error("no"));
        assert_eq!(told(&events).len(), 1);
        one.succeeded();
        assert!(told(&events).is_empty(), "the other still fails");
        two.succeeded();
        assert_eq!(told(&events), ["recovered eth1: it works again"]);
    }

    #[test]
    fn what_nobody_tries_any_more_is_forgotten() {
        let (failures, events) = board();
        let mut retry = retry(&failures);
        retry.failed(Instant::ZERO, &error("no"));
        drop(retry);
        assert!(failures.snapshot().is_empty());
        assert_eq!(told(&events).len(), 1, "it did not recover");
    }
}
