//! The bounded way of events from the workers to whoever embeds the director.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use engine::snapshot::Counter;

use crate::event::Event;

/// Events on their way at most.
const EVENTS_MAX: usize = 4096;

/// The sending end; never waits. What does not fit is counted.
#[derive(Clone)]
pub(crate) struct EventSender {
    channel: SyncSender<Event>,
    lost: Arc<AtomicU64>,
    wake: Arc<dyn Fn() + Send + Sync>,
    sent: bool,
}

impl std::fmt::Debug for EventSender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventSender").finish_non_exhaustive()
    }
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct EventReceiver {
    channel: Receiver<Event>,
    lost: Arc<AtomicU64>,
}

/// A way for events. `wake` is called when there is something to receive.
pub(crate) fn channel(wake: impl Fn() + Send + Sync + 'static) -> (EventSender, EventReceiver) {
    let (sender, receiver) = sync_channel(EVENTS_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let wake = Arc::new(wake);
    (
        EventSender { channel: sender, lost: Arc::clone(&lost), wake, sent: false },
        EventReceiver { channel: receiver, lost },
    )
}

impl EventSender {
    /// Puts an event on the way; [`Self::flush`] must follow some time.
    pub(crate) fn send(&mut self, event: Event) {
        let lost = match &event {
            Event::Lost { count } => count.0,
            _ => 1,
        };
        if self.channel.try_send(event).is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        self.sent = true;
    }

    /// Wakes the receiver if anything was sent.
    pub(crate) fn flush(&mut self) {
        if std::mem::take(&mut self.sent) {
            (self.wake)();
        }
    }
}

impl EventReceiver {
    /// The next event; once there is none, how many were lost.
    pub(crate) fn poll_event(&self) -> Option<Event> {
        match self.channel.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                let count = self.lost.swap(0, Ordering::Relaxed);
                (count > 0).then_some(Event::Lost { count: Counter(count) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let (mut sender, receiver) = channel(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        sender.flush();
        for _ in 0..EVENTS_MAX + 7 {
            sender.send(Event::InterfaceUp { interface: "eth0".into() });
        }
        sender.send(Event::Lost { count: Counter(3) });
        sender.flush();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        for _ in 0..EVENTS_MAX {
            assert!(matches!(receiver.poll_event(), Some(Event::InterfaceUp { .. })));
        }
        assert_eq!(receiver.poll_event(), Some(Event::Lost { count: Counter(10) }));
        assert_eq!(receiver.poll_event(), None);
    }
}
