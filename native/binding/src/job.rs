//! Work off the JavaScript thread, for calls that wait for other threads or for the kernel.

use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{AsyncTask, Unknown};
use napi::{Env, Error, Result, ScopedTask, Status};
use serde_json::Value;

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
        let Some(work) = self.0.take() else {
            return Err(Error::new(Status::GenericFailure, "the work was done already"));
        };
        // A panic must not unwind into the thread pool of the host process.
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(Error::new(Status::GenericFailure, "the native addon panicked; this is a defect"))
        })
    }

    fn resolve(&mut self, env: &'task Env, output: Value) -> Result<Unknown<'task>> {
        env.to_js_value(&output)
    }
}
