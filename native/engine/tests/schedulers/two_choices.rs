//! `twos`.

use super::*;

fn picks(weights: &[u32], seed: u64) -> [Option<usize>; 64] {
    Live::seeded(SchedulerName::Twos, weights, seed).picks()
}

#[test]
fn equal_seeds_choose_alike() {
    assert_eq!(picks(&[1, 2, 3], 7), picks(&[1, 2, 3], 7));
    assert_ne!(picks(&[1, 2, 3], 7), picks(&[1, 2, 3], 8));
}

#[test]
fn only_usable_servers_and_each_of_them() {
    let picks = picks(&[1, 0, 3], 1);
    assert!(picks.contains(&Some(0)) && picks.contains(&Some(2)));
    assert!(!picks.contains(&Some(1)) && !picks.contains(&None));
    assert_eq!(self::picks(&[0, 0], 1), [None; 64]);
}

#[test]
fn of_two_the_less_loaded_for_its_weight() {
    let share = |loaded: u32| {
        let mut live = Live::new(SchedulerName::Twos, &[1, 1]);
        live.load(0, loaded, 0);
        let picks: [Option<usize>; 1000] = live.picks();
        picks.iter().filter(|&&server| server == Some(0)).count()
    };
    // With loads alike the first draw holds: a half. With more, both draws must name it: a quarter.
    // The list's head is drawn a little more often.
    assert!((300..500).contains(&share(0)), "{}", share(0));
    assert!((80..250).contains(&share(5)), "{}", share(5));
}

#[test]
fn weights_are_the_odds_of_a_draw() {
    let mut live = Live::new(SchedulerName::Twos, &[900, 100]);
    let picks: [Option<usize>; 1000] = live.picks();
    let heavy = picks.iter().filter(|&&server| server == Some(0)).count();
    assert!((850..950).contains(&heavy), "{heavy}");
}
