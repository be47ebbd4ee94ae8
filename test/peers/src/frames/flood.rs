//! Small UDP datagrams, as many as asked for or as fast as this machine sends, from a packet socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use afpacket::netlink::Netlink;
use afpacket::vnet::VnetHeader;
use afpacket::{OutgoingFrame, Sender, SenderOptions};
use serde::Serialize;

use super::datagram::{HEADERS_LEN, Path};
use super::{Mac, interface};
use crate::events::emit;
use crate::options::Options;
use crate::{Outcome, ProgramError};

const BATCH: usize = 64;
/// A sender that was held up does not make up for more than this.
const BACKLOG: Duration = Duration::from_millis(5);
const NAP: Duration = Duration::from_micros(20);

/// What was sent, which says nothing about what arrives.
#[derive(Debug, Serialize)]
struct Summary {
    sent: u64,
    refused: u64,
    seconds: f64,
}

/// When a flood ends: whichever comes first.
#[derive(Clone, Copy, Debug)]
struct Limit {
    time: Duration,
    count: u64,
}

/// Datagrams a second, and how many of them are due.
#[derive(Debug)]
struct Pace {
    rate: Option<f64>,
    allowed_from: Instant,
    used: f64,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self { rate, allowed_from: Instant::now(), used: 0.0 }
    }

    /// How many may go now, at most a batch.
    fn due(&mut self, now: Instant) -> usize {
        let Some(rate) = self.rate else { return BATCH };
        let allowed = (now - self.allowed_from).as_secs_f64() * rate;
        self.used = self.used.max(allowed - BACKLOG.as_secs_f64() * rate - 1.0);
        let due = (allowed - self.used).floor().max(0.0);
        (0..BATCH).take_while(|number| (*number as f64) < due).count()
    }

    fn spend(&mut self, count: usize) {
        self.used += count as f64;
    }
}

/// Runs the program.
pub(crate) fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let name: String = options.require("interface", "the name of an interface")?;
    let next_hop: Mac = options.require("to-mac", Mac::TAKES)?;
    let peer: SocketAddr = options.require("connect", "ADDRESS:PORT, IPv4")?;
    let sources = options.sources(peer)?;
    let flows = options.count("flows", 1)?;
    let rate = options.get::<f64>("rate", "datagrams a second")?;
    let seconds: f64 = options.require("seconds", "a number of seconds")?;
    let count = options.count("count", u64::MAX)?;
    let octets = usize::try_from(options.count("frame-octets", 60)?)?;
    options.finish()?;
    let mut netlink = Netlink::open()?;
    let (link, source_mac) = interface(&mut netlink, &name)?;
    let SocketAddr::V4(destination) = peer else { return Err("--connect takes IPv4".into()) };
    let sources: Vec<Ipv4Addr> = sources.into_iter().filter_map(only_v4).collect();
    let path = Path { source_mac, next_hop, sources, destination };
    if flows > path.flows_max() || !(HEADERS_LEN..=1500).contains(&octets) {
        let most = path.flows_max();
        return Err(format!(
            "--flows takes 1 to {most} with these sources, --frame-octets {HEADERS_LEN} to 1500"
        )
        .into());
    }
    let sender = Sender::open(link.index, &SenderOptions::default())?;
    let limit = Limit { time: Duration::try_from_secs_f64(seconds)?, count };
    let summary = flood(sender, &path, octets, flows, Pace::new(rate), limit);
    emit("summary", &summary);
    Ok(Outcome::Whole)
}

fn only_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn flood(
    mut sender: Sender,
    path: &Path,
    octets: usize,
    flows: u64,
    mut pace: Pace,
    limit: Limit,
) -> Summary {
    let mut frames = vec![path.frame(octets); BATCH];
    let (mut sent, mut refused, mut flow) = (0, 0, 0);
    let begun = Instant::now();
    loop {
        let now = Instant::now();
        if now - begun >= limit.time || sent >= limit.count {
            let seconds = (now - begun).as_secs_f64();
            return Summary { sent, refused, seconds };
        }
        let count = pace.due(now);
        if count == 0 {
            std::thread::sleep(NAP);
            continue;
        }
        for frame in frames.iter_mut().take(count) {
            path.set_flow(frame, flow);
            flow = (flow + 1) % flows;
        }
        let done = sender.send(frames.iter().take(count).map(|frame| whole(frame)));
        pace.spend(count);
        sent += done.taken;
        refused += done.lost();
    }
}

pub(super) fn whole(octets: &[u8]) -> OutgoingFrame<'_> {
    OutgoingFrame { prefix: &[], octets, vlan: None, vnet: VnetHeader::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paced_sender_makes_up_for_little() {
        let mut pace = Pace::new(Some(10_000.0));
        let start = pace.allowed_from;
        assert_eq!(pace.due(start), 0);
        assert_eq!(pace.due(start + Duration::from_micros(250)), 2);
        pace.spend(2);
        assert_eq!(pace.due(start + Duration::from_micros(250)), 0);
        // Held up for a second: 5 ms of 10,000 a second, and the one that was about to go.
        assert_eq!(pace.due(start + Duration::from_secs(1)), 51);
        assert_eq!(Pace::new(None).due(start), BATCH);
    }
}
