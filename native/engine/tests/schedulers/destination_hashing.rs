//! `dh`.

use super::*;

fn dh(weights: &[u32]) -> Live {
    Live::new(SchedulerName::Dh, weights)
}

#[test]
fn buckets_worked_out_by_hand() {
    // 198.51.100.7 falls into bucket 171, as the address of a client does with `sh`.
    let destination = 100 << 8 | 7;
    let mut live = dh(&[1, 9, 1]);
    assert_eq!(live.pick_for(destination), Some(2), "list 2 1 0, bucket 171 is the first of three");
    live.weigh(0, 0);
    assert_eq!(live.pick_for(destination), Some(2), "weights deal nothing out");
    live.weigh(2, 0);
    assert_eq!(live.pick_for(destination), None, "and there is no fallback");
    live.remove(2);
    assert_eq!(live.pick_for(destination), None, "list 1 0, the second of two, which is paused");
    live.weigh(0, 7);
    assert_eq!(live.pick_for(destination), Some(0));
}

#[test]
fn the_client_does_not_matter() {
    let configuration = pool(SchedulerName::Dh, &[], &[1; 7]);
    let service = the_service(&configuration);
    let mut state = State::new(&service, 0);
    let clients = (0..=255).map(|host| client(&format!("192.0.2.{host}"), 1024 + host));
    let mut picks =
        clients.map(|client| scheduler::schedule(&service, &mut state, &client, Instant::ZERO));
    let first = picks.next().expect("one");
    assert!(first.server.is_some());
    assert!(picks.all(|choice| choice == first));
}

#[test]
fn more_servers_than_buckets() {
    let mut live = dh(&[1; 300]);
    let chosen = (0..=u16::MAX).step_by(251).map(|destination| live.pick_for(destination));
    assert!(chosen.flatten().count() > 0, "the oldest have no bucket, the others serve");
}
