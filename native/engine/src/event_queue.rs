//! The bounded queue between the packet path and whoever wants to know.

use alloc::collections::VecDeque;

use crate::event::Event;

/// Events in order, at most a fixed number; what does not fit is counted, never waited for.
#[derive(Debug)]
pub(crate) struct EventQueue {
    events: VecDeque<Event>,
    limit: usize,
    lost: u64,
}

impl EventQueue {
    /// An empty queue that never allocates again.
    pub(crate) fn new(limit: usize) -> Self {
        Self { events: VecDeque::with_capacity(limit), limit, lost: 0 }
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() < self.limit {
            self.events.push_back(event);
        } else {
            self.lost += 1;
        }
    }

    /// The oldest event; once the queue is empty, how many were lost.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| {
            let count = core::mem::take(&mut self.lost);
            (count > 0).then_some(Event::Lost { count })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_counts_what_it_loses() {
        let mut queue = EventQueue::new(1);
        queue.push(Event::Lost { count: 7 });
        queue.push(Event::Lost { count: 8 });
        queue.push(Event::Lost { count: 9 });
        assert_eq!(queue.pop(), Some(Event::Lost { count: 7 }));
        assert_eq!(queue.pop(), Some(Event::Lost { count: 2 }));
        assert_eq!(queue.pop(), None);
    }
}
