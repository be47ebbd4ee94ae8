//! Several engines that share the traffic judge as one: whichever a packet comes to first, it ends where
//! its connection is.

mod traffic;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use engine::Engine;
use engine::Limits;
use engine::frame::{FrameMeta, Outputs};
use engine::hand_over::Turn;
use engine::hop::{Egress, Hop, Hops, ServerId};
use engine::time::Instant;
use engine::verdict::Verdict;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::lab::{CLIENT_SIDE, Lab, Ways};
use traffic::{Packet, commands, packets};

/// What one of several engines is told of the others.
struct Shared {
    number: u32,
    engines: u32,
    by_port: bool,
    turn: Turn,
}

impl Shared {
    /// Any hash would do.
    fn keeper(&self, client: IpAddr, port: u16) -> u32 {
        let octets: Vec<u8> = match client {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let port = if self.by_port { port.to_be_bytes() } else { [0; 2] };
        let hash = octets.iter().chain(&port).fold(0x811c_9dc5_u32, |hash, octet| {
            (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
        });
        (hash >> 8) % self.engines
    }
}

const WAYS: Ways = Ways(None, None, None);

impl Hops for Shared {
    fn hop(&self, server: ServerId) -> Hop {
        WAYS.hop(server)
    }

    fn source(&self, server: ServerId) -> Option<IpAddr> {
        WAYS.source(server)
    }

    fn client_hop(&self, client: IpAddr) -> Hop {
        WAYS.client_hop(client)
    }

    fn is_one_of_several(&self) -> bool {
        true
    }

    fn keeper(&self, client: IpAddr, port: u16) -> Option<u32> {
        Some(Self::keeper(self, client, port)).filter(|keeper| *keeper != self.number)
    }

    fn turn(&self) -> Turn {
        self.turn
    }
}

/// Engines with one configuration.
struct Several {
    engines: Vec<Engine>,
    by_port: bool,
    handed: usize,
}

/// What is alike of two outcomes: IPv6 fragments have random numbers.
fn outcome(verdict: Verdict, frames: &[Vec<u8>]) -> String {
    let frames: Vec<_> = frames
        .iter()
        .map(|frame| {
            let mut frame = frame.clone();
            let at = frame.windows(2).position(|two| two == [0x86, 0xdd]).unwrap_or(usize::MAX / 2);
            if at <= 20 && frame.get(at + 8) == Some(&44) {
                frame[at + 46..at + 50].fill(0);
            }
            frame
        })
        .collect();
    format!("{verdict:?} {frames:02x?}")
}

impl Several {
    fn new(count: usize, by_port: bool, lab: &Lab) -> Self {
        let limits = Limits { connections: 1024, events: 64, ..Limits::default() };
        let engine = |seed| {
            let mut engine = Engine::new(limits, seed);
            engine.configure(Arc::new(lab.configuration.clone()));
            engine
        };
        Self { engines: (0..count as u64).map(engine).collect(), by_port, handed: 0 }
    }

    /// Has engine `first` judge a frame, and whom that hands it to.
    fn process(&mut self, first: usize, frame: &[u8], meta: &FrameMeta, now: Instant) -> String {
        let mut waiting = vec![(first, Turn::Chosen, frame.to_vec())];
        let mut last = String::new();
        for round in 0.. {
            assert!(round < 64, "it goes round and round");
            let Some((number, turn, mut frame)) = waiting.pop() else { break };
            let engines = u32::try_from(self.engines.len()).unwrap();
            let by_port = self.by_port;
            let shared = Shared { number: u32::try_from(number).unwrap(), engines, by_port, turn };
            let mut outputs = Outputs::default();
            let engine = &mut self.engines[number];
            let verdict = engine.process(&mut frame, meta, now, &shared, &mut outputs);
            self.handed += usize::from(turn != Turn::Chosen);
            match verdict {
                Verdict::HandOver(to) => {
                    assert_ne!(to.engine, shared.number);
                    waiting.push((to.engine as usize, to.turn, frame));
                    continue;
                }
                Verdict::HandOverFragments => {
                    for made in outputs.frames().iter().rev() {
                        let to = made.handed.expect("it is for an engine");
                        assert_eq!(made.egress, Egress::Interface(meta.interface));
                        assert_eq!(made.vlan, meta.vlan);
                        waiting.push((to.engine as usize, to.turn, outputs.octets(made).to_vec()));
                    }
                    continue;
                }
                _ => {}
            }
            let mut frames = Vec::new();
            if let Verdict::Forward { length, .. } | Verdict::Return { length, .. } = verdict {
                frame.truncate(length as usize);
                frames.push(frame);
            } else if let Verdict::Encapsulate { from, end, .. } = verdict {
                let inside = &frame[from as usize..end as usize];
                frames.push([outputs.prefix().octets(), inside].concat());
            }
            frames.extend(outputs.frames().iter().map(|made| outputs.octets(made).to_vec()));
            last = outcome(verdict, &frames);
        }
        last
    }

    fn connections(&self) -> u32 {
        self.engines.iter().map(|engine| engine.statistics().connections).sum()
    }
}

/// What was seen of a kind of packet.
#[derive(Debug, Default)]
struct Tally {
    /// Went on, to a server or back to a client.
    went_on: usize,
    /// Was handed over, and went on all the same.
    handed: usize,
}

/// Sends everything through one engine and through several.
fn judge_as_one(
    count: usize,
    by_port: bool,
    sent: &[(usize, Packet)],
    tallies: &mut BTreeMap<String, Tally>,
) -> Result<(), TestCaseError> {
    let limits = Limits { connections: 1024, events: 64, ..Limits::default() };
    let mut lab = Lab::with_limits(limits, &commands());
    let mut several = Several::new(count, by_port, &lab);
    for (first, packet) in sent {
        let mut went_on = false;
        let handed = several.handed;
        for frame in packet.frames() {
            let meta = FrameMeta { vlan: packet.tag(), ..FrameMeta::plain(CLIENT_SIDE) };
            let one = lab.process_with(&frame, &meta);
            let expected = outcome(one.verdict, &one.frames);
            let seen = several.process(first % count, &frame, &meta, lab.now);
            prop_assert_eq!(seen, expected, "{:?}", packet);
            went_on = !matches!(one.verdict, Verdict::Hold | Verdict::Pass(_) | Verdict::Drop(_));
        }
        let tally = tallies.entry(packet.kind()).or_default();
        tally.went_on += usize::from(went_on);
        tally.handed += usize::from(went_on && several.handed > handed);
    }
    prop_assert_eq!(several.connections(), lab.engine.statistics().connections);
    Ok(())
}

#[test]
fn whatever_the_kernel_guesses_several_engines_judge_as_one() {
    let mut tallies = BTreeMap::new();
    let config =
        ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let seen = RefCell::new(&mut tallies);
    let outcome = runner.run(&(2_usize..5, any::<bool>(), packets()), |(count, by_port, sent)| {
        judge_as_one(count, by_port, &sent, &mut seen.borrow_mut())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert_eq!(tallies.len(), 16, "{tallies:?}");
    for (kind, tally) in &tallies {
        assert!(tally.went_on > 5 && tally.handed > 2, "{kind}: {tallies:?}");
    }
}
