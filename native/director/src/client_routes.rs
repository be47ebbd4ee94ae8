//! The ways back to clients, as the director's control thread finds them out for the workers: a
//! route each, and the neighbours they lead to. Touches no socket and no clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use engine::frame::InterfaceId;
use engine::hop::Hop;
use engine::time::Instant;

use crate::neighbours::{Neighbour, Neighbours, Place};
use crate::ways::Route;

/// How long a neighbour that no client is behind is still confirmed. Workers ask again for clients
/// in use three times as often.
const KEPT: Duration = Duration::from_secs(60);

/// Neighbours at most; with clients on the link itself each is one.
const NEIGHBOURS_MAX: usize = 8192;

/// Clients at most that wait for their neighbour.
const WAITING_MAX: usize = 4096;

/// A client whose neighbour is being asked for.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    worker: usize,
    client: IpAddr,
    route: Route,
    next_hop: Place,
}

/// An answer for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) worker: usize,
    pub(crate) client: IpAddr,
    pub(crate) hop: Hop,
}

/// What is known of the neighbours on the ways to clients.
#[derive(Debug, Default)]
pub(crate) struct ClientRoutes {
    neighbours: Neighbours,
    /// When each was asked for last.
    wanted: BTreeMap<Place, Instant>,
    forget_at: Option<Instant>,
    waiting: VecDeque<Waiting>,
    answers: Vec<Answer>,
    /// What workers know is not true any more.
    outdated: bool,
}

impl ClientRoutes {
    /// Answers a worker: `route` leads to `client`. A better answer may follow.
    pub(crate) fn answer(&mut self, worker: usize, client: IpAddr, route: Route, now: Instant) {
        let hop = match route.next_hop() {
            Some(next_hop) if self.want(next_hop, now) => route.hop(&self.neighbours),
            Some(_) => Hop::Unreachable,
            None => route.hop(&self.neighbours),
        };
        if let (Hop::Resolving { .. }, Some(next_hop)) = (hop, route.next_hop()) {
            self.wait(Waiting { worker, client, route, next_hop });
        }
        self.answers.push(Answer { worker, client, hop });
    }

    fn want(&mut self, place: Place, now: Instant) -> bool {
        if !self.wanted.contains_key(&place) && self.neighbours.len() >= NEIGHBOURS_MAX {
            return false;
        }
        self.neighbours.want(place);
        self.wanted.insert(place, now);
        self.forget_at.get_or_insert(now + KEPT);
        true
    }

    fn wait(&mut self, waiting: Waiting) {
        if self.waiting.len() >= WAITING_MAX {
            // Whoever is not answered asks again.
            self.waiting.pop_front();
            self.outdated = true;
        }
        self.waiting.push_back(waiting);
    }

    /// Takes in what the kernel says of a neighbour.
    pub(crate) fn handle_neighbour(&mut self, place: Place, neighbour: Neighbour) {
        let before = self.neighbours.get(&place);
        if !self.neighbours.handle(place, neighbour) {
            return;
        }
        // Of a neighbour that was not known nobody has heard but those who wait.
        self.outdated |= before != Neighbour::Unknown;
        let Self { waiting, answers, neighbours, .. } = self;
        waiting.retain(|one| {
            let Waiting { worker, client, route, next_hop } = *one;
            let answered = next_hop == place;
            if answered {
                answers.push(Answer { worker, client, hop: route.hop(neighbours) });
            }
            !answered
        });
    }

    /// Takes in that routes may have changed.
    pub(crate) const fn handle_route_change(&mut self) {
        self.outdated = true;
    }

    /// Takes in that an interface is gone.
    pub(crate) fn handle_interface_gone(&mut self, interface: InterfaceId) {
        self.outdated |= self.neighbours.forget(interface);
    }

    /// Takes the answers that are ready.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// Whether workers are to be told that what they know may not be true any more.
    pub(crate) const fn take_outdated(&mut self) -> bool {
        std::mem::replace(&mut self.outdated, false)
    }

    /// Hands out one neighbour that is due to be asked for, and counts it as asked at `now`.
    pub(crate) fn poll_ask(&mut self, now: Instant) -> Option<Place> {
        self.forget(now);
        self.neighbours.poll_ask(now)
    }

    /// When [`Self::poll_ask`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        [self.neighbours.poll_timeout(), self.forget_at].into_iter().flatten().min()
    }

    /// Forgets neighbours that no worker has asked for lately.
    fn forget(&mut self, now: Instant) {
        if self.forget_at.is_none_or(|at| at > now) {
            return;
        }
        let Self { neighbours, wanted, waiting, .. } = self;
        wanted.retain(|_, at| *at + KEPT > now);
        neighbours.retain(|place| wanted.contains_key(place));
        waiting.retain(|one| wanted.contains_key(&one.next_hop));
        self.forget_at = wanted.values().min().map(|at| *at + KEPT);
    }

    /// How often a neighbour was given up.
    pub(crate) const fn failures(&self) -> u64 {
        self.neighbours.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use wire::ethernet::MacAddress;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

    fn client(last: u8) -> IpAddr {
        [198, 51, 100, last].into()
    }

    fn router() -> Place {
        Place { interface: InterfaceId(3), address: [10, 0, 0, 1].into() }
    }

    fn by(next_hop: Place) -> Route {
        Route::Via { next_hop, mtu: 1400, source: MacAddress([2; 6]), local: None }
    }

    fn answers(routes: &mut ClientRoutes) -> Vec<(usize, IpAddr, bool)> {
        let answers = routes.take_answers().into_iter();
        answers.map(|one| (one.worker, one.client, matches!(one.hop, Hop::Ready(_)))).collect()
    }

    #[test]
    fn clients_wait_for_their_router_which_is_asked_for_once() {
        let mut routes = ClientRoutes::default();
        let now = Instant::from_millis(7);
        routes.answer(0, client(1), by(router()), now);
        routes.answer(1, client(2), by(router()), now);
        assert_eq!(answers(&mut routes), [(0, client(1), false), (1, client(2), false)]);
        assert_eq!(routes.poll_ask(now), Some(router()));
        assert_eq!(routes.poll_ask(now), None);
        routes.handle_neighbour(router(), Neighbour::Known(MAC));
        assert_eq!(answers(&mut routes), [(0, client(1), true), (1, client(2), true)]);
        assert!(!routes.take_outdated(), "nobody else has heard of it");
        routes.answer(0, client(3), by(router()), now);
        assert_eq!(answers(&mut routes), [(0, client(3), true)]);
    }

    #[test]
    fn what_was_told_and_changes_is_outdated() {
        let mut routes = ClientRoutes::default();
        routes.answer(0, client(1), by(router()), Instant::ZERO);
        routes.handle_neighbour(router(), Neighbour::Known(MAC));
        routes.handle_neighbour(router(), Neighbour::Known(MAC));
        assert!(!routes.take_outdated());
        routes.handle_neighbour(router(), Neighbour::Known(MacAddress([4; 6])));
        assert!(routes.take_outdated());
        assert!(!routes.take_outdated());
        routes.handle_route_change();
        assert!(routes.take_outdated());
        routes.handle_interface_gone(InterfaceId(99));
        assert!(!routes.take_outdated());
        routes.handle_interface_gone(router().interface);
        assert!(routes.take_outdated());
    }

    #[test]
    fn nowhere_and_home_are_answers_too() {
        let mut routes = ClientRoutes::default();
        routes.answer(0, client(1), Route::None, Instant::ZERO);
        routes.answer(0, client(2), Route::Local, Instant::ZERO);
        let hops: Vec<_> = routes.take_answers().iter().map(|answer| answer.hop).collect();
        assert_eq!(hops, [Hop::Unreachable, Hop::Local]);
        assert_eq!(routes.poll_timeout(), None);
    }

    #[test]
    fn neighbours_without_clients_are_forgotten() {
        let mut routes = ClientRoutes::default();
        routes.answer(0, client(1), by(router()), Instant::ZERO);
        routes.handle_neighbour(router(), Neighbour::Known(MAC));
        let later = Instant::ZERO + KEPT;
        assert!(routes.poll_timeout().is_some_and(|at| at <= later));
        assert_eq!(routes.poll_ask(later), None);
        assert_eq!(routes.poll_timeout(), None);
        routes.handle_neighbour(router(), Neighbour::Failed);
        assert!(!routes.take_outdated());
    }

    #[test]
    fn neighbours_and_waiting_clients_are_bounded() {
        let mut routes = ClientRoutes::default();
        for number in 0..20_000_u32 {
            let address = IpAddr::V4(number.into());
            let place = Place { address, ..router() };
            routes.answer(0, address, by(place), Instant::ZERO);
        }
        assert_eq!(routes.neighbours.len(), NEIGHBOURS_MAX);
        assert_eq!(routes.waiting.len(), WAITING_MAX);
        let refused = routes.take_answers();
        let refused = refused.iter().filter(|answer| answer.hop == Hop::Unreachable).count();
        assert_eq!(refused, 20_000 - NEIGHBOURS_MAX);
        assert!(routes.take_outdated(), "those dropped ask again");
    }
}
