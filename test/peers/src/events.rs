//! Newline-delimited JSON on standard output.

use std::io::Write;

use nix::sys::signal::{Signal, raise};
use serde::Serialize;

/// The line a program prints when it cannot do its work.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorEvent {
    pub(crate) message: String,
}

#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    event: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// Prints `{"event": name, ...body}` and flushes it.
pub(crate) fn emit<T: Serialize>(name: &str, body: &T) {
    let mut text = match serde_json::to_vec(&Line { event: name, body }) {
        Ok(text) => text,
        Err(error) => format!("{{\"event\":\"error\",\"message\":\"{error}\"}}").into_bytes(),
    };
    text.push(b'\n');
    let mut output = std::io::stdout().lock();
    if output.write_all(&text).and_then(|()| output.flush()).is_err() {
        // Nobody reads any more: the driver is gone, so end as if it had asked for it.
        let _ = raise(Signal::SIGTERM);
    }
}
