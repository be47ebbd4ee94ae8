//! Schedulers against IPVS's written rules: worked examples, and models written from the rules
//! alone.

mod connections;
mod destination_hashing;
mod live;
mod locality;
mod maglev;
mod round_robin;
mod source_hashing;
mod two_choices;
mod weighted_round_robin;

use std::net::IpAddr;
use std::sync::Arc;

use engine::command::*;
use engine::configuration::{Configuration, Service};
use engine::scheduler::{self, Choice, HashKey, State};
use engine::time::Instant;

use live::{Live, some};

const WEB: ServiceKey = ServiceKey::Address {
    protocol: Protocol::Tcp,
    address: IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 80)),
    port: 80,
};
const BOTH: [SchedulerFlag; 2] = [SchedulerFlag::ShFallback, SchedulerFlag::ShPort];

fn service(scheduler: SchedulerName, flags: &[SchedulerFlag]) -> ServiceSpec {
    ServiceSpec {
        key: WEB,
        scheduler: Some(scheduler),
        flags: flags.to_vec(),
        sloppy: None,
        persistence: None,
        persistence_engine: None,
        one_packet: false,
    }
}

/// Server number `index` has an address of its own.
fn key(index: usize) -> ServerKey {
    let number = u32::try_from(index).expect("few servers") + 0x0A01_0101;
    ServerKey { address: IpAddr::V4(number.into()), port: None }
}

fn server(index: usize, weight: u32, upper_threshold: u32) -> ServerSpec {
    ServerSpec {
        key: key(index),
        weight,
        forwarding: ForwardingMethod::DirectRouting,
        tunnel: None,
        upper_threshold,
        lower_threshold: 0,
    }
}

fn add(index: usize, weight: u32) -> Command {
    Command::AddServer { service: WEB, server: server(index, weight, 0) }
}

/// A service whose servers were added in the order of `weights`: the last one heads the list.
fn pool(scheduler: SchedulerName, flags: &[SchedulerFlag], weights: &[u32]) -> Configuration {
    let mut commands = vec![Command::AddService { service: service(scheduler, flags) }];
    commands.extend(weights.iter().enumerate().map(|(index, &weight)| add(index, weight)));
    Configuration::default().apply(&commands).expect("good commands")
}

fn the_service(configuration: &Configuration) -> Arc<Service> {
    configuration.service(&WEB).expect("the service").clone()
}

fn client(address: &str, port: u16) -> HashKey {
    key_of(address.parse().expect("an address"), port)
}

fn key_of(address: IpAddr, port: u16) -> HashKey {
    HashKey { address, port, destination: IpAddr::V4([198, 51, 100, 80].into()) }
}

/// The number a chosen server was added under.
fn number(service: &Service, choice: Choice) -> Option<usize> {
    let chosen = service.servers[choice.server?].address;
    (0..10_000).find(|&index| key(index).address == chosen)
}

fn sh(configuration: &Configuration, client: &HashKey) -> Option<usize> {
    let service = the_service(configuration);
    let choice = scheduler::schedule(&service, &mut State::new(&service, 0), client, Instant::ZERO);
    number(&service, choice)
}
