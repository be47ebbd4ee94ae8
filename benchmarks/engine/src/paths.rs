//! The hot paths, each prepared once and walked frame by frame.

use std::hint::black_box;

use engine::command::{ForwardingMethod, SchedulerName};
use engine::verdict::Verdict;
use wire::dissect::{Dissection, dissect};

use crate::frames::{ACK, End, Frame, PORT, SYN, VIP, VIP6, client, client6, tcp};
use crate::lab::{Lab, SERVER_PORT, server};

/// Connections that the frames of a path take turns with; a power of two.
const FLOWS: u32 = 64;
/// Frames a path is prepared for; those of connections that are there already have no end.
pub const FRAMES_MAX: u32 = 4096;

/// Walks a path with the frame numbered so; whether it went the way it should.
pub type Step = Box<dyn FnMut(u32) -> bool>;

/// A hot path.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// What it is called in tables.
    pub name: &'static str,
    /// Makes everything that is there before the first frame.
    pub prepare: fn() -> Step,
}

/// All of them.
pub const PATHS: [Path; 8] = [
    Path { name: "parse", prepare: parse },
    Path { name: "direct-routing", prepare: direct_routing },
    Path { name: "direct-routing-ipv6", prepare: direct_routing_ipv6 },
    Path { name: "first-packet", prepare: first_packet },
    Path { name: "masquerading-in", prepare: masquerading_in },
    Path { name: "masquerading-out", prepare: masquerading_out },
    Path { name: "tunnelling", prepare: tunnelling },
    Path { name: "not-ours", prepare: not_ours },
];

const fn flow(number: u32) -> usize {
    (number & (FLOWS - 1)) as usize
}

const fn is_forwarded(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Forward { .. })
}

/// Opens the connections of the first clients; answers with their further frames.
fn open(lab: &mut Lab, client: fn(u32) -> End, vip: End) -> Vec<Frame> {
    (0..FLOWS)
        .map(|number| {
            for flags in [SYN, ACK] {
                lab.from_client(&mut tcp(client(number), vip, flags));
            }
            tcp(client(number), vip, ACK)
        })
        .collect()
}

fn known(forwarding: ForwardingMethod, client: fn(u32) -> End, vip: End) -> (Lab, Vec<Frame>) {
    let mut lab = Lab::new(FRAMES_MAX, SchedulerName::Sh, forwarding);
    let frames = open(&mut lab, client, vip);
    (lab, frames)
}

fn parse() -> Step {
    let frame = tcp(client(0), (VIP.into(), PORT), ACK);
    Box::new(move |_| matches!(black_box(dissect(black_box(&frame))), Ok(Dissection::Ip(_))))
}

/// The frame as it came: judging rewrites it in place.
fn copy(frames: &[Frame], number: u32) -> Frame {
    black_box(frames[flow(number)])
}

fn direct_routing() -> Step {
    let (mut lab, frames) = known(ForwardingMethod::DirectRouting, client, (VIP.into(), PORT));
    Box::new(move |number| is_forwarded(lab.from_client(&mut copy(&frames, number))))
}

fn direct_routing_ipv6() -> Step {
    let (mut lab, frames) = known(ForwardingMethod::DirectRouting, client6, (VIP6.into(), PORT));
    Box::new(move |number| is_forwarded(lab.from_client(&mut copy(&frames, number))))
}

fn first_packet() -> Step {
    let mut lab = Lab::new(2 * FRAMES_MAX, SchedulerName::Sh, ForwardingMethod::DirectRouting);
    let mut frames: Vec<Frame> =
        (0..FRAMES_MAX).map(|number| tcp(client(number), (VIP.into(), PORT), SYN)).collect();
    Box::new(move |number| is_forwarded(lab.from_client(&mut frames[number as usize])))
}

fn masquerading_in() -> Step {
    let (mut lab, frames) = known(ForwardingMethod::Masquerading, client, (VIP.into(), PORT));
    Box::new(move |number| is_forwarded(lab.from_client(&mut copy(&frames, number))))
}

fn masquerading_out() -> Step {
    let (mut lab, _) = known(ForwardingMethod::Masquerading, client, (VIP.into(), PORT));
    // An answer belongs to a connection only if it comes from the server that has it.
    let answers: Vec<Frame> = (0..FLOWS)
        .filter_map(|number| {
            (0..3).find_map(|at| {
                let answer = tcp((server(at, VIP.into()), SERVER_PORT), client(number), ACK);
                is_returned(lab.from_server(&mut answer.clone())).then_some(answer)
            })
        })
        .collect();
    Box::new(move |number| is_returned(lab.from_server(&mut copy(&answers, number))))
}

const fn is_returned(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Return { .. })
}

fn tunnelling() -> Step {
    let (mut lab, frames) = known(ForwardingMethod::Tunnelling, client, (VIP.into(), PORT));
    Box::new(move |number| {
        matches!(lab.from_client(&mut copy(&frames, number)), Verdict::Encapsulate { .. })
    })
}

/// A frame to an address without services: the least that the director adds to a stranger's way.
fn not_ours() -> Step {
    let mut lab = Lab::new(FRAMES_MAX, SchedulerName::Sh, ForwardingMethod::DirectRouting);
    let stranger = (std::net::Ipv4Addr::new(198, 51, 100, 77).into(), PORT);
    let frames: Vec<Frame> = (0..FLOWS).map(|number| tcp(client(number), stranger, ACK)).collect();
    Box::new(move |number| matches!(lab.from_client(&mut copy(&frames, number)), Verdict::Pass(_)))
}
