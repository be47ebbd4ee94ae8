//! The connection table from outside: at full size, and without allocating.

use std::net::IpAddr;
use std::time::Duration;

use engine::command::ForwardingMethod;
use engine::connection::{
    Activity, Assignment, ConnectionEvent, ConnectionKey, ConnectionTable, Direction, Expired,
    ReplyKey, Timeouts, UDP,
};
use engine::hop::ServerId;
use engine::time::Instant;

const SECOND: u64 = 1_000_000_000;

fn seconds(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * SECOND)
}

fn udp_client(number: u32) -> ConnectionKey {
    ConnectionKey {
        protocol: UDP,
        client: IpAddr::from((0x0a00_0000 + number / 50_000).to_be_bytes()),
        client_port: u16::try_from(1024 + number % 50_000).unwrap(),
        virtual_address: IpAddr::from([192, 0, 2, 80]),
        virtual_port: 53,
    }
}

fn ipv6_client(number: u32) -> ConnectionKey {
    let [client, virtual_address] = [1, number]
        .map(|host| IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(host)).to_be_bytes()));
    ConnectionKey { client, virtual_address, ..udp_client(number) }
}

fn direct(server: u32) -> Assignment {
    Assignment {
        server: ServerId(server),
        server_port: 53,
        forwarding: ForwardingMethod::DirectRouting,
    }
}

/// Expires everything due, some entries at a time.
fn expire_all(table: &mut ConnectionTable, now: Instant, budget: usize) -> Vec<Expired> {
    let mut all = Vec::new();
    while !table.expire(now, budget, |expired| all.push(*expired)) {
        assert!(table.next_deadline().is_some_and(|deadline| deadline <= now));
    }
    all
}

fn resident_octets() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

const MILLION: u32 = 1_000_000;

fn fill(table: &mut ConnectionTable, now: Instant) {
    for number in 0..MILLION {
        let id = table.create(&udp_client(number), direct(number % 7), now).unwrap();
        let activity =
            table.transition(id, ConnectionEvent::Udp, Direction::Input, &Timeouts::default(), now);
        assert_eq!(activity, Activity::Unchanged);
    }
}

#[test]
fn a_million_connections_come_and_go_in_69_octets_each() {
    let mut table = ConnectionTable::new(MILLION, 1);
    let before = resident_octets();
    fill(&mut table, seconds(1));
    let each = (resident_octets() - before) as f64 / f64::from(MILLION);
    assert!((60.0..72.0).contains(&each), "{each} octets a connection");

    assert!(table.is_full());
    assert!(table.create(&udp_client(MILLION), direct(0), seconds(1)).is_err());
    for number in (0..MILLION).step_by(997) {
        let id = table.lookup(&udp_client(number), seconds(2)).unwrap();
        assert_eq!(table.entry(id).server(), ServerId(number % 7));
    }
    // The wheel visits every entry at 3 seconds and finds it refreshed.
    assert_eq!(expire_all(&mut table, seconds(300), 4096), []);
    assert_eq!(table.len(), MILLION);
    assert_eq!(expire_all(&mut table, seconds(301), 4096).len(), MILLION as usize);
    assert!(table.is_empty());
    assert_eq!(table.next_deadline(), None);

    fill(&mut table, seconds(400));
    assert!(table.is_full());
}

#[test]
fn nothing_is_allocated_after_construction() {
    let timeouts = Timeouts::default();
    let mut table = ConnectionTable::new(1000, 1);
    let mut refused = 0;
    let mut ended = 0;
    let allocations = allocation_counter::measure(|| {
        for round in 0..5000_u32 {
            let now = seconds(u64::from(round));
            let ipv6 = round % 3 == 0;
            let mut key = if ipv6 { ipv6_client(round) } else { udp_client(round) };
            for _ in 0..4 {
                key.virtual_port += 1;
                let Ok(id) = table.create(&key, direct(1), now) else {
                    refused += 1;
                    continue;
                };
                let _ =
                    table.transition(id, ConnectionEvent::Udp, Direction::Input, &timeouts, now);
                let template = ConnectionKey { client_port: 0, ..key };
                if let Ok(template) = table.create_template(&template, ServerId(1), 0, 50, now) {
                    table.attach(id, template, now);
                }
            }
            table.expire(now, 100, |_| ended += 1);
        }
    });
    assert_eq!(allocations.count_total, 0);
    assert!(refused > 100 && ended > 10_000, "{refused} refused, {ended} ended");
}

#[test]
fn a_clock_far_ahead_from_the_start_and_leaps_of_years_are_survived() {
    let year = 365 * 86_400;
    let mut table = ConnectionTable::new(4, 1);
    let mut now = seconds(20 * year);
    for _ in 0..40 {
        let id = table.create(&udp_client(1), direct(1), now).unwrap();
        assert_eq!(table.lookup(&udp_client(1), now), Some(id));
        assert_eq!(table.expires_in(id, now), Duration::from_secs(3));
        assert_eq!(expire_all(&mut table, now, 8), []);
        now = now + Duration::from_secs(2);
        assert_eq!(table.lookup(&udp_client(1), now), Some(id));
        assert_eq!(expire_all(&mut table, now, 8), []);
        now = now + Duration::from_secs(3 * year);
        assert_eq!(table.lookup(&udp_client(1), now), None);
        assert_eq!(expire_all(&mut table, now, 8).len(), 1);
    }
}

fn masqueraded(server: u32) -> Assignment {
    Assignment { server_port: 8080, forwarding: ForwardingMethod::Masquerading, ..direct(server) }
}

const fn reply_to(key: &ConnectionKey) -> ReplyKey {
    let ConnectionKey { protocol, client, client_port, .. } = *key;
    ReplyKey { protocol, client, client_port, server_port: 8080 }
}

#[test]
fn a_full_table_tells_every_reply_from_every_other() {
    let mut table = ConnectionTable::new(100, 1);
    let now = seconds(1);
    let is_server = |server| server == ServerId(1);
    // Every second one of IPv6, whose `ipv6_client` numbers services.
    let client = |number| if number % 2 == 0 { udp_client(number) } else { ipv6_client(number) };
    let keys: Vec<_> = (0..100)
        .zip(2000..)
        .map(|(number, client_port)| ConnectionKey { client_port, ..client(number) })
        .collect();
    assert!(!table.has_masqueraded());
    let ids: Vec<_> =
        keys.iter().map(|key| table.create(key, masqueraded(1), now).unwrap()).collect();
    for (key, id) in keys.iter().zip(&ids) {
        let reply = reply_to(key);
        assert_eq!(table.lookup_reply(&reply, is_server, now), Some(*id));
        let others = [
            ReplyKey { protocol: 6, ..reply },
            ReplyKey { client: [203, 0, 113, 1].into(), ..reply },
            ReplyKey { client_port: reply.client_port + 100, ..reply },
            ReplyKey { server_port: 8081, ..reply },
        ];
        for other in others {
            assert_eq!(table.lookup_reply(&other, is_server, now), None);
        }
        assert_eq!(table.lookup_reply(&reply, |server| server == ServerId(2), now), None);
    }
    // Their time is over before anybody looks for those to remove.
    let late = seconds(4);
    assert!(keys.iter().all(|key| table.lookup_reply(&reply_to(key), is_server, late).is_none()));
    for id in &ids {
        assert!(table.has_masqueraded());
        table.remove(*id);
    }
    assert!(!table.has_masqueraded());
}
