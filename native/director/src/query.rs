//! Questions to a worker, answered between batches.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use engine::Engine;
use engine::command::ServiceKey;
use engine::snapshot::{ConnectionFilter, ConnectionPage, Explanation, Flow, Statistics};
use engine::time::Instant;

use crate::hand_over::HandOverCounters;
use crate::pending::PendingCounters;
use crate::port::InterfaceCounters;

/// Rows of a listing that one question may ask for; more would hold up the frames.
pub(crate) const ROWS_MAX: usize = 1024;

/// The asking end of a question: where the answer goes.
#[derive(Debug)]
pub(crate) struct Query<T>(SyncSender<T>);

impl<T> Query<T> {
    /// A question, and where its answer arrives.
    pub(crate) fn new() -> (Self, Receiver<T>) {
        let (sender, receiver) = sync_channel(1);
        (Self(sender), receiver)
    }

    /// Answers. There is room for the one answer; somebody who no longer waits needs none.
    pub(crate) fn answer(self, answer: T) {
        let _ = self.0.try_send(answer);
    }
}

/// What one worker counts.
#[derive(Clone, Debug)]
pub(crate) struct WorkerStatistics {
    pub(crate) engine: Statistics,
    pub(crate) ports: Vec<InterfaceCounters>,
    pub(crate) pending: PendingCounters,
    pub(crate) handed_over: HandOverCounters,
}

/// Something to ask a worker.
#[derive(Debug)]
pub(crate) enum Question {
    /// All numbers; of the services that one, if it is given.
    Statistics(Option<ServiceKey>, Query<WorkerStatistics>),
    /// A part of the connection table.
    Connections(ConnectionFilter, u32, usize, Query<ConnectionPage>),
    /// Where a flow goes.
    Explain(Flow, Query<Explanation>),
    /// Set the counters of a service, or of all, to zero.
    Zero(Option<ServiceKey>, Query<()>),
}

impl Question {
    /// Whether this is not one of several about one thing, like the further pages of a listing.
    pub(crate) const fn is_first_of_its_kind(&self) -> bool {
        !matches!(self, Self::Connections(_, 1.., _, _))
    }

    /// Answers from `engine`, and from `statistics` what lies around it.
    pub(crate) fn answer(
        self,
        engine: &mut Engine,
        now: Instant,
        statistics: impl FnOnce(&Engine, Option<&ServiceKey>) -> WorkerStatistics,
    ) {
        match self {
            Self::Statistics(only, query) => query.answer(statistics(engine, only.as_ref())),
            Self::Connections(filter, cursor, limit, query) => {
                query.answer(engine.connections(&filter, cursor, limit.min(ROWS_MAX), now));
            }
            Self::Explain(flow, query) => query.answer(engine.explain(&flow, now)),
            Self::Zero(service, query) => {
                engine.zero(service.as_ref());
                query.answer(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_pages_of_a_listing_are_not_the_first() {
        let page = |cursor| {
            let (query, _answer) = Query::new();
            let question = Question::Connections(ConnectionFilter::default(), cursor, 1, query);
            question.is_first_of_its_kind()
        };
        assert_eq!([page(0), page(1), page(u32::MAX)], [true, false, false]);
        assert!(Question::Zero(None, Query::new().0).is_first_of_its_kind());
    }
}
