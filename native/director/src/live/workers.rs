//! The workers of a director, seen from outside their threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{io, mem};

use afpacket::Waker;

use crate::error::ApplyError;
use crate::event::Event;
use crate::port::{AfPacketControl, AfPacketPort, PacketPort};
use crate::query::{Query, Question};
use crate::worker::{Worker, WorkerCommand, WorkerParts};

/// How long a worker may take to answer between two batches. It takes microseconds, or it hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Commands that may wait for a worker.
pub(super) const COMMANDS_MAX: usize = 256;

type Instruction = WorkerCommand<AfPacketControl>;

/// Where one worker is told what to do.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) commands: SyncSender<Instruction>,
    pub(super) waker: Arc<Waker>,
}

/// All workers, by number.
#[derive(Debug)]
pub(super) struct Workers {
    addresses: Vec<Address>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(super) const fn new(addresses: Vec<Address>) -> Self {
        Self { addresses, threads: Mutex::new(Vec::new()) }
    }

    pub(super) const fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Starts one thread for each of `parts`.
    pub(super) fn start(&self, parts: Vec<WorkerParts<AfPacketPort>>) -> io::Result<()> {
        for (number, parts) in parts.into_iter().enumerate() {
            let builder = thread::Builder::new().name(format!("l4-worker-{number}"));
            let thread = builder.spawn(move || work(number, parts))?;
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(())
    }

    /// Tells one worker. The command waits its turn; nothing of a worker that is gone is waited for.
    pub(super) fn tell(&self, number: usize, command: Instruction) -> Result<(), ApplyError> {
        let fault = ApplyError::WorkerFault { worker: number };
        let Some(address) = self.addresses.get(number) else { return Err(fault) };
        // The bound is for a worker that hangs; the others drain their queue many times a second.
        address.waker.wake();
        let told = address.commands.send(command).map_err(|_| fault);
        address.waker.wake();
        told
    }

    /// Tells every worker, in order.
    pub(super) fn tell_all(&self, command: impl Fn() -> Instruction) -> Result<(), ApplyError> {
        (0..self.len()).try_for_each(|number| self.tell(number, command()))
    }

    /// Tells every worker; the answers can be waited for.
    pub(super) fn send_all<T>(
        &self,
        command: impl Fn(Query<T>) -> Instruction,
    ) -> Result<Answers<T>, ApplyError> {
        let waiting = (0..self.len()).map(|number| {
            let (query, answer) = Query::new();
            self.tell(number, command(query)).map(|()| answer)
        });
        waiting.collect::<Result<_, _>>().map(Answers)
    }

    /// Tells every worker and waits until each has answered.
    pub(super) fn request_all<T>(
        &self,
        command: impl Fn(Query<T>) -> Instruction,
    ) -> Result<Vec<T>, ApplyError> {
        self.send_all(command)?.wait()
    }

    /// Asks every worker.
    pub(super) fn ask_all<T>(
        &self,
        question: impl Fn(Query<T>) -> Question,
    ) -> Result<Vec<T>, ApplyError> {
        self.request_all(|query| WorkerCommand::Ask(question(query)))
    }

    /// Asks one worker.
    pub(super) fn ask_one<T>(
        &self,
        worker: usize,
        question: impl FnOnce(Query<T>) -> Question,
    ) -> Result<T, ApplyError> {
        let (query, answer) = Query::new();
        self.tell(worker, WorkerCommand::Ask(question(query)))?;
        receive(worker, &answer)
    }

    /// Ends all workers and waits for them. May be called again.
    pub(super) fn stop(&self) {
        for number in 0..self.len() {
            // One that is gone already needs no telling.
            drop(self.tell(number, WorkerCommand::Stop));
        }
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in mem::take(&mut *threads) {
            // Panics are caught inside and told as events.
            drop(thread.join());
        }
    }
}

/// Answers of all workers on their way.
#[derive(Debug)]
pub(super) struct Answers<T>(Vec<Receiver<T>>);

impl<T> Answers<T> {
    /// Waits for all of them.
    pub(super) fn wait(self) -> Result<Vec<T>, ApplyError> {
        let answers = self.0.into_iter().enumerate();
        answers.map(|(worker, answer)| receive(worker, &answer)).collect()
    }
}

fn receive<T>(worker: usize, answer: &Receiver<T>) -> Result<T, ApplyError> {
    answer.recv_timeout(ANSWER_TIMEOUT).map_err(|_| ApplyError::WorkerFault { worker })
}

/// The life of a worker's thread. A fault of the worker ends the worker, not the process.
fn work<P: PacketPort>(number: usize, parts: WorkerParts<P>) {
    let mut events = parts.events.clone();
    let result = catch_unwind(AssertUnwindSafe(|| Worker::new(parts).run()));
    let message = match result {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => text(&*panic),
    };
    events.send(Event::WorkerFault { worker: number, message });
    events.flush();
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use engine::Limits;

    use super::*;
    use crate::clock::Clock;
    use crate::events::channel;
    use crate::port::FailingPort;

    /// What a worker with a port that fails tells before its thread ends.
    fn last_words(port: FailingPort) -> Option<Event> {
        let (_commands, receiver) = sync_channel(1);
        let (sender, events) = channel(|| {});
        let parts = WorkerParts {
            port,
            limits: Limits { connections: 1024, events: 16, ..Limits::default() },
            seed: 1,
            clock: Clock::start(),
            commands: receiver,
            events: sender,
            stations: Vec::new(),
            fast_path: None,
            separator: None,
            enquiry: crate::clients::enquiry(|| {}).0,
            busy_poll: Duration::ZERO,
            exchange: None,
        };
        thread::spawn(move || work(3, parts)).join().expect("the fault is caught");
        events.poll_event()
    }

    #[test]
    fn a_fault_ends_the_worker_and_is_told() {
        let told = |message: &str| Some(Event::WorkerFault { worker: 3, message: message.into() });
        assert_eq!(last_words(FailingPort::Panics("as told")), told("as told"));
        assert_eq!(last_words(FailingPort::Fails("as told")), told("as told"));
    }
}
