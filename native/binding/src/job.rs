//! Work off the JavaScript thread, for calls that wait for other threads or for the kernel.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Result, Task};

use crate::outcome::{Refusal, outcome};

type Work = Box<dyn FnOnce() -> Result<String> + Send>;

/// One piece of work and its answer.
#[expect(missing_debug_implementations, reason = "a closure has no Debug")]
pub struct Job(Option<Work>);

impl Job {
    /// Lets `work` run on a thread of the pool; its answer settles a promise.
    pub(crate) fn spawn(work: impl FnOnce() -> Result<String> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Some(Box::new(work))))
    }
}

impl Task for Job {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        let work =
            self.0.take().unwrap_or_else(|| Box::new(|| defect("the work was done already")));
        // A panic must not unwind into the thread pool of the host process.
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| defect("the native addon panicked"))
    }

    fn resolve(&mut self, _: Env, output: String) -> Result<String> {
        Ok(output)
    }
}

/// The refusal for what only a defect of the package can cause.
fn defect(what: &str) -> Result<String> {
    outcome::<()>(Err(Refusal::new(
        "internal",
        format!("{what}; this is a defect, please report it"),
    )))
}
