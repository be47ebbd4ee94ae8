//! Counts and events of `udp-client`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::events::emit;
use crate::percentiles::millis;

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    flows: u64,
    sent: u64,
    answered: u64,
    lost: u64,
    late: u64,
    refused: u64,
    corrupt: u64,
    moved: u64,
    slowest_ms: f64,
    servers: BTreeMap<String, u64>,
}

/// The counts of one program; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct UdpCounts {
    state: Rc<RefCell<State>>,
}

#[derive(Serialize)]
struct FlowEvent<'a> {
    id: u64,
    source: String,
    port: u16,
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
}

impl UdpCounts {
    /// Nothing counted yet.
    pub(crate) fn new(flows: u64) -> Self {
        Self { state: Rc::new(RefCell::new(State { flows, ..State::default() })) }
    }

    pub(crate) fn sent(&self) {
        self.state.borrow_mut().sent += 1;
    }

    pub(crate) fn answered(&self, server: &str, round_trip: Duration) {
        let mut state = self.state.borrow_mut();
        state.answered += 1;
        state.slowest_ms = state.slowest_ms.max(millis(round_trip));
        *state.servers.entry(server.to_owned()).or_default() += 1;
    }

    pub(crate) fn lost(&self, count: u64) {
        self.state.borrow_mut().lost += count;
    }

    /// An answer to a datagram that counts as lost already, or a second answer.
    pub(crate) fn late(&self) {
        self.state.borrow_mut().late += 1;
    }

    pub(crate) fn refused(&self) {
        self.state.borrow_mut().refused += 1;
    }

    pub(crate) fn corrupt(&self) {
        self.state.borrow_mut().corrupt += 1;
    }

    /// Prints `flow` for the first server of a flow, `moved` for each further one.
    pub(crate) fn on_server(&self, id: u64, local: SocketAddr, server: &str, from: Option<&str>) {
        if from.is_some() {
            self.state.borrow_mut().moved += 1;
        }
        let event = if from.is_some() { "moved" } else { "flow" };
        let (source, port) = (local.ip().to_string(), local.port());
        emit(event, &FlowEvent { id, source, port, server, from });
    }

    /// Prints the counts.
    pub(crate) fn emit(&self, event: &str) {
        emit(event, &*self.state.borrow());
    }

    /// Whether all is well with this many datagrams lost.
    pub(crate) fn outcome(&self, allowed_loss: u64) -> Outcome {
        let state = self.state.borrow();
        let lost = state.lost.saturating_sub(allowed_loss);
        Outcome::from_failures(lost + state.refused + state.corrupt + state.moved)
    }
}
