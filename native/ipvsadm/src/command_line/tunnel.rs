//! Options of tunnels, and which kind has which.

use engine::command::{ForwardingMethod, TunnelKind};

use super::options::{self, Given, Opt};
use super::{Failure, Server};

const CHECKSUMS: [Opt; 3] = [Opt::TunNocsum, Opt::TunCsum, Opt::TunRemcsum];

/// The kind with this name.
pub(super) fn kind(text: &str) -> Result<TunnelKind, Failure> {
    match text {
        "ipip" => Ok(TunnelKind::Ipip),
        "gue" => Ok(TunnelKind::Gue),
        "gre" => Ok(TunnelKind::Gre),
        _ => Err(Failure::misuse("illegal tunnel type specified")),
    }
}

/// Whether the options go with the forwarding method and with the kind.
pub(super) fn check(given: Given, server: &Server) -> Result<(), Failure> {
    if server.forwarding != ForwardingMethod::Tunnelling {
        let any = given.has_any(&[Opt::TunType, Opt::TunPort]) || given.has_any(&CHECKSUMS);
        return if any {
            Err(Failure::misuse("Tunnel options conflict with forward method"))
        } else {
            Ok(())
        };
    }
    let (name, port, refused): (_, _, &[Opt]) = match server.tunnel {
        TunnelKind::Ipip => ("ipip", false, &CHECKSUMS),
        TunnelKind::Gue => ("gue", true, &[]),
        TunnelKind::Gre => ("gre", false, &[Opt::TunRemcsum]),
    };
    if port && !given.has(Opt::TunPort) {
        return Err(Failure::misuse(format!(
            "You need to supply the 'tun-port' option for the '{name}' tunnel type"
        )));
    }
    let foreign = (!port && given.has(Opt::TunPort)).then_some(Opt::TunPort);
    let foreign = foreign.or_else(|| refused.iter().copied().find(|option| given.has(*option)));
    match foreign {
        Some(option) => Err(Failure::misuse(format!(
            "Illegal '{}' option with the '{name}' tunnel type",
            options::name(option)
        ))),
        None => Ok(()),
    }
}
