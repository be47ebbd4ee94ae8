//! When a server is overloaded (IPVS 6.1.192 and later).

extern crate std;

use std::thread;

use proptest::prelude::*;

use crate::configuration::ServerLoad;

fn loaded(upper: u32, lower: u32, connections: u32) -> ServerLoad {
    let load = ServerLoad::default();
    load.set_thresholds(upper, lower);
    (0..connections).for_each(|_| load.bind());
    load
}

#[test]
fn full_at_the_upper_threshold_and_usable_again_below_the_lower() {
    let load = loaded(10, 6, 9);
    assert!(!load.overloaded());
    load.bind();
    assert!(load.overloaded());
    (0..4).for_each(|_| load.unbind());
    assert_eq!(load.total(), 6);
    assert!(load.overloaded(), "6 is not below 6");
    load.unbind();
    assert!(!load.overloaded());
}

#[test]
fn without_a_lower_threshold_three_quarters_of_the_upper_count() {
    for (upper, lower) in [(1, 1), (2, 2), (3, 3), (4, 3), (7, 6), (8, 6), (100, 75)] {
        let load = loaded(upper, 0, upper);
        while load.overloaded() {
            load.unbind();
        }
        assert_eq!(load.total(), lower - 1, "upper threshold {upper}");
    }
}

#[test]
fn no_upper_threshold_is_no_limit() {
    assert!(!loaded(0, 0, 1000).overloaded());
}

#[test]
fn an_edit_is_looked_at_at_once() {
    let load = loaded(10, 5, 7);
    load.set_thresholds(7, 5);
    assert!(load.overloaded(), "7 reaches 7");
    load.set_thresholds(20, 7);
    assert!(load.overloaded(), "between the thresholds nothing changes");
    load.set_thresholds(20, 8);
    assert!(!load.overloaded(), "7 is below 8");
    load.set_thresholds(7, 8);
    load.set_thresholds(0, 0);
    assert!(!load.overloaded(), "no limit any more");
}

#[test]
fn inactive_is_what_is_not_active() {
    let load = loaded(0, 0, 3);
    load.activate();
    assert_eq!((load.active(), load.inactive(), load.total()), (1, 2, 3));
    load.deactivate();
    load.bind_template();
    assert_eq!((load.active(), load.inactive(), load.persistent()), (0, 3, 1));
    assert!(!load.is_idle());
    (0..3).for_each(|_| load.unbind());
    assert!(!load.is_idle(), "a template still counts on it");
    load.unbind_template();
    assert!(load.is_idle());
}

#[test]
fn counts_never_wrap() {
    let load = ServerLoad::default();
    load.unbind();
    load.deactivate();
    load.unbind_template();
    assert_eq!((load.total(), load.active(), load.persistent()), (0, 0, 0));
    assert!(!load.overloaded());
}

#[test]
fn engines_count_together() {
    let load = loaded(50, 0, 0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    (0..20).for_each(|_| load.bind());
                    (0..20).for_each(|_| load.unbind());
                }
            });
        }
        scope.spawn(|| (0..2000).for_each(|round| load.set_thresholds(40 + round % 20, 0)));
    });
    assert_eq!(load.total(), 0);
    assert!(!load.overloaded(), "nobody is left to clear it");
}

proptest! {
    #[test]
    fn the_flag_is_a_hysteresis(
        upper in 0_u32..12,
        lower in 0_u32..12,
        steps in proptest::collection::vec(any::<bool>(), 0..200),
    ) {
        let lower = lower.min(upper);
        let load = loaded(upper, lower, 0);
        let usable_below = if lower > 0 { lower } else { upper - upper / 4 };
        let (mut total, mut full) = (0_u32, false);
        for bind in steps {
            if bind {
                load.bind();
                total += 1;
            } else {
                load.unbind();
                total = total.saturating_sub(1);
            }
            full = upper > 0 && (total >= upper || (full && total >= usable_below));
            prop_assert_eq!((load.total(), load.overloaded()), (total, full));
        }
    }
}
