//! `lblc` and `lblcr`.

use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
/// Destinations either scheduler remembers at most, and how many are never thinned out.
const LIMIT: u16 = 24_576;
const SIZE: u16 = 16_384;

fn each(weights: &[u32]) -> [Live; 2] {
    [SchedulerName::Lblc, SchedulerName::Lblcr].map(|name| Live::new(name, weights))
}

#[test]
fn a_destination_keeps_its_server_while_it_can() {
    for mut live in each(&[10, 10]) {
        assert_eq!(live.pick_for(1), Some(1));
        live.load(1, 10, 99);
        assert_eq!(live.pick_for(1), Some(1), "no more active connections than weight");
        assert_eq!(live.pick_for(2), Some(0), "another destination goes where least is");
        live.load(0, 5, 0);
        live.load(1, 1, 0);
        assert_eq!(live.pick_for(1), Some(1), "nobody has room: the other is not below a half");
    }
}

#[test]
fn a_busy_server_loses_a_destination_to_one_with_room() {
    let [mut lblc, mut lblcr] = each(&[10, 10]);
    for live in [&mut lblc, &mut lblcr] {
        assert_eq!(live.pick_for(1), Some(1));
        live.load(1, 11, 0);
        live.load(0, 4, 0);
        assert_eq!(live.pick_for(1), Some(0));
        live.load(0, 8, 0);
    }
    assert_eq!(lblc.pick_for(1), Some(0), "lblc stays with the new one");
    assert_eq!(lblcr.pick_for(1), Some(1), "lblcr takes the least loaded of both");
}

#[test]
fn a_paused_or_removed_server_loses_its_destinations() {
    let after = each(&[1, 1]).map(|mut live| {
        assert_eq!(live.pick_for(1), Some(1));
        live.weigh(1, 0);
        assert_eq!(live.pick_for(1), Some(0));
        live.weigh(1, 1);
        live.remove(0);
        assert_eq!(live.pick_for(1), Some(1));
        live.remove(1);
        assert_eq!(live.pick_for(1), None);
        live.apply(add(0, 1));
        live.apply(add(1, 1));
        live.load(1, 0, 1);
        live.pick_for(1)
    });
    assert_eq!(after, some([1, 0]), "a server that returns has them again, if it has the least");
}

#[test]
fn an_overloaded_server_keeps_them_with_lblc_only() {
    let [mut lblc, mut lblcr] = each(&[1, 1]);
    for live in [&mut lblc, &mut lblcr] {
        live.apply(Command::EditServer { service: WEB, server: server(1, 1, 1) });
        assert_eq!(live.pick_for(1), Some(1));
        live.load(1, 0, 1);
    }
    assert_eq!((lblc.pick_for(1), lblcr.pick_for(1)), (Some(1), Some(0)));
}

/// Whether destination 1 is remembered: the server it goes to first is loaded until another one has
/// less, but is not busy.
fn remembers(live: &mut Live) -> bool {
    let first = live.pick_for(1).expect("a server");
    live.load(first, 0, 1000);
    let again = live.pick_for(1);
    (0..1000).for_each(|_| live.unload(first));
    again == Some(first)
}

#[test]
fn an_idle_destination_is_forgotten_after_a_day() {
    for mut live in each(&[10, 10]) {
        assert!(remembers(&mut live));
        live.load(1, 0, 1);
        live.now = live.now + (DAY - MINUTE);
        assert_eq!(live.pick_for(1), Some(1), "each pick begins the day anew");
        live.now = live.now + (DAY - MINUTE);
        assert_eq!(live.pick_for(1), Some(1));
        live.now = live.now + DAY + 30 * MINUTE;
        assert_eq!(live.pick_for(1), Some(0));
    }
}

#[test]
fn too_many_destinations() {
    for mut live in each(&[10, 10]) {
        for destination in 2..LIMIT + 2 {
            live.pick_for(destination);
        }
        assert!(!remembers(&mut live), "a full cache refuses");
        live.now = live.now + 6 * MINUTE - Duration::from_secs(1);
        assert!(!remembers(&mut live), "nobody was idle for six minutes");
        live.now = live.now + 2 * MINUTE;
        assert!(remembers(&mut live), "idle ones are thinned out");
        live.now = live.now + 60 * MINUTE;
        live.load(1, 0, 50);
        let kept = (2..LIMIT + 2).filter(|&other| live.pick_for(other) == Some(1)).count();
        assert!(kept <= usize::from(SIZE), "{kept} kept their server");
        assert!(kept > usize::from(SIZE) / 2, "{kept}: no more are thinned out than are too many");
    }
}

#[test]
fn a_set_loses_its_most_loaded_server_after_a_day() {
    let mut live = Live::new(SchedulerName::Lblcr, &[10, 10]);
    assert_eq!(live.pick_for(1), Some(1));
    live.load(1, 11, 0);
    assert_eq!(live.pick_for(1), Some(0), "now both are in the set");
    live.load(0, 0, 1);
    for _ in 0..25 {
        live.now = live.now + 60 * MINUTE;
        assert_eq!(live.pick_for(1), Some(0));
    }
    live.load(0, 9, 5000);
    assert_eq!(live.pick_for(1), Some(0), "the other one left, though it now has less");
}

#[test]
fn a_turn_of_the_scheduler_forgets_everything() {
    for mut live in each(&[1, 1]) {
        let name = the_service(&live.configuration).spec.scheduler.expect("one");
        assert_eq!(live.pick_for(1), Some(1));
        live.load(1, 0, 5);
        live.apply(Command::EditService { service: service(name, &[]) });
        assert_eq!(live.pick_for(1), Some(1), "the same scheduler goes on");
        live.apply(Command::EditService { service: service(SchedulerName::Rr, &[]) });
        live.apply(Command::EditService { service: service(name, &[]) });
        assert_eq!(live.pick_for(1), Some(0));
    }
}
