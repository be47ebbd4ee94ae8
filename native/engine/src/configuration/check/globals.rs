//! What can be wrong with marks and settings.

use alloc::format;

use crate::command::{IssueCode, MarkMatch, SettingsPatch};
use crate::configuration::findings::Findings;
use crate::configuration::mark::address_length;
use crate::connection::MAX_TIMEOUT_SECONDS;
use crate::snapshot::family_of;

/// Highest `conn_reuse_mode`: two bits.
const REUSE_MODE_MAX: u64 = 3;

/// Highest number of a VLAN (IEEE 802.1Q §9.6).
const VLAN_MAX: u64 = 4094;

/// Highest mode of the defences: always.
const DEFENCE_MODE_MAX: u64 = 3;

/// `DefineMark`.
pub(super) fn mark(mark: u32, matches: &[MarkMatch], findings: &mut Findings) {
    findings.range("mark", mark, 1..=u64::from(u32::MAX));
    for (index, condition) in matches.iter().enumerate() {
        if let Some(length) = condition.prefix_length {
            let longest = u64::from(address_length(condition.address));
            findings.range(format!("matches[{index}].prefixLength"), length, 0..=longest);
        }
        ports(&format!("matches[{index}].ports"), condition.ports, findings);
        ports(&format!("matches[{index}].sourcePorts"), condition.source_ports, findings);
        if let Some(vlan) = condition.vlan {
            findings.range(format!("matches[{index}].vlan"), vlan, 0..=VLAN_MAX);
        }
        source(index, condition, findings);
    }
}

/// The source network of a match.
fn source(index: usize, condition: &MarkMatch, findings: &mut Findings) {
    let field = format!("matches[{index}].source");
    let Some(source) = condition.source else {
        if let Some(length) = condition.source_prefix_length {
            let message = "a prefix length of the source needs the source's address; give both";
            let field = format!("{field}PrefixLength");
            findings.refuse(IssueCode::InvalidCombination, field, length, message);
        }
        return;
    };
    if family_of(source) != family_of(condition.address) {
        let message = "source and destination of a match must be of one address family";
        findings.refuse(IssueCode::FamilyMismatch, field, source, message);
    } else if let Some(length) = condition.source_prefix_length {
        let longest = u64::from(address_length(source));
        findings.range(format!("{field}PrefixLength"), length, 0..=longest);
    }
}

/// First and last of a range of ports.
pub(super) fn ports(field: &str, ports: Option<(u16, u16)>, findings: &mut Findings) {
    if let Some((first, last)) = ports
        && first > last
    {
        let message = format!("{field} runs from {first} down to {last}; give the lower first");
        findings.refuse(IssueCode::OutOfRange, field, format!("{first}-{last}"), message);
    }
}

/// `Settings`.
pub(super) fn settings(patch: &SettingsPatch, findings: &mut Findings) {
    if let Some(mode) = patch.conn_reuse_mode {
        findings.range("connReuseMode", mode, 0..=REUSE_MODE_MAX);
    }
    let modes = [
        ("dropEntry", patch.drop_entry),
        ("dropPacket", patch.drop_packet),
        ("secureTcp", patch.secure_tcp),
    ];
    for (field, mode) in modes {
        if let Some(mode) = mode {
            findings.range(field, mode, 0..=DEFENCE_MODE_MAX);
        }
    }
    if let Some(rate) = patch.am_droprate {
        findings.range("amDroprate", rate, 1..=u64::from(u32::MAX));
    }
    let timeouts = [
        ("tcpTimeoutSeconds", patch.tcp_timeout_seconds),
        ("tcpFinTimeoutSeconds", patch.tcp_fin_timeout_seconds),
        ("udpTimeoutSeconds", patch.udp_timeout_seconds),
    ];
    for (field, seconds) in timeouts {
        if let Some(seconds) = seconds {
            findings.range(field, seconds, 1..=u64::from(MAX_TIMEOUT_SECONDS));
        }
    }
}
