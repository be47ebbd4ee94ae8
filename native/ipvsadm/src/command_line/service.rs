//! Options of virtual services.

use core::net::IpAddr;

use engine::command::Family;

use super::endpoint::{endpoint, inet_aton, leading_number, number};
use super::{Failure, Service};

/// Longest persistence and timeout: 31 days.
pub(super) const SECONDS_MAX: i64 = 2_678_400;
/// `-M` of IPv6 that takes all clients for one. IPVS has no word for it, and refuses `0`.
pub(crate) const ALL_CLIENTS: &str = "::";
/// IPVS: longest name of a scheduler.
const SCHEDULER_NAME_MAX: usize = 15;

/// Flags of a scheduler as IPVS has them: bits whose meaning is the scheduler's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedulerFlags {
    /// `flag-1`: `sh-fallback`, `mh-fallback`.
    pub first: bool,
    /// `flag-2`: `sh-port`, `mh-port`.
    pub second: bool,
    /// `flag-3`.
    pub third: bool,
}

impl SchedulerFlags {
    /// A list with commas; `scheduler` is the one that was named before it.
    fn read(text: &str, scheduler: &str) -> Result<Self, Failure> {
        let mut flags = Self::default();
        for flag in text.split(',').filter(|flag| !flag.is_empty()) {
            let (bit, only) = match flag {
                "flag-1" => (&mut flags.first, None),
                "flag-2" => (&mut flags.second, None),
                "flag-3" => (&mut flags.third, None),
                "sh-fallback" => (&mut flags.first, Some("sh")),
                "sh-port" => (&mut flags.second, Some("sh")),
                "mh-fallback" => (&mut flags.first, Some("mh")),
                "mh-port" => (&mut flags.second, Some("mh")),
                _ => return Err(Failure::misuse(format!("invalid scheduler flag `{flag}'"))),
            };
            if only.is_some_and(|only| only != scheduler) {
                return Err(Failure::misuse(format!("incompatible scheduler flag `{flag}'")));
            }
            *bit = true;
        }
        Ok(flags)
    }

    /// Whether any is set.
    #[must_use]
    pub const fn any(self) -> bool {
        self.first || self.second || self.third
    }
}

impl Service {
    /// No service yet.
    pub(super) const fn none() -> Self {
        Self {
            family: Family::Ipv4,
            protocol: 6,
            address: IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            port: 0,
            mark: 0,
            scheduler: String::new(),
            flags: SchedulerFlags { first: false, second: false, third: false },
            persistence: None,
            netmask: u32::MAX,
            one_packet: false,
            engine: None,
        }
    }

    /// `-t`, `-u`, `--sctp-service`.
    pub(super) fn by_address(&mut self, protocol: u8, text: &str) -> Result<(), Failure> {
        let message = "illegal virtual server address[:port] specified";
        let endpoint = endpoint(text, protocol).ok_or_else(|| Failure::misuse(message))?;
        self.protocol = protocol;
        self.address = endpoint.address;
        self.port = endpoint.port.unwrap_or(0);
        if endpoint.address.is_ipv6() {
            self.family = Family::Ipv6;
            self.netmask = 128;
        }
        Ok(())
    }

    /// `-f`.
    pub(super) fn by_mark(&mut self, text: &str) -> Result<(), Failure> {
        let mark = number(text, 1, i64::from(u32::MAX)).and_then(|mark| u32::try_from(mark).ok());
        let message = || Failure::misuse(format!("invalid fwmark value `{text}' specified"));
        self.mark = mark.ok_or_else(message)?;
        Ok(())
    }

    /// `-6`.
    pub(super) fn ipv6(&mut self) -> Result<(), Failure> {
        if self.mark == 0 {
            return Err(Failure::misuse("-6 used before -f\n"));
        }
        self.family = Family::Ipv6;
        self.netmask = 128;
        Ok(())
    }

    /// `-s`.
    pub(super) fn scheduler(&mut self, text: &str) {
        self.scheduler = text.chars().take(SCHEDULER_NAME_MAX).collect();
    }

    /// `-p`.
    pub(super) fn persistent(&mut self, text: Option<&str>) -> Result<(), Failure> {
        self.persistence = Some(match text {
            Some(text) => seconds(text, 1)?,
            // IPVS: not what its manual says.
            None => 360,
        });
        Ok(())
    }

    /// `-M`.
    pub(super) fn netmask(&mut self, text: &str) -> Result<(), Failure> {
        self.netmask = if self.family == Family::Ipv6 {
            if text == ALL_CLIENTS {
                self.netmask = 0;
                return Ok(());
            }
            let length = u32::try_from(leading_number(text)).unwrap_or(0);
            if !(1..=128).contains(&length) {
                return Err(Failure::misuse("illegal ipv6 netmask specified"));
            }
            length
        } else {
            let message = "illegal virtual server persistent mask specified";
            inet_aton(text).ok_or_else(|| Failure::misuse(message))?.to_bits()
        };
        Ok(())
    }

    /// `-b`.
    pub(super) fn scheduler_flags(&mut self, text: &str) -> Result<(), Failure> {
        self.flags = SchedulerFlags::read(text, &self.scheduler)?;
        Ok(())
    }
}

/// A timeout in seconds.
pub(super) fn seconds(text: &str, least: i64) -> Result<u32, Failure> {
    number(text, least, SECONDS_MAX)
        .and_then(|seconds| u32::try_from(seconds).ok())
        .ok_or_else(|| Failure::misuse(format!("invalid timeout value `{text}' specified")))
}
