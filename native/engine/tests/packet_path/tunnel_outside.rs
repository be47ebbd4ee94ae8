//! Tunnels: what packets in them get on the outside, what is cut there and what refused.

use engine::command::SettingsPatch;
use engine::frame::{ChecksumState, FrameMeta, Segmentation};
use engine::verdict::{DropReason, ReplyReason, Verdict};

use crate::lab::decapsulate::decapsulate;
use crate::lab::frames::{Ip, udp_datagram};
use crate::lab::{CLIENT_SIDE, EGRESS_MAC, Lab, PORT, ROUTER_MAC, VIP, settings};
use crate::tunnel::{CLIENT, SHAPES, aged, ip, lab, of_length, overhead, reassembled};

const DF: u16 = 0x4000;

fn several(frame: &[u8], segment_size: u16) -> FrameMeta {
    FrameMeta {
        checksum: ChecksumState::left_to_device(frame),
        segmentation: Some(Segmentation { segment_size, header_length: 42 }),
        ..FrameMeta::plain(CLIENT_SIDE)
    }
}

#[test]
fn what_expires_here_does_not_enter() {
    for is_ipv4 in [true, false] {
        let mut ip = ip(is_ipv4);
        ip.hop_limit = 1;
        let frame = ip.frame(17, &udp_datagram(40000, PORT, b"x"));
        let outcome = lab(SHAPES[0], true, 1500).process(&frame);
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::HopLimit));
        let quote = if is_ipv4 { 14 + 28 } else { 14 + 48 };
        assert_eq!(outcome.frames[0][quote..], frame[14..], "as it came");
    }
}

#[test]
fn without_pmtu_disc_what_may_not_be_cut_is_cut_outside() {
    for outer in [true, false] {
        let mut lab = lab(SHAPES[1], outer, 1500);
        let off = SettingsPatch { pmtu_disc: Some(false), ..SettingsPatch::default() };
        let frame = of_length(true, 1500, DF);
        assert_eq!(lab.process(&frame).verdict, Verdict::Reply(ReplyReason::TooBig));
        lab.apply(&[settings(off)]);
        let outcome = lab.process(&frame);
        assert!(matches!(outcome.verdict, Verdict::ForwardFragments { .. }), "{outcome:?}");
        // Behind the GRE header.
        assert_eq!(reassembled(&outcome.frames)[4..], aged(&frame));
    }
}

#[test]
fn what_came_in_fragments_leaves_in_fragments_no_longer() {
    let payload = udp_datagram(40000, PORT, &[3; 2000]);
    let mut lab = lab(SHAPES[0], true, 1500);
    let mut outcome = None;
    for from in (0..payload.len()).step_by(600) {
        let to = payload.len().min(from + 600);
        let mut ip = Ip::new(CLIENT, VIP);
        let more = if to < payload.len() { 0x2000 } else { 0 };
        ip.flags = u16::try_from(from / 8).unwrap() | more;
        outcome = Some(lab.process(&ip.frame(17, &payload[from..to])));
    }
    let frames = outcome.expect("fragments").frames;
    assert!(frames.iter().all(|frame| frame.len() <= 14 + 620), "{frames:02x?}");
    assert_eq!(reassembled(&frames)[20..], payload);
}

fn is_addressed(frame: &[u8]) -> bool {
    frame[..6] == ROUTER_MAC.0 && frame[6..12] == EGRESS_MAC.0
}

#[test]
fn every_frame_has_the_addresses_of_the_way_and_the_tag_it_came_with() {
    for outer in [true, false] {
        let mut lab = lab(SHAPES[3], outer, 1500);
        let plain = FrameMeta { vlan: Some(100), ..FrameMeta::plain(CLIENT_SIDE) };
        let whole = lab.process_with(&of_length(true, 100, DF), &plain);
        assert!(matches!(whole.verdict, Verdict::Encapsulate { .. }));
        let cut = lab.process_with(&of_length(true, 4000, 0), &plain);
        let frame = of_length(true, 4028, DF);
        let meta = FrameMeta { vlan: Some(100), ..several(&frame, 1000) };
        let segments = lab.process_with(&frame, &meta);
        let frame = of_length(true, 4028, 0);
        let meta = FrameMeta { vlan: Some(100), ..several(&frame, 2000) };
        let both = lab.process_with(&frame, &meta);
        let lengths = [&whole, &cut, &segments, &both].map(|outcome| outcome.frames.len());
        assert_eq!(lengths, [1, 3, 4, 4]);
        for outcome in [whole, cut, segments, both] {
            assert!(outcome.frames.iter().all(|frame| is_addressed(frame)));
            assert!(outcome.tags.iter().all(|tag| *tag == Some(100)));
        }
    }
}

#[test]
fn segments_that_may_be_cut_later_are_numbered() {
    let mut lab = lab(SHAPES[0], true, 1500);
    let frame = of_length(true, 4028, 0);
    let outcome = lab.process_with(&frame, &several(&frame, 1000));
    let mut numbers: Vec<_> =
        outcome.frames.iter().map(|frame| decapsulate(frame).outer.identification).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
}

#[test]
fn the_least_room_inside_is_enough() {
    for (outer, least) in [(true, 68), (false, 1280)] {
        for shape in SHAPES {
            let mtu = u32::try_from(least + overhead(shape, outer)).unwrap();
            let frame = of_length(true, least, DF);
            let verdict = |mtu| lab(shape, outer, mtu).process(&frame).verdict;
            assert!(matches!(verdict(mtu), Verdict::Encapsulate { .. }), "{shape:?}");
            assert_eq!(verdict(mtu - 1), Verdict::Drop(DropReason::TunnelMtu), "{shape:?}");
        }
    }
}

/// The checksum of the UDP header on the outside.
fn outside(lab: &mut Lab, data: &[u8]) -> u16 {
    let frame = ip(true).frame(17, &udp_datagram(40000, PORT, data));
    decapsulate(&lab.process(&frame).frames[0]).udp.expect("GUE").1
}

#[test]
fn a_computed_zero_is_sent_as_all_ones_on_the_outside() {
    for outer in [true, false] {
        let mut lab = lab(SHAPES[4], outer, 1500);
        let sum = outside(&mut lab, &[0, 0]);
        // With its own checksum as data the datagram sums up to zero.
        assert_eq!(outside(&mut lab, &sum.to_be_bytes()), 0xffff);
    }
}
