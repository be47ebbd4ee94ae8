//! Fragments of many packets at a time: each finds its own packet, and bounds hold.

use std::time::Duration;

use engine::Limits;
use engine::command::{Command, Protocol, SchedulerName};
use engine::frame::{FrameMeta, InterfaceId};
use engine::verdict::{DropReason, Verdict};
use proptest::prelude::*;

use crate::lab::frames::{Ip, reference_checksum, udp_datagram};
use crate::lab::{CLIENT_SIDE, Lab, PORT, VIP, add_server, key, service};

const CLIENT: &str = "203.0.113.9";
const MORE: u16 = 0x2000;

fn lab_with(fragment_octets: usize) -> Lab {
    let key = key(Protocol::Udp, VIP);
    let limits = Limits { connections: 4096, events: 64, fragment_octets };
    Lab::with_limits(
        limits,
        &[
            Command::AddService { service: service(key, SchedulerName::Rr, &[]) },
            add_server(key, "10.0.0.11", 1),
        ],
    )
}

/// What sets one packet's fragments apart from those of others, beside its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    identification: u16,
    interface: u32,
    vlan: Option<u16>,
}

impl Mark {
    const PLAIN: Self = Self { identification: 7, interface: CLIENT_SIDE.0, vlan: None };

    fn meta(self) -> FrameMeta {
        FrameMeta {
            interface: InterfaceId(self.interface),
            vlan: self.vlan,
            ..FrameMeta::plain(CLIENT_SIDE)
        }
    }
}

/// One fragment of `payload`.
fn fragment(
    client: &str,
    mark: Mark,
    protocol: u8,
    payload: &[u8],
    from: usize,
    to: usize,
) -> Vec<u8> {
    let mut ip = Ip::new(client, VIP);
    ip.flags = u16::try_from(from / 8).unwrap() | if to < payload.len() { MORE } else { 0 };
    let mut frame = ip.frame(protocol, &payload[from..to]);
    frame[18..20].copy_from_slice(&mark.identification.to_be_bytes());
    frame[24..26].fill(0);
    let checksum = reference_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn datagram(number: u8, length: usize) -> Vec<u8> {
    udp_datagram(40_000 + u16::from(number), PORT, &vec![number; length])
}

/// Differ in one thing each.
const MARKS: [Mark; 4] = [
    Mark::PLAIN,
    Mark { identification: 8, ..Mark::PLAIN },
    Mark { interface: 9, ..Mark::PLAIN },
    Mark { vlan: Some(5), ..Mark::PLAIN },
];

#[derive(Clone, Debug)]
struct Piece {
    packet: usize,
    from: usize,
    to: usize,
}

/// Packets cut at random places, their fragments in random order.
fn mixture() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<Piece>)> {
    let cuts = prop::collection::vec(1_usize..60, 1..6);
    let packets = prop::collection::vec((480_usize..900, cuts), MARKS.len() + 1);
    packets.prop_flat_map(|packets| {
        let mut pieces = Vec::new();
        let mut whole = Vec::new();
        for (packet, (length, mut cuts)) in packets.into_iter().enumerate() {
            let payload = datagram(u8::try_from(packet).unwrap(), length);
            cuts.sort_unstable();
            cuts.dedup();
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut * 8).collect();
            ends.push(payload.len());
            let mut from = 0;
            for to in ends {
                pieces.push(Piece { packet, from, to });
                from = to;
            }
            whole.push(payload);
        }
        (Just(whole), Just(pieces).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_packet_is_put_together_of_its_own_fragments((packets, pieces) in mixture()) {
        let mut lab = lab_with(1 << 20);
        let mut left: Vec<_> = (0..packets.len())
            .map(|packet| pieces.iter().filter(|piece| piece.packet == packet).count())
            .collect();
        for Piece { packet, from, to } in pieces {
            // The last one is another client's, with a mark somebody else has.
            let (client, mark) = match MARKS.get(packet) {
                Some(mark) => (CLIENT, *mark),
                None => ("203.0.113.10", Mark::PLAIN),
            };
            let frame = fragment(client, mark, 17, &packets[packet], from, to);
            let outcome = lab.process_with(&frame, &mark.meta());
            left[packet] -= 1;
            if left[packet] > 0 {
                prop_assert_eq!(outcome.verdict, Verdict::Hold);
                continue;
            }
            let payload: Vec<u8> =
                outcome.frames.iter().flat_map(|frame| frame[34..].to_vec()).collect();
            prop_assert_eq!(&payload, &packets[packet]);
        }
        let statistics = lab.engine.statistics().fragments;
        prop_assert_eq!((statistics.waiting, statistics.reassembled.0), (0, packets.len() as u64));
    }
}

#[test]
fn fragments_of_another_protocol_belong_to_another_packet() {
    let mut lab = lab_with(1 << 20);
    let payload = datagram(0, 88);
    lab.process(&fragment(CLIENT, Mark::PLAIN, 17, &payload, 0, 48));
    let other = lab.process(&fragment(CLIENT, Mark::PLAIN, 6, &payload, 48, 96));
    assert_eq!(other.verdict, Verdict::Hold);
    assert_eq!(lab.engine.statistics().fragments.waiting, 2);
}

#[test]
fn a_late_fragment_does_not_find_a_packet_that_is_given_up() {
    let mut lab = lab_with(1 << 20);
    let payload = datagram(0, 88);
    lab.process(&fragment(CLIENT, Mark::PLAIN, 17, &payload, 0, 48));
    // Nobody has called for timeouts yet.
    lab.now = lab.now + Duration::from_secs(31);
    let late = lab.process(&fragment(CLIENT, Mark::PLAIN, 17, &payload, 48, 96));
    assert_eq!(late.verdict, Verdict::Hold);
    assert_eq!(lab.engine.statistics().fragments.expired.0, 1);
}

#[test]
fn a_packet_has_256_fragments_at_most() {
    let mut lab = lab_with(8 << 20);
    let payload = datagram(0, 4096);
    let verdicts: Vec<_> = (0..257)
        .map(|part| {
            let frame = fragment(CLIENT, Mark::PLAIN, 17, &payload, part * 8, part * 8 + 8);
            lab.process(&frame).verdict
        })
        .collect();
    assert!(verdicts[..256].iter().all(|verdict| *verdict == Verdict::Hold));
    assert_eq!(verdicts[256], Verdict::Drop(DropReason::FragmentLimit));
}

#[test]
fn packets_that_wait_are_1024_at_most_and_the_oldest_give_way() {
    let mut lab = lab_with(16 << 20);
    let payload = datagram(0, 88);
    let first = |identification| {
        fragment(CLIENT, Mark { identification, ..Mark::PLAIN }, 17, &payload, 0, 48)
    };
    for identification in 0..1030 {
        assert_eq!(lab.process(&first(identification)).verdict, Verdict::Hold);
    }
    let statistics = lab.engine.statistics().fragments;
    assert_eq!((statistics.waiting, statistics.evicted.0), (1024, 6));
    let last = |identification| {
        fragment(CLIENT, Mark { identification, ..Mark::PLAIN }, 17, &payload, 48, 96)
    };
    assert!(matches!(lab.process(&last(6)).verdict, Verdict::ForwardFragments { .. }));
    assert_eq!(lab.process(&last(5)).verdict, Verdict::Hold, "it gave way");
}

#[test]
fn packets_that_are_whole_leave_those_around_them_in_order() {
    for whole in 0..3 {
        let mut lab = lab_with(1 << 20);
        let payload = datagram(0, 88);
        let send = |lab: &mut Lab, identification, from, to| {
            let mark = Mark { identification, ..Mark::PLAIN };
            lab.process(&fragment(CLIENT, mark, 17, &payload, from, to)).verdict
        };
        for identification in 0..3 {
            send(&mut lab, identification, 0, 48);
            lab.wait_ms(1000);
        }
        assert!(matches!(send(&mut lab, whole, 48, 96), Verdict::ForwardFragments { .. }));
        send(&mut lab, 3, 0, 48);
        lab.wait_ms(26_000);
        for packet in 0..4 {
            lab.wait_ms(1000);
            let due = (0..=packet).filter(|packet| *packet != whole).count();
            let expired = lab.engine.statistics().fragments.expired.0;
            assert_eq!(expired, due as u64, "{whole} was whole, {packet} is due");
        }
        assert_eq!(lab.engine.statistics().fragments.waiting, 0);
    }
}
