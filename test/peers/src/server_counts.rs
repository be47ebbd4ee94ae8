//! Counts and events that the servers share.

use std::cell::Cell;
use std::net::SocketAddr;

use serde::Serialize;

use crate::cause::{Cause, Failure};
use crate::events::{ErrorEvent, emit};

/// The `listening` event.
#[derive(Debug, Serialize)]
pub(crate) struct Listening<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: SocketAddr,
}

/// What a server of checked records counts.
#[derive(Debug, Default)]
pub(crate) struct ServerCounts {
    connections: Cell<u64>,
    accepted: Cell<u64>,
    records: Cell<u64>,
    /// Connections whose data was wrong, or that ended within a record.
    pub(crate) errors: Cell<u64>,
    resets: Cell<u64>,
}

#[derive(Serialize)]
struct State<'a> {
    name: &'a str,
    connections: u64,
    accepted: u64,
    records: u64,
    errors: u64,
    resets: u64,
}

impl ServerCounts {
    /// A connection is up.
    pub(crate) fn open(&self) {
        self.accepted.set(self.accepted.get() + 1);
        self.connections.set(self.connections.get() + 1);
    }

    /// One record was checked and answered.
    pub(crate) fn record(&self) {
        self.records.set(self.records.get() + 1);
    }

    /// A connection ended.
    pub(crate) fn close(&self, peer: &str, result: Result<(), Failure>) {
        self.connections.set(self.connections.get() - 1);
        let Err(failure) = result else { return };
        if matches!(failure.cause, Cause::Corrupt | Cause::Eof) {
            self.errors.set(self.errors.get() + 1);
            let message = format!("connection from {peer}: {}", failure.detail);
            emit("warning", &ErrorEvent { message });
        } else {
            self.resets.set(self.resets.get() + 1);
        }
    }

    /// Prints the counts.
    pub(crate) fn emit(&self, event: &str, name: &str) {
        let state = State {
            name,
            connections: self.connections.get(),
            accepted: self.accepted.get(),
            records: self.records.get(),
            errors: self.errors.get(),
            resets: self.resets.get(),
        };
        emit(event, &state);
    }
}
