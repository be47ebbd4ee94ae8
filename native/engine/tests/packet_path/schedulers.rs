//! Schedulers in the packet path: what they need of a packet, of the load and of the table.

use std::collections::BTreeMap;

use engine::Limits;
use engine::command::{
    Command, Family, MarkMatch, Protocol, SchedulerName, ServiceKey, SettingsPatch,
};
use engine::frame::{FrameMeta, Outputs};
use engine::hop::ServerId;
use engine::verdict::{DropReason, Verdict};

use crate::lab::frames::{ACK, FIN, RST, SYN, icmp_error, tcp};
use crate::lab::{CLIENT_SIDE, Lab, VIP, add_server, address, key, server, service, settings};

const CLIENT: &str = "203.0.113.9";
const MARK: ServiceKey = ServiceKey::Mark { mark: 7, family: Family::Ipv4 };
const ALL: [SchedulerName; 14] = [
    SchedulerName::Rr,
    SchedulerName::Wrr,
    SchedulerName::Lc,
    SchedulerName::Wlc,
    SchedulerName::Lblc,
    SchedulerName::Lblcr,
    SchedulerName::Dh,
    SchedulerName::Sh,
    SchedulerName::Sed,
    SchedulerName::Nq,
    SchedulerName::Mh,
    SchedulerName::Fo,
    SchedulerName::Ovf,
    SchedulerName::Twos,
];

fn pool(key: ServiceKey, scheduler: SchedulerName, weights: &[u32]) -> Vec<Command> {
    let mut commands = vec![Command::AddService { service: service(key, scheduler, &[]) }];
    commands.extend(
        weights
            .iter()
            .enumerate()
            .map(|(index, &weight)| add_server(key, &format!("10.0.0.{}", index + 1), weight)),
    );
    commands
}

/// A service by mark that takes all of 198.51.100.0/24.
fn marked(scheduler: SchedulerName, weights: &[u32]) -> Vec<Command> {
    let network = MarkMatch {
        protocol: None,
        address: address("198.51.100.0"),
        prefix_length: Some(24),
        ports: None,
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface: None,
        vlan: None,
    };
    let mut commands = vec![Command::DefineMark { mark: 7, matches: vec![network] }];
    commands.extend(pool(MARK, scheduler, weights));
    commands
}

#[test]
fn no_scheduler_allocates_for_a_new_connection() {
    for scheduler in ALL {
        let limits = Limits { connections: 512, events: 16, ..Limits::default() };
        let mut lab = Lab::with_limits(limits, &marked(scheduler, &[1, 20, 3]));
        let mut frames: Vec<_> = (1..=200_u16)
            .map(|host| tcp(CLIENT, 1024 + host, &format!("198.51.100.{}", host % 100), SYN))
            .collect();
        let mut outputs = Outputs::with_capacity(1 << 16, 64);
        let meta = FrameMeta::plain(CLIENT_SIDE);
        let mut forwarded = 0;
        let allocations = allocation_counter::measure(|| {
            for frame in &mut frames {
                let verdict = lab.engine.process(frame, &meta, lab.now, &lab.ways, &mut outputs);
                forwarded += u32::from(matches!(verdict, Verdict::Forward { .. }));
                outputs.clear();
            }
        });
        assert_eq!((forwarded > 20, allocations.count_total), (true, 0), "{scheduler:?}");
    }
}

#[test]
fn connections_are_counted_where_schedulers_look() {
    for (scheduler, expected) in [
        (SchedulerName::Wlc, [10, 20, 30]),
        (SchedulerName::Lc, [20, 20, 20]),
        (SchedulerName::Sed, [10, 20, 30]),
        (SchedulerName::Wrr, [10, 20, 30]),
        (SchedulerName::Fo, [0, 0, 60]),
    ] {
        let web = key(Protocol::Tcp, VIP);
        let mut lab = Lab::new(&pool(web, scheduler, &[10, 20, 30]));
        let mut shares = BTreeMap::new();
        for port in 1024..1084 {
            let server = server(&lab.process(&tcp(CLIENT, port, VIP, SYN)));
            lab.process(&tcp(CLIENT, port, VIP, ACK));
            *shares.entry(server).or_insert(0) += 1;
        }
        let share = |server| shares.get(&ServerId(server)).copied().unwrap_or(0);
        assert_eq!([share(0), share(1), share(2)], expected, "{scheduler:?}");
    }
}

#[test]
fn only_hashing_schedulers_place_in_a_full_table() {
    for scheduler in ALL {
        let limits = Limits { connections: 1, events: 4, ..Limits::default() };
        let web = key(Protocol::Tcp, VIP);
        let mut lab = Lab::with_limits(limits, &pool(web, scheduler, &[1, 1]));
        lab.process(&tcp(CLIENT, 1, VIP, SYN));
        let verdict = lab.process(&tcp(CLIENT, 2, VIP, SYN)).verdict;
        let hashes = matches!(scheduler, SchedulerName::Sh | SchedulerName::Mh | SchedulerName::Dh);
        assert_eq!(verdict == Verdict::Drop(DropReason::TableFull), !hashes, "{scheduler:?}");
    }
}

#[test]
fn lblc_and_dh_look_at_the_virtual_address() {
    for scheduler in [SchedulerName::Lblc, SchedulerName::Lblcr, SchedulerName::Dh] {
        let mut lab = Lab::with_limits(
            Limits { connections: 1024, events: 4, ..Limits::default() },
            &marked(scheduler, &[100, 100, 100]),
        );
        let mut used = BTreeMap::new();
        for round in 0..5 {
            for host in 1..40 {
                let vip = format!("198.51.100.{host}");
                let client = format!("203.0.113.{}", host + round);
                let chosen = server(&lab.process(&tcp(&client, 1024 + round, &vip, SYN)));
                assert_eq!(*used.entry(host).or_insert(chosen), chosen, "{scheduler:?}");
            }
        }
        let servers: std::collections::BTreeSet<_> = used.values().collect();
        assert_eq!(servers.len(), 3, "{scheduler:?} uses all of them");
    }
}

/// IPVS: `dh` looks at the destination of the packet that an ICMP error quotes, which is the client.
#[test]
fn dh_does_not_turn_a_quoted_packet_around() {
    let web = key(Protocol::Tcp, VIP);
    let mut commands = pool(web, SchedulerName::Dh, &[1; 7]);
    commands
        .push(settings(SettingsPatch { schedule_icmp: Some(true), ..SettingsPatch::default() }));
    let mut lab = Lab::new(&commands);
    let by_address = server(&lab.process(&tcp(CLIENT, 1024, VIP, SYN)));
    let by_icmp: std::collections::BTreeSet<_> = (1..30)
        .map(|host| {
            let client = format!("203.0.113.{host}");
            server(&lab.process(&icmp_error("192.0.2.254", VIP, &client, 5000)))
        })
        .collect();
    assert!(by_icmp.len() > 3, "{by_icmp:?} of clients, {by_address:?} of the address");
}

/// IPVS: a connection that makes room for a new one counts until that one is scheduled.
#[test]
fn what_gives_way_still_counts_for_its_successor() {
    let web = key(Protocol::Tcp, VIP);
    let mut lab = Lab::new(&pool(web, SchedulerName::Lc, &[1, 1]));
    let mut place = |port, flags| server(&lab.process(&tcp(CLIENT, port, VIP, flags)));
    let servers = [1, 2, 3].map(|port| place(port, SYN));
    assert_eq!(servers, [1, 0, 1].map(ServerId));
    for port in 1..=3 {
        for flags in [ACK, FIN | ACK, RST] {
            place(port, flags);
        }
    }
    assert_eq!(place(3, SYN), ServerId(0), "two of the past are more than one");
    let total = |lab: &Lab| -> Vec<u32> {
        let servers = lab.engine.statistics().services.remove(0).servers;
        servers.iter().map(|it| it.active_connections + it.inactive_connections).collect()
    };
    assert_eq!(total(&lab), [1, 2], "then it is gone");
}
