//! What a director tells whoever embeds it. Bounded on every way out; nothing waits for a listener.

use std::net::SocketAddr;

use engine::command::ServiceKey;
use engine::event::{AdoptionCause, Event as EngineEvent};
use engine::hop::ServerId;
use engine::snapshot::Counter;
use serde::Serialize;

/// Why an interface of the director passes no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DownReason {
    /// It is switched off.
    Down,
    /// It is on and has no carrier.
    NoCarrier,
    /// Nobody has its name, and the device that had it is gone.
    Gone,
    /// The device that has its name carries no Ethernet frames.
    NotEthernet,
    /// Another of the director's interfaces is a name of the same device.
    SameDevice,
    /// The director could not take its device into use; an error says why, and it tries again.
    Failed,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// Connections were created by packets that are not their first: the sign that another director
    /// of the group came or went. A live director tells it at most ten times a second for each
    /// service and cause.
    Adopted {
        /// The service.
        service: ServiceKey,
        /// What the connections were adopted by.
        cause: AdoptionCause,
        /// How many since the last such event.
        count: Counter,
        /// How many of them fallback (`sh-fallback`, `mh-fallback`) moved off the server their bucket names.
        fallback_count: Counter,
        /// Client of one of them.
        client: SocketAddr,
        /// Real server of the same one.
        server: SocketAddr,
    },
    /// The last active connection, or the last connection at all, of a quiesced or removed server
    /// has ended.
    ServerIdle {
        /// The service.
        service: ServiceKey,
        /// The server's address and port.
        server: SocketAddr,
        /// Its number.
        id: ServerId,
        /// Inactive connections that are left.
        remaining: u32,
    },
    /// An interface went down or away; what it carried is lost until it comes back.
    InterfaceDown {
        /// Its name.
        interface: String,
        /// Why.
        reason: DownReason,
    },
    /// An interface is usable again.
    InterfaceUp {
        /// Its name.
        interface: String,
    },
    /// Something failed while running; the director goes on.
    Error {
        /// Stable name of the kind of error.
        code: &'static str,
        /// What failed and what to do.
        message: String,
    },
    /// Something that failed and was tried again works again.
    Recovered {
        /// Stable name of the kind of error, as it was told when it began.
        code: &'static str,
        /// What works again.
        message: String,
    },
    /// A worker stopped by a fault of the director itself; the director closes cleanly after it.
    WorkerFault {
        /// The worker, from 0.
        worker: usize,
        /// What the fault said.
        message: String,
    },
    /// Events were lost because nobody took them in time.
    Lost {
        /// How many.
        count: Counter,
    },
}

impl From<EngineEvent> for Event {
    /// The event as it is, one adoption for one event.
    fn from(event: EngineEvent) -> Self {
        match event {
            EngineEvent::Adopted { service, client, server, cause, fallback } => Self::Adopted {
                service,
                cause,
                count: Counter(1),
                fallback_count: Counter(u64::from(fallback)),
                client,
                server,
            },
            EngineEvent::ServerIdle { service, server, id, remaining } => {
                Self::ServerIdle { service, server, id, remaining }
            }
            EngineEvent::Lost { count } => Self::Lost { count: Counter(count) },
        }
    }
}
