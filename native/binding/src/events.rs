//! Events on their way to JavaScript: kept here, bounded, until JavaScript takes them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use director::event::Event;
use engine::snapshot::Counter;

/// Events kept at most; beyond them they are counted as lost.
const EVENTS_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    lost: u64,
}

/// The events that JavaScript has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct EventBox(Mutex<Kept>);

impl EventBox {
    /// Keeps an event, or counts it as lost.
    pub(crate) fn put(&self, event: Event) {
        let mut kept = self.kept();
        if kept.events.len() < EVENTS_MAX {
            kept.events.push_back(event);
        } else {
            kept.lost += 1;
        }
    }

    /// Takes all events, oldest first, and last how many were lost.
    pub(crate) fn take(&self) -> Vec<Event> {
        let Kept { events, lost } = std::mem::take(&mut *self.kept());
        let lost = (lost > 0).then_some(Event::Lost { count: Counter(lost) });
        events.into_iter().chain(lost).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
