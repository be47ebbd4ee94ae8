//! Equal where connections go alike, different where they do not.

use alloc::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::configuration::{Families, version};

fn digest(commands: &[Command]) -> u64 {
    configured(commands).version().digest
}

fn base() -> Vec<Command> {
    vec![add_service(web()), add(web(), "10.0.0.1"), add(web(), "10.0.0.2")]
}

#[test]
fn history_leaves_no_trace() {
    let other = tcp("192.0.2.81", 80);
    let matches = |first: u16| MarkMatch {
        protocol: None,
        address: ip("192.0.2.5"),
        prefix_length: Some(24),
        ports: Some((first, 99)),
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface: None,
        vlan: None,
    };
    let straight = digest(&[
        add_service(web()),
        add(web(), "10.0.0.1"),
        add(web(), "10.0.0.2"),
        add_service(other),
        Command::DefineMark { mark: 1, matches: vec![matches(1), matches(2)] },
    ]);
    let winding = configured(&[
        Command::DefineMark { mark: 1, matches: vec![matches(2), matches(1)] },
        Command::DefineMark { mark: 2, matches: vec![matches(2)] },
        add_service(mark(4)),
        add_service(other),
        add_service(web()),
        add(web(), "10.0.0.2"),
        add(web(), "10.0.0.1"),
        Command::SetWeight { service: web(), server: key("10.0.0.1"), weight: 9 },
    ])
    .apply(&[
        remove(web(), "10.0.0.2"),
        add(web(), "10.0.0.2"),
        Command::SetWeight { service: web(), server: key("10.0.0.1"), weight: 1 },
        Command::RemoveService { service: mark(4) },
        Command::DefineMark { mark: 2, matches: vec![] },
    ]);
    assert_eq!(straight, winding.expect("good commands").version().digest);
}

#[test]
fn defaults_count_as_what_they_mean() {
    let full = Persistence { timeout_seconds: 60, prefix_length: Some(32) };
    let said = ServiceSpec { persistence: Some(full), sloppy: Some(false), ..spec(web()) };
    assert_eq!(
        digest(&[Command::AddService { service: said }]),
        digest(&[Command::AddService { service: persistent(web(), 60) }]),
    );
}

#[test]
fn persistence_counts_with_the_length_of_its_network() {
    let with = |prefix_length| {
        let persistence = Persistence { timeout_seconds: 60, prefix_length };
        let service = ServiceSpec { persistence: Some(persistence), ..spec(web()) };
        digest(&[Command::AddService { service }])
    };
    let all = with(Some(0));
    assert_ne!(all, with(None));
    assert_ne!(all, with(Some(1)));
    assert_ne!(all, digest(&[Command::AddService { service: spec(web()) }]));
}

#[test]
fn timeouts_do_not_count() {
    let mut later = base();
    let patch = SettingsPatch {
        tcp_timeout_seconds: Some(1),
        icmp_errors_per_second: Some(1),
        ..SettingsPatch::default()
    };
    later.push(Command::Settings { settings: patch });
    assert_eq!(digest(&base()), digest(&later));
}

#[test]
fn everything_that_places_counts() {
    let edit = |change: fn(&mut ServiceSpec)| {
        let mut service = spec(web());
        change(&mut service);
        Command::EditService { service }
    };
    let edit_server = |change: fn(&mut ServerSpec)| {
        let mut server = server("10.0.0.1");
        change(&mut server);
        Command::EditServer { service: web(), server }
    };
    let set = |change: fn(&mut SettingsPatch)| {
        let mut settings = SettingsPatch::default();
        change(&mut settings);
        Command::Settings { settings }
    };
    let condition = MarkMatch {
        protocol: None,
        address: ip("192.0.2.5"),
        prefix_length: None,
        ports: None,
        source: None,
        source_prefix_length: None,
        source_ports: None,
        interface: None,
        vlan: None,
    };
    let variants: Vec<Vec<Command>> = vec![
        vec![],
        vec![Command::Clear],
        vec![remove(web(), "10.0.0.1")],
        vec![remove(web(), "10.0.0.1"), add(web(), "10.0.0.1")],
        vec![add(web(), "10.0.0.3")],
        vec![add_service(mark(1))],
        vec![add_service(ServiceKey::Mark { mark: 1, family: Family::Ipv6 })],
        vec![add_service(udp("192.0.2.80", 80))],
        vec![edit(|it| it.scheduler = None)],
        vec![edit(|it| it.scheduler = Some(SchedulerName::Rr))],
        vec![edit(|it| it.flags = vec![SchedulerFlag::ShPort])],
        vec![edit(|it| it.flags = vec![SchedulerFlag::ShFallback])],
        vec![edit(|it| it.sloppy = Some(true))],
        vec![edit(|it| *it = persistent(web(), 60))],
        vec![edit(|it| *it = persistent(web(), 61))],
        vec![edit(|it| {
            *it = persistent(web(), 60);
            it.persistence_engine = Some(PersistenceEngine::Sip);
        })],
        vec![edit_server(|it| it.weight = 2)],
        vec![edit_server(|it| it.upper_threshold = 2)],
        vec![edit_server(|it| (it.upper_threshold, it.lower_threshold) = (2, 1))],
        vec![set(|it| it.schedule_icmp = Some(true))],
        vec![set(|it| it.expire_nodest_conn = Some(true))],
        vec![set(|it| it.expire_quiescent_template = Some(true))],
        vec![set(|it| it.conn_reuse_mode = Some(0))],
        vec![Command::DefineMark { mark: 1, matches: vec![condition.clone()] }],
        vec![Command::DefineMark { mark: 2, matches: vec![condition] }],
    ];
    let digests: BTreeSet<u64> = variants
        .iter()
        .map(|variant| digest(&[base().as_slice(), variant.as_slice()].concat()))
        .collect();
    assert_eq!(digests.len(), variants.len());
}

#[test]
fn global_sloppiness_counts_where_a_service_says_nothing() {
    let sloppy = Some(true);
    let set = SettingsPatch { sloppy_tcp: sloppy, ..SettingsPatch::default() };
    let edit = Command::EditService { service: ServiceSpec { sloppy, ..spec(web()) } };
    let with = |more: Command| digest(&[base(), vec![more]].concat());
    assert_eq!(with(Command::Settings { settings: set }), with(edit));
    let other = SettingsPatch { sloppy_sctp: sloppy, ..SettingsPatch::default() };
    assert_eq!(with(Command::Settings { settings: other }), digest(&base()), "it is no SCTP");
}

#[test]
fn it_is_the_same_on_every_machine_and_in_every_release() {
    // Directors compare digests: one that changes needs another format number.
    assert_eq!(alloc::format!("{:016x}", digest(&base())), "24283edeb9087dab");
}

/// One of many changes of a few services and servers, good or bad.
fn any_change() -> impl Strategy<Value = Command> {
    let keys = || prop::sample::select(vec![web(), tcp("192.0.2.81", 80), tcp("2001:db8::80", 80)]);
    let servers = || prop::sample::select(vec!["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    let tunnelled = |address| ServerSpec {
        forwarding: ForwardingMethod::Tunnelling,
        tunnel: None,
        ..server(address)
    };
    prop_oneof![
        keys().prop_map(add_service),
        keys().prop_map(|service| Command::RemoveService { service }),
        (keys(), servers()).prop_map(|(service, address)| add(service, address)),
        (keys(), servers()).prop_map(move |(service, address)| {
            Command::AddServer { service, server: tunnelled(address) }
        }),
        (keys(), servers()).prop_map(|(service, address)| remove(service, address)),
        (keys(), servers(), 0..3_u32).prop_map(|(service, address, weight)| {
            Command::SetWeight { service, server: key(address), weight }
        }),
        any::<bool>().prop_map(|sloppy| Command::Settings {
            settings: SettingsPatch { sloppy_tcp: Some(sloppy), ..SettingsPatch::default() },
        }),
        Just(Command::Clear),
    ]
}

proptest! {
    /// What is derived from a change alone is what the whole would have given.
    #[test]
    fn what_follows_step_by_step_follows_from_the_whole(
        changes in prop::collection::vec(any_change(), 0..60),
    ) {
        let mut now = Configuration::default();
        for change in changes {
            let Ok(next) = now.apply(core::slice::from_ref(&change)) else { continue };
            now = next;
        }
        let all = now.services().map(|service| version::in_context(&now, service));
        prop_assert_eq!(now.digest_of_services, all.fold(0, u64::wrapping_add));
        let mut families = Families::default();
        now.services().for_each(|service| families.enter(service));
        prop_assert_eq!(now.families, families);
    }
}
