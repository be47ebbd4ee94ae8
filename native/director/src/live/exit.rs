//! The end of the process while directors run: what they took from the host is given back, as far as
//! a process can. One that is killed or aborts leaves it to the next director.

use std::panic::catch_unwind;
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use afpacket::{SyscallError, exit};

use super::Shared;

/// How long directors that are just starting or closing are waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// All directors of the process.
#[derive(Debug)]
struct Running {
    /// The process whose end is listened to. A child that was forked has no directors.
    process: Option<u32>,
    ending: bool,
    /// Directors that are just starting or closing.
    busy: usize,
    directors: Vec<Weak<Shared>>,
}

static RUNNING: Mutex<Running> =
    Mutex::new(Running { process: None, ending: false, busy: 0, directors: Vec::new() });
static LESS_BUSY: Condvar = Condvar::new();

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this lives, the end of the process waits.
#[derive(Debug)]
pub(super) struct Busy(());

impl Busy {
    /// Begins to start a director; none when the process ends already.
    pub(super) fn starting() -> Result<Option<Self>, SyscallError> {
        let mut running = running();
        if running.process.is_none() {
            exit::at_exit(close_all)?;
            running.process = Some(process::id());
        }
        if running.ending {
            return Ok(None);
        }
        running.busy += 1;
        Ok(Some(Self(())))
    }

    /// Begins to close a director.
    pub(super) fn closing() -> Self {
        running().busy += 1;
        Self(())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        running().busy -= 1;
        LESS_BUSY.notify_all();
    }
}

/// Has a director closed when the process ends.
pub(super) fn register(director: &Arc<Shared>) {
    let mut running = running();
    running.directors.retain(|director| director.strong_count() > 0);
    running.directors.push(Arc::downgrade(director));
}

extern "C" fn close_all() {
    // Nobody is left to hear of a panic, and it must not reach the C library.
    drop(catch_unwind(|| {
        for director in take_all() {
            director.shut_down();
        }
    }));
}

/// The directors there are once none is starting or closing; none starts from then on.
fn take_all() -> Vec<Arc<Shared>> {
    let mut running = running();
    if running.process != Some(process::id()) {
        return Vec::new();
    }
    running.ending = true;
    let end = Instant::now() + PATIENCE;
    while running.busy > 0 {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let waited = LESS_BUSY.wait_timeout(running, left);
        running = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    running.directors.drain(..).filter_map(|director| director.upgrade()).collect()
}
