//! TCP segments from forged sources, as fast as one processor sends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use afpacket::netlink::Netlink;
use afpacket::{Sender, SenderOptions};
use serde::Serialize;

use super::flood::whole;
use super::segment::{Forged, Kind, Network};
use super::{Mac, interface};
use crate::events::emit;
use crate::options::Options;
use crate::payload::{Prng, run_number};
use crate::{Outcome, ProgramError};

const BATCH: usize = 64;

/// What was sent, which says nothing about what arrives.
#[derive(Debug, Serialize)]
struct Summary {
    sent: u64,
    refused: u64,
    seconds: f64,
}

/// Runs the program.
pub(crate) fn run(mut options: Options) -> Result<Outcome, ProgramError> {
    let name: String = options.require("interface", "the name of an interface")?;
    let next_hop: Mac = options.require("to-mac", Mac::TAKES)?;
    let destination: SocketAddr = options.require("connect", "ADDRESS:PORT, IPv4")?;
    let from: Network = options.require("from", Network::TAKES)?;
    let kind: Kind = options.require("kind", Kind::TAKES)?;
    let seconds: f64 = options.require("seconds", "a number of seconds")?;
    let processor: Option<usize> = options.get("processor", "the number of a processor, from 0")?;
    options.finish()?;
    let SocketAddr::V4(destination) = destination else {
        return Err("--connect takes IPv4".into());
    };
    let time = Duration::try_from_secs_f64(seconds)?;
    if let Some(processor) = processor {
        afpacket::thread::pin_to_processor(processor)?;
    }
    let mut netlink = Netlink::open()?;
    let (link, source_mac) = interface(&mut netlink, &name)?;
    let past_the_queue = SenderOptions { bypass_queue: true, ..SenderOptions::default() };
    let sender = Sender::open(link.index, &past_the_queue)?;
    let forged = Forged { source_mac, next_hop, from, destination, kind };
    emit("summary", &flood(sender, &forged, time));
    Ok(Outcome::Whole)
}

fn flood(mut sender: Sender, forged: &Forged, time: Duration) -> Summary {
    let mut frames = vec![forged.frame(); BATCH];
    let mut random = Prng::new(run_number());
    let (mut sent, mut refused) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < time {
        for frame in &mut frames {
            forged.forge(frame, &mut random);
        }
        let done = sender.send(frames.iter().map(|frame| whole(frame)));
        sent += done.taken;
        refused += done.lost();
    }
    Summary { sent, refused, seconds: begun.elapsed().as_secs_f64() }
}
