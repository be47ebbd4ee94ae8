//! What schedulers derive from the configuration.

use alloc::sync::Arc;

use super::{DhTable, MhTable, ShTable, Weights};
use crate::command::{Family, SchedulerName};
use crate::configuration::Server;

/// What a scheduler derives from a service's list of servers.
#[derive(Clone, Debug, Default)]
pub enum Placement {
    /// No scheduler: every new connection finds no server (IPVS: `none`).
    #[default]
    None,
    /// Round robin: nothing to derive.
    Rr,
    /// Weighted round robin: what the levels follow from.
    Wrr(Weights),
    /// Least connections: nothing to derive.
    Lc,
    /// Weighted least connections: nothing to derive.
    Wlc,
    /// Locality-based least connections: nothing to derive.
    Lblc,
    /// Locality-based least connections with replication: nothing to derive.
    Lblcr,
    /// Destination hashing: the table of buckets.
    Dh(Arc<DhTable>),
    /// Source hashing: the table of buckets.
    Sh(Arc<ShTable>),
    /// Shortest expected delay: nothing to derive.
    Sed,
    /// Never queue: nothing to derive.
    Nq,
    /// Maglev hashing: the table of buckets.
    Mh(Arc<MhTable>),
    /// Weighted fail-over: nothing to derive.
    Fo,
    /// Weighted overflow: nothing to derive.
    Ovf,
    /// Power of two choices: nothing to derive.
    Twos,
}

impl Placement {
    /// Derives the placement of `scheduler` over `servers`, which are in list order, for clients of
    /// `family`.
    #[must_use]
    pub fn build(scheduler: Option<SchedulerName>, family: Family, servers: &[Server]) -> Self {
        let Some(scheduler) = scheduler else { return Self::None };
        match scheduler {
            SchedulerName::Rr => Self::Rr,
            SchedulerName::Wrr => Self::Wrr(Weights::of(servers)),
            SchedulerName::Lc => Self::Lc,
            SchedulerName::Wlc => Self::Wlc,
            SchedulerName::Lblc => Self::Lblc,
            SchedulerName::Lblcr => Self::Lblcr,
            SchedulerName::Dh => Self::Dh(Arc::new(DhTable::build(servers))),
            SchedulerName::Sh => Self::Sh(Arc::new(ShTable::build(servers))),
            SchedulerName::Sed => Self::Sed,
            SchedulerName::Nq => Self::Nq,
            SchedulerName::Mh => Self::Mh(Arc::new(MhTable::build(family, servers))),
            SchedulerName::Fo => Self::Fo,
            SchedulerName::Ovf => Self::Ovf,
            SchedulerName::Twos => Self::Twos,
        }
    }

    /// Whether the same client always gets the same answer, so that a connection can be served
    /// without being remembered.
    #[must_use]
    pub const fn is_stateless(&self) -> bool {
        matches!(self, Self::Sh(_) | Self::Mh(_) | Self::Dh(_))
    }

    /// Whether choices follow from how many connections of the servers are active at the moment.
    #[must_use]
    pub const fn compares_active(&self) -> bool {
        match self {
            Self::Lc
            | Self::Wlc
            | Self::Lblc
            | Self::Lblcr
            | Self::Sed
            | Self::Nq
            | Self::Ovf
            | Self::Twos => true,
            Self::None
            | Self::Rr
            | Self::Wrr(_)
            | Self::Dh(_)
            | Self::Sh(_)
            | Self::Mh(_)
            | Self::Fo => false,
        }
    }

    /// Name of the scheduler, as `ipvsadm` spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rr => "rr",
            Self::Wrr(_) => "wrr",
            Self::Lc => "lc",
            Self::Wlc => "wlc",
            Self::Lblc => "lblc",
            Self::Lblcr => "lblcr",
            Self::Dh(_) => "dh",
            Self::Sh(_) => "sh",
            Self::Sed => "sed",
            Self::Nq => "nq",
            Self::Mh(_) => "mh",
            Self::Fo => "fo",
            Self::Ovf => "ovf",
            Self::Twos => "twos",
        }
    }
}
