//! Work off the JavaScript thread, for calls that wait for other threads or for the kernel.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{AsyncTask, Unknown};
use napi::{Env, Result, ScopedTask};
use serde_json::Value;

use crate::outcome::{Refusal, outcome};

type Work = Box<dyn FnOnce() -> Result<Value> + Send>;

/// One piece of work and its answer.
#[expect(missing_debug_implementations, reason = "a closure has no Debug")]
pub struct Job(Option<Work>);

impl Job {
    /// Lets `work` run on a thread of the pool; its answer settles a promise.
    pub(crate) fn spawn(work: impl FnOnce() -> Result<Value> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Some(Box::new(work))))
    }
}

impl<'task> ScopedTask<'task> for Job {
    type Output = Value;
    type JsValue = Unknown<'task>;

    fn compute(&mut self) -> Result<Value> {
        let work =
            self.0.take().unwrap_or_else(|| Box::new(|| defect("the work was done already")));
        // A panic must not unwind into the thread pool of the host process.
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| defect("the native addon panicked"))
    }

    fn resolve(&mut self, env: &'task Env, output: Value) -> Result<Unknown<'task>> {
        env.to_js_value(&output)
    }
}

/// The refusal for what only a defect of the package can cause.
fn defect(what: &str) -> Result<Value> {
    outcome::<()>(Err(Refusal::new(
        "internal",
        format!("{what}; this is a defect, please report it"),
    )))
}
