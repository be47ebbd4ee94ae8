//! The digest of a configuration: equal where, and only where, new connections go alike.
//!
//! It is 64-bit FNV-1a over the octets described here, numbers in big-endian order, addresses as
//! their 4 or 16 octets behind a 4 or a 6; the same on every machine and in every release. Services
//! and marks enter as sums of their own digests, each passed through the finaliser of SplitMix64,
//! so that their order and the history of the configuration leave no trace. Changing what is
//! digested, or how, needs another [`FORMAT`].

use core::net::IpAddr;

use super::Configuration;
use super::mark::{Mark, address_length, network, prefix_length};
use super::server::Server;
use super::service::Service;
use super::settings::Settings;
use crate::command::{
    Family, ForwardingMethod, MarkMatch, PersistenceEngine, Protocol, SchedulerName, ServiceKey,
    Tunnel,
};

/// Version of the digest itself.
const FORMAT: u8 = 1;

/// What a service on a range begins with, where others have a protocol: no number of one.
const RANGE: u8 = 255;

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    fn octets(mut self, octets: &[u8]) -> Self {
        for &octet in octets {
            self.0 = (self.0 ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        self
    }

    fn octet(self, octet: u8) -> Self {
        self.octets(&[octet])
    }

    fn flag(self, flag: bool) -> Self {
        self.octet(u8::from(flag))
    }

    fn half(self, number: u16) -> Self {
        self.octets(&number.to_be_bytes())
    }

    fn word(self, number: u32) -> Self {
        self.octets(&number.to_be_bytes())
    }

    fn double(self, number: u64) -> Self {
        self.octets(&number.to_be_bytes())
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.octet(4).octets(&address.octets()),
            IpAddr::V6(address) => self.octet(6).octets(&address.octets()),
        }
    }

    fn key(self, key: &ServiceKey) -> Self {
        match *key {
            ServiceKey::Address { protocol, address, port } => {
                self.octet(protocol_number(protocol)).address(address).half(port)
            }
            ServiceKey::Range { protocol, address, prefix_length, ports: (first, last) } => {
                let length = prefix_length.unwrap_or_else(|| address_length(address));
                self.octet(RANGE)
                    .octet(protocol_number(protocol))
                    .address(address)
                    .octet(length)
                    .half(first)
                    .half(last)
            }
            ServiceKey::Mark { mark, family } => self.octet(0).word(mark).octet(match family {
                Family::Ipv4 => 4,
                Family::Ipv6 => 6,
            }),
        }
    }

    fn server(self, server: &Server) -> Self {
        self.address(server.address)
            .half(server.port)
            .word(server.weight)
            .octet(match server.forwarding {
                ForwardingMethod::DirectRouting => 1,
                ForwardingMethod::Tunnelling => 2,
                ForwardingMethod::Masquerading => 3,
            })
            .tunnel(server.tunnel)
            .word(server.upper_threshold)
            .word(server.lower_threshold)
    }

    fn tunnel(self, tunnel: Option<Tunnel>) -> Self {
        let Some(Tunnel { kind, port, checksum }) = tunnel else { return self };
        self.octet(kind as u8).half(port.unwrap_or(0)).octet(checksum as u8)
    }

    /// Where a match wants packets from; nothing where it does not say.
    fn origin(mut self, it: &MarkMatch) -> Self {
        if let Some(source) = it.source {
            let length = it.source_prefix_length.unwrap_or_else(|| address_length(source));
            self = self.octet(1).address(network(source, length)).octet(length);
        }
        if let Some((first, last)) = it.source_ports {
            self = self.octet(2).half(first).half(last);
        }
        if let Some(interface) = it.interface {
            self = self.octet(3).word(interface);
        }
        if let Some(vlan) = it.vlan {
            self = self.octet(4).half(vlan);
        }
        self
    }

    /// SplitMix64's finaliser: what is summed must not keep FNV's structure.
    const fn finish(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }
}

/// Protocol numbers of IANA.
const fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Digest of one service and its servers, in list order; `sloppy` enters with the settings, which
/// may decide it.
pub(super) fn service(service: &Service) -> u64 {
    let spec = &service.spec;
    let whole = match service.family() {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    };
    let digest = Fnv::new()
        .key(&spec.key)
        .octet(match spec.scheduler {
            None => 0,
            Some(scheduler) => scheduler_number(scheduler),
        })
        .flag(service.flags.fallback)
        .flag(service.flags.port)
        .flag(spec.one_packet)
        .word(spec.persistence.map_or(0, |persistence| persistence.timeout_seconds))
        .octet(
            spec.persistence.map_or(0, |persistence| persistence.prefix_length.unwrap_or(whole)),
        );
    // Digests without an engine are what they were before there were any.
    let digest = match spec.persistence_engine.filter(|_| spec.persistence.is_some()) {
        None => digest,
        Some(PersistenceEngine::Sip) => digest.octet(1),
    };
    let digest = service.servers.iter().fold(digest, Fnv::server);
    // What the servers weighed before their pause decides only where `mh` places.
    let places_by_last = spec.scheduler == Some(SchedulerName::Mh);
    let last_weights = service.servers.iter().map(|server| server.last_weight);
    last_weights.filter(|_| places_by_last).fold(digest, Fnv::word).finish()
}

/// Numbers of the schedulers; they stay for ever.
const fn scheduler_number(scheduler: SchedulerName) -> u8 {
    match scheduler {
        SchedulerName::Sh => 1,
        SchedulerName::Rr => 2,
        SchedulerName::Wrr => 3,
        SchedulerName::Lc => 4,
        SchedulerName::Wlc => 5,
        SchedulerName::Lblc => 6,
        SchedulerName::Lblcr => 7,
        SchedulerName::Dh => 8,
        SchedulerName::Sed => 9,
        SchedulerName::Nq => 10,
        SchedulerName::Mh => 11,
        SchedulerName::Fo => 12,
        SchedulerName::Ovf => 13,
        SchedulerName::Twos => 14,
    }
}

/// Digest of one mark; its matches are a set, their order says nothing.
fn mark(mark: &Mark) -> u64 {
    let matches = mark.matches.iter().map(|it| {
        let (first, last) = it.ports.unwrap_or((0, u16::MAX));
        Fnv::new()
            .octet(it.protocol.map_or(0, protocol_number))
            .address(network(it.address, prefix_length(it)))
            .octet(prefix_length(it))
            .half(first)
            .half(last)
            .origin(it)
            .finish()
    });
    Fnv::new().word(mark.mark).double(matches.fold(0, u64::wrapping_add)).finish()
}

/// Digest of the settings that decide where connections go. Timeouts are not among them.
fn settings(fnv: Fnv, settings: &Settings) -> Fnv {
    fnv.flag(settings.schedule_icmp)
        .flag(settings.expire_nodest_conn)
        .flag(settings.expire_quiescent_template)
        .octet(settings.conn_reuse_mode)
}

/// Sum of the digests of all services: that of `before`, with what changed taken out and put in.
pub(super) fn services(configuration: &Configuration, before: &Configuration) -> u64 {
    let sloppy = |of: &Configuration| (of.settings().sloppy_tcp, of.settings().sloppy_sctp);
    if sloppy(configuration) != sloppy(before) {
        let all = configuration.services().map(|service| in_context(configuration, service));
        return all.fold(0, u64::wrapping_add);
    }
    configuration.changes_since(before).fold(before.digest_of_services, |sum, (old, new)| {
        let old = old.map_or(0, |service| in_context(before, service));
        let new = new.map_or(0, |service| in_context(configuration, service));
        sum.wrapping_sub(old).wrapping_add(new)
    })
}

/// Digest of one service of `configuration`, whose settings may decide how sloppy it is.
pub(super) fn in_context(configuration: &Configuration, service: &Service) -> u64 {
    let sloppy = |protocol| configuration.is_sloppy(service, protocol);
    Fnv::new()
        .double(service.digest)
        .flag(sloppy(Protocol::Tcp))
        .flag(sloppy(Protocol::Sctp))
        .finish()
}

/// Digest of a whole configuration whose services are summed up.
pub(super) fn configuration(configuration: &Configuration) -> u64 {
    settings(Fnv::new().octet(FORMAT), configuration.settings())
        .double(configuration.digest_of_services)
        .double(configuration.marks().iter().map(mark).fold(0, u64::wrapping_add))
        .finish()
}
