//! Options of IPVS's synchronisation daemon: read and judged, though a director has none.

use core::net::{IpAddr, Ipv6Addr};

use super::endpoint::{inet_aton, number};
use super::options::{Opt, Verb};
use super::{Daemon, Failure};

/// `master` or `backup`.
pub(super) fn role(verb: Verb, text: &str) -> Result<Daemon, Failure> {
    match text {
        "master" => Ok(Daemon::Master),
        "backup" => Ok(Daemon::Backup),
        _ if verb == Verb::StartDaemon => {
            Err(Failure::misuse("illegal start-daemon parameter specified"))
        }
        _ => Err(Failure::misuse("illegal stop_daemon specified")),
    }
}

/// Judges the value of an option of the daemon.
pub(super) fn check(option: Opt, text: &str) -> Result<(), Failure> {
    let (allowed, name) = match option {
        Opt::SyncId => (number(text, 0, 255).is_some(), "syncid"),
        Opt::SyncMaxlen => (number(text, 1, 65_535 - 20 - 8).is_some(), "sync-maxlen"),
        Opt::McastPort => (number(text, 1, 65_535).is_some(), "mcast-port"),
        Opt::McastTtl => (number(text, 1, 255).is_some(), "mcast-ttl"),
        Opt::McastGroup => (is_group(text), "mcast-group"),
        _ => (true, ""),
    };
    if allowed { Ok(()) } else { Err(Failure::misuse(format!("illegal {name} specified"))) }
}

fn is_group(text: &str) -> bool {
    let address =
        text.parse::<Ipv6Addr>().map(IpAddr::V6).ok().or_else(|| inet_aton(text).map(IpAddr::V4));
    address.is_some_and(|address| address.is_multicast())
}
