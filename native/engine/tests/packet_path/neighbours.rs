//! Answering for the virtual addresses.

use engine::command::Protocol;
use engine::verdict::{PassReason, ReplyReason, Verdict};

use crate::lab::frames::{Ip, reference_checksum};
use crate::lab::{CLIENT_SIDE, DIRECTOR_MAC, Lab, ROUTER_MAC, VIP6, cluster_service, one_server};

#[test]
fn virtual_addresses_are_answered_for_where_asked_to() {
    let mut lab = Lab::new(&cluster_service());
    let mut request = vec![0xff; 6];
    request.extend(ROUTER_MAC.0);
    request.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    request.extend(ROUTER_MAC.0);
    request.extend([192, 0, 2, 254, 0, 0, 0, 0, 0, 0, 198, 51, 100, 1]);
    assert_eq!(lab.process(&request).verdict, Verdict::Pass(PassReason::NotIp));
    lab.engine.answer_neighbours(vec![(CLIENT_SIDE, DIRECTOR_MAC)]);
    let outcome = lab.process(&request);
    assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Neighbour));
    let reply = &outcome.frames[0];
    assert_eq!((&reply[..6], &reply[6..12]), (&ROUTER_MAC.0[..], &DIRECTOR_MAC.0[..]));
    assert_eq!(reply[20..22], [0, 2]);
    assert_eq!((&reply[22..28], &reply[28..32]), (&DIRECTOR_MAC.0[..], &[198, 51, 100, 1][..]));
    let mut other = request.clone();
    other[41] = 2;
    let mut announcement = request.clone();
    announcement[28..32].copy_from_slice(&[198, 51, 100, 1]);
    for frame in [other, announcement] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Pass(PassReason::NotIp));
    }
}

/// A neighbour solicitation for the IPv6 virtual address, with a right checksum.
fn solicitation(source: &str, hop_limit: u8) -> Vec<u8> {
    let mut ip = Ip::new(source, "ff02::1:ff00:1");
    ip.hop_limit = hop_limit;
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(octets(VIP6));
    let pseudo = [&octets(source)[..], &octets("ff02::1:ff00:1"), &[0, 0, 0, 24, 0, 0, 0, 58]];
    let checksum = reference_checksum(&[&pseudo.concat(), &message[..]].concat());
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = ip.frame(58, &message);
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, 1]);
    frame
}

#[test]
fn neighbour_solicitations_are_answered_only_whole_and_from_the_link() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP6, "2001:db8:1::11"));
    lab.engine.answer_neighbours(vec![(CLIENT_SIDE, DIRECTOR_MAC)]);
    let outcome = lab.process(&solicitation("2001:db8:5::fe", 255));
    assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Neighbour));
    let reply = &outcome.frames[0];
    assert_eq!(reply[..6], ROUTER_MAC.0);
    // Solicited and overriding, with the director's hardware address.
    assert_eq!((reply[54], reply[58], &reply[80..86]), (136, 0x60, &DIRECTOR_MAC.0[..]));
    // Duplicate address detection: everybody is told.
    let told = lab.process(&solicitation("::", 255));
    assert_eq!(told.frames[0][..6], [0x33, 0x33, 0, 0, 0, 1]);
    let mut damaged = solicitation("2001:db8:5::fe", 255);
    damaged[57] ^= 1;
    for frame in [solicitation("2001:db8:5::fe", 254), damaged] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Pass(PassReason::OtherHost));
    }
}
