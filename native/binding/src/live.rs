//! The live director of JavaScript.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use director::event::Event;
use director::live::{Director, StartOptions};
use engine::command::Command;
use napi::bindgen_prelude::{AsyncTask, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use napi_derive::napi;

use crate::configuration::BindingConfiguration;
use crate::events::EventBox;
use crate::job::Job;
use crate::outcome::{Refusal, from_text, outcome, told};

/// Weak: it does not hold the process open. One call waits at most: it takes every event.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// Where a director is in its life.
#[derive(Debug, Default)]
enum State {
    #[default]
    New,
    Running(Arc<Director>),
    Closed,
}

#[derive(Debug, Default)]
struct Live {
    state: Mutex<State>,
    events: Arc<EventBox>,
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn director(&self) -> std::result::Result<Arc<Director>, Refusal> {
        match &*self.state() {
            State::Running(director) => Ok(Arc::clone(director)),
            State::New | State::Closed => Err(closed()),
        }
    }

    fn start(&self, options: StartOptions, wake: Wake) -> std::result::Result<(), Refusal> {
        let events = Arc::clone(&self.events);
        let sink = move |event: Event| {
            events.put(event);
            // A full queue means that JavaScript has been woken and has not come yet.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        };
        let director = Arc::new(Director::start(options, Box::new(sink))?);
        let mut state = self.state();
        if matches!(*state, State::Closed) {
            drop(state);
            close(&director)?;
            return Err(closed());
        }
        *state = State::Running(director);
        Ok(())
    }

    fn close(&self) -> std::result::Result<(), Refusal> {
        match std::mem::replace(&mut *self.state(), State::Closed) {
            State::Running(director) => close(&director),
            State::New | State::Closed => Ok(()),
        }
    }
}

fn close(director: &Director) -> std::result::Result<(), Refusal> {
    director.close().map_err(|error| Refusal::new(error.code(), error.to_string()))
}

fn closed() -> Refusal {
    Refusal::new("closed", "the director is not running".to_owned())
}

/// A director on the network.
#[napi]
#[derive(Debug)]
pub struct BindingDirector {
    live: Arc<Live>,
}

#[napi]
impl BindingDirector {
    /// A director that is not started yet. Dropping it closes it: when JavaScript forgets it, or its
    /// environment ends, as that of a terminated Worker does.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self { live: Arc::default() }
    }

    /// Starts it, once; `wake` is called when there are events to take.
    #[napi(catch_unwind)]
    pub fn start(&self, options: String, wake: Function<'_, (), ()>) -> Result<AsyncTask<Job>> {
        let wake: Wake = wake
            .build_threadsafe_function()
            .weak::<true>()
            .max_queue_size::<1>()
            .callee_handled::<false>()
            .build()?;
        let live = Arc::clone(&self.live);
        Ok(Job::spawn(move || {
            let options = from_text::<StartOptions>(&options);
            outcome(options.and_then(|options| live.start(options, wake)))
        }))
    }

    /// Applies commands, all or none.
    #[napi(catch_unwind)]
    pub fn apply(&self, commands: String) -> Result<String> {
        let commands = from_text::<Vec<Command>>(&commands);
        outcome(commands.and_then(|commands| Ok(self.live.director()?.apply(&commands)?)))
    }

    /// The configuration in force.
    #[napi(catch_unwind)]
    pub fn configuration(&self, only: String) -> Result<String> {
        let configuration = self.live.director().ok().and_then(|it| it.configuration());
        outcome(BindingConfiguration::of(&configuration.unwrap_or_default(), &only))
    }

    /// Takes the events that wait.
    #[napi(catch_unwind)]
    pub fn take_events(&self) -> Result<Option<String>> {
        told(&self.live.events.take())
    }

    /// All counters.
    #[napi(catch_unwind)]
    pub fn statistics(&self, only: String) -> AsyncTask<Job> {
        self.ask(move |director| Ok(director.statistics_of(from_text(&only)?)?))
    }

    /// A part of the connection table.
    #[napi(catch_unwind)]
    pub fn connections(&self, filter: String, cursor: u32, limit: u32) -> AsyncTask<Job> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.ask(move |director| Ok(director.connections(&from_text(&filter)?, cursor, limit)?))
    }

    /// Where a flow goes.
    #[napi(catch_unwind)]
    pub fn explain(&self, flow: String) -> AsyncTask<Job> {
        self.ask(move |director| Ok(director.explain(&from_text(&flow)?)?))
    }

    /// Sets counters to zero.
    #[napi(catch_unwind)]
    pub fn zero(&self, service: String) -> AsyncTask<Job> {
        self.ask(move |director| Ok(director.zero(from_text::<Option<_>>(&service)?.as_ref())?))
    }

    /// Stops it and undoes everything.
    #[napi(catch_unwind)]
    pub fn close(&self) -> AsyncTask<Job> {
        let live = Arc::clone(&self.live);
        Job::spawn(move || outcome(live.close()))
    }

    fn ask<T: serde::Serialize>(
        &self,
        question: impl FnOnce(&Director) -> std::result::Result<T, Refusal> + Send + 'static,
    ) -> AsyncTask<Job> {
        let live = Arc::clone(&self.live);
        Job::spawn(move || outcome(live.director().and_then(|director| question(&director))))
    }
}
