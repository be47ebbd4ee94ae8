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
    /// Let tunnels respect "don't fragment" and tell senders what fits (`pmtu_disc`); default yes.
    pub pmtu_disc: bool,
    /// Answer packets of masqueraded servers that belong to no connection with "port unreachable"
    /// (`nat_icmp_send`); default no.
    pub nat_icmp_send: bool,
    /// Route on, as a router would, what masqueraded servers send from a service's port and belongs to
    /// no connection; default yes.
    pub route_servers: bool,
    /// Answer mid-stream TCP packets that belong to no connection, and that none may be made of, with
    /// a reset; default no, because in a group another director may know the connection.
    pub reset_midstream: bool,
    /// Refuse addresses and ports of no use to a director that IPVS accepts; default yes.
    pub strict_addresses: bool,
    /// Seconds an established TCP connection may idle; default 900.
    pub tcp_timeout_seconds: u32,
    /// Seconds a TCP connection stays in FIN_WAIT; default 120.
    pub tcp_fin_timeout_seconds: u32,
    /// Seconds a UDP flow may idle; default 300.
    pub udp_timeout_seconds: u32,
    /// Drop connections of little worth: 0 never, 1 or 2 when entries are short, 3 always
    /// (`drop_entry`); default 0.
    pub drop_entry: u8,
    /// Drop some packets that would make connections, likewise (`drop_packet`); default 0.
    pub drop_packet: u8,
    /// Let TCP follow the table for times of attack, likewise (`secure_tcp`); default 0.
    pub secure_tcp: u8,
    /// One of so many packets is dropped by `drop_packet` 3 (`am_droprate`); default 10.
    pub am_droprate: u32,
    /// Free entries of the connection table below which the defences act (`amemthresh`); default
    /// 1024.
    pub amemthresh: u32,
    /// Whether rates are estimated (`run_estimation`); default yes.
    pub run_estimation: bool,
    /// ICMP errors and resets the director makes a second at most, 0 for no limit; default 1000.
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
            pmtu_disc: true,
            nat_icmp_send: false,
            route_servers: true,
            reset_midstream: false,
            strict_addresses: true,
            tcp_timeout_seconds: 900,
            tcp_fin_timeout_seconds: 120,
            udp_timeout_seconds: 300,
            drop_entry: 0,
            drop_packet: 0,
            secure_tcp: 0,
            am_droprate: 10,
            amemthresh: 1024,
            run_estimation: true,
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
            pmtu_disc: or(patch.pmtu_disc, self.pmtu_disc),
            nat_icmp_send: or(patch.nat_icmp_send, self.nat_icmp_send),
            route_servers: or(patch.route_servers, self.route_servers),
            reset_midstream: or(patch.reset_midstream, self.reset_midstream),
            strict_addresses: or(patch.strict_addresses, self.strict_addresses),
            tcp_timeout_seconds: patch.tcp_timeout_seconds.unwrap_or(self.tcp_timeout_seconds),
            tcp_fin_timeout_seconds: patch
                .tcp_fin_timeout_seconds
                .unwrap_or(self.tcp_fin_timeout_seconds),
            udp_timeout_seconds: patch.udp_timeout_seconds.unwrap_or(self.udp_timeout_seconds),
            drop_entry: patch.drop_entry.unwrap_or(self.drop_entry),
            drop_packet: patch.drop_packet.unwrap_or(self.drop_packet),
            secure_tcp: patch.secure_tcp.unwrap_or(self.secure_tcp),
            am_droprate: patch.am_droprate.unwrap_or(self.am_droprate),
            amemthresh: patch.amemthresh.unwrap_or(self.amemthresh),
            run_estimation: or(patch.run_estimation, self.run_estimation),
            icmp_errors_per_second: patch
                .icmp_errors_per_second
                .unwrap_or(self.icmp_errors_per_second),
        }
    }
}
