//! What is told of the interfaces: once when one stops passing frames, once when it passes them again.

use std::collections::BTreeMap;

use crate::event::{DownReason, Event};

/// What was told of the interfaces last.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Those that are down, and why.
    down: BTreeMap<String, DownReason>,
}

impl Conditions {
    /// Takes in how the interfaces are; `None` for one that passes frames. Returns what there is to
    /// tell.
    pub(super) fn handle(&mut self, now: Vec<(String, Option<DownReason>)>) -> Vec<Event> {
        now.into_iter().filter_map(|(name, reason)| self.handle_one(name, reason)).collect()
    }

    fn handle_one(&mut self, interface: String, reason: Option<DownReason>) -> Option<Event> {
        let Some(reason) = reason else {
            return self.down.remove(&interface).map(|_| Event::InterfaceUp { interface });
        };
        let before = self.down.insert(interface.clone(), reason);
        let is_news = before.is_none_or(|before| before != reason && is_for_people(reason));
        is_news.then_some(Event::InterfaceDown { interface, reason })
    }
}

/// Whether somebody has to do something about it, so that it is told of an interface that is down
/// already. The other reasons are stages on one way: an interface that is deleted is down first.
const fn is_for_people(reason: DownReason) -> bool {
    match reason {
        DownReason::NotEthernet | DownReason::SameDevice | DownReason::Failed => true,
        DownReason::Down | DownReason::NoCarrier | DownReason::Gone => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of one interface that goes through `reasons`.
    fn told(reasons: &[Option<DownReason>]) -> Vec<Option<DownReason>> {
        let mut conditions = Conditions::default();
        let mut told = Vec::new();
        for reason in reasons {
            for event in conditions.handle(vec![("eth0".to_owned(), *reason)]) {
                told.push(match event {
                    Event::InterfaceDown { reason, .. } => Some(reason),
                    Event::InterfaceUp { .. } => None,
                    other => panic!("{other:?}"),
                });
            }
        }
        told
    }

    #[test]
    fn changes_are_told_once() {
        use DownReason::{Down, Failed, Gone, NoCarrier, NotEthernet};
        assert_eq!(told(&[None, None]), []);
        assert_eq!(told(&[Some(Down), Some(Down), None, None]), [Some(Down), None]);
        assert_eq!(told(&[Some(Down), Some(Gone), Some(NoCarrier), None]), [Some(Down), None]);
        let stages = [Some(Gone), Some(NotEthernet), Some(NotEthernet), Some(Gone), None];
        assert_eq!(told(&stages), [Some(Gone), Some(NotEthernet), None]);
        assert_eq!(told(&[Some(Failed), Some(Failed), Some(Down), None]), [Some(Failed), None]);
    }

    #[test]
    fn interfaces_are_told_apart() {
        let mut conditions = Conditions::default();
        let now = || vec![("a".to_owned(), Some(DownReason::Down)), ("b".to_owned(), None)];
        assert_eq!(conditions.handle(now()).len(), 1);
        assert!(conditions.handle(now()).is_empty());
    }
}
