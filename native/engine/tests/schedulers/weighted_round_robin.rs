//! `wrr`.

use proptest::prelude::*;

use super::*;

fn wrr(weights: &[u32]) -> Live {
    Live::new(SchedulerName::Wrr, weights)
}

fn letters(live: &mut Live, count: usize) -> String {
    let letter = |index| char::from(b'A' + u8::try_from(index).expect("few servers"));
    (0..count).map(|_| live.pick().map_or('-', letter)).collect()
}

#[test]
fn rounds_worked_out_by_hand() {
    assert_eq!(letters(&mut wrr(&[1, 2, 4]), 14), "CBACCCBCBACCCB");
    assert_eq!(letters(&mut wrr(&[100, 200, 300]), 12), "CBACCBCBACCB");
    assert_eq!(letters(&mut wrr(&[5, 1, 1]), 14), "CBAAAAACBAAAAA");
}

#[test]
fn commands_at_once_count_one_by_one() {
    let commands = [add(0, 1), add(1, 2), add(2, 4)];
    let mut at_once = wrr(&[]);
    at_once.apply_all(&commands);
    let mut one_by_one = wrr(&[]);
    commands.into_iter().for_each(|command| one_by_one.apply(command));
    assert_eq!(letters(&mut at_once, 14), letters(&mut one_by_one, 14));
}

#[test]
fn nobody_with_a_weight_is_nobody_at_all() {
    let mut live = wrr(&[0, 0]);
    assert_eq!(live.pick(), None);
    live.weigh(1, 3);
    assert_eq!(live.picks(), some([1, 1]));
}

#[test]
fn an_edit_of_the_service_alone_does_not_begin_anew() {
    let mut live = wrr(&[1, 1, 1]);
    assert_eq!(live.picks(), some([2, 1]));
    live.apply(Command::EditService { service: service(SchedulerName::Wrr, &[]) });
    assert_eq!(live.pick(), Some(0));
    live.weigh(0, 1);
    assert_eq!(live.pick(), Some(2), "but every edit of a server does");
}

#[test]
fn extreme_weights_take_no_time() {
    let mut live = wrr(&[1, 2_147_483_647]);
    live.apply(Command::EditServer { service: WEB, server: server(1, 2_147_483_647, 1) });
    assert_eq!(live.pick(), Some(1));
    live.load(1, 0, 1);
    assert_eq!(live.picks(), some([0, 0, 0]), "two thousand million levels are skipped");
}

/// Each of so many picks, by server.
fn shares(live: &mut Live, picks: u32, servers: usize) -> Vec<u32> {
    let mut shares = vec![0; servers];
    for _ in 0..picks {
        shares[live.pick().expect("a server")] += 1;
    }
    shares
}

/// The rules as they are told: a list walked round and round while the level falls, step by step.
#[derive(Default)]
struct Model {
    /// Servers, newest first, and the weight of each.
    list: Vec<(usize, u32)>,
    full: [bool; 6],
    level: i64,
    top: i64,
    step: i64,
    /// The last pick's place in the list, from 1; 0 before the first.
    last: usize,
}

impl Model {
    fn changed(&mut self) {
        let weights = || self.list.iter().map(|&(_, weight)| i64::from(weight));
        let divides = |by: &i64| weights().all(|weight| weight % by == 0);
        let heaviest = weights().max().unwrap_or(0);
        self.step = (1..=heaviest).rev().find(divides).unwrap_or(1);
        self.top = heaviest - (self.step - 1);
        self.last = 0;
        if self.level > self.top || self.level == 0 {
            self.level = self.top;
        } else if self.step > 1 {
            self.level = self.level / self.step * self.step + 1;
        }
    }

    fn pick(&mut self) -> Option<usize> {
        if self.top == 0 {
            return None;
        }
        let begun = (self.last, self.level);
        let from_within = self.last > 0 && self.level <= self.step;
        let mut tested = 0;
        let mut at = self.last;
        loop {
            while at < self.list.len() {
                at += 1;
                let (server, weight) = self.list[at - 1];
                if !self.full[server] && i64::from(weight) >= self.level {
                    self.last = at;
                    return Some(server);
                }
                tested += usize::from(self.level <= self.step);
                if tested == self.list.len() && from_within {
                    (self.last, self.level) = begun;
                    return None;
                }
            }
            at = 0;
            self.level -= self.step;
            if self.level <= 0 {
                self.level = self.top;
                if tested == self.list.len() {
                    self.last = 0;
                    return None;
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Pick,
    Add(usize, u32),
    Remove(usize),
    Weigh(usize, u32),
    Fill(usize),
}

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..6, (0_u32..5).prop_map(|weight| weight * 10)]
}

fn step() -> impl Strategy<Value = Step> {
    let server = || 0_usize..6;
    prop_oneof![
        8 => Just(Step::Pick),
        2 => (server(), weight()).prop_map(|(index, weight)| Step::Add(index, weight)),
        1 => server().prop_map(Step::Remove),
        1 => (server(), weight()).prop_map(|(index, weight)| Step::Weigh(index, weight)),
        2 => server().prop_map(Step::Fill),
    ]
}

proptest! {
    #[test]
    fn as_the_rules_say(steps in prop::collection::vec(step(), 1..150)) {
        let mut live = wrr(&[]);
        let mut model = Model::default();
        for step in steps {
            let at = |index| model.list.iter().position(|&(server, _)| server == index);
            match step {
                Step::Pick => prop_assert_eq!(live.pick(), model.pick()),
                Step::Add(index, weight) if at(index).is_none() => {
                    // With a limit of one, a connection more or less fills and empties a server.
                    let server = server(index, weight, 1);
                    live.apply(Command::AddServer { service: WEB, server });
                    model.list.insert(0, (index, weight));
                    model.changed();
                }
                Step::Remove(index) => if let Some(at) = at(index) {
                    if model.full[index] {
                        live.unload(index);
                        model.full[index] = false;
                    }
                    live.remove(index);
                    model.list.remove(at);
                    model.changed();
                },
                Step::Weigh(index, weight) => if let Some(at) = at(index) {
                    live.weigh(index, weight);
                    model.list[at].1 = weight;
                    model.changed();
                },
                Step::Fill(index) if at(index).is_some() => {
                    model.full[index] = !model.full[index];
                    if model.full[index] { live.load(index, 0, 1) } else { live.unload(index) }
                }
                Step::Add(..) | Step::Fill(_) => {}
            }
        }
    }

    #[test]
    fn shares_are_as_the_weights(weights in prop::collection::vec(0_u32..20, 1..6)) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let mut live = wrr(&weights);
        // A round that changes began in the middle ends first.
        let sum = weights.iter().sum();
        let settle = shares(&mut live, sum, weights.len());
        prop_assert_eq!(settle.iter().sum::<u32>(), sum);
        let divisor = (1..20).rev().find(|by| weights.iter().all(|it| it % by == 0));
        let round = sum / divisor.expect("1");
        let twice = shares(&mut live, 2 * round, weights.len());
        let expected: Vec<u32> = weights.iter().map(|it| 2 * it * round / sum).collect();
        prop_assert_eq!(twice, expected);
    }
}
