//! The rights the kernel asks for, and how to get them.

use std::fs;

/// A right a director needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Packet sockets.
    NetRaw,
    /// Ingress guard, neighbour requests, promiscuous mode, large send buffers.
    NetAdmin,
}

impl Capability {
    /// Every right a director needs.
    pub const ALL: [Self; 2] = [Self::NetRaw, Self::NetAdmin];

    /// Name as the kernel's manual has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetRaw => "CAP_NET_RAW",
            Self::NetAdmin => "CAP_NET_ADMIN",
        }
    }

    /// Bit in the masks of `/proc/self/status`.
    const fn bit(self) -> u32 {
        match self {
            Self::NetRaw => 13,
            Self::NetAdmin => 12,
        }
    }
}

/// The rights of [`Capability::ALL`] this thread does not have. Without `/proc` none is reported:
/// the call that needs the right says so.
#[must_use]
pub fn missing() -> Vec<Capability> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let effective = effective_mask(&status).unwrap_or(u64::MAX);
    Capability::ALL.into_iter().filter(|one| effective & (1 << one.bit()) == 0).collect()
}

fn effective_mask(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// What is missing and the commands that grant it, as a sentence for an error message.
#[must_use]
pub fn advice() -> String {
    let missing = missing();
    if missing.is_empty() {
        return "CAP_NET_RAW and CAP_NET_ADMIN are present in this user namespace, but the network \
                namespace belongs to another one, or a security module refuses: run inside a \
                network namespace of your own (unshare --net) or relax that policy"
            .to_owned();
    }
    let names: Vec<_> = missing.into_iter().map(Capability::name).collect();
    format!("the process lacks {}. {GRANTS}", names.join(" and "))
}

/// How to grant both rights, cheapest in side effects first.
const GRANTS: &str = "Grant it with one of: \
systemd unit: AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN; \
shell: sudo setpriv --reuid=$USER --init-groups --inh-caps=+net_raw,+net_admin \
--ambient-caps=+net_raw,+net_admin -- node app.js; \
docker run --cap-add NET_RAW --cap-add NET_ADMIN; \
or sudo setcap cap_net_raw,cap_net_admin+ep $(readlink -f $(which node)), whose price is that every \
script run by that node binary gets the rights and that node then ignores NODE_OPTIONS and \
LD_LIBRARY_PATH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_mask_is_read_and_nonsense_is_not() {
        let status = "Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t0000000000003000\n";
        assert_eq!(effective_mask(status), Some(0x3000));
        assert_eq!(effective_mask("CapEff:\tzzz\n"), None);
        assert_eq!(effective_mask(""), None);
    }

    #[test]
    fn every_way_to_grant_is_named() {
        for way in ["AmbientCapabilities", "setpriv", "--ambient-caps", "--cap-add", "setcap"] {
            assert!(GRANTS.contains(way), "{way} is missing");
        }
    }
}
