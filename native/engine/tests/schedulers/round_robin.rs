//! `rr`.

use proptest::prelude::*;

use super::*;

fn rr(weights: &[u32]) -> Live {
    Live::new(SchedulerName::Rr, weights)
}

#[test]
fn from_the_newest_on_and_round() {
    assert_eq!(rr(&[1, 9, 1]).picks(), some([2, 1, 0, 2, 1, 0]));
}

#[test]
fn weight_counts_only_as_none_or_some() {
    let mut live = rr(&[1, 0, 7]);
    assert_eq!(live.picks(), some([2, 0, 2, 0]));
    live.weigh(2, 0);
    assert_eq!(live.picks(), some([0, 0]), "the only one follows itself");
    live.weigh(0, 0);
    assert_eq!(live.pick(), None);
    live.weigh(1, 1);
    live.weigh(2, 1);
    assert_eq!(live.picks(), some([2, 1]), "failing does not move the cursor");
}

#[test]
fn adding_does_not_move_the_cursor() {
    let mut live = rr(&[1, 1, 1]);
    assert_eq!(live.picks(), some([2, 1]));
    live.apply(add(3, 1));
    assert_eq!(live.picks(), some([0, 3, 2]));
}

#[test]
fn removing_the_last_pick_moves_it_to_its_predecessor() {
    let mut live = rr(&[1, 1, 1, 1]);
    assert_eq!(live.picks(), some([3, 2]));
    live.remove(2);
    assert_eq!(live.pick(), Some(1));
    live.remove(1);
    live.remove(3);
    assert_eq!(live.pick(), Some(0));
}

#[test]
fn removing_the_head_puts_the_cursor_before_the_list() {
    let mut live = rr(&[1, 1, 1]);
    assert_eq!(live.pick(), Some(2));
    live.remove(2);
    live.apply(add(3, 1));
    assert_eq!(live.picks(), some([3, 1, 0]));
}

#[test]
fn a_server_that_returns_is_a_new_one_to_the_cursor() {
    let mut live = rr(&[1, 1, 1]);
    assert_eq!(live.picks(), some([2, 1]));
    live.remove(1);
    live.apply(add(1, 1));
    assert_eq!(live.picks(), some([0, 1, 2]), "list 1 2 0, cursor at 2");
}

#[test]
fn another_scheduler_or_service_starts_anew() {
    let mut live = rr(&[1, 1, 1]);
    live.picks::<2>();
    live.apply(Command::EditService { service: service(SchedulerName::Rr, &[]) });
    assert_eq!(live.pick(), Some(0), "an edit that keeps the scheduler keeps the cursor");
    live.apply(Command::EditService { service: service(SchedulerName::Sh, &[]) });
    assert_eq!(live.state, State::Stateless);
    live.apply(Command::EditService { service: service(SchedulerName::Rr, &[]) });
    assert_eq!(live.pick(), Some(2));

    let again = [
        Command::RemoveService { service: WEB },
        Command::AddService { service: service(SchedulerName::Rr, &[]) },
        add(0, 1),
        add(1, 1),
        add(2, 1),
    ];
    let next = live.configuration.apply(&again).expect("good commands");
    live.state.reconcile(&the_service(&live.configuration), &the_service(&next), 0);
    live.configuration = next;
    assert_eq!(live.pick(), Some(2));
}

#[test]
fn overloaded_servers_are_passed_over() {
    let mut live = rr(&[1, 1]);
    live.apply(Command::EditServer { service: WEB, server: server(1, 1, 1) });
    the_service(&live.configuration).servers[0].load.bind();
    assert_eq!(live.picks(), some([0, 0]));
}

#[test]
fn no_scheduler_finds_nobody() {
    let mut live = rr(&[1, 1]);
    let none = ServiceSpec { scheduler: None, ..service(SchedulerName::Rr, &[]) };
    live.apply(Command::EditService { service: none });
    assert_eq!(live.pick(), None);
}

#[derive(Clone, Debug)]
enum Step {
    Pick,
    Add(usize, u32),
    Remove(usize),
    Weigh(usize, u32),
}

/// A model as the kernel tells it: a linked list walked from the last pick on.
#[derive(Default)]
struct Model {
    /// The head of the list is `None`; servers follow, newest first.
    list: Vec<Option<usize>>,
    weights: [u32; 8],
    last: Option<usize>,
}

impl Model {
    fn at(&self, entry: Option<usize>) -> usize {
        self.list.iter().position(|&it| it == entry).expect("in the list")
    }

    fn pick(&mut self) -> Option<usize> {
        let start = self.at(self.last);
        let mut at = start;
        loop {
            at = (at + 1) % self.list.len();
            if let Some(server) = self.list[at]
                && self.weights[server] > 0
            {
                self.last = Some(server);
                return Some(server);
            }
            if at == start {
                return None;
            }
        }
    }

    fn remove(&mut self, server: usize) {
        let at = self.at(Some(server));
        if self.last == Some(server) {
            self.last = self.list[at - 1];
        }
        self.list.remove(at);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Pick),
        1 => (0_usize..8, 0_u32..3).prop_map(|(index, weight)| Step::Add(index, weight)),
        1 => (0_usize..8).prop_map(Step::Remove),
        1 => (0_usize..8, 0_u32..3).prop_map(|(index, weight)| Step::Weigh(index, weight)),
    ]
}

proptest! {
    #[test]
    fn as_the_rules_say(steps in prop::collection::vec(step(), 1..120)) {
        let mut live = rr(&[]);
        let mut model = Model { list: vec![None], ..Model::default() };
        for step in steps {
            match step {
                Step::Pick => prop_assert_eq!(live.pick(), model.pick()),
                Step::Add(index, weight) if !model.list.contains(&Some(index)) => {
                    live.apply(add(index, weight));
                    model.list.insert(1, Some(index));
                    model.weights[index] = weight;
                }
                Step::Remove(index) if model.list.contains(&Some(index)) => {
                    live.remove(index);
                    model.remove(index);
                }
                Step::Weigh(index, weight) if model.list.contains(&Some(index)) => {
                    live.weigh(index, weight);
                    model.weights[index] = weight;
                }
                Step::Add(..) | Step::Remove(_) | Step::Weigh(..) => {}
            }
        }
    }
}
