//! The three timeouts `ipvsadm --set` can change, and which of the two TCP tables applies.

/// Longest timeout of anything in the table, in seconds: 31 days, as `ipvsadm` allows.
pub const MAX_TIMEOUT_SECONDS: u32 = 2_678_400;

/// Seconds before a new connection entry goes when no packet went through its state machine
/// (IPVS: 3; only entries created by an ICMP error live by it).
pub const NEW_CONNECTION_SECONDS: u32 = 3;

/// Seconds a template is given when it runs out while it controls connections (IPVS: 60).
pub const CONTROLLING_SECONDS: u32 = 60;

/// Idle timeouts that can be changed, in seconds; all others are constants of their states.
///
/// A change takes effect for a connection at its next packet (IPVS: `--set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    tcp_established: u32,
    tcp_fin_wait: u32,
    udp: u32,
    secure_tcp: bool,
}

impl Timeouts {
    /// These timeouts, in seconds, each 1..=2678400; others are taken as the nearest of the range.
    #[must_use]
    pub fn new(tcp_established: u32, tcp_fin_wait: u32, udp: u32) -> Self {
        let allowed = |seconds: u32| seconds.clamp(1, MAX_TIMEOUT_SECONDS);
        Self {
            tcp_established: allowed(tcp_established),
            tcp_fin_wait: allowed(tcp_fin_wait),
            udp: allowed(udp),
            secure_tcp: false,
        }
    }

    /// These timeouts, with TCP following the table for times of attack or not (`secure_tcp`).
    #[must_use]
    pub const fn with_secure_tcp(self, secure_tcp: bool) -> Self {
        Self { secure_tcp, ..self }
    }

    /// Whether TCP follows the table for times of attack.
    #[must_use]
    pub const fn secure_tcp(&self) -> bool {
        self.secure_tcp
    }

    /// Seconds an established TCP connection may idle; 900 by default.
    #[must_use]
    pub const fn tcp_established(&self) -> u32 {
        self.tcp_established
    }

    /// Seconds a TCP connection stays in `FIN_WAIT`; 120 by default.
    #[must_use]
    pub const fn tcp_fin_wait(&self) -> u32 {
        self.tcp_fin_wait
    }

    /// Seconds a UDP flow may idle; 300 by default.
    #[must_use]
    pub const fn udp(&self) -> u32 {
        self.udp
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { tcp_established: 900, tcp_fin_wait: 120, udp: 300, secure_tcp: false }
    }
}
