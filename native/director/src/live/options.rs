//! What a live director is started with.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use afpacket::classifier::SocketAudience;
use afpacket::{ClientHash, SenderOptions, SocketOptions, Waker};
use engine::Limits;
use engine::command::Command;
use serde::Deserialize;

use super::ring;
use crate::error::StartError;
use crate::hand_over::{Exchange, exchanges};
use crate::merge::{ENTRIES_PER_WORKER_MAX, WORKERS_MAX};
use crate::port::AfPacketOptions;

/// How long workers look on at empty rings where nothing else is said.
const BUSY_POLL: Duration = Duration::from_micros(50);

/// By what clients are spread over workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// By address: keeps together what a persistent service keeps together.
    #[default]
    Address,
    /// By address and port: the evenest, for few clients with many connections.
    AddressAndPort,
}

impl Spread {
    pub(super) const fn hash(self) -> ClientHash {
        match self {
            Self::Address => ClientHash::ADDRESS,
            Self::AddressAndPort => ClientHash::AddressAndPort,
        }
    }
}

/// How a live director is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StartOptions {
    /// Names of the interfaces the services' traffic comes in by; at least one.
    pub interfaces: Vec<String>,
    /// Worker threads, 1..=64. Default 1.
    pub workers: Option<u32>,
    /// By what clients are spread over several workers. Default by address.
    pub spread: Spread,
    /// Frames that may wait on each interface for each worker, 1..=65536; a frame takes 68 KB so
    /// that super-frames fit. Default 960 over all workers, fewer where all rings would take more than
    /// a sixteenth of the machine's memory, at least 60 for each.
    pub ring_frames: Option<u32>,
    /// Entries of the connection tables, all workers together, 1024..=67108863 for each worker.
    /// Default 1,048,576.
    pub connections: Option<u32>,
    /// Memory of each worker for fragments of packets that are not whole yet, in octets,
    /// 65536..=1073741824. Default 4 MiB.
    pub fragment_octets: Option<u32>,
    /// Answer ARP requests and neighbour solicitations for the virtual addresses. Default no.
    pub answer_neighbours: bool,
    /// Let the kernel forward bulk connections: required, never, or by default where it permits.
    pub fast_path: Option<bool>,
    /// How long a worker looks on at empty rings, after frames that came in quick succession, before
    /// it sleeps; in microseconds, 0..=1000. Default 50.
    pub busy_poll_microseconds: Option<u32>,
    /// Hand frames to drivers past the queueing disciplines. Default no.
    pub bypass_queue: bool,
    /// Take frames to other hardware addresses too. Default no.
    pub promiscuous: bool,
    /// The first commands, applied before [`super::Director::start`] returns.
    pub services: Vec<Command>,
}

impl StartOptions {
    pub(super) fn check(&self) -> Result<(), StartError> {
        if self.interfaces.is_empty() {
            return Err(invalid("interfaces", "[]", "name at least one interface"));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.interfaces.iter().find(|name| !seen.insert(*name)) {
            return Err(invalid("interfaces", twice, "name each interface once"));
        }
        let workers_max = u32::try_from(WORKERS_MAX).unwrap_or(u32::MAX);
        within("workers", self.workers, 1, workers_max)?;
        within("ringFrames", self.ring_frames, 1, 65_536)?;
        within("busyPollMicroseconds", self.busy_poll_microseconds, 0, 1000)?;
        within("fragmentOctets", self.fragment_octets, 1 << 16, 1 << 30)?;
        let connections_max = ENTRIES_PER_WORKER_MAX.saturating_mul(self.workers());
        within("connections", self.connections, 1024, connections_max)
    }

    pub(super) fn workers(&self) -> u32 {
        self.workers.unwrap_or(1)
    }

    /// What workers hand frames over by; nothing for a lone one.
    pub(super) fn exchanges(&self, wakers: &[Arc<Waker>]) -> Vec<Exchange> {
        if wakers.len() > 1 { exchanges(wakers, self.spread.hash()) } else { Vec::new() }
    }

    pub(super) fn busy_poll(&self) -> Duration {
        self.busy_poll_microseconds.map_or(BUSY_POLL, |time| Duration::from_micros(time.into()))
    }

    /// Bounds of each worker's engine.
    pub(super) fn limits(&self) -> Limits {
        let limits = Limits::default();
        let connections = self.connections.unwrap_or(limits.connections);
        let fragment_octets = self.fragment_octets.and_then(|octets| usize::try_from(octets).ok());
        Limits {
            connections: connections.div_ceil(self.workers()),
            fragment_octets: fragment_octets.unwrap_or(limits.fragment_octets),
            ..limits
        }
    }

    pub(super) fn port(&self) -> AfPacketOptions {
        let socket = SocketOptions::default();
        let frames = || ring::frames(ring::memory(), self.workers(), self.interfaces.len());
        AfPacketOptions {
            socket: SocketOptions {
                ring_frames: self.ring_frames.unwrap_or_else(frames),
                promiscuous: self.promiscuous,
                ..socket
            },
            audience: SocketAudience {
                neighbours: self.answer_neighbours,
                other_hosts: self.promiscuous,
                ..SocketAudience::default()
            },
            sender: SenderOptions { bypass_queue: self.bypass_queue, ..SenderOptions::default() },
            ..AfPacketOptions::default()
        }
    }
}

fn within(
    option: &'static str,
    value: Option<u32>,
    least: u32,
    most: u32,
) -> Result<(), StartError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(invalid(option, &value.to_string(), &format!("{least} to {most} are allowed")))
        }
        _ => Ok(()),
    }
}

fn invalid(option: &'static str, value: &str, allowed: &str) -> StartError {
    StartError::InvalidOption { option, value: value.to_owned(), allowed: allowed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut StartOptions)) -> String {
        let mut options = StartOptions { interfaces: vec!["eth0".into()], ..Default::default() };
        assert!(options.check().is_ok());
        change(&mut options);
        let error = options.check().expect_err("it is out of range");
        assert_eq!(error.code(), "invalid-options");
        error.to_string()
    }

    #[test]
    fn every_option_is_checked_by_name() {
        let message = refused(|options| options.interfaces.clear());
        assert_eq!(message, "interfaces is []: name at least one interface");
        assert!(refused(|options| options.interfaces.push("eth0".into())).contains("eth0"));
        assert!(refused(|options| options.workers = Some(0)).starts_with("workers is 0"));
        assert!(refused(|options| options.workers = Some(65)).contains("1 to 64"));
        assert!(refused(|options| options.ring_frames = Some(0)).starts_with("ringFrames"));
        let message = refused(|options| options.busy_poll_microseconds = Some(1001));
        assert!(message.starts_with("busyPollMicroseconds is 1001"), "{message}");
        assert!(refused(|options| options.connections = Some(1)).starts_with("connections"));
        let message = refused(|options| options.fragment_octets = Some(1000));
        assert!(message.starts_with("fragmentOctets is 1000"), "{message}");
    }

    #[test]
    fn memory_for_fragments_is_each_workers() {
        let options = StartOptions { workers: Some(2), ..StartOptions::default() };
        assert_eq!(options.limits().fragment_octets, 4 << 20);
        let options = StartOptions { fragment_octets: Some(1 << 20), ..options };
        assert_eq!(options.limits().fragment_octets, 1 << 20);
    }

    #[test]
    fn tables_are_divided_among_workers() {
        let options =
            StartOptions { workers: Some(3), connections: Some(10_000), ..StartOptions::default() };
        assert_eq!(options.limits().connections, 3334);
    }
}
