//! The command line: what ipvsadm 1.31 accepts, its defaults, messages and exit codes.

mod daemon;
pub mod endpoint;
pub mod options;
pub mod popt;
mod reading;
mod service;
mod tunnel;

use core::net::IpAddr;

pub use options::{Given, Opt, Verb};
pub use reading::read;
pub(crate) use service::ALL_CLIENTS;
pub use service::SchedulerFlags;

use engine::command::{Family, ForwardingMethod, TunnelChecksum, TunnelKind};

/// Exit status of a command line that cannot be carried out.
pub const MISUSE: u8 = 2;
/// Exit status of what the director refuses, and of a command line that cannot be read.
pub const REFUSED: u8 = 255;

/// The end of a command: exit status, and what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Exit status.
    pub status: u8,
    /// What goes to standard error, with its line feed.
    pub message: String,
    /// Whether a restore ends here.
    pub ends_restore: bool,
}

impl Failure {
    /// A command line that means nothing.
    #[must_use]
    pub fn misuse(message: impl Into<String>) -> Self {
        Self::new(MISUSE, message, true)
    }

    /// A command that the director refuses.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(REFUSED, message, false)
    }

    fn new(status: u8, message: impl Into<String>, ends_restore: bool) -> Self {
        let mut message = message.into();
        message.push('\n');
        Self { status, message, ends_restore }
    }

    /// What is said when there is no command.
    #[must_use]
    pub fn without_command(program: &str) -> Self {
        let message = format!("Try `{program} -h' or '{program} --help' for more information.");
        Self::new(REFUSED, message, true)
    }
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The help text.
    Help,
    /// The version.
    Version,
    /// A command.
    Command(Box<Invocation>),
}

/// A command with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The command.
    pub verb: Verb,
    /// Which options were given.
    pub given: Given,
    /// The virtual service.
    pub service: Service,
    /// The real server.
    pub server: Server,
    /// `--set`: seconds of TCP, TCP's FIN_WAIT and UDP; 0 leaves one as it is.
    pub timeouts: [u32; 3],
    /// `--start-daemon` and `--stop-daemon`: which.
    pub daemon: Daemon,
    /// `--watch`: seconds between two listings.
    pub watch_seconds: u32,
}

/// A role of IPVS's synchronisation daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Daemon {
    /// It tells.
    #[default]
    Master,
    /// It listens.
    Backup,
}

/// The virtual service of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Address family.
    pub family: Family,
    /// Protocol number.
    pub protocol: u8,
    /// Virtual address.
    pub address: IpAddr,
    /// Virtual port.
    pub port: u16,
    /// Mark; 0 for a service by address.
    pub mark: u32,
    /// Scheduler, cut to 15 characters; `wlc` by default.
    pub scheduler: String,
    /// Flags of the scheduler.
    pub flags: SchedulerFlags,
    /// Seconds of persistence.
    pub persistence: Option<u32>,
    /// Persistence mask, leading ones and then zeros or not: of IPv4 as bits, of IPv6 as a length.
    pub netmask: u32,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// Name of a persistence engine.
    pub engine: Option<String>,
}

/// The real server of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Forwarding method.
    pub forwarding: ForwardingMethod,
    /// Weight.
    pub weight: u32,
    /// Upper threshold.
    pub upper: u32,
    /// Lower threshold.
    pub lower: u32,
    /// Kind of the tunnel.
    pub tunnel: TunnelKind,
    /// Port of the tunnel; 0 for none.
    pub tunnel_port: u16,
    /// Checksum of the tunnel.
    pub checksum: TunnelChecksum,
}
