//! Numbers and loads of servers and services over removal, return and oblivion.

use super::*;
use crate::configuration::Server;
use crate::hop::ServerId;

fn only(configuration: &Configuration) -> &Server {
    &configuration.service(&web()).expect("the service").servers[0]
}

fn then(before: &Configuration, command: Command) -> Configuration {
    before.apply(&[command]).expect("a good command")
}

#[test]
fn present_servers_are_found_by_number() {
    let now = configured(&[
        add_service(web()),
        add(web(), "10.0.0.1"),
        add_service(mark(1)),
        add(mark(1), "10.0.0.1"),
        add(web(), "10.0.0.2"),
    ]);
    for service in now.services() {
        for server in &service.servers {
            let (owner, found) = now.server_by_id(server.id).expect("present");
            assert_eq!(
                (owner.id, found.id, found.address),
                (service.id, server.id, server.address)
            );
        }
    }
    assert_eq!(now.server_slots(), 3);
    assert!(now.server_by_id(ServerId(3)).is_none());
    assert!(now.server_by_id(ServerId(u32::MAX)).is_none());
}

#[test]
fn a_returning_server_is_the_same_with_its_connections() {
    let before = configured(&[add_service(web()), add(web(), "10.0.0.1"), add(web(), "10.0.0.2")]);
    let old = before.service(&web()).expect("the service").servers[1].clone();
    old.load.bind();
    let without = then(&before, remove(web(), "10.0.0.1"));
    assert!(without.server_by_id(old.id).is_none());
    assert_eq!(without.removed_server(old.id).expect("remembered").address, ip("10.0.0.1"));
    assert_eq!(without.load(old.id).expect("remembered").total(), 1);
    assert_eq!(without.removed_servers().count(), 1);

    let again = then(
        &without,
        Command::AddServer {
            service: web(),
            server: ServerSpec { weight: 5, ..server("10.0.0.1") },
        },
    );
    let new = only(&again);
    assert_eq!((new.id, new.generation, new.weight), (old.id, old.generation, 5));
    assert_eq!(new.load.total(), 1);
    assert!(new.addition > old.addition);
    assert_eq!(list(&again, web()), [ip("10.0.0.1"), ip("10.0.0.2")], "at the head");
    assert_eq!(again.removed_servers().count(), 0);
}

#[test]
fn a_returning_server_survives_its_service() {
    let before = configured(&[add_service(web()), add(web(), "10.0.0.1")]);
    let old = only(&before).clone();
    let gone = then(&before, Command::RemoveService { service: web() });
    assert_eq!(gone.removed_servers().count(), 1);
    let again = gone.apply(&[add_service(web()), add(web(), "10.0.0.1")]).expect("good commands");
    let new = only(&again);
    assert_eq!(new.id, old.id);
    assert_ne!(new.generation, old.generation, "statistics start anew with the service");
    let (then, now) = (before.service(&web()), again.service(&web()));
    let (then, now) = (then.expect("was there"), now.expect("is there"));
    assert_eq!(then.id, now.id);
    assert_ne!(then.generation, now.generation);
}

#[test]
fn a_server_is_the_same_only_in_the_same_service() {
    let other = tcp("192.0.2.81", 80);
    let before = configured(&[add_service(web()), add_service(other), add(web(), "10.0.0.1")]);
    let old = only(&before).id;
    let moved = before.apply(&[remove(web(), "10.0.0.1"), add(other, "10.0.0.1")]);
    let moved = moved.expect("good commands");
    assert_ne!(moved.service(&other).expect("the service").servers[0].id, old);
    assert!(moved.removed_server(old).is_some());
}

#[test]
fn numbers_are_given_again_once_forgotten() {
    let before = configured(&[add_service(web()), add(web(), "10.0.0.1"), add(web(), "10.0.0.2")]);
    let (kept, gone) = (ServerId(1), ServerId(0));
    let without = then(&before, remove(web(), "10.0.0.1"));
    let next = then(&without, add(web(), "10.0.0.3"));
    assert_eq!(only(&next).id, ServerId(2), "the removed one keeps its number");

    let forgotten = without.forget(&[gone, kept, ServerId(9)]);
    assert_eq!(forgotten.version(), without.version());
    assert!(forgotten.removed_server(gone).is_none());
    assert!(forgotten.load(gone).is_none());
    assert!(forgotten.server_by_id(kept).is_some(), "a present server is not forgotten");
    let next = then(&forgotten, add(web(), "10.0.0.3"));
    assert_eq!(only(&next).id, gone);
    let next = then(&next, add(web(), "10.0.0.1"));
    assert_eq!(only(&next).id, ServerId(2), "nothing is left to revive");
}

#[test]
fn thresholds_follow_edits_and_returns() {
    let limit = |upper, lower| Command::EditServer {
        service: web(),
        server: limited("10.0.0.1", upper, lower),
    };
    let now = configured(&[add_service(web()), add(web(), "10.0.0.1")]);
    let load = only(&now).load.clone();
    (0..5).for_each(|_| load.bind());
    let strict = then(&now, limit(4, 0));
    assert!(!only(&strict).is_usable());
    let wide = then(&strict, limit(6, 5));
    assert!(!only(&wide).is_usable(), "between the thresholds nothing changes");
    let back = then(&then(&wide, remove(web(), "10.0.0.1")), add(web(), "10.0.0.1"));
    assert!(only(&back).is_usable(), "the new command has no thresholds");
    wide.enforce_thresholds();
    load.bind();
    assert!(load.overloaded(), "back under the old ones");
}
