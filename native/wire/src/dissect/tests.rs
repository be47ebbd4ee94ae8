//! Frames from literal octets, and what becomes of them octet by octet.

use std::vec::Vec;

use super::*;
use crate::{ipv4, protocol};

/// 192.0.2.1:40000 to 198.51.100.7:80, SYN, DF, padded to 60 octets.
const TCP_V4: [u8; 60] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x08,
    0x00, // IPv4:
    0x45, 0x00, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x3c, 0x60, 0xc0, 0x00, 0x02, 0x01,
    0xc6, 0x33, 0x64, 0x07, // TCP:
    0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x50, 0x02, 0xff, 0xff,
    0x00, 0x00, 0x00, 0x00, // padding:
    0xee, 0xee, 0xee, 0xee, 0xee, 0xee,
];

/// 2001:db8::1:49000 to 2001:db8::2:53, UDP with two octets.
const UDP_V6: [u8; 64] = [
    0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x86,
    0xdd, // IPv6:
    0x60, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, // UDP:
    0xbf, 0x68, 0x00, 0x35, 0x00, 0x0a, 0x12, 0x34, 0x68, 0x69,
];

fn ip(frame: &[u8]) -> IpFrame {
    match dissect(frame) {
        Ok(Dissection::Ip(ip)) => ip,
        other => panic!("not an IP packet: {other:?}"),
    }
}

/// `TCP_V4` with the octets at the offsets (from the IP header) replaced and the checksum right.
fn v4_with(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = TCP_V4.to_vec();
    for (at, value) in changes {
        frame[14 + at] = *value;
    }
    ipv4::Packet::new_unchecked(&mut frame[14..]).fill_checksum();
    frame
}

/// `UDP_V6` with the octets at the offsets (from the IP header) replaced.
fn v6_with(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = UDP_V6.to_vec();
    for (at, value) in changes {
        frame[14 + at] = *value;
    }
    frame
}

/// `UDP_V6` with extension headers put before the datagram.
fn v6_behind(next_header: u8, headers: &[u8]) -> Vec<u8> {
    let mut frame = v6_with(&[(5, 10 + u8::try_from(headers.len()).unwrap()), (6, next_header)]);
    frame.splice(54..54, headers.iter().copied());
    frame
}

#[test]
fn a_tcp_segment_in_ipv4() {
    let expected = IpFrame {
        l3: 14,
        l4: 34,
        end: 54,
        source: [192, 0, 2, 1].into(),
        destination: [198, 51, 100, 7].into(),
        hop_limit: 64,
        protocol: protocol::TCP,
        fragment: Fragment::No,
        dont_fragment: true,
        options: false,
        hop_by_hop: false,
        upper: Upper::Tcp { source_port: 40000, destination_port: 80, flags: tcp::Flags::SYN },
    };
    assert_eq!(dissect(&TCP_V4), Ok(Dissection::Ip(expected)));
    assert_eq!(expected.upper.ports(), Some((40000, 80)));
}

#[test]
fn a_udp_datagram_in_ipv6() {
    let expected = IpFrame {
        l3: 14,
        l4: 54,
        end: 64,
        source: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
        destination: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2].into(),
        hop_limit: 64,
        protocol: protocol::UDP,
        fragment: Fragment::No,
        dont_fragment: true,
        options: false,
        hop_by_hop: false,
        upper: Upper::Udp { source_port: 49000, destination_port: 53 },
    };
    assert_eq!(dissect(&UDP_V6), Ok(Dissection::Ip(expected)));
}

#[test]
fn every_cut_frame_is_truncated() {
    for length in 0..54 {
        assert_eq!(dissect(&TCP_V4[..length]), Err(Malformed::Truncated), "{length} octets");
    }
    for length in 0..64 {
        assert_eq!(dissect(&UDP_V6[..length]), Err(Malformed::Truncated), "{length} octets");
    }
}

#[test]
fn vlan_tags_move_the_packet() {
    let mut frame = TCP_V4.to_vec();
    frame.splice(12..12, [0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0x20, 0x2a]);
    let tagged = ip(&frame);
    assert_eq!((tagged.l3, tagged.l4, tagged.end), (22, 42, 62));
    assert_eq!(tagged.upper, ip(&TCP_V4).upper);
    frame.splice(12..12, [0x81, 0x00, 0x00, 0x01]);
    assert_eq!(dissect(&frame), Ok(Dissection::NotIp(EtherType::VLAN)));
}

#[test]
fn what_is_not_ip_is_not_malformed() {
    let mut frame = TCP_V4;
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(dissect(&frame), Ok(Dissection::Arp));
    frame[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert_eq!(dissect(&frame), Ok(Dissection::NotIp(EtherType(0x88cc))));
    assert_eq!(dissect(&frame[..14]), Ok(Dissection::NotIp(EtherType(0x88cc))));
}

#[test]
fn ipv4_headers_that_contradict_themselves() {
    for version_and_length in [0x00, 0x35, 0x40, 0x44, 0x55, 0x65] {
        let frame = v4_with(&[(0, version_and_length)]);
        assert_eq!(dissect(&frame), Err(Malformed::BadHeader), "{version_and_length:#x}");
    }
    assert_eq!(dissect(&v4_with(&[(3, 19)])), Err(Malformed::BadLength));
    assert_eq!(dissect(&v4_with(&[(3, 0)])), Err(Malformed::BadLength));
    assert_eq!(dissect(&v4_with(&[(3, 47)])), Err(Malformed::Truncated));
    assert_eq!(dissect(&v4_with(&[(0, 0x4f), (3, 40)])), Err(Malformed::BadLength));
    let mut frame = TCP_V4;
    frame[24] ^= 1;
    assert_eq!(dissect(&frame), Err(Malformed::BadChecksum));
}

#[test]
fn a_packet_beyond_its_length_field_ends_with_the_frame() {
    let mut frame = v4_with(&[(2, 0), (3, 0)]);
    frame.resize(14 + 0xffff, 0);
    assert_eq!(dissect(&frame), Err(Malformed::BadLength));
    frame.push(0);
    assert_eq!(ip(&frame).end, frame.len());

    let mut frame = v6_with(&[(5, 0)]);
    frame.resize(54 + 0xffff, 0);
    assert_eq!(dissect(&frame), Err(Malformed::BadLength));
    frame.push(0);
    assert_eq!(ip(&frame).end, frame.len());
}

#[test]
fn ipv4_sources_no_reply_could_reach() {
    for source in [[0, 0, 0, 1], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4], [0; 4]] {
        let frame = v4_with(&[(12, source[0]), (13, source[1]), (14, source[2]), (15, source[3])]);
        assert_eq!(dissect(&frame), Err(Malformed::BadSource), "{source:?}");
    }
    for first in [1, 126, 128, 223, 240, 254] {
        assert_eq!(ip(&v4_with(&[(12, first)])).source, IpAddr::from([first, 0, 2, 1]));
    }
}

#[test]
fn who_has_no_address_yet_may_ask_the_link() {
    let unspecified = [(12, 0), (13, 0), (14, 0), (15, 0)];
    let dhcp = [&unspecified[..], &[(16, 255), (17, 255), (18, 255), (19, 255)]].concat();
    assert_eq!(ip(&v4_with(&dhcp)).source, IpAddr::from([0; 4]));
    let solicitation: Vec<_> = (8..24).map(|at| (at, 0)).chain([(6, 58)]).collect();
    assert!(matches!(ip(&v6_with(&solicitation)).upper, Upper::Icmpv6 { .. }));
    assert_eq!(dissect(&v6_with(&solicitation[..16])), Err(Malformed::BadSource));
}

#[test]
fn ipv6_sources_no_reply_could_reach() {
    let zero = || (8..24).map(|at| (at, 0));
    let loopback: Vec<_> = zero().chain([(23, 1)]).collect();
    let mapped: Vec<_> = zero().chain([(18, 0xff), (19, 0xff), (20, 192)]).collect();
    for changes in [&loopback[..], &mapped, &[(8, 0xff)]] {
        assert_eq!(dissect(&v6_with(changes)), Err(Malformed::BadSource), "{changes:?}");
    }
    let nat64: Vec<_> = zero().chain([(9, 0x64), (10, 0xff), (11, 0x9b)]).collect();
    assert!(matches!(dissect(&v6_with(&nat64)), Ok(Dissection::Ip(_))));
}

#[test]
fn ipv4_options() {
    let with_options = |options: [u8; 4]| {
        let mut frame = v4_with(&[(0, 0x46), (3, 44)]);
        frame.splice(34..34, options);
        ipv4::Packet::new_unchecked(&mut frame[14..]).fill_checksum();
        frame
    };
    let alert = ip(&with_options([0x94, 4, 0, 0]));
    assert_eq!((alert.l4, alert.end, alert.options), (38, 58, true));
    assert_eq!(alert.upper.ports(), Some((40000, 80)));
    assert_eq!(dissect(&with_options([0x94, 5, 0, 0])), Err(Malformed::BadOption));
    assert_eq!(dissect(&with_options([0x83, 3, 4, 0])), Err(Malformed::BadOption));
    let mut frame = with_options([0x94, 4, 0, 0]);
    frame[34] = 0;
    assert_eq!(dissect(&frame), Err(Malformed::BadChecksum));
}

#[test]
fn ipv4_fragments() {
    let first = ip(&v4_with(&[(6, 0x20)]));
    assert_eq!((first.fragment, first.dont_fragment), (Fragment::First, false));
    assert_eq!(first.upper.ports(), Some((40000, 80)));
    for last in [0x00, 0x20] {
        let later = ip(&v4_with(&[(6, last), (7, 0xb9)]));
        assert_eq!((later.fragment, later.upper), (Fragment::Later, Upper::Other));
        assert_eq!(later.protocol, protocol::TCP);
    }
    let beyond = v4_with(&[(6, 0x1f), (7, 0xff)]);
    assert_eq!(dissect(&beyond), Err(Malformed::BadLength), "put together it exceeds 65535");
}

#[test]
fn ipv6_fragments() {
    let first = ip(&v6_behind(44, &[17, 0, 0, 1, 0, 0, 0, 9]));
    assert_eq!((first.fragment, first.l4, first.end), (Fragment::First, 62, 72));
    assert_eq!(first.upper.ports(), Some((49000, 53)));
    let atomic = ip(&v6_behind(44, &[17, 0, 0, 0, 0, 0, 0, 9]));
    assert_eq!(atomic.fragment, Fragment::No);
    let later = ip(&v6_behind(44, &[17, 0, 0, 8, 0, 0, 0, 9]));
    assert_eq!((later.fragment, later.upper), (Fragment::Later, Upper::Other));
    assert_eq!((later.l4, later.protocol), (62, protocol::UDP));
    let beyond = v6_behind(44, &[17, 0, 0xff, 0xf8, 0, 0, 0, 9]);
    assert_eq!(dissect(&beyond), Err(Malformed::BadLength));
}

#[test]
fn ipv6_extension_headers() {
    let walked = ip(&v6_behind(0, &[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0]));
    assert!(walked.hop_by_hop && !walked.options && walked.dont_fragment);
    assert_eq!((walked.l4, walked.protocol), (70, protocol::UDP));
    assert!(!ip(&v6_behind(60, &[17, 0, 1, 4, 0, 0, 0, 0])).hop_by_hop);
    assert_eq!(dissect(&v6_behind(0, &[17, 9, 1, 4, 0, 0, 0, 0])), Err(Malformed::Truncated));
    let source_route = v6_behind(43, &[17, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(dissect(&source_route), Err(Malformed::BadOption));
}

#[test]
fn ipv6_headers_that_contradict_themselves() {
    assert_eq!(dissect(&v6_with(&[(0, 0x45)])), Err(Malformed::BadHeader));
    assert_eq!(dissect(&v6_with(&[(5, 0)])), Err(Malformed::BadLength));
    let nothing = ip(&v6_with(&[(5, 0), (6, 59)]));
    assert_eq!((nothing.l4, nothing.end, nothing.upper), (54, 54, Upper::Other));
    assert_eq!(dissect(&v6_with(&[(5, 11)])), Err(Malformed::Truncated));
}

#[test]
fn upper_layer_headers_that_are_not_all_there() {
    assert_eq!(ip(&v4_with(&[(3, 39)])).upper, Upper::Truncated);
    assert_eq!(ip(&v4_with(&[(32, 0x40)])).upper, Upper::Truncated, "data offset 4");
    for (upper_protocol, needed) in
        [(protocol::UDP, 8), (protocol::SCTP, 12), (protocol::ICMPV4, 8)]
    {
        let cut = ip(&v4_with(&[(9, upper_protocol), (3, 20 + needed - 1)]));
        assert_eq!(cut.upper, Upper::Truncated, "{upper_protocol}");
        let whole = ip(&v4_with(&[(9, upper_protocol), (3, 20 + needed)]));
        assert_ne!(whole.upper, Upper::Truncated, "{upper_protocol}");
    }
}

#[test]
fn every_upper_layer_is_told_apart() {
    let upper = |upper_protocol| ip(&v4_with(&[(9, upper_protocol)])).upper;
    let (source_port, destination_port) = (40000, 80);
    assert_eq!(upper(protocol::UDP), Upper::Udp { source_port, destination_port });
    let chunk = Some(sctp::Chunk { kind: 0x50, flags: 2 });
    assert_eq!(upper(protocol::SCTP), Upper::Sctp { source_port, destination_port, chunk });
    assert_eq!(upper(protocol::ICMPV4), Upper::Icmpv4 { kind: 0x9c, code: 0x40 });
    assert_eq!(upper(protocol::ICMPV6), Upper::Other, "ICMPv6 does not belong in IPv4");
    assert_eq!(upper(protocol::ESP), Upper::Other);
    let upper = |upper_protocol| ip(&v6_with(&[(6, upper_protocol)])).upper;
    assert_eq!(upper(protocol::ICMPV6), Upper::Icmpv6 { kind: 0xbf, code: 0x68 });
    assert_eq!(upper(protocol::ICMPV4), Upper::Other, "ICMPv4 does not belong in IPv6");
    assert_eq!(upper(protocol::TCP), Upper::Truncated);
}

#[test]
fn an_sctp_packet_without_a_chunk_has_no_event() {
    let packet = ip(&v4_with(&[(9, protocol::SCTP), (3, 35)]));
    let (source_port, destination_port) = (40000, 80);
    assert_eq!(packet.upper, Upper::Sctp { source_port, destination_port, chunk: None });
}
