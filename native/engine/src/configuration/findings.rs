//! What is wrong with one command.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use crate::command::{Issue, IssueCode, Protocol, ServiceKey};

/// The problems of one command, collected.
#[derive(Debug)]
pub(super) struct Findings {
    command: usize,
    issues: Vec<Issue>,
}

impl Findings {
    /// None yet, of the command at this position of the batch.
    pub(super) const fn of(command: usize) -> Self {
        Self { command, issues: Vec::new() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.issues.is_empty()
    }

    pub(super) fn into_issues(self) -> Vec<Issue> {
        self.issues
    }

    /// Refuses the value of a field.
    pub(super) fn refuse(
        &mut self,
        code: IssueCode,
        field: impl Into<String>,
        value: impl fmt::Display,
        message: impl Into<String>,
    ) {
        self.issues.push(Issue {
            code,
            command: self.command,
            field: field.into(),
            value: value.to_string(),
            message: message.into(),
        });
    }

    /// Refuses a number outside its range.
    pub(super) fn range(
        &mut self,
        field: impl Into<String>,
        value: impl Into<u64>,
        allowed: RangeInclusive<u64>,
    ) {
        let (field, value) = (field.into(), value.into());
        if !allowed.contains(&value) {
            let (first, last) = allowed.into_inner();
            let message = format!("{field} is {value}; {first} to {last} is allowed");
            self.refuse(IssueCode::OutOfRange, field, value, message);
        }
    }
}

/// A service's identity as messages spell it.
pub(super) struct Named<'a>(pub(super) &'a ServiceKey);

impl fmt::Display for Named<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            ServiceKey::Address { protocol, address, port } => {
                let protocol = name(protocol);
                let address = core::net::SocketAddr::new(address, port);
                write!(formatter, "{protocol} {address}")
            }
            ServiceKey::Range { protocol, address, prefix_length, ports: (first, last) } => {
                let protocol = name(protocol);
                write!(formatter, "{protocol} {address}")?;
                if let Some(length) = prefix_length {
                    write!(formatter, "/{length}")?;
                }
                write!(formatter, " ports {first}-{last}")
            }
            ServiceKey::Mark { mark, family } => {
                let family = match family {
                    crate::command::Family::Ipv4 => "ipv4",
                    crate::command::Family::Ipv6 => "ipv6",
                };
                write!(formatter, "mark {mark} {family}")
            }
        }
    }
}

const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}
