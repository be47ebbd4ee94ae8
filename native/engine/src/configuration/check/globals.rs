//! What can be wrong with marks and settings.

use alloc::format;

use crate::command::{IssueCode, MarkMatch, SettingsPatch};
use crate::configuration::findings::Findings;
use crate::configuration::mark::address_length;
use crate::connection::MAX_TIMEOUT_SECONDS;

/// Highest `conn_reuse_mode`: two bits.
const REUSE_MODE_MAX: u64 = 3;

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
        if let Some((first, last)) = condition.ports
            && first > last
        {
            let field = format!("matches[{index}].ports");
            let message = format!("{field} runs from {first} down to {last}; give the lower first");
            findings.refuse(IssueCode::OutOfRange, field, format!("{first}-{last}"), message);
        }
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
