//! Defence against floods, and rates.

use engine::Limits;
use engine::command::{Command, Persistence, Protocol, SchedulerName, SettingsPatch};
use engine::snapshot::ConnectionFilter;
use engine::verdict::{DropReason, Verdict};

use crate::lab::frames::{ACK, RST, SYN, tcp, udp};
use crate::lab::{Lab, VIP, add_server, key, service, settings};

const CLIENT: &str = "203.0.113.9";

fn lab(connections: u32, patch: SettingsPatch) -> Lab {
    let limits = Limits { connections, events: 64, ..Limits::default() };
    let commands: Vec<Command> = [Protocol::Tcp, Protocol::Udp]
        .into_iter()
        .flat_map(|protocol| {
            let key = key(protocol, VIP);
            [
                Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
                add_server(key, "10.0.0.11", 1),
            ]
        })
        .chain([settings(patch)])
        .collect();
    let mut lab = Lab::with_limits(limits, &commands);
    lab.wait_ms(0);
    lab
}

fn states(lab: &Lab) -> Vec<&'static str> {
    let page = lab.engine.connections(&ConnectionFilter::default(), 0, 1 << 20, lab.now);
    page.rows.iter().map(|row| row.state).collect()
}

#[test]
fn drop_entry_ends_what_is_half_open_and_keeps_what_works() {
    let patch = SettingsPatch { drop_entry: Some(3), ..SettingsPatch::default() };
    let mut lab = lab(4096, patch);
    for port in 0..1000 {
        lab.process(&tcp(CLIENT, 20_000 + port, VIP, SYN));
    }
    for port in 0..20 {
        lab.process(&tcp(CLIENT, 10_000 + port, VIP, SYN));
        lab.process(&tcp(CLIENT, 10_000 + port, VIP, ACK));
    }
    // A random 1/32 of the table each second.
    for _ in 0..20 {
        lab.wait_ms(1000);
    }
    let left = states(&lab);
    let half_open = left.iter().filter(|state| **state == "SYN_RECV").count();
    assert!((300..700).contains(&half_open), "{half_open} of 1000 after 20 of 32 looks");
    assert_eq!(left.len() - half_open, 20, "established and not idle for a minute");
    let statistics = lab.engine.statistics();
    assert_eq!(statistics.defence.dropped_entries.0, 1000 - half_open as u64);
    assert!(statistics.defence.drops_entries);
}

/// A persistent service whose connections are always thinned out.
fn persistent_lab() -> Lab {
    let key = key(Protocol::Tcp, VIP);
    let mut spec = service(key, SchedulerName::Rr, &[]);
    spec.persistence = Some(Persistence { timeout_seconds: 300, prefix_length: None });
    let patch = SettingsPatch { drop_entry: Some(3), ..SettingsPatch::default() };
    let limits = Limits { connections: 4096, events: 64, ..Limits::default() };
    let add = Command::AddService { service: spec };
    let mut lab =
        Lab::with_limits(limits, &[add, add_server(key, "10.0.0.11", 1), settings(patch)]);
    lab.wait_ms(0);
    lab
}

#[test]
fn a_template_that_nobody_answered_goes_with_its_connection() {
    let mut lab = persistent_lab();
    for client in 1..=200 {
        lab.process(&tcp(&format!("203.0.113.{client}"), 20_000, VIP, SYN));
    }
    for _ in 0..20 {
        lab.wait_ms(1000);
    }
    let half_open = states(&lab).iter().filter(|state| **state == "SYN_RECV").count();
    assert!((50..150).contains(&half_open), "{half_open} of 200 after 20 of 32 looks");
    assert_eq!(states(&lab).len(), 2 * half_open, "as many templates as connections");
    assert_eq!(lab.engine.statistics().defence.dropped_entries.0, 400 - 2 * half_open as u64);
}

#[test]
fn a_template_that_was_answered_stays() {
    let mut lab = persistent_lab();
    for client in 1..=100 {
        let client = format!("203.0.113.{client}");
        lab.process(&tcp(&client, 20_000, VIP, SYN));
        lab.process(&tcp(&client, 20_000, VIP, ACK));
        // Ended, so that the half-open one is the template's last.
        lab.process(&tcp(&client, 20_000, VIP, RST));
    }
    lab.wait_ms(11_000);
    for client in 1..=100 {
        lab.process(&tcp(&format!("203.0.113.{client}"), 20_001, VIP, SYN));
    }
    for _ in 0..20 {
        lab.wait_ms(1000);
    }
    let half_open = states(&lab).iter().filter(|state| **state == "SYN_RECV").count();
    assert!((20..80).contains(&half_open), "{half_open} of 100 after 20 of 32 looks");
    assert_eq!(states(&lab).len() - half_open, 100, "all templates");
}

#[test]
fn idle_connections_are_thinned_out_by_their_packets() {
    let patch = SettingsPatch { drop_entry: Some(3), ..SettingsPatch::default() };
    let mut lab = lab(4096, patch);
    for port in 0..320 {
        // Two packets each: of such, every other goes.
        lab.process(&udp(CLIENT, 20_000 + port, VIP, b"a"));
        lab.process(&udp(CLIENT, 20_000 + port, VIP, b"b"));
    }
    for _ in 0..59 {
        lab.wait_ms(1000);
    }
    assert_eq!(states(&lab).len(), 320, "none has been idle for a minute");
    for _ in 0..5 {
        lab.wait_ms(1000);
    }
    let gone = 320 - states(&lab).len();
    assert!((10..=30).contains(&gone), "{gone} of 320 in 4 or 5 looks");
}

#[test]
fn drop_packet_takes_one_of_many_that_would_make_connections() {
    let patch =
        SettingsPatch { drop_packet: Some(3), am_droprate: Some(4), ..SettingsPatch::default() };
    let mut lab = lab(4096, patch);
    let mut dropped = Vec::new();
    for port in 0..16_u16 {
        let verdict = lab.process(&tcp(CLIENT, 20_000 + port, VIP, SYN)).verdict;
        if verdict == Verdict::Drop(DropReason::Defence) {
            dropped.push(port);
        }
    }
    assert_eq!(dropped, [0, 4, 8, 12]);
    // Packets of connections are not touched.
    for _ in 0..8 {
        let verdict = lab.process(&tcp(CLIENT, 20_001, VIP, ACK)).verdict;
        assert!(matches!(verdict, Verdict::Forward { .. }));
    }
}

#[test]
fn automatic_defences_act_while_entries_are_short() {
    let patch = SettingsPatch {
        drop_packet: Some(1),
        secure_tcp: Some(2),
        amemthresh: Some(32),
        ..SettingsPatch::default()
    };
    let mut lab = lab(64, patch);
    for port in 0..40 {
        lab.process(&udp(CLIENT, 20_000 + port, VIP, b"x"));
    }
    let before = lab.engine.statistics().defence;
    assert_eq!((before.drop_rate, before.secures_tcp), (0, false));
    lab.wait_ms(1000);
    // 32 / (32 - 24 free).
    let during = lab.engine.statistics().defence;
    assert_eq!((during.drop_rate, during.secures_tcp), (4, true));
    lab.process(&tcp(CLIENT, 30_000, VIP, SYN));
    lab.process(&tcp(CLIENT, 30_001, VIP, SYN));
    assert!(states(&lab).contains(&"SYNACK"), "the table of secure_tcp");
    lab.wait_ms(301_000);
    let after = lab.engine.statistics().defence;
    assert_eq!((after.drop_rate, after.secures_tcp), (0, false));
}

#[test]
fn rates_follow_the_counters_every_two_seconds() {
    let mut lab = lab(64, SettingsPatch::default());
    for _ in 0..3 {
        for _ in 0..200 {
            lab.process(&udp(CLIENT, 20_000, VIP, b"x"));
        }
        lab.wait_ms(2000);
    }
    let statistics = lab.engine.statistics();
    // Worked out in the estimator's own test: 100 a second for three looks.
    assert_eq!(statistics.rates.in_packets.0, 58);
    assert_eq!(statistics.services[1].rates, statistics.rates);
    assert_eq!(statistics.services[1].servers[0].rates, statistics.rates);
    lab.engine.zero(None);
    assert_eq!(lab.engine.statistics().rates.in_packets.0, 0);
}

#[test]
fn rates_stand_still_when_told_to() {
    let patch = SettingsPatch { run_estimation: Some(false), ..SettingsPatch::default() };
    let mut lab = lab(64, patch);
    for _ in 0..200 {
        lab.process(&udp(CLIENT, 20_000, VIP, b"x"));
    }
    lab.wait_ms(10_000);
    assert_eq!(lab.engine.statistics().rates.in_packets.0, 0);
}
