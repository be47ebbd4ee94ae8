//! What the kernel tells of links, addresses, routes and neighbours, and when routes are looked at
//! again because of it.

use std::time::Duration;

use afpacket::netlink::monitor::{Change, Monitor};
use engine::time::Instant;

use super::resolver::Resolver;

/// Routes are looked at again once changes have paused for this long, or have gone on for
/// [`DEBOUNCE_MAX`]: a routing daemon that starts changes thousands.
const DEBOUNCE: Duration = Duration::from_millis(20);
const DEBOUNCE_MAX: Duration = Duration::from_millis(200);

/// Messages of the kernel taken in one turn at most.
const MESSAGES: usize = 256;

/// What has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Ways to servers are others than before.
    pub(super) ways: bool,
    /// Devices are.
    pub(super) links: bool,
    /// Links or routes are, so ways may be.
    pub(super) routes: bool,
    /// The host's own addresses are.
    pub(super) addresses: bool,
}

impl News {
    const fn routes() -> Self {
        Self { ways: false, links: false, routes: true, addresses: false }
    }

    const fn links() -> Self {
        Self { links: true, ..Self::routes() }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            ways: self.ways | other.ways,
            links: self.links | other.links,
            routes: self.routes | other.routes,
            addresses: self.addresses | other.addresses,
        }
    }
}

/// Takes in what the kernel has to tell, a part of it where that is very much. Returns whether there
/// may be more.
pub(super) fn read(monitor: &mut Monitor, resolver: &mut Resolver) -> (News, bool) {
    let mut news = News::default();
    for _ in 0..MESSAGES {
        let more = monitor.poll(|change| news = news.and(handle(resolver, change)));
        if !matches!(more, Ok(true)) {
            return (news, false);
        }
    }
    (news, true)
}

fn handle(resolver: &mut Resolver, change: Change) -> News {
    let ways = match change {
        Change::Neighbour(neighbour) => resolver.handle_neighbour(&neighbour),
        Change::NeighbourRemoved(neighbour) => resolver.handle_neighbour_removed(&neighbour),
        Change::Link(link) => {
            resolver.handle_link(link);
            return News::links();
        }
        Change::LinkRemoved { interface } => {
            resolver.handle_link_removed(interface);
            return News::links();
        }
        Change::Routes => return News::routes(),
        Change::Address(_) | Change::AddressRemoved(_) => {
            return News { addresses: true, ..News::routes() };
        }
        Change::Overrun => {
            let ways = resolver.read_again().unwrap_or(false);
            return News { ways, addresses: true, ..News::links() };
        }
    };
    News { ways, ..News::default() }
}

/// Changes that are to be acted on together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    collected: Option<Collected>,
}

#[derive(Clone, Copy, Debug)]
struct Collected {
    first: Instant,
    last: Instant,
    news: News,
}

impl Collected {
    fn due(&self) -> Instant {
        (self.last + DEBOUNCE).min(self.first + DEBOUNCE_MAX)
    }
}

impl Changes {
    /// Adds `news`.
    pub(super) fn collect(&mut self, news: News, now: Instant) {
        if news.routes {
            let before = self.collected.unwrap_or(Collected { first: now, last: now, news });
            self.collected = Some(Collected { last: now, news: before.news.and(news), ..before });
        }
    }

    /// Adds `news`. Returns what is to be acted on now.
    pub(super) fn add(&mut self, news: News, now: Instant) -> Option<News> {
        self.collect(news, now);
        let collected = self.collected.filter(|collected| collected.due() <= now)?;
        self.collected = None;
        Some(collected.news)
    }

    /// What is to be acted on without waiting for more.
    pub(super) fn take(&mut self) -> Option<News> {
        self.collected.take().map(|collected| collected.news)
    }

    /// When [`Self::add`] has something to act on.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.collected.as_ref().map(Collected::due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_acted_on_once_they_pause() {
        let mut changes = Changes::default();
        let at = Instant::from_millis;
        assert_eq!(changes.add(News::default(), at(0)), None);
        assert_eq!(changes.poll_timeout(), None);
        assert_eq!(changes.add(News::routes(), at(10)), None);
        assert_eq!(changes.add(News { addresses: true, ..News::routes() }, at(15)), None);
        assert_eq!(changes.poll_timeout(), Some(at(35)));
        assert_eq!(changes.add(News::default(), at(34)), None);
        let due = changes.add(News::default(), at(35)).expect("they paused");
        assert!(due.addresses && due.routes && !due.links);
        assert_eq!(changes.poll_timeout(), None);
        assert_eq!(changes.take(), None);
        assert_eq!(changes.add(News::links(), at(40)), None);
        assert_eq!(changes.take(), Some(News::links()));
        assert_eq!(changes.poll_timeout(), None);
    }

    #[test]
    fn changes_without_pause_are_acted_on_in_the_end() {
        let mut changes = Changes::default();
        let acted = |time| changes.add(News::routes(), Instant::from_millis(time)).is_some();
        let acted: Vec<_> = (0..=400).step_by(10).map(acted).collect();
        assert_eq!(acted.iter().filter(|acted| **acted).count(), 1);
    }
}
