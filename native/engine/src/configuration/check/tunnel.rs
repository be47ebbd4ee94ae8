//! What can be wrong with a tunnel's options (the rules of `ipvsadm`).

use crate::command::{IssueCode, Tunnel, TunnelChecksum, TunnelKind};
use crate::configuration::findings::Findings;

/// Port and checksum must fit the kind.
pub(super) fn options(tunnel: &Tunnel, findings: &mut Findings) {
    match (tunnel.kind, tunnel.port) {
        (TunnelKind::Gue, None) => {
            let message = "GUE needs the UDP port the server decapsulates at; give tunnel.port";
            findings.refuse(IssueCode::InvalidCombination, "tunnel.port", "none", message);
        }
        (TunnelKind::Gue, Some(port)) => findings.range("tunnel.port", port, 1..=65_535),
        (TunnelKind::Ipip | TunnelKind::Gre, Some(port)) => {
            let message = "only GUE has a port; leave it out or choose the type gue";
            findings.refuse(IssueCode::InvalidCombination, "tunnel.port", port, message);
        }
        (TunnelKind::Ipip | TunnelKind::Gre, None) => {}
    }
    let refused = match (tunnel.kind, tunnel.checksum) {
        (TunnelKind::Ipip, TunnelChecksum::Csum) => Some(("csum", "IPIP has no checksum")),
        (TunnelKind::Ipip | TunnelKind::Gre, TunnelChecksum::Remcsum) => {
            Some(("remcsum", "only GUE offloads checksums to the server"))
        }
        _ => None,
    };
    if let Some((value, why)) = refused {
        let message = alloc::format!("{why}; leave it out or choose another type");
        findings.refuse(IssueCode::InvalidCombination, "tunnel.checksum", value, message);
    }
}
