//! Gathers adoptions, so that a director that takes over a million connections tells it in a few
//! events and not in a million.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use engine::command::ServiceKey;
use engine::event::AdoptionCause;
use engine::snapshot::Counter;
use engine::time::Instant;

use crate::event::Event;

/// Shortest time between two events of one service and cause.
const INTERVAL: Duration = Duration::from_millis(100);

/// Pairs of service and cause gathered at most; those beyond are told one by one.
const PAIRS_MAX: usize = 1024;

type Pair = (ServiceKey, AdoptionCause);

/// Adoptions on their way out: the first of a service and cause goes at once, those that follow
/// within 100 ms go together.
#[derive(Debug, Default)]
pub(crate) struct Adoptions {
    /// Pairs told less than 100 ms ago, and what has come since.
    gathered: HashMap<Pair, Option<Event>>,
    /// When each of them may speak again; the interval is one, so the oldest is in front.
    due: VecDeque<(Instant, Pair)>,
}

impl Adoptions {
    /// Takes in one event; gives back what is to be told at once.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) -> Option<Event> {
        let Event::Adopted { service, cause, .. } = event else {
            return Some(event);
        };
        let pair = (service, cause);
        if let Some(waiting) = self.gathered.get_mut(&pair) {
            match waiting {
                Some(waiting) => add(waiting, &event),
                None => *waiting = Some(event),
            }
            return None;
        }
        if self.gathered.len() < PAIRS_MAX {
            self.gathered.insert(pair, None);
            self.due.push_back((now + INTERVAL, pair));
        }
        Some(event)
    }

    /// Hands out one gathered event whose time has come.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            let (_, pair) = self.due.pop_front()?;
            if let Some(event) = self.gathered.get_mut(&pair).and_then(Option::take) {
                self.due.push_back((now + INTERVAL, pair));
                return Some(event);
            }
            self.gathered.remove(&pair);
        }
        None
    }

    /// When to call [`Self::poll_event`] next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.front().map(|(at, _)| *at)
    }
}

/// Adds the numbers of `more` to `sum`; the sample stays the first one's.
fn add(sum: &mut Event, more: &Event) {
    if let (
        Event::Adopted { count, fallback_count, .. },
        Event::Adopted { count: more, fallback_count: moved, .. },
    ) = (sum, more)
    {
        *count = Counter(count.0 + more.0);
        *fallback_count = Counter(fallback_count.0 + moved.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::command::Protocol;

    fn adopted(port: u16, fallback: u64) -> Event {
        Event::Adopted {
            service: ServiceKey::Address {
                protocol: Protocol::Tcp,
                address: [192, 0, 2, 80].into(),
                port: 80,
            },
            cause: AdoptionCause::TcpAck,
            count: Counter(1),
            fallback_count: Counter(fallback),
            client: ([198, 51, 100, 1], port).into(),
            server: ([10, 0, 0, 11], 80).into(),
        }
    }

    #[test]
    fn the_first_goes_at_once_and_the_others_together() {
        let mut adoptions = Adoptions::default();
        assert_eq!(adoptions.handle(adopted(1, 0), Instant::ZERO), Some(adopted(1, 0)));
        for port in 2..=1000 {
            assert_eq!(adoptions.handle(adopted(port, 1), Instant::from_millis(1)), None);
        }
        assert_eq!(adoptions.poll_event(Instant::from_millis(99)), None);
        assert_eq!(adoptions.poll_timeout(), Some(Instant::from_millis(100)));
        let Some(Event::Adopted { count, fallback_count, client, .. }) =
            adoptions.poll_event(Instant::from_millis(100))
        else {
            panic!("nothing was due");
        };
        assert_eq!((count, fallback_count, client.port()), (Counter(999), Counter(999), 2));
        assert_eq!(adoptions.handle(adopted(1, 0), Instant::from_millis(150)), None);
        assert_eq!(adoptions.poll_event(Instant::from_millis(200)), Some(adopted(1, 0)));
        assert_eq!(adoptions.poll_event(Instant::from_millis(300)), None);
        assert_eq!(adoptions.poll_timeout(), None, "nothing is kept of quiet pairs");
    }

    #[test]
    fn other_events_pass() {
        let event = Event::InterfaceUp { interface: "eth0".into() };
        let mut adoptions = Adoptions::default();
        assert_eq!(adoptions.handle(event.clone(), Instant::ZERO), Some(event));
    }
}
