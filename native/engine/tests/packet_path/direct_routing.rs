//! Direct routing: what changes of a packet, what is cut, what is refused.

use engine::command::Protocol;
use engine::hop::{Egress, Hop};
use engine::verdict::{DropReason, ReplyReason, Verdict};

use crate::lab::frames::{Ip, SYN, reference_checksum, tcp, tcp_segment, udp, udp_datagram};
use crate::lab::{
    EGRESS_MAC, Lab, PORT, SERVER_SIDE, VIP, VIP6, Ways, cluster_service, one_server, server,
    server_mac, way,
};

const CLIENT: &str = "203.0.113.9";
const CLIENT6: &str = "2001:db8:c::9";

#[test]
fn direct_routing_changes_addresses_and_ttl_only() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let frame = tcp(CLIENT, 40000, VIP, SYN);
    let outcome = lab.process(&frame);
    let id = server(&outcome);
    let Verdict::Forward { egress, .. } = outcome.verdict else { panic!() };
    assert_eq!(egress, Egress::Interface(SERVER_SIDE));
    let out = &outcome.frames[0];
    assert_eq!(out[..6], server_mac(id).0);
    assert_eq!(out[6..12], EGRESS_MAC.0);
    assert_eq!(out[22], 63);
    assert_eq!(reference_checksum(&out[14..34]), 0);
    let mut restored = out.clone();
    restored[..12].copy_from_slice(&frame[..12]);
    restored[22] = 64;
    restored[24..26].copy_from_slice(&frame[24..26]);
    assert_eq!(restored, frame);
}

#[test]
fn ethernet_padding_is_left_behind() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    let frame = udp(CLIENT, 40000, VIP, b"ab");
    let padded = [frame.clone(), vec![0; 14]].concat();
    assert_eq!(lab.process(&padded).frames[0].len(), frame.len());
}

#[test]
fn ipv6_is_forwarded_alike() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP6, "2001:db8:1::11"));
    let outcome = lab.process(&tcp(CLIENT6, 40000, VIP6, SYN));
    assert_eq!(outcome.frames[0][21], 63);
    server(&outcome);
}

#[test]
fn tags_in_the_frame_stay_in_it() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    let mut frame = tcp(CLIENT, 40000, VIP, SYN);
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x64]);
    let outcome = lab.process(&frame);
    assert_eq!(outcome.frames[0][12..18], [0x81, 0x00, 0x00, 0x64, 0x08, 0x00]);
}

#[test]
fn a_packet_too_big_for_the_way_is_refused_or_cut() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.ways = way(1280);
    let data = (0..=u8::MAX).cycle().take(3000).collect::<Vec<_>>();
    let datagram = udp_datagram(40000, PORT, &data);
    let mut ip = Ip::new(CLIENT, VIP);
    let refused = lab.process(&ip.frame(17, &datagram));
    assert_eq!(refused.verdict, Verdict::Reply(ReplyReason::TooBig));
    let reply = &refused.frames[0];
    assert_eq!(reply[34..36], [3, 4]);
    assert_eq!(reply[40..42], 1280_u16.to_be_bytes());
    assert_eq!(reply.len(), 14 + 576);
    // The quoted packet has its TTL decremented already.
    assert_eq!(reply[42 + 8], 63);
    ip.flags = 0;
    let cut = lab.process(&ip.frame(17, &datagram));
    assert!(matches!(cut.verdict, Verdict::ForwardFragments { .. }));
    let mut payload = Vec::<u8>::new();
    for (number, fragment) in cut.frames.iter().enumerate() {
        assert!(fragment.len() <= 14 + 1280);
        assert_eq!(reference_checksum(&fragment[14..34]), 0);
        let field = u16::from_be_bytes([fragment[20], fragment[21]]);
        assert_eq!(usize::from(field & 0x1fff) * 8, payload.len());
        assert_eq!(field & 0x2000 != 0, number + 1 < cut.frames.len());
        payload.extend(&fragment[34..]);
    }
    assert_eq!(payload, datagram);
}

#[test]
fn later_fragments_carry_only_the_options_meant_for_them() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP, "10.0.0.11"));
    lab.ways = way(600);
    let mut ip = Ip::new(CLIENT, VIP);
    ip.flags = 0;
    // Router alert is copied into every fragment, the timestamp is not (RFC 791 §3.1).
    ip.options = vec![0x94, 4, 0, 0, 0x44, 8, 9, 0, 0, 0, 0, 0];
    let cut = lab.process(&ip.frame(17, &udp_datagram(40000, PORT, &[7; 1000])));
    assert_eq!(cut.frames[0][34..46], ip.options);
    assert_eq!(cut.frames[1][34..46], [0x94, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn hop_by_hop_options_are_not_carried() {
    let mut lab = Lab::new(&one_server(Protocol::Udp, VIP6, "2001:db8:1::11"));
    let mut payload = vec![17, 0, 1, 4, 0, 0, 0, 0];
    payload.extend(udp_datagram(40000, PORT, b"x"));
    let verdict = lab.process(&Ip::new(CLIENT6, VIP6).frame(0, &payload)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::HopByHop));
}

#[test]
fn the_record_route_option_gets_the_virtual_address() {
    let mut lab = Lab::new(&cluster_service());
    let mut ip = Ip::new(CLIENT, VIP);
    ip.options = vec![7, 7, 4, 0, 0, 0, 0, 0];
    let outcome = lab.process(&ip.frame(6, &tcp_segment(40000, PORT, SYN, &[])));
    assert_eq!(outcome.frames[0][34..42], [7, 7, 8, 198, 51, 100, 1, 0]);
    assert_eq!(reference_checksum(&outcome.frames[0][14..42]), 0);
}

#[test]
fn ways_that_are_not_ready() {
    for (hop, expected) in [
        (Hop::Unreachable, Verdict::Reply(ReplyReason::Unreachable)),
        (Hop::Local, Verdict::Drop(DropReason::ServerIsLocal)),
    ] {
        let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
        lab.ways = Ways(Some(hop), None, None);
        assert_eq!(lab.process(&tcp(CLIENT, 40000, VIP, SYN)).verdict, expected);
    }
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    lab.ways = Ways(Some(Hop::Resolving { mtu: 1500 }), None, None);
    let outcome = lab.process(&tcp(CLIENT, 40000, VIP, SYN));
    let id = server(&outcome);
    let Verdict::Forward { egress, .. } = outcome.verdict else { panic!() };
    assert_eq!(egress, Egress::Neighbour(id));
}
