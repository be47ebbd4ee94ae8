//! Gathers adoptions, so that a director that takes over a million connections tells it in a few
//! events and not in a million.

use std::time::Duration;

use engine::command::ServiceKey;
use engine::event::AdoptionCause;
use engine::snapshot::Counter;
use engine::time::Instant;

use crate::event::Event;

/// Shortest time between two events of one service and cause.
const INTERVAL: Duration = Duration::from_millis(100);

/// Pairs of service and cause gathered at most; beyond it the longest idle one makes room.
const PAIRS_MAX: usize = 1024;

/// What one service adopted by one cause.
#[derive(Debug)]
struct Gathered {
    service: ServiceKey,
    cause: AdoptionCause,
    told: Option<Instant>,
    waiting: Option<Event>,
}

/// Adoptions on their way out: the first of a service and cause goes at once, those that follow
/// within 100 ms go together.
#[derive(Debug, Default)]
pub(crate) struct Adoptions {
    gathered: Vec<Gathered>,
}

impl Adoptions {
    /// Takes in one event; gives back what is to be told at once.
    pub(crate) fn handle(&mut self, event: Event, now: Instant) -> Option<Event> {
        let Event::Adopted { service, cause, .. } = event else {
            return Some(event);
        };
        let gathered = self.entry(service, cause);
        match &mut gathered.waiting {
            Some(waiting) => {
                add(waiting, &event);
                None
            }
            None if gathered.told.is_none_or(|told| told + INTERVAL <= now) => {
                gathered.told = Some(now);
                Some(event)
            }
            None => {
                gathered.waiting = Some(event);
                None
            }
        }
    }

    /// Hands out one gathered event whose time has come.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let due = self.gathered.iter_mut().find(|gathered| {
            gathered.waiting.is_some() && gathered.told.is_none_or(|told| told + INTERVAL <= now)
        })?;
        due.told = Some(now);
        due.waiting.take()
    }

    /// When [`Self::poll_event`] has something to say next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.gathered.iter().filter(|gathered| gathered.waiting.is_some());
        waiting.map(|gathered| gathered.told.map_or(Instant::ZERO, |told| told + INTERVAL)).min()
    }

    fn entry(&mut self, service: ServiceKey, cause: AdoptionCause) -> &mut Gathered {
        let found = self.gathered.iter().position(|g| g.service == service && g.cause == cause);
        let index = found.unwrap_or_else(|| {
            if self.gathered.len() >= PAIRS_MAX {
                self.forget_oldest();
            }
            self.gathered.push(Gathered { service, cause, told: None, waiting: None });
            self.gathered.len() - 1
        });
        &mut self.gathered[index]
    }

    fn forget_oldest(&mut self) {
        let idle = self.gathered.iter().enumerate().filter(|(_, g)| g.waiting.is_none());
        let oldest = idle.min_by_key(|(_, g)| g.told).map_or(0, |(index, _)| index);
        self.gathered.swap_remove(oldest);
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
        assert_eq!(adoptions.poll_event(Instant::from_millis(500)), None);
        assert_eq!(adoptions.poll_timeout(), None);
    }

    #[test]
    fn other_events_pass() {
        let event = Event::InterfaceDown { interface: "eth0".into() };
        let mut adoptions = Adoptions::default();
        assert_eq!(adoptions.handle(event.clone(), Instant::ZERO), Some(event));
    }
}
