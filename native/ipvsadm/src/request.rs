//! A command line as a command of the engine.

use engine::command::{
    Command, ForwardingMethod, Persistence, PersistenceEngine, Protocol, SchedulerFlag,
    SchedulerName, ServerKey, ServerSpec, ServiceKey, ServiceSpec, SettingsPatch, Tunnel,
    TunnelKind,
};
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize as _, Serialize as _};
use serde_json::Value;

use crate::command_line::{Invocation, SchedulerFlags, Server, Service, Verb};

/// What a director has no word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// The scheduler or persistence engine.
    Name,
    /// A persistence mask that is no prefix of the address.
    Netmask,
}

/// The command of a command line that changes the configuration; none for those that do not.
///
/// # Errors
/// What a director has no word for.
pub fn command(wanted: &Invocation) -> Result<Option<Command>, Unsupported> {
    let key = service_key(&wanted.service);
    Ok(Some(match wanted.verb {
        Verb::AddService => Command::AddService { service: service(&wanted.service)? },
        Verb::EditService => Command::EditService { service: service(&wanted.service)? },
        Verb::DeleteService => Command::RemoveService { service: key },
        Verb::Clear => Command::Clear,
        Verb::AddServer => Command::AddServer { service: key, server: server(&wanted.server) },
        Verb::EditServer => Command::EditServer { service: key, server: server(&wanted.server) },
        Verb::DeleteServer => {
            Command::RemoveServer { service: key, server: server_key(&wanted.server) }
        }
        Verb::Set => Command::Settings { settings: settings(wanted.timeouts) },
        _ => return Ok(None),
    }))
}

/// Its JSON; what is absent is left out.
#[must_use]
pub fn to_json(command: &Command) -> Value {
    let mut value = command.serialize(serde_json::value::Serializer).unwrap_or_default();
    without_null(&mut value);
    value
}

/// The JSON of a service's identity.
#[must_use]
pub fn key_to_json(key: &ServiceKey) -> Value {
    key.serialize(serde_json::value::Serializer).unwrap_or_default()
}

fn without_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// The identity of a service.
#[must_use]
pub fn service_key(service: &Service) -> ServiceKey {
    if service.mark > 0 {
        return ServiceKey::Mark { mark: service.mark, family: service.family };
    }
    let protocol = Protocol::from_number(service.protocol).unwrap_or(Protocol::Tcp);
    ServiceKey::Address { protocol, address: service.address, port: service.port }
}

fn service(service: &Service) -> Result<ServiceSpec, Unsupported> {
    let scheduler = scheduler(&service.scheduler)?;
    let persistence_engine = persistence_engine(service.engine.as_deref())?;
    let persistence = match service.persistence {
        None => None,
        Some(timeout_seconds) => {
            Some(Persistence { timeout_seconds, prefix_length: prefix_length(service)? })
        }
    };
    Ok(ServiceSpec {
        key: service_key(service),
        scheduler,
        flags: flags(service.flags, scheduler),
        sloppy: None,
        persistence,
        persistence_engine,
        one_packet: service.one_packet,
    })
}

/// IPVS: `none` is the name of having no scheduler.
fn scheduler(name: &str) -> Result<Option<SchedulerName>, Unsupported> {
    if name == "none" {
        return Ok(None);
    }
    let name: StrDeserializer<'_, Error> = name.into_deserializer();
    SchedulerName::deserialize(name).map(Some).map_err(|_| Unsupported::Name)
}

/// IPVS: an empty name is none.
fn persistence_engine(name: Option<&str>) -> Result<Option<PersistenceEngine>, Unsupported> {
    match name {
        None | Some("") => Ok(None),
        Some("sip") => Ok(Some(PersistenceEngine::Sip)),
        Some(_) => Err(Unsupported::Name),
    }
}

fn flags(flags: SchedulerFlags, scheduler: Option<SchedulerName>) -> Vec<SchedulerFlag> {
    use SchedulerFlag as Flag;
    let (first, second) = match scheduler {
        Some(SchedulerName::Sh) => (Flag::ShFallback, Flag::ShPort),
        Some(SchedulerName::Mh) => (Flag::MhFallback, Flag::MhPort),
        _ => (Flag::Flag1, Flag::Flag2),
    };
    let all = [(flags.first, first), (flags.second, second), (flags.third, Flag::Flag3)];
    all.into_iter().filter_map(|(set, flag)| set.then_some(flag)).collect()
}

fn prefix_length(service: &Service) -> Result<Option<u8>, Unsupported> {
    let (length, whole) = if service.family == engine::command::Family::Ipv6 {
        (service.netmask, 128)
    } else {
        let ones = service.netmask.leading_ones();
        if ones != service.netmask.count_ones() {
            return Err(Unsupported::Netmask);
        }
        (ones, 32)
    };
    Ok((length != whole).then(|| u8::try_from(length).unwrap_or(u8::MAX)))
}

const fn server_key(server: &Server) -> ServerKey {
    ServerKey { address: server.address, port: Some(server.port) }
}

fn server(server: &Server) -> ServerSpec {
    let tunnel = Tunnel {
        kind: server.tunnel,
        port: (server.tunnel == TunnelKind::Gue).then_some(server.tunnel_port),
        checksum: server.checksum,
    };
    ServerSpec {
        key: server_key(server),
        weight: server.weight,
        forwarding: server.forwarding,
        tunnel: (server.forwarding == ForwardingMethod::Tunnelling).then_some(tunnel),
        upper_threshold: server.upper,
        lower_threshold: server.lower,
    }
}

fn settings([tcp, fin, udp]: [u32; 3]) -> SettingsPatch {
    let given = |seconds: u32| (seconds > 0).then_some(seconds);
    SettingsPatch {
        tcp_timeout_seconds: given(tcp),
        tcp_fin_timeout_seconds: given(fin),
        udp_timeout_seconds: given(udp),
        ..SettingsPatch::default()
    }
}
