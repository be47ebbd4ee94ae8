//! Why a connection broke.

use std::io::{Error, ErrorKind};

use serde::Serialize;

/// The closed list of causes, as it appears in events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// The peer, or somebody on the way, reset the connection (SCTP: ABORT).
    Reset,
    /// The peer closed while an answer was due.
    Eof,
    /// No progress within the stall limit.
    Timeout,
    /// Bytes arrived that the peer never sent.
    Corrupt,
    /// The answer came from another server than before.
    WrongServer,
    /// An ICMP error ended the connection.
    Unreachable,
    /// A new connection was refused: RST, or ICMP port unreachable.
    ConnectRefused,
    /// A new connection got no answer within the stall limit.
    ConnectTimeout,
    /// A new connection met an ICMP host or network unreachable.
    ConnectUnreachable,
    /// This host could not do it (no free port, no such address, no memory): says nothing about the path.
    Local,
}

/// One failure: its cause and the words of whoever noticed it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) detail: String,
}

impl Failure {
    /// A failure noticed by this program.
    pub(crate) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }

    /// An error of an established connection.
    pub(crate) fn from_io(error: &Error) -> Self {
        let cause = match error.kind() {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected => Cause::Reset,
            ErrorKind::UnexpectedEof => Cause::Eof,
            ErrorKind::TimedOut => Cause::Timeout,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Cause::Unreachable,
            _ => Cause::Local,
        };
        Self::new(cause, error.to_string())
    }

    /// An error while connecting.
    pub(crate) fn from_connect(error: &Error) -> Self {
        let cause = match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Cause::ConnectRefused,
            ErrorKind::TimedOut => Cause::ConnectTimeout,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Cause::ConnectUnreachable,
            _ => Cause::Local,
        };
        Self::new(cause, error.to_string())
    }
}
