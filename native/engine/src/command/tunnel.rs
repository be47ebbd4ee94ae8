//! How packets are wrapped on their way to a real server (IPVS: `--tun-type` and what goes with it).

/// Kind of a tunnel, by the name `ipvsadm --tun-type` has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum TunnelKind {
    /// The packet right behind the outer IP header (RFC 2003, RFC 2473).
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// Generic routing encapsulation (RFC 2784).
    Gre,
}

/// Checksum of a tunnel's own header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum TunnelChecksum {
    /// None (`--tun-nocsum`).
    #[default]
    Nocsum,
    /// Over header and payload (`--tun-csum`); GRE and GUE.
    Csum,
    /// As `csum`, and the server completes checksums the sender left open (`--tun-remcsum`); GUE.
    Remcsum,
}

/// A tunnel to a real server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "camelCase", deny_unknown_fields))]
pub struct Tunnel {
    /// Kind; `ipip` by default.
    #[cfg_attr(feature = "serde", serde(rename = "type", default))]
    pub kind: TunnelKind,
    /// UDP port the server decapsulates at, 1..=65535: needed for GUE, refused for others.
    #[cfg_attr(feature = "serde", serde(default))]
    pub port: Option<u16>,
    /// Checksum; none by default.
    #[cfg_attr(feature = "serde", serde(default))]
    pub checksum: TunnelChecksum,
}
