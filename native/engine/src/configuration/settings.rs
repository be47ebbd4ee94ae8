//! Global settings, with the defaults of IPVS.

use crate::command::SettingsPatch;

/// Global settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase"))]
pub struct Settings {
    /// Adopt mid-stream TCP connections (`sloppy_tcp`); default no.
    pub sloppy_tcp: bool,
    /// Adopt mid-stream SCTP associations (`sloppy_sctp`); default no.
    pub sloppy_sctp: bool,
    /// Let ICMP errors of unknown connections create them (`schedule_icmp`); default no.
    pub schedule_icmp: bool,
    /// Reschedule connections of removed and quiesced servers (`expire_nodest_conn`); default no.
    pub expire_nodest_conn: bool,
    /// Ignore persistence templates of quiesced servers (`expire_quiescent_template`); default no.
    pub expire_quiescent_template: bool,
    /// Whether a SYN on a finished connection is scheduled anew, 0..=3 (`conn_reuse_mode`);
    /// default 1.
    pub conn_reuse_mode: u8,
    /// Seconds an established TCP connection may idle; default 900.
    pub tcp_timeout_seconds: u32,
    /// Seconds a TCP connection stays in FIN_WAIT; default 120.
    pub tcp_fin_timeout_seconds: u32,
    /// Seconds a UDP flow may idle; default 300.
    pub udp_timeout_seconds: u32,
    /// ICMP errors the director makes a second at most, 0 for no limit; default 1000.
    pub icmp_errors_per_second: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sloppy_tcp: false,
            sloppy_sctp: false,
            schedule_icmp: false,
            expire_nodest_conn: false,
            expire_quiescent_template: false,
            conn_reuse_mode: 1,
            tcp_timeout_seconds: 900,
            tcp_fin_timeout_seconds: 120,
            udp_timeout_seconds: 300,
            icmp_errors_per_second: 1000,
        }
    }
}

impl Settings {
    /// These settings with `patch` applied; what the patch leaves out stays.
    pub(super) fn patched(self, patch: &SettingsPatch) -> Self {
        let or = |new: Option<bool>, old| new.unwrap_or(old);
        Self {
            sloppy_tcp: or(patch.sloppy_tcp, self.sloppy_tcp),
            sloppy_sctp: or(patch.sloppy_sctp, self.sloppy_sctp),
            schedule_icmp: or(patch.schedule_icmp, self.schedule_icmp),
            expire_nodest_conn: or(patch.expire_nodest_conn, self.expire_nodest_conn),
            expire_quiescent_template: or(
                patch.expire_quiescent_template,
                self.expire_quiescent_template,
            ),
            conn_reuse_mode: patch.conn_reuse_mode.unwrap_or(self.conn_reuse_mode),
            tcp_timeout_seconds: patch.tcp_timeout_seconds.unwrap_or(self.tcp_timeout_seconds),
            tcp_fin_timeout_seconds: patch
                .tcp_fin_timeout_seconds
                .unwrap_or(self.tcp_fin_timeout_seconds),
            udp_timeout_seconds: patch.udp_timeout_seconds.unwrap_or(self.udp_timeout_seconds),
            icmp_errors_per_second: patch
                .icmp_errors_per_second
                .unwrap_or(self.icmp_errors_per_second),
        }
    }
}
