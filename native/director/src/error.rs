//! Why a director does not start or does not change: each with a stable code and what to do.

use afpacket::lacks_descriptor;
use engine::command::Issue;
use thiserror::Error;

/// Why a director did not start. Nothing of it is left behind.
#[derive(Debug, Error)]
pub enum StartError {
    /// An interface that is not there.
    #[error("there is no interface {name:?} in this network namespace")]
    InterfaceNotFound {
        /// Its name.
        name: String,
    },
    /// An interface whose frames are not Ethernet frames.
    #[error("the interface {name:?} carries no Ethernet frames")]
    InterfaceUnsuitable {
        /// Its name.
        name: String,
    },
    /// A second name of an interface that is named already.
    #[error(
        "interfaces has {name:?}, which is another name of an interface that it has: name each interface once"
    )]
    InterfaceTwice {
        /// The name.
        name: String,
    },
    /// The process may not do what a director must do.
    #[error("{call}: {advice}")]
    MissingCapability {
        /// What was refused.
        call: String,
        /// What is missing and how to grant it.
        advice: String,
    },
    /// The fast path was asked for and is not to be had.
    #[error("{message}")]
    FastPath {
        /// What the kernel refused, and how to get it.
        message: String,
    },
    /// An option outside its range.
    #[error("{option} is {value}: {allowed}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A socket could not be opened.
    #[error("{message}")]
    Socket {
        /// The interface, the call and the kernel's answer.
        message: String,
    },
    /// There is no file descriptor left for a socket.
    #[error("{message}")]
    Descriptors {
        /// The call and the kernel's answer.
        message: String,
    },
    /// A thread could not be started.
    #[error("a worker thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The initial commands were refused.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// What to do where descriptors are missing.
const MORE_DESCRIPTORS: &str = "the process has no file descriptor left: raise its limit \
(LimitNOFILE= of a systemd unit, ulimit -n), close files, or ask for fewer workers";

impl StartError {
    /// The error for a call that the kernel refused.
    pub(crate) fn refused(error: &(dyn std::error::Error + 'static)) -> Self {
        let message = error.to_string();
        if lacks_descriptor(error) {
            Self::Descriptors { message }
        } else {
            Self::Socket { message }
        }
    }

    /// Whether there was no file descriptor left.
    pub(crate) const fn lacks_descriptor(&self) -> bool {
        matches!(self, Self::Descriptors { .. } | Self::Apply(ApplyError::Descriptors { .. }))
    }

    /// The stable name of the kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InterfaceNotFound { .. } => "interface-not-found",
            Self::InterfaceUnsuitable { .. } => "interface-unsuitable",
            Self::MissingCapability { .. } => "missing-capability",
            Self::FastPath { .. } => "fast-path",
            Self::InterfaceTwice { .. } | Self::InvalidOption { .. } => "invalid-options",
            Self::Socket { .. } | Self::Descriptors { .. } | Self::Thread(_) => "socket",
            Self::Apply(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::InterfaceNotFound { .. } => {
                "name interfaces as `ip link` shows them in the network namespace of this process"
            }
            Self::InterfaceUnsuitable { .. } => "choose an Ethernet-like interface",
            Self::MissingCapability { .. } => "grant the capability, or use an offline director",
            Self::FastPath { .. } => "grant the capability, or leave `fastPath` out",
            Self::InterfaceTwice { .. } | Self::InvalidOption { .. } => "change the option",
            Self::Descriptors { .. } => MORE_DESCRIPTORS,
            Self::Socket { .. } | Self::Thread(_) => {
                "ask for fewer ring frames or workers, or free memory"
            }
            Self::Apply(error) => error.remedy(),
        }
    }

    /// What is wrong with the initial commands, if that is it.
    #[must_use]
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Apply(error) => error.issues(),
            _ => &[],
        }
    }
}

/// Why commands were not applied. None of them is in force.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The commands contradict the configuration or themselves.
    #[error("{}", first(.0))]
    Invalid(Vec<Issue>),
    /// Another living director of this network namespace has the service on the interface.
    #[error("{service} is already served on {interface} by another running director")]
    ServiceInUse {
        /// The service, as text.
        service: String,
        /// The interface.
        interface: String,
    },
    /// The host could not be kept from seeing the services' traffic.
    #[error("the ingress guard could not be changed on {interface}: {message}")]
    GuardFailed {
        /// The interface.
        interface: String,
        /// The call and the kernel's answer.
        message: String,
    },
    /// The packet sockets could not be told what to receive.
    #[error("the packet filter could not be changed: {message}")]
    FilterFailed {
        /// The call and the kernel's answer.
        message: String,
    },
    /// There is no file descriptor left for what the change needs.
    #[error("{message}")]
    Descriptors {
        /// The call and the kernel's answer.
        message: String,
    },
    /// A worker stopped by a fault of the director itself.
    #[error("worker {worker} does not answer")]
    WorkerFault {
        /// The worker, from 0.
        worker: usize,
    },
    /// The director was closed.
    #[error("the director is closed")]
    Closed,
}

impl ApplyError {
    pub(crate) const GUARD_FAILED: &str = "guard-failed";

    /// The error for a claim or filter that the kernel refused.
    pub(crate) fn refused(error: &(dyn std::error::Error + 'static)) -> Self {
        let message = error.to_string();
        if lacks_descriptor(error) {
            Self::Descriptors { message }
        } else {
            Self::FilterFailed { message }
        }
    }

    /// The stable name of the kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::ServiceInUse { .. } => "service-in-use",
            Self::GuardFailed { .. } => Self::GUARD_FAILED,
            Self::FilterFailed { .. } | Self::Descriptors { .. } => "socket",
            Self::WorkerFault { .. } => "worker-fault",
            Self::Closed => "closed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "correct the commands its issues name",
            Self::ServiceInUse { .. } => {
                "stop the other director, or let the two serve different services or interfaces"
            }
            Self::GuardFailed { .. } => {
                "CAP_NET_ADMIN and a kernel with the clsact qdisc and cls_bpf are needed"
            }
            Self::FilterFailed { .. } => "raise net.core.optmem_max, or serve fewer services",
            Self::Descriptors { .. } => MORE_DESCRIPTORS,
            Self::WorkerFault { .. } | Self::Closed => "start a new director",
        }
    }

    /// Every problem of the commands, if that is it.
    #[must_use]
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Invalid(issues) => issues,
            _ => &[],
        }
    }
}

/// What a director that has closed left on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// The interface.
    pub interface: String,
    /// Why it could not be removed.
    pub reason: String,
    /// The commands that remove it; none when the kernel did not list it.
    pub commands: Vec<String>,
}

/// Something of a director that has closed stays on the host.
#[derive(Debug, Error)]
#[error("{}", stays(.remains))]
pub struct CloseError {
    /// What stays, by interface; at least one.
    pub remains: Vec<Remains>,
}

impl CloseError {
    /// The error for what remains, if anything does.
    pub(crate) fn of(remains: Vec<Remains>) -> Result<(), Self> {
        if remains.is_empty() { Ok(()) } else { Err(Self { remains }) }
    }

    /// The stable name of the kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        ApplyError::GUARD_FAILED
    }
}

fn stays(remains: &[Remains]) -> String {
    let interfaces: Vec<_> = remains.iter().map(|one| one.interface.as_str()).collect();
    let interfaces = interfaces.join(", ");
    let commands: Vec<_> =
        remains.iter().flat_map(|one| &one.commands).map(String::as_str).collect();
    let by_hand = match commands.as_slice() {
        [] => "remove what `tc filter show dev INTERFACE ingress` lists of it".to_owned(),
        commands => format!("remove them by `{}`", commands.join("; ")),
    };
    let reason = remains.first().map_or("", |one| &one.reason);
    format!(
        "the director has closed, but its filters stay on {interfaces} and go on dropping the \
         traffic of its services: {by_hand}, or start a director there, which takes them over; {reason}"
    )
}

fn first(issues: &[Issue]) -> String {
    let Some(issue) = issues.first() else { return "no problem".to_owned() };
    let more = issues.len() - 1;
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    format!("{}{more}", issue.message)
}
