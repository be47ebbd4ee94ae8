//! What happened in the engine, for whoever wants to know; bounded, never needed for forwarding.

use core::net::SocketAddr;

use crate::command::ServiceKey;
use crate::hop::ServerId;
use crate::verdict::reasons;

reasons! {
    /// What kind of mid-stream packet a connection was adopted by.
    AdoptionCause {
        /// TCP segment with ACK: data, or part of the handshake or of the end.
        TcpAck => "tcp-ack",
        /// TCP segment with FIN.
        TcpFin => "tcp-fin",
        /// TCP segment without SYN, FIN, RST or ACK.
        TcpOther => "tcp-other",
        /// SCTP packet whose first chunk carries data or acknowledges it (any but those below).
        SctpData => "sctp-data",
        /// SCTP packet that begins with INIT-ACK, COOKIE-ECHO or COOKIE-ACK.
        SctpSetup => "sctp-setup",
        /// SCTP packet that begins with SHUTDOWN, SHUTDOWN-ACK, SHUTDOWN-COMPLETE or ERROR.
        SctpShutdown => "sctp-shutdown",
        /// ICMP error about a packet of an unknown connection (`schedule_icmp`).
        Icmp => "icmp",
    }
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "type", rename_all = "kebab-case"))]
#[cfg_attr(feature = "serde", serde(rename_all_fields = "camelCase"))]
pub enum Event {
    /// A connection was created by a packet that is not its first.
    Adopted {
        /// The service.
        service: ServiceKey,
        /// The client's address and port.
        client: SocketAddr,
        /// The real server it went to.
        server: SocketAddr,
        /// What it was adopted by.
        cause: AdoptionCause,
        /// Whether fallback (`sh-fallback`, `mh-fallback`) moved it off the server its bucket names.
        fallback: bool,
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
    /// Events were lost because nobody took them in time.
    Lost {
        /// How many.
        count: u64,
    },
}
