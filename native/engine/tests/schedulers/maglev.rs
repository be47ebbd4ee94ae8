//! `mh`.

use engine::scheduler::{MH_SERVERS_MAX, Placement};
use proptest::prelude::*;

use super::*;

const MH_BOTH: [SchedulerFlag; 2] = [SchedulerFlag::MhFallback, SchedulerFlag::MhPort];

fn mh(flags: &[SchedulerFlag], weights: &[u32]) -> Configuration {
    pool(SchedulerName::Mh, flags, weights)
}

/// Which server each bucket names, by the number it was added under.
fn buckets(configuration: &Configuration) -> Vec<Option<usize>> {
    let service = the_service(configuration);
    let Placement::Mh(table) = &service.placement else { panic!("not mh") };
    let numbered = |index: &u16| number(&service, Some(usize::from(*index)).into());
    let owner = |index: &u16| (*index != u16::MAX).then(|| numbered(index)).flatten();
    table.buckets().iter().map(owner).collect()
}

fn share(configuration: &Configuration, server: usize) -> usize {
    buckets(configuration).iter().filter(|&&it| it == Some(server)).count()
}

fn choose(configuration: &Configuration, client: &HashKey) -> Option<usize> {
    let service = the_service(configuration);
    let choice = scheduler::schedule(&service, &mut State::Stateless, client, Instant::ZERO);
    number(&service, choice)
}

fn explain(
    configuration: &Configuration,
    client: &HashKey,
) -> engine::snapshot::ScheduleExplanation {
    scheduler::explain(&the_service(configuration), &State::Stateless, client, Instant::ZERO)
}

#[test]
fn the_table_worked_out_by_hand() {
    let configuration = mh(&[], &[1, 2, 1]);
    let letters: String =
        buckets(&configuration).iter().map(|it| ['A', 'B', 'C'][it.expect("a server")]).collect();
    assert_eq!(&letters[..16], "BBBBAAAACBAAAABB");
    assert_eq!([0, 1, 2].map(|it| share(&configuration, it)), [1023, 2046, 1024]);
    let hundreds = mh(&[], &[100, 300, 0]);
    assert_eq!([0, 1, 2].map(|it| share(&hundreds, it)), [1023, 3070, 0]);
}

#[test]
fn clients_worked_out_by_hand() {
    let weights = [1, 2, 1];
    let (plain, port) = (mh(&[], &weights), mh(&[SchedulerFlag::MhPort], &weights));
    let pause = Command::SetWeight { service: WEB, server: key(1), weight: 0 };
    let paused = port.apply(std::slice::from_ref(&pause)).expect("a good command");
    let fallback = mh(&MH_BOTH, &weights).apply(&[pause]).expect("a good command");
    for (address, source, hash, bucket, server, ports, rest) in [
        // client, port: hash, bucket, server; with mh-port: hash, bucket, server; B paused
        ("192.0.2.1", 40000, 0x9288_9c88, 2891, 1, (0xcb24_5051, 3651, 0), [Some(0), Some(0)]),
        ("192.0.2.2", 40000, 0xf919_356d, 746, 2, (0x42d7_a12c, 3058, 1), [None, Some(2)]),
        ("198.51.100.7", 51515, 0xadb9_8ab6, 924, 2, (0x8000_17ae, 3121, 1), [None, Some(2)]),
        ("203.0.113.99", 1024, 0x6ca4_10b8, 845, 0, (0x9856_6439, 2502, 1), [None, Some(0)]),
        ("2001:db8::1", 65535, 0xcdc3_f189, 3457, 1, (0x5987_e549, 490, 1), [None, Some(2)]),
    ] {
        let client = client(address, source);
        let told = explain(&plain, &client);
        assert_eq!(
            (told.hash, told.bucket, told.table_size),
            (Some(hash), Some(bucket), Some(4093))
        );
        assert_eq!(choose(&plain, &client), Some(server), "{address}");
        let told = explain(&port, &client);
        assert_eq!((told.hash, told.bucket), (Some(ports.0), Some(ports.1)), "{address}");
        assert_eq!(choose(&port, &client), Some(ports.2), "{address}");
        assert_eq!([choose(&paused, &client), choose(&fallback, &client)], rest, "{address}");
    }
}

#[test]
fn fallback_is_explained_probe_by_probe() {
    let pause = Command::SetWeight { service: WEB, server: key(1), weight: 0 };
    let configuration = mh(&MH_BOTH, &[1, 2, 1]).apply(&[pause]).expect("a good command");
    let told = explain(&configuration, &client("192.0.2.2", 40000));
    assert_eq!((told.scheduler, told.moved_by_fallback), ("mh", true));
    assert_eq!(told.first_choice.map(|server| server.weight), Some(0));
    let table = buckets(&configuration);
    let (last, before) = told.probes.split_last().expect("probes");
    let server = |bucket: &u32| table[usize::try_from(*bucket).expect("small")];
    assert!(before.iter().all(|bucket| server(bucket) == Some(1)));
    assert_eq!(server(last), Some(2));

    let nobody =
        mh(&MH_BOTH, &[1]).apply(&[Command::SetWeight { service: WEB, server: key(0), weight: 0 }]);
    let told = explain(&nobody.expect("a good command"), &client("192.0.2.2", 40000));
    assert_eq!((told.probes.len(), told.server), (4093, None), "no more tries than buckets");
}

#[test]
fn the_last_weight_above_0_deals_the_table() {
    let configuration = mh(&[], &[1, 2, 0]);
    assert_eq!(share(&configuration, 2), 0, "added with weight 0");
    let weigh = |index, weight| Command::SetWeight { service: WEB, server: key(index), weight };
    let paused = configuration.apply(&[weigh(1, 0)]).expect("a good command");
    assert_eq!(buckets(&paused), buckets(&configuration), "a pause moves nobody");
    assert_ne!(paused.version().digest, configuration.version().digest);
    let resumed = paused.apply(&[weigh(1, 5)]).expect("a good command");
    assert_eq!(buckets(&resumed), buckets(&mh(&[], &[1, 5, 0])));
    let again = [
        weigh(1, 0),
        Command::RemoveServer { service: WEB, server: key(1) },
        Command::RemoveServer { service: WEB, server: key(2) },
        add(1, 0),
        add(2, 0),
    ];
    let again = configuration.apply(&again).expect("good commands");
    assert_eq!(share(&again, 0), 4093, "added again with weight 0: as new");
    let digest = |configuration: &Configuration| configuration.version().digest;
    let never = mh(&[], &[1, 0, 0]);
    assert_eq!(digest(&again), digest(&never));
    let once = never.apply(&[weigh(1, 7), weigh(1, 0)]).expect("good commands");
    assert_ne!(digest(&once), digest(&never), "another placement has another digest");
}

#[test]
fn nobody_with_a_weight_leaves_the_table_empty() {
    for weights in [&[][..], &[0, 0]] {
        let configuration = mh(&MH_BOTH, weights);
        assert!(buckets(&configuration).iter().all(Option::is_none));
        assert_eq!(choose(&configuration, &client("192.0.2.1", 1)), None);
    }
}

#[test]
fn no_more_servers_than_buckets() {
    let mut full = mh(&[], &vec![1; MH_SERVERS_MAX]);
    assert_eq!(the_service(&full).servers.len(), MH_SERVERS_MAX);
    let issues = full.apply(&[add(MH_SERVERS_MAX, 1)]).expect_err("one too many");
    assert_eq!((issues[0].code, issues[0].field.as_str()), (IssueCode::OutOfRange, "server"));
    let rr = Command::EditService { service: service(SchedulerName::Rr, &[]) };
    full = full.apply(&[rr, add(MH_SERVERS_MAX, 1)]).expect("good commands");
    let back = Command::EditService { service: service(SchedulerName::Mh, &[]) };
    let issues = full.apply(&[back]).expect_err("too many");
    assert_eq!((issues[0].code, issues[0].field.as_str()), (IssueCode::OutOfRange, "scheduler"));
}

#[test]
fn an_ipv6_server_of_an_ipv4_service_counts_with_its_first_word() {
    let six = Configuration::default().apply(&[
        Command::AddService {
            service: ServiceSpec {
                key: ServiceKey::Mark { mark: 1, family: Family::Ipv6 },
                ..service(SchedulerName::Mh, &[])
            },
        },
        Command::AddServer {
            service: ServiceKey::Mark { mark: 1, family: Family::Ipv6 },
            server: ServerSpec {
                key: ServerKey { address: "2001:db8::1".parse().expect("one"), port: None },
                ..server(0, 1, 0)
            },
        },
    ]);
    let six = six.expect("good commands");
    let servers = six.services().next().expect("one").servers.clone();
    let build = |family| scheduler::MhTable::build(family, &servers).buckets().to_vec();
    assert_eq!(build(Family::Ipv4), build(Family::Ipv6), "alone it has every bucket");
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let weight = prop_oneof![0_u32..6, (0_u32..5).prop_map(|it| it * 100), 0_u32..70_000];
    prop::collection::vec(weight, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_are_as_the_turns(weights in weights()) {
        prop_assume!(weights.iter().any(|&weight| weight > 0));
        let configuration = mh(&[], &weights);
        let table = buckets(&configuration);
        prop_assert!(table.iter().all(Option::is_some), "every bucket has a server");
        let most = *weights.iter().max().expect("one");
        let divides = |by: &u32| weights.iter().all(|weight| weight % by == 0);
        let divisor = (1..=most).rev().find(divides).expect("1");
        let mut halvings = 0;
        while (most / divisor) >> halvings > 63 {
            halvings += 1;
        }
        let turns = |weight: u32| match (weight, (weight / divisor) >> halvings) {
            (0, _) => 0,
            (_, turns) => usize::try_from(turns.max(1)).expect("small"),
        };
        let rounds = 4093 / weights.iter().map(|&weight| turns(weight)).sum::<usize>();
        for (server, &weight) in weights.iter().enumerate() {
            let share = table.iter().filter(|&&it| it == Some(server)).count();
            let fair = rounds * turns(weight)..=(rounds + 1) * turns(weight);
            prop_assert!(fair.contains(&share), "{share} buckets, {fair:?} are fair");
        }
    }

    #[test]
    fn a_removal_moves_few_others(count in 3_usize..12, gone in 0_usize..12) {
        let gone = gone % count;
        let before = mh(&[], &vec![1; count]);
        let remove = Command::RemoveServer { service: WEB, server: key(gone) };
        let after = before.apply(&[remove]).expect("a good command");
        let pairs = buckets(&before).into_iter().zip(buckets(&after));
        let bystanders = pairs.filter(|(old, new)| *old != Some(gone) && old != new).count();
        prop_assert!(bystanders < 4093 / 5, "{bystanders} buckets moved for nothing");
    }
}
