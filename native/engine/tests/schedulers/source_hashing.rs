//! `sh`.

use proptest::prelude::*;

use super::*;

#[test]
fn worked_example() {
    const A: Option<usize> = Some(0);
    const B: Option<usize> = Some(1);
    let rows = [
        // client, port: bucket, choice, with fallback; with sh-port: bucket, choice, fallback
        ("192.0.2.1", 40_000, 50, B, B, 214, B, B),
        ("192.0.2.2", 40_000, 148, None, B, 56, None, B),
        ("198.51.100.7", 51_515, 171, A, A, 165, B, B),
        ("203.0.113.99", 1024, 160, None, B, 194, B, B),
        ("2001:db8::1", 65_535, 63, A, A, 99, A, A),
    ];
    let weights = [1, 2, 0];
    let with = |flags: &[SchedulerFlag]| pool(SchedulerName::Sh, flags, &weights);
    let (plain, fallback) = (with(&[]), with(&[SchedulerFlag::ShFallback]));
    let (port, both) = (with(&[SchedulerFlag::ShPort]), with(&BOTH));
    let bucket = |configuration: &Configuration, client: &HashKey| {
        let service = the_service(configuration);
        scheduler::explain(&service, &State::new(&service, 0), client, Instant::ZERO).bucket
    };
    for (address, source, home, choice, moved, port_home, port_choice, port_moved) in rows {
        let client = client(address, source);
        assert_eq!(bucket(&plain, &client), Some(home), "{address}");
        assert_eq!(sh(&plain, &client), choice, "{address}");
        assert_eq!(sh(&fallback, &client), moved, "{address}");
        assert_eq!(bucket(&port, &client), Some(port_home), "{address}");
        assert_eq!(sh(&port, &client), port_choice, "{address}");
        assert_eq!(sh(&both, &client), port_moved, "{address}");
    }
}

#[test]
fn an_explanation_walks_the_same_way() {
    let configuration = pool(SchedulerName::Sh, &[SchedulerFlag::ShFallback], &[1, 2, 0]);
    let service = the_service(&configuration);
    let client = client("192.0.2.2", 40_000);
    let told = scheduler::explain(&service, &State::new(&service, 0), &client, Instant::ZERO);
    assert_eq!((told.scheduler, told.table_size), ("sh", Some(256)));
    assert_eq!(told.first_choice.expect("a server of weight 0").address, key(2).address);
    assert_eq!(told.probes, [40, 41]);
    assert!(told.moved_by_fallback);
    assert_eq!(told.server.expect("a server").address, key(1).address);
}

#[test]
fn without_the_flag_the_port_says_nothing() {
    let configuration = pool(SchedulerName::Sh, &[], &[1, 1, 1]);
    let home = sh(&configuration, &client("192.0.2.1", 1));
    assert!((2..5000).all(|port| sh(&configuration, &client("192.0.2.1", port)) == home));
}

#[test]
fn an_empty_list_refuses() {
    let configuration = pool(SchedulerName::Sh, &BOTH, &[]);
    assert_eq!(sh(&configuration, &client("192.0.2.1", 1)), None);
}

#[test]
fn fallback_refuses_when_nobody_is_usable() {
    let configuration = pool(SchedulerName::Sh, &BOTH, &[0, 0, 0]);
    let service = the_service(&configuration);
    let client = client("192.0.2.1", 1);
    let choice =
        scheduler::schedule(&service, &mut State::new(&service, 0), &client, Instant::ZERO);
    assert_eq!(choice, Choice::default());
    let told = scheduler::explain(&service, &State::new(&service, 0), &client, Instant::ZERO);
    assert_eq!(told.probes.len(), 256, "a full turn of the table");
}

#[test]
fn an_overloaded_server_counts_as_unavailable() {
    let plain = pool(SchedulerName::Sh, &[], &[1, 1]);
    let limit = Command::EditServer { service: WEB, server: server(1, 1, 1) };
    let plain = plain.apply(&[limit]).expect("a good command");
    let edit =
        Command::EditService { service: service(SchedulerName::Sh, &[SchedulerFlag::ShFallback]) };
    let fallback = plain.apply(&[edit]).expect("a good command");
    let mine = (0..=255)
        .map(|host| client(&format!("192.0.2.{host}"), 1))
        .find(|client| sh(&plain, client) == Some(1))
        .expect("half of them");
    the_service(&plain).servers[0].load.bind();
    assert_eq!(sh(&plain, &mine), None);
    assert_eq!(sh(&fallback, &mine), Some(0));
    the_service(&plain).servers[0].load.unbind();
    assert_eq!(sh(&plain, &mine), Some(1));
}

/// A model after the text of the rules: lists of names, no arithmetic shared with the code.
struct Model {
    table: Vec<Option<usize>>,
}

impl Model {
    fn new(weights: &[u32]) -> Self {
        let newest_first: Vec<usize> = (0..weights.len()).rev().collect();
        let mut table = Vec::new();
        while table.len() < 256 && !newest_first.is_empty() {
            for &index in &newest_first {
                let share = weights[index].clamp(1, 256);
                table.extend((0..share).map(|_| Some(index)));
            }
        }
        table.resize(256, None);
        Self { table }
    }

    fn bucket(address: IpAddr, port: u16, offset: u64) -> usize {
        let folded = match address {
            IpAddr::V4(address) => u64::from(u32::from(address)),
            IpAddr::V6(address) => {
                let groups = address.segments().map(u64::from);
                (0..8).step_by(2).fold(0, |all, at| all ^ (groups[at] << 16 | groups[at + 1]))
            }
        };
        let sum = (folded + u64::from(port)) % (1 << 32);
        let product = u128::from(sum) * 1_640_531_527 % (1 << 32);
        let bucket = (u128::from(offset) + product / (1 << 24)) % 256;
        usize::try_from(bucket).expect("below 256")
    }

    fn choose(&self, weights: &[u32], fallback: bool, client: &HashKey) -> Option<usize> {
        let home = Self::bucket(client.address, client.port, 0);
        let first = self.table[home]?;
        if weights[first] > 0 {
            return Some(first);
        }
        for offset in 0..if fallback { 256 } else { 0 } {
            let retry = (offset + home) % 256;
            let again = u64::try_from(retry).expect("below 256");
            let server = self.table[Self::bucket(client.address, client.port, again)]?;
            if weights[server] > 0 {
                return Some(server);
            }
        }
        None
    }
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let weight = prop_oneof![
        3 => 0_u32..5,
        1 => Just(0),
        1 => 5_u32..300,
        1 => Just(2_147_483_647),
    ];
    prop_oneof![
        4 => prop::collection::vec(weight.clone(), 0..12),
        1 => prop::collection::vec(weight, 200..320),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn as_the_rules_say(
        weights in weights(),
        fallback: bool,
        port: bool,
        clients in prop::collection::vec((address(), any::<u16>()), 1..60),
    ) {
        let flags: Vec<_> = BOTH.into_iter().zip([fallback, port])
            .filter_map(|(flag, wanted)| wanted.then_some(flag))
            .collect();
        let configuration = pool(SchedulerName::Sh, &flags, &weights);
        let model = Model::new(&weights);
        for (address, source) in clients {
            let seen = key_of(address, if port { source } else { 0 });
            let expected = model.choose(&weights, fallback, &seen);
            let chosen = sh(&configuration, &key_of(address, source));
            prop_assert_eq!(chosen, expected, "{}:{}", address, source);
        }
    }
}
