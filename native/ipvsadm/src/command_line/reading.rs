//! Reading a command line from its first word to its last, in the order ipvsadm judges it.

use core::net::{IpAddr, Ipv4Addr};

use engine::command::{ForwardingMethod, TunnelChecksum, TunnelKind};

use super::endpoint::{endpoint, number};
use super::options::{Given, Opt, Tag, Verb};
use super::popt::Reader;
use super::{Daemon, Failure, Invocation, Server, Service, Wish, daemon, service, tunnel};

/// Largest weight and threshold.
const NUMBER_MAX: i64 = 2_147_483_647;
/// `--watch`: longest pause.
const WATCH_SECONDS_MAX: i64 = 86_400;

/// Reads the words behind the program's name.
///
/// # Errors
/// ipvsadm's message and exit status.
pub fn read(program: &str, words: &[String]) -> Result<Wish, Failure> {
    let mut reader = Reader::new(words);
    let first = reader.option().ok().flatten();
    let (verb, daemon) = match first {
        Some((Tag::Help, _)) => return Ok(Wish::Help),
        Some((Tag::Version, _)) => return Ok(Wish::Version),
        Some((Tag::Verb(verb), None)) => (verb, Daemon::Master),
        Some((Tag::Verb(verb), Some(role))) => (verb, daemon::role(verb, role)?),
        _ => return Err(Failure::without_command(program)),
    };
    let mut wanted = nothing(verb, daemon);
    loop {
        let next = reader.option().map_err(|fault| {
            // Not `misuse`: popt's own complaints have another status.
            let message = format!("{}: {}", reader.word(), fault.message());
            Failure { ends_restore: true, ..Failure::refused(message) }
        })?;
        let Some((tag, value)) = next else { break };
        take(&mut wanted, tag, value.unwrap_or_default(), value.is_some(), reader.word())?;
    }
    let mut plain = reader.into_plain().into_iter();
    if verb == Verb::Set {
        wanted.timeouts = timeouts(&mut plain)?;
    }
    if let Some(word) = plain.next() {
        return Err(Failure::misuse(format!("unexpected argument {word}")));
    }
    judge(&mut wanted)?;
    Ok(Wish::Command(Box::new(wanted)))
}

const fn nothing(verb: Verb, daemon: Daemon) -> Invocation {
    let server = Server {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
        forwarding: ForwardingMethod::DirectRouting,
        weight: 1,
        upper: 0,
        lower: 0,
        tunnel: TunnelKind::Ipip,
        tunnel_port: 0,
        checksum: TunnelChecksum::Nocsum,
    };
    Invocation {
        verb,
        given: Given::NONE,
        service: Service::none(),
        server,
        timeouts: [0; 3],
        daemon,
        watch_seconds: 2,
    }
}

fn timeouts<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<[u32; 3], Failure> {
    let (Some(tcp), Some(fin), Some(udp)) = (words.next(), words.next(), words.next()) else {
        return Err(Failure::misuse("--set option requires 3 timeout values"));
    };
    Ok([service::seconds(tcp, 0)?, service::seconds(fin, 0)?, service::seconds(udp, 0)?])
}

/// Takes one option; `word` is what was read last.
fn take(
    wanted: &mut Invocation,
    tag: Tag,
    value: &str,
    has_value: bool,
    word: &str,
) -> Result<(), Failure> {
    match tag {
        Tag::Verb(_) | Tag::Help | Tag::Version => {
            Err(Failure::misuse(format!("invalid option `{word}'")))
        }
        Tag::Sort => Ok(()),
        Tag::Ipv6 => wanted.service.ipv6(),
        Tag::Service(protocol) => {
            note(wanted, Opt::Service)?;
            wanted.service.by_address(protocol, value)
        }
        Tag::Fwmark => {
            note(wanted, Opt::Service)?;
            wanted.service.by_mark(value)
        }
        Tag::Forward(method) => {
            note(wanted, Opt::Forward)?;
            wanted.server.forwarding = method;
            Ok(())
        }
        Tag::Other(option) => {
            note(wanted, option)?;
            other(wanted, option, value, has_value)
        }
    }
}

fn note(wanted: &mut Invocation, option: Opt) -> Result<(), Failure> {
    wanted.given.note(option).map_err(Failure::misuse)
}

fn other(
    wanted: &mut Invocation,
    option: Opt,
    value: &str,
    has_value: bool,
) -> Result<(), Failure> {
    let (service, server) = (&mut wanted.service, &mut wanted.server);
    match option {
        Opt::Scheduler => service.scheduler(value),
        Opt::Persistent => service.persistent(has_value.then_some(value))?,
        Opt::Netmask => service.netmask(value)?,
        Opt::Ops => service.one_packet = true,
        Opt::Engine => service.engine = Some(value.to_owned()),
        Opt::SchedFlags => service.scheduler_flags(value)?,
        Opt::Server => real_server(service, server, value)?,
        Opt::Weight => server.weight = limited(value, "weight")?,
        Opt::UThreshold => server.upper = limited(value, "u_threshold")?,
        Opt::LThreshold => server.lower = limited(value, "l_threshold")?,
        Opt::TunType => server.tunnel = tunnel::kind(value)?,
        Opt::TunPort => {
            let port = number(value, 1, 65_535).and_then(|port| u16::try_from(port).ok());
            let message = "illegal tunnel port specified";
            server.tunnel_port = port.ok_or_else(|| Failure::misuse(message))?;
        }
        Opt::TunNocsum => server.checksum = TunnelChecksum::Nocsum,
        Opt::TunCsum => server.checksum = TunnelChecksum::Csum,
        Opt::TunRemcsum => server.checksum = TunnelChecksum::Remcsum,
        Opt::Watch if has_value => {
            let seconds = number(value, 1, WATCH_SECONDS_MAX);
            let message = "illegal watch interval specified: 1 to 86400 seconds";
            wanted.watch_seconds = seconds
                .and_then(|seconds| u32::try_from(seconds).ok())
                .ok_or_else(|| Failure::misuse(message))?;
        }
        _ => daemon::check(option, value)?,
    }
    Ok(())
}

fn limited(value: &str, name: &str) -> Result<u32, Failure> {
    number(value, 0, NUMBER_MAX)
        .and_then(|value| u32::try_from(value).ok())
        .ok_or_else(|| Failure::misuse(format!("illegal {name} specified")))
}

/// IPVS: a server without a port takes the service's, which must stand before it.
fn real_server(service: &Service, server: &mut Server, value: &str) -> Result<(), Failure> {
    let message = "illegal real server address[:port] specified";
    let found = endpoint(value, service.protocol).ok_or_else(|| Failure::misuse(message))?;
    server.address = found.address;
    server.port = found.port.unwrap_or(service.port);
    Ok(())
}

/// Everything that can only be judged at the end.
fn judge(wanted: &mut Invocation) -> Result<(), Failure> {
    let Invocation { verb, given, service, server, .. } = wanted;
    given.check(*verb).map_err(Failure::misuse)?;
    if matches!(verb, Verb::AddService | Verb::EditService) {
        of_service(service)?;
    }
    if service.scheduler.is_empty() {
        "wlc".clone_into(&mut service.scheduler);
    }
    if matches!(verb, Verb::AddServer | Verb::EditServer) {
        // IPVS: only masquerading can speak to another port, except in services by mark.
        if service.mark == 0 && server.forwarding != ForwardingMethod::Masquerading {
            server.port = service.port;
        }
        let same = server.address.is_ipv6() == (service.family == engine::command::Family::Ipv6);
        if !same && server.forwarding != ForwardingMethod::Tunnelling {
            let message = "Different address family is allowed only for tunneling servers";
            return Err(Failure::misuse(message));
        }
        tunnel::check(*given, server)?;
    }
    if *verb == Verb::List { of_list(*given) } else { Ok(()) }
}

fn of_service(service: &Service) -> Result<(), Failure> {
    if service.mark == 0 && service.port == 0 && service.persistence.is_none() {
        return Err(Failure::misuse("Zero port specified for non-persistent service"));
    }
    if service.one_packet && service.mark == 0 && service.protocol != 17 {
        return Err(Failure::misuse("One-Packet Scheduling is only for UDP virtual services"));
    }
    Ok(())
}

fn of_list(given: Given) -> Result<(), Failure> {
    let numbers = given.has_any(&[Opt::Stats, Opt::Rate, Opt::Thresholds]);
    let other = given.has_any(&[Opt::Connection, Opt::Timeout, Opt::Daemon]);
    let settings = given.has_any(&[Opt::Timeout, Opt::Daemon]);
    if other && numbers || settings && given.has(Opt::PersistentConn) {
        return Err(Failure::misuse("options conflicts in the list command"));
    }
    Ok(())
}
