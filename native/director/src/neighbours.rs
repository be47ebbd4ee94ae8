//! What the kernel says of the neighbours that frames go to, and which of them to ask it about.
//! Touches no socket and no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use engine::frame::InterfaceId;
use engine::time::Instant;
use wire::ethernet::MacAddress;

/// How often a neighbour in use is confirmed. Frames sent past the kernel's own neighbour table do
/// not keep its entries alive, so somebody has to.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(30);

/// How often a neighbour that does not answer is asked again.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// A machine on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) interface: InterfaceId,
    pub(crate) address: IpAddr,
}

/// What the kernel says of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbour {
    /// It has this address.
    Known(MacAddress),
    /// It did not answer.
    Failed,
    /// Nothing: being asked for, or forgotten.
    Unknown,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    mac: Option<MacAddress>,
    /// The kernel gave up a neighbour that was known. That may only mean that somebody deleted its
    /// entry: it is asked for again before it counts as failed.
    doubted: bool,
    failed: bool,
    asked: Option<Instant>,
}

impl State {
    /// What frames can count on.
    const fn usable(&self) -> Neighbour {
        match self.mac {
            _ if self.failed => Neighbour::Failed,
            Some(mac) => Neighbour::Known(mac),
            None => Neighbour::Unknown,
        }
    }

    /// When it is to be asked (again).
    fn ask_at(&self) -> Instant {
        let interval = match self.usable() {
            Neighbour::Known(_) => CONFIRM_INTERVAL,
            Neighbour::Failed | Neighbour::Unknown => ASK_INTERVAL,
        };
        self.asked.map_or(Instant::ZERO, |asked| asked + interval)
    }
}

/// The neighbours somebody wants to know of.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    states: BTreeMap<Place, State>,
    /// The same, by when they are to be asked.
    due: BTreeSet<(Instant, Place)>,
    failures: u64,
}

impl Neighbours {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    /// Takes a neighbour in; a new one is due to be asked for at once.
    pub(crate) fn want(&mut self, place: Place) {
        let Self { states, due, .. } = self;
        states.entry(place).or_insert_with(|| {
            let state = State::default();
            due.insert((state.ask_at(), place));
            state
        });
    }

    /// Forgets those that nobody wants any more.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&Place) -> bool) {
        let Self { states, due, .. } = self;
        states.retain(|place, state| {
            let stays = wanted(place);
            if !stays {
                due.remove(&(state.ask_at(), *place));
            }
            stays
        });
    }

    /// Forgets what is known of those on an interface that is gone: its number may be given to
    /// another. Returns whether anything changed for frames.
    pub(crate) fn forget(&mut self, interface: InterfaceId) -> bool {
        let there = self.states.iter().filter(|(place, _)| place.interface == interface);
        let there: Vec<_> = there.map(|(place, state)| (*place, *state)).collect();
        for (place, before) in &there {
            self.replace(*place, before, State::default());
        }
        there.iter().any(|(_, before)| before.usable() != Neighbour::Unknown)
    }

    /// What frames can count on. The address known last is kept while it is asked for again, and
    /// until a new one is known.
    pub(crate) fn get(&self, place: &Place) -> Neighbour {
        self.states.get(place).map_or(Neighbour::Unknown, State::usable)
    }

    /// Takes in what the kernel says. Returns whether anything changed for frames.
    pub(crate) fn handle(&mut self, place: Place, neighbour: Neighbour) -> bool {
        let Some(before) = self.states.get(&place).copied() else { return false };
        let mut state = before;
        match neighbour {
            Neighbour::Known(known) => {
                (state.mac, state.doubted, state.failed) = (Some(known), false, false);
            }
            Neighbour::Failed if state.mac.is_some() && !state.doubted => {
                (state.doubted, state.asked) = (true, None);
            }
            Neighbour::Failed => {
                self.failures += u64::from(!state.failed);
                state.failed = true;
            }
            Neighbour::Unknown => {}
        }
        self.replace(place, &before, state);
        state.usable() != before.usable()
    }

    /// Hands out one neighbour that is due to be asked for, and counts it as asked at `now`.
    pub(crate) fn poll_ask(&mut self, now: Instant) -> Option<Place> {
        let &(at, place) = self.due.first()?;
        let before = *self.states.get(&place)?;
        if at > now {
            return None;
        }
        self.replace(place, &before, State { asked: Some(now), ..before });
        Some(place)
    }

    /// When [`Self::poll_ask`] has something to hand out.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// How often a neighbour was given up.
    pub(crate) const fn failures(&self) -> u64 {
        self.failures
    }

    fn replace(&mut self, place: Place, before: &State, state: State) {
        if state.ask_at() != before.ask_at() {
            self.due.remove(&(before.ask_at(), place));
            self.due.insert((state.ask_at(), place));
        }
        self.states.insert(place, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
    const LINK: InterfaceId = InterfaceId(3);

    fn place() -> Place {
        Place { interface: LINK, address: [10, 0, 0, 11].into() }
    }

    fn one() -> Neighbours {
        let mut neighbours = Neighbours::default();
        neighbours.want(place());
        neighbours
    }

    #[test]
    fn a_new_neighbour_is_asked_for_at_once_and_known_when_it_answers() {
        let mut neighbours = one();
        assert_eq!(neighbours.get(&place()), Neighbour::Unknown);
        let now = Instant::from_millis(1);
        assert_eq!(neighbours.poll_ask(now), Some(place()));
        assert_eq!(neighbours.poll_ask(now), None);
        assert!(neighbours.handle(place(), Neighbour::Known(MAC)));
        assert_eq!(neighbours.get(&place()), Neighbour::Known(MAC));
        assert!(!neighbours.handle(place(), Neighbour::Known(MAC)), "no change");
        assert_eq!(neighbours.poll_timeout(), Some(Instant::from_millis(30_001)));
    }

    #[test]
    fn the_old_address_is_kept_until_a_new_one_is_known() {
        let mut neighbours = one();
        neighbours.handle(place(), Neighbour::Known(MAC));
        assert!(!neighbours.handle(place(), Neighbour::Unknown));
        assert_eq!(neighbours.get(&place()), Neighbour::Known(MAC));
        let moved = Neighbour::Known(MacAddress([2, 0, 0, 0, 0, 10]));
        assert!(neighbours.handle(place(), moved));
        assert_eq!(neighbours.get(&place()), moved);
    }

    #[test]
    fn a_silent_neighbour_fails_is_counted_once_and_asked_again() {
        let mut neighbours = one();
        assert!(neighbours.poll_ask(Instant::ZERO).is_some());
        assert!(neighbours.handle(place(), Neighbour::Failed));
        assert!(!neighbours.handle(place(), Neighbour::Failed));
        assert_eq!((neighbours.get(&place()), neighbours.failures()), (Neighbour::Failed, 1));
        assert!(!neighbours.handle(place(), Neighbour::Unknown), "asked again");
        assert_eq!(neighbours.poll_timeout(), Some(Instant::from_millis(1000)));
        assert!(neighbours.handle(place(), Neighbour::Known(MAC)));
        assert_eq!(neighbours.get(&place()), Neighbour::Known(MAC));
    }

    #[test]
    fn a_known_neighbour_that_is_given_up_is_asked_again_before_it_counts() {
        let mut neighbours = one();
        neighbours.handle(place(), Neighbour::Known(MAC));
        assert!(neighbours.poll_ask(Instant::from_millis(5)).is_some());
        assert!(!neighbours.handle(place(), Neighbour::Failed));
        assert_eq!(neighbours.get(&place()), Neighbour::Known(MAC));
        assert_eq!(neighbours.poll_ask(Instant::from_millis(6)), Some(place()), "at once");
        assert!(neighbours.handle(place(), Neighbour::Failed));
        assert_eq!(neighbours.get(&place()), Neighbour::Failed);
        neighbours.handle(place(), Neighbour::Known(MAC));
        assert!(!neighbours.handle(place(), Neighbour::Failed), "from the start");
    }

    #[test]
    fn an_interface_that_is_gone_takes_its_neighbours_with_it() {
        let mut neighbours = one();
        let elsewhere = Place { interface: InterfaceId(4), ..place() };
        neighbours.want(elsewhere);
        for place in [place(), elsewhere] {
            neighbours.handle(place, Neighbour::Known(MAC));
            assert!(neighbours.poll_ask(Instant::from_millis(5)).is_some());
        }
        assert!(neighbours.forget(LINK));
        assert_eq!(neighbours.get(&place()), Neighbour::Unknown);
        assert_eq!(neighbours.get(&elsewhere), Neighbour::Known(MAC));
        assert_eq!(neighbours.poll_ask(Instant::from_millis(6)), Some(place()), "at once");
        assert!(!neighbours.forget(LINK), "nothing was known");
    }

    #[test]
    fn the_forgotten_are_not_asked_for_and_not_listened_to() {
        let mut neighbours = one();
        neighbours.retain(|_| false);
        assert_eq!((neighbours.len(), neighbours.poll_timeout()), (0, None));
        assert!(!neighbours.handle(place(), Neighbour::Known(MAC)));
        assert_eq!(neighbours.get(&place()), Neighbour::Unknown);
    }
}
