//! The commands and options of ipvsadm, and which goes with which.

use super::popt::{Definition, Value};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `-A`
    AddService,
    /// `-E`
    EditService,
    /// `-D`
    DeleteService,
    /// `-C`
    Clear,
    /// `-L`
    List,
    /// `-a`
    AddServer,
    /// `-d`
    DeleteServer,
    /// `-e`
    EditServer,
    /// `--set`
    Set,
    /// `--start-daemon`
    StartDaemon,
    /// `--stop-daemon`
    StopDaemon,
    /// `-R`
    Restore,
    /// `-S`
    Save,
    /// `-Z`
    Zero,
}

impl Verb {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddService => "add-service",
            Self::EditService => "edit-service",
            Self::DeleteService => "delete-service",
            Self::Clear => "flush",
            Self::List => "list",
            Self::AddServer => "add-server",
            Self::DeleteServer => "delete-server",
            Self::EditServer => "edit-server",
            Self::Set => "set",
            Self::StartDaemon => "start-daemon",
            Self::StopDaemon => "stop-daemon",
            Self::Restore => "restore",
            Self::Save => "save",
            Self::Zero => "zero",
        }
    }

    /// What it needs, may have, and may have one of.
    const fn wants(self) -> Wants {
        use Opt as O;
        const SERVICE: &[Opt] =
            &[O::Scheduler, O::Persistent, O::Netmask, O::Ops, O::Engine, O::SchedFlags];
        const SERVER: &[Opt] =
            &[O::Forward, O::Weight, O::UThreshold, O::LThreshold, O::TunType, O::TunPort];
        const CHECKSUM: &[Opt] = &[O::TunNocsum, O::TunCsum, O::TunRemcsum];
        const LIST: &[Opt] = &[
            O::Numeric,
            O::Stats,
            O::Rate,
            O::Thresholds,
            O::PersistentConn,
            O::NoSort,
            O::Exact,
            O::TunInfo,
            O::Json,
            O::Watch,
        ];
        const DAEMON: &[Opt] = &[
            O::McastInterface,
            O::SyncId,
            O::McastGroup,
            O::McastPort,
            O::McastTtl,
            O::SyncMaxlen,
        ];
        const NOTHING: &[Opt] = &[];
        const OF_SERVICE: &[Opt] = &[O::Service];
        const OF_SERVER: &[Opt] = &[O::Service, O::Server];
        const SHOWN: &[Opt] = &[O::Connection, O::Service, O::Timeout, O::Daemon];
        let (needed, allowed, one_of) = match self {
            Self::AddService | Self::EditService => (OF_SERVICE, SERVICE, NOTHING),
            Self::DeleteService => (OF_SERVICE, NOTHING, NOTHING),
            Self::AddServer | Self::EditServer => (OF_SERVER, SERVER, CHECKSUM),
            Self::DeleteServer => (OF_SERVER, NOTHING, NOTHING),
            Self::List => (NOTHING, LIST, SHOWN),
            Self::Clear | Self::Set | Self::Restore => (NOTHING, NOTHING, NOTHING),
            Self::StartDaemon => (NOTHING, DAEMON, NOTHING),
            Self::StopDaemon => (NOTHING, &[O::SyncId] as &[Opt], NOTHING),
            Self::Save => (NOTHING, &[O::Numeric, O::Full] as &[Opt], NOTHING),
            Self::Zero => (NOTHING, OF_SERVICE, NOTHING),
        };
        Wants { needed, allowed, one_of }
    }
}

/// Options of a command.
struct Wants {
    needed: &'static [Opt],
    allowed: &'static [Opt],
    one_of: &'static [Opt],
}

/// An option that may be given once, in the order in which ipvsadm looks for what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its option")]
pub enum Opt {
    Numeric,
    Connection,
    Service,
    Scheduler,
    Persistent,
    Netmask,
    Server,
    Forward,
    Weight,
    UThreshold,
    LThreshold,
    McastInterface,
    Timeout,
    Daemon,
    Stats,
    Rate,
    Thresholds,
    PersistentConn,
    NoSort,
    SyncId,
    Exact,
    Ops,
    Engine,
    SchedFlags,
    McastGroup,
    McastPort,
    McastTtl,
    SyncMaxlen,
    TunInfo,
    TunType,
    TunPort,
    TunNocsum,
    TunCsum,
    TunRemcsum,
    Full,
    Json,
    Watch,
}

/// Every option, and its name in messages.
const ALL: &[(Opt, &str)] = &[
    (Opt::Numeric, "numeric"),
    (Opt::Connection, "connection"),
    (Opt::Service, "service-address"),
    (Opt::Scheduler, "scheduler"),
    (Opt::Persistent, "persistent"),
    (Opt::Netmask, "netmask"),
    (Opt::Server, "real-server"),
    (Opt::Forward, "forwarding-method"),
    (Opt::Weight, "weight"),
    (Opt::UThreshold, "u-threshold"),
    (Opt::LThreshold, "l-threshold"),
    (Opt::McastInterface, "mcast-interface"),
    (Opt::Timeout, "timeout"),
    (Opt::Daemon, "daemon"),
    (Opt::Stats, "stats"),
    (Opt::Rate, "rate"),
    (Opt::Thresholds, "thresholds"),
    (Opt::PersistentConn, "persistent-conn"),
    (Opt::NoSort, "nosort"),
    (Opt::SyncId, "syncid"),
    (Opt::Exact, "exact"),
    (Opt::Ops, "ops"),
    (Opt::Engine, "pe"),
    (Opt::SchedFlags, "sched-flags"),
    (Opt::McastGroup, "mcast-group"),
    (Opt::McastPort, "mcast-port"),
    (Opt::McastTtl, "mcast-ttl"),
    (Opt::SyncMaxlen, "sync-maxlen"),
    (Opt::TunInfo, "tun-info"),
    (Opt::TunType, "tun-type"),
    (Opt::TunPort, "tun-port"),
    (Opt::TunNocsum, "tun-nocsum"),
    (Opt::TunCsum, "tun-csum"),
    (Opt::TunRemcsum, "tun-remcsum"),
    (Opt::Full, "full"),
    (Opt::Json, "json"),
    (Opt::Watch, "watch"),
];

/// The options that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given(u64);

impl Given {
    /// No option.
    pub const NONE: Self = Self(0);

    /// Whether `option` was given.
    #[must_use]
    pub const fn has(self, option: Opt) -> bool {
        self.0 & (1 << option as u64) != 0
    }

    /// Whether any of `options` was given.
    #[must_use]
    pub fn has_any(self, options: &[Opt]) -> bool {
        options.iter().any(|option| self.has(*option))
    }

    /// Notes that `option` was given.
    ///
    /// # Errors
    /// The message when it was given before.
    pub fn note(&mut self, option: Opt) -> Result<(), String> {
        if self.has(option) {
            return Err(format!("multiple '{}' options specified", name(option)));
        }
        self.0 |= 1 << option as u64;
        Ok(())
    }

    /// Whether the options go with the command and with each other.
    ///
    /// # Errors
    /// The message of the first thing that is wrong.
    pub fn check(self, verb: Verb) -> Result<(), String> {
        let Wants { needed, allowed, one_of } = verb.wants();
        let command = verb.name();
        let mut chosen: Option<&str> = None;
        for (option, name) in ALL {
            if !self.has(*option) {
                if needed.contains(option) {
                    return Err(format!(
                        "You need to supply the '{name}' option for the '{command}' command"
                    ));
                }
            } else if one_of.contains(option) {
                if let Some(other) = chosen {
                    return Err(format!(
                        "The option '{name}' conflicts with the '{other}' option in the \
                         '{command}' command"
                    ));
                }
                chosen = Some(name);
            } else if !needed.contains(option) && !allowed.contains(option) {
                return Err(format!("Illegal '{name}' option with the '{command}' command"));
            }
        }
        Ok(())
    }
}

/// The name of an option in messages.
#[must_use]
pub fn name(option: Opt) -> &'static str {
    ALL.iter().find(|(listed, _)| *listed == option).map_or("", |(_, name)| name)
}

/// Which word was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// A command.
    Verb(Verb),
    /// `-h`
    Help,
    /// `-v`
    Version,
    /// `-t`, `-u` or `--sctp-service`: the protocol's number.
    Service(u8),
    /// `-f`
    Fwmark,
    /// `-6`
    Ipv6,
    /// `-g`, `-i` or `-m`
    Forward(engine::command::ForwardingMethod),
    /// `--sort`, which does nothing.
    Sort,
    /// Any other option.
    Other(Opt),
}

const fn word(long: &'static str, short: Option<char>, value: Value, tag: Tag) -> Definition {
    Definition { long, short, value, tag }
}

/// Every word that ipvsadm knows, and `--full`, `--json`, `--watch` beyond it.
pub const OPTIONS: &[Definition] = {
    use Value::{None as No, Optional, Required as Yes};
    use engine::command::ForwardingMethod::{DirectRouting, Masquerading, Tunnelling};
    &[
        word("add-service", Some('A'), No, Tag::Verb(Verb::AddService)),
        word("edit-service", Some('E'), No, Tag::Verb(Verb::EditService)),
        word("delete-service", Some('D'), No, Tag::Verb(Verb::DeleteService)),
        word("clear", Some('C'), No, Tag::Verb(Verb::Clear)),
        word("list", Some('L'), No, Tag::Verb(Verb::List)),
        word("list", Some('l'), No, Tag::Verb(Verb::List)),
        word("zero", Some('Z'), No, Tag::Verb(Verb::Zero)),
        word("add-server", Some('a'), No, Tag::Verb(Verb::AddServer)),
        word("edit-server", Some('e'), No, Tag::Verb(Verb::EditServer)),
        word("delete-server", Some('d'), No, Tag::Verb(Verb::DeleteServer)),
        word("set", None, No, Tag::Verb(Verb::Set)),
        word("start-daemon", None, Yes, Tag::Verb(Verb::StartDaemon)),
        word("stop-daemon", None, Yes, Tag::Verb(Verb::StopDaemon)),
        word("restore", Some('R'), No, Tag::Verb(Verb::Restore)),
        word("save", Some('S'), No, Tag::Verb(Verb::Save)),
        word("help", Some('h'), No, Tag::Help),
        word("version", Some('v'), No, Tag::Version),
        word("tcp-service", Some('t'), Yes, Tag::Service(6)),
        word("udp-service", Some('u'), Yes, Tag::Service(17)),
        word("sctp-service", None, Yes, Tag::Service(132)),
        word("fwmark-service", Some('f'), Yes, Tag::Fwmark),
        word("ipv6", Some('6'), No, Tag::Ipv6),
        word("scheduler", Some('s'), Yes, Tag::Other(Opt::Scheduler)),
        word("persistent", Some('p'), Optional, Tag::Other(Opt::Persistent)),
        word("netmask", Some('M'), Yes, Tag::Other(Opt::Netmask)),
        word("real-server", Some('r'), Yes, Tag::Other(Opt::Server)),
        word("masquerading", Some('m'), No, Tag::Forward(Masquerading)),
        word("ipip", Some('i'), No, Tag::Forward(Tunnelling)),
        word("gatewaying", Some('g'), No, Tag::Forward(DirectRouting)),
        word("weight", Some('w'), Yes, Tag::Other(Opt::Weight)),
        word("u-threshold", Some('x'), Yes, Tag::Other(Opt::UThreshold)),
        word("l-threshold", Some('y'), Yes, Tag::Other(Opt::LThreshold)),
        word("numeric", Some('n'), No, Tag::Other(Opt::Numeric)),
        word("connection", Some('c'), No, Tag::Other(Opt::Connection)),
        word("mcast-interface", None, Yes, Tag::Other(Opt::McastInterface)),
        word("mcast-group", None, Yes, Tag::Other(Opt::McastGroup)),
        word("mcast-port", None, Yes, Tag::Other(Opt::McastPort)),
        word("mcast-ttl", None, Yes, Tag::Other(Opt::McastTtl)),
        word("sync-maxlen", None, Yes, Tag::Other(Opt::SyncMaxlen)),
        word("syncid", None, Yes, Tag::Other(Opt::SyncId)),
        word("timeout", None, No, Tag::Other(Opt::Timeout)),
        word("daemon", None, No, Tag::Other(Opt::Daemon)),
        word("stats", None, No, Tag::Other(Opt::Stats)),
        word("rate", None, No, Tag::Other(Opt::Rate)),
        word("thresholds", None, No, Tag::Other(Opt::Thresholds)),
        word("persistent-conn", None, No, Tag::Other(Opt::PersistentConn)),
        word("nosort", None, No, Tag::Other(Opt::NoSort)),
        word("sort", None, No, Tag::Sort),
        word("exact", Some('X'), No, Tag::Other(Opt::Exact)),
        word("ops", Some('o'), No, Tag::Other(Opt::Ops)),
        word("pe", None, Yes, Tag::Other(Opt::Engine)),
        word("sched-flags", Some('b'), Yes, Tag::Other(Opt::SchedFlags)),
        word("tun-info", None, No, Tag::Other(Opt::TunInfo)),
        word("tun-type", None, Yes, Tag::Other(Opt::TunType)),
        word("tun-port", None, Yes, Tag::Other(Opt::TunPort)),
        word("tun-nocsum", None, No, Tag::Other(Opt::TunNocsum)),
        word("tun-csum", None, No, Tag::Other(Opt::TunCsum)),
        word("tun-remcsum", None, No, Tag::Other(Opt::TunRemcsum)),
        word("full", None, No, Tag::Other(Opt::Full)),
        word("json", None, No, Tag::Other(Opt::Json)),
        word("watch", None, Optional, Tag::Other(Opt::Watch)),
    ]
};
