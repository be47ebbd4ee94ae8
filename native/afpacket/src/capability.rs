//! The rights the kernel asks for, and how to get them.

use std::fs;

/// A right a director needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Packet sockets.
    NetRaw,
    /// Ingress guard, neighbour requests, promiscuous mode, large send buffers.
    NetAdmin,
    /// The kernel's fast path; a director works without. `CAP_SYS_ADMIN` stands in for it.
    Bpf,
}

impl Capability {
    /// Every right a director cannot do without.
    pub const ALL: [Self; 2] = [Self::NetRaw, Self::NetAdmin];

    /// Name as the kernel's manual has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetRaw => "CAP_NET_RAW",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::Bpf => "CAP_BPF",
        }
    }

    /// Bit in the masks of `/proc/self/status`.
    const fn bit(self) -> u32 {
        match self {
            Self::NetRaw => 13,
            Self::NetAdmin => 12,
            Self::Bpf => 39,
        }
    }
}

/// The rights of [`Capability::ALL`] this thread does not have. Without `/proc` none is reported:
/// the call that needs the right says so.
#[must_use]
pub fn missing() -> Vec<Capability> {
    let effective = effective();
    Capability::ALL.into_iter().filter(|one| effective & (1 << one.bit()) == 0).collect()
}

fn effective() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    effective_mask(&status).unwrap_or(u64::MAX)
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

/// What a fast path that is not permitted is missing, as a sentence for an error message.
#[must_use]
pub fn fast_path_advice() -> String {
    const SYS_ADMIN: u64 = 1 << 21;
    let effective = effective();
    if effective & (1 << Capability::Bpf.bit() | SYS_ADMIN) == 0 {
        return "the process lacks CAP_BPF, which a director needs for nothing else: grant it \
                beside CAP_NET_RAW and CAP_NET_ADMIN (AmbientCapabilities=, \
                setpriv --ambient-caps=+bpf, docker run --cap-add BPF, setcap), or go on without \
                the fast path"
            .to_owned();
    }
    if effective & 1 << Capability::NetAdmin.bit() == 0 {
        return "the process lacks CAP_NET_ADMIN, which the filter of an interface needs"
            .to_owned();
    }
    "CAP_BPF is present, but in a user namespace, where the kernel does not count it, or a security \
     module or kernel lockdown refuses, or (before Linux 5.11) the limit of locked memory \
     (ulimit -l) is too low: go on without the fast path, or grant CAP_BPF in the initial user \
     namespace"
        .to_owned()
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
