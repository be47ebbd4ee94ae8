use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::*;
use crate::testing::{add_server, add_service, remove_service, set_weight};

/// An outside that writes down what is done to it and fails where it is told to.
#[derive(Debug, Default)]
struct Recorder {
    done: Vec<String>,
    exposed: usize,
    claimed: Rc<RefCell<BTreeSet<String>>>,
    fail_at: Option<usize>,
    reported: usize,
}

#[derive(Debug)]
struct Claim(String, Rc<RefCell<BTreeSet<String>>>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.1.borrow_mut().remove(&self.0);
    }
}

impl Recorder {
    fn step(&mut self, step: String) -> Result<(), ApplyError> {
        self.done.push(step);
        if self.fail_at == Some(self.done.len()) {
            return Err(ApplyError::FilterFailed { message: "as told".into() });
        }
        Ok(())
    }
}

impl Outside for Recorder {
    type Claim = Claim;

    fn claim(&mut self, exposed: &Exposed) -> Result<Claim, ApplyError> {
        let name = exposed.to_string();
        self.step(format!("claim {name}"))?;
        assert!(self.claimed.borrow_mut().insert(name.clone()), "claimed twice");
        Ok(Claim(name, Rc::clone(&self.claimed)))
    }

    fn expose(&mut self, exposure: &Exposure) -> Result<(), ApplyError> {
        let count = exposure.matches().count();
        self.step(format!("expose {count}"))?;
        self.exposed = count;
        Ok(())
    }

    fn switch(&mut self, configuration: &Arc<Configuration>) -> Result<(), ApplyError> {
        let wanted = Exposure::of(configuration).matches().count();
        assert!(self.exposed >= wanted, "engines must not know what the host still sees");
        self.step(format!("switch {}", configuration.version().number))
    }

    fn reduced(&mut self, outcome: Result<(), &ApplyError>) {
        self.reported += usize::from(outcome.is_err());
    }

    fn report(&mut self, _error: &ApplyError) {
        self.reported += 1;
    }
}

fn with_services(ports: &[u16]) -> InForce<Recorder> {
    let mut in_force = InForce::new(Recorder::default());
    let commands: Vec<_> = ports.iter().map(|port| add_service(*port)).collect();
    in_force.apply(&commands).expect("nothing fails");
    in_force.outside.done.clear();
    in_force
}

fn served(in_force: &InForce<Recorder>) -> usize {
    in_force.configuration.services().count()
}

#[test]
fn guards_come_before_engines_and_go_after_them() {
    let mut in_force = with_services(&[80]);
    in_force.apply(&[add_service(443), remove_service(80)]).expect("nothing fails");
    let done = ["claim tcp 192.0.2.80 port 443", "expose 2", "switch 2", "expose 1"];
    assert_eq!(in_force.outside.done, done);
    let claimed: Vec<_> = in_force.outside.claimed.borrow().iter().cloned().collect();
    assert_eq!(claimed, ["tcp 192.0.2.80 port 443"]);
}

#[test]
fn server_changes_touch_nothing_but_the_engines() {
    let mut in_force = with_services(&[80]);
    in_force.apply(&[add_server(80, 11), set_weight(80, 11, 0)]).expect("nothing fails");
    assert_eq!(in_force.outside.done, ["switch 2"]);
}

#[test]
fn a_failure_at_any_step_leaves_everything_as_it_was() {
    for step in 1..=4 {
        let mut in_force = with_services(&[80]);
        in_force.outside.fail_at = Some(step);
        let change = [add_service(443), add_service(444)];
        let error = in_force.apply(&change).expect_err("it was told to fail");
        assert_eq!(error.code(), "socket", "step {step}");
        assert_eq!((served(&in_force), in_force.outside.exposed), (1, 1), "step {step}");
        assert_eq!(in_force.outside.claimed.borrow().len(), 1, "step {step}");
        in_force.outside.fail_at = None;
        in_force.apply(&change).expect("the way is free again");
        assert_eq!((served(&in_force), in_force.outside.exposed), (3, 3), "step {step}");
    }
}

#[test]
fn what_cannot_be_given_back_is_reported_and_tried_again() {
    let mut in_force = with_services(&[80, 443]);
    in_force.outside.fail_at = Some(2);
    in_force.apply(&[remove_service(443)]).expect("the removal itself is in force");
    assert_eq!((served(&in_force), in_force.outside.reported), (1, 1));
    assert_eq!(in_force.outside.claimed.borrow().len(), 2);
    in_force.outside.fail_at = None;
    in_force.apply(&[add_server(80, 11)]).expect("nothing fails");
    assert_eq!((in_force.outside.exposed, in_force.outside.claimed.borrow().len()), (1, 1));
}

#[test]
fn what_could_not_be_given_back_is_given_back_without_a_change() {
    let mut in_force = with_services(&[80, 443]);
    assert!(!in_force.exceeds());
    in_force.outside.fail_at = Some(2);
    in_force.apply(&[remove_service(443)]).expect("the removal itself is in force");
    assert!(in_force.exceeds());
    in_force.outside.fail_at = None;
    in_force.reduce_again();
    assert!(!in_force.exceeds());
    assert_eq!((in_force.outside.exposed, in_force.outside.claimed.borrow().len()), (1, 1));
}

#[test]
fn refused_commands_touch_nothing() {
    let mut in_force = with_services(&[80]);
    let error =
        in_force.apply(&[add_service(443), remove_service(1)]).expect_err("no such service");
    assert_eq!((error.code(), error.issues().len()), ("invalid", 1));
    assert_eq!(in_force.outside.done, [""; 0]);
}
