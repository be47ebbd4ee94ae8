//! Masquerading: what is refused, by whom and with what; what replies do to their connection.

use engine::command::SettingsPatch;
use engine::hop::{Egress, Hop};
use engine::snapshot::ConnectionFilter;
use engine::verdict::{DropReason, PassReason, ReplyReason, Verdict};

use crate::lab::frames::{ACK, FIN, Ip, RST, SYN, reference_checksum};
use crate::lab::masquerading::{CLIENT, ROUTER, SERVER, VIPS, masquerading};
use crate::lab::sent::{End, SCTP, Sent, Shape, UDP, plain};
use crate::lab::{Lab, Outcome, PORT, address, settings, way_back};

/// The director's own addresses towards the servers.
const OWN: [&str; 2] = ["10.0.0.1", "2001:db8:1::1"];
const FAMILIES: [usize; 2] = [0, 1];

const fn client(family: usize) -> End {
    (CLIENT[family], 40_000)
}

const fn server(family: usize) -> End {
    (SERVER[family], 8080)
}

fn request(shape: &Shape, family: usize) -> Sent {
    shape.sent(client(family), (VIPS[family], PORT))
}

fn reply(shape: &Shape, family: usize) -> Sent {
    shape.sent(server(family), client(family)).by_server()
}

/// A director with a connection of each family.
fn connected(shape: &Shape) -> Lab {
    let mut lab = masquerading(8080);
    for family in FAMILIES {
        let verdict = request(shape, family).through(&mut lab).verdict;
        assert!(matches!(verdict, Verdict::Forward { .. }), "{verdict:?}");
    }
    lab
}

/// An ICMP error to `to` about a packet between these ends.
fn error(by: &str, to: &str, about: &Sent) -> Sent {
    let ip = Ip::new(by, to);
    let quote = &about.octets[14..];
    let (protocol, head) = if ip.source.is_ipv4() { (1, [3, 3]) } else { (58, [1, 4]) };
    let mut sent = Sent::new(ip.frame(protocol, &[&head, &[0; 6][..], quote].concat()));
    let good = sent.reference();
    sent.write(sent.checksum_at(), &good);
    sent
}

/// The ICMP error the director answered with: its source, type and code, second word, quote.
fn answer(outcome: &Outcome) -> (std::net::IpAddr, [u8; 2], u32, Vec<u8>) {
    let sent = Sent::new(outcome.frames[0].clone());
    assert_eq!(sent.checksum(), sent.reference());
    let message = &sent.octets[sent.ip.l4..];
    let word = u32::from_be_bytes(message[4..8].try_into().unwrap());
    (sent.ip.source, [message[0], message[1]], word, message[8..].to_vec())
}

#[test]
fn an_error_whose_checksum_is_wrong_is_not_made_right() {
    for family in FAMILIES {
        let mut lab = connected(&plain(SYN));
        let of_answer = plain(ACK).sent((VIPS[family], PORT), client(family));
        let of_request = plain(ACK).sent(client(family), server(family));
        let to_server = error(ROUTER[family], VIPS[family], &of_answer);
        let to_client = error(SERVER[family], CLIENT[family], &of_request).by_server();
        for mut sent in [to_server, to_client] {
            let at = sent.ip.end - 1;
            sent.octets[at] ^= 1;
            let verdict = sent.through(&mut lab).verdict;
            assert_eq!(verdict, Verdict::Drop(DropReason::BadIcmpChecksum));
            sent.octets[at] ^= 1;
            let verdict = sent.through(&mut lab).verdict;
            assert!(matches!(verdict, Verdict::Forward { .. } | Verdict::Return { .. }));
        }
    }
}

#[test]
fn hop_by_hop_options_are_not_carried_to_the_server() {
    let mut transport = request(&plain(SYN), 1).octets.split_off(54);
    transport.splice(0..0, [6, 0, 5, 2, 0, 0, 1, 0]);
    let frame = Ip::new(CLIENT[1], VIPS[1]).frame(0, &transport);
    let verdict = masquerading(8080).process(&frame).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::HopByHop));
}

#[test]
fn what_expires_here_is_answered_as_it_came() {
    let last_hop = Shape { hop_limit: 1, ..plain(SYN) };
    for family in FAMILIES {
        let kind = [if family == 0 { 11 } else { 3 }, 0];
        let mut lab = connected(&plain(SYN));
        let sent = request(&last_hop, family);
        let outcome = sent.through(&mut lab);
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::HopLimit));
        let quote = sent.octets[14..].to_vec();
        assert_eq!(answer(&outcome), (address(VIPS[family]), kind, 0, quote));
        // To a server the director answers for itself, and for the service where it has no address.
        for own in [Some(OWN[family]), None, Some(OWN[1 - family])] {
            lab.ways.1 = own.map(address);
            let sent = reply(&last_hop, family);
            let outcome = sent.through(&mut lab);
            assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::HopLimit));
            let source = if own == Some(OWN[family]) { OWN[family] } else { VIPS[family] };
            let quote = sent.octets[14..].to_vec();
            assert_eq!(answer(&outcome), (address(source), kind, 0, quote));
        }
    }
}

#[test]
fn replies_without_a_way_are_answered_or_wait() {
    for family in FAMILIES {
        let mut lab = connected(&plain(SYN));
        lab.ways.1 = Some(address(OWN[family]));
        lab.ways.2 = Some(Hop::Unreachable);
        let sent = reply(&plain(SYN | ACK), family);
        let outcome = sent.through(&mut lab);
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::Unreachable));
        let kind = if family == 0 { [3, 1] } else { [1, 3] };
        let (source, said, ..) = answer(&outcome);
        assert_eq!((source, said), (address(OWN[family]), kind));
        lab.ways.2 = Some(Hop::Resolving { mtu: 1500 });
        let outcome = sent.through(&mut lab);
        let Verdict::Return { egress, .. } = outcome.verdict else { panic!("{outcome:?}") };
        assert_eq!(egress, Egress::Client(address(CLIENT[family])));
        let waits = Sent::new(outcome.frames[0].clone());
        assert_eq!(waits.ip.source, address(VIPS[family]), "rewritten already");
    }
}

#[test]
fn replies_too_big_for_their_way_are_refused_or_cut() {
    let big = Shape { protocol: UDP, data: vec![9; 700], ..plain(0) };
    for family in FAMILIES {
        let mut lab = connected(&Shape { protocol: UDP, ..plain(0) });
        lab.ways.1 = Some(address(OWN[family]));
        lab.ways.2 = Some(way_back(600));
        let sent = reply(&big, family);
        let outcome = sent.through(&mut lab);
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::TooBig));
        let (source, _, mtu, quote) = answer(&outcome);
        assert_eq!((source, mtu), (address(OWN[family]), 600));
        assert_eq!(quote[..], sent.octets[14..14 + quote.len()], "as it came, its hop not taken");
    }
    let mut lab = connected(&Shape { protocol: UDP, ..plain(0) });
    lab.ways.2 = Some(way_back(600));
    let mut sent = reply(&big, 0);
    sent.octets[20] = 0;
    sent.octets[24..26].fill(0);
    let sum = reference_checksum(&sent.octets[14..34]);
    sent.octets[24..26].copy_from_slice(&sum.to_be_bytes());
    let outcome = sent.through(&mut lab);
    assert!(matches!(outcome.verdict, Verdict::ReturnFragments { .. }), "{outcome:?}");
    let parts: Vec<u8> = outcome.frames.iter().flat_map(|frame| frame[34..].to_vec()).collect();
    assert_eq!(outcome.frames.len(), 2);
    assert_eq!(parts[8..], big.data);
    let pseudo = [&outcome.frames[0][26..34], &[0, 17, 2, 196][..]].concat();
    assert_eq!(reference_checksum(&[pseudo, parts].concat()), 0);
}

fn states(lab: &Lab) -> Vec<(String, u64)> {
    let page = lab.engine.connections(&ConnectionFilter::default(), 0, 10, lab.now);
    page.rows.iter().map(|row| (row.state.to_string(), row.in_packets.0)).collect()
}

#[test]
fn replies_move_their_connection_on_and_are_counted() {
    let mut lab = masquerading(8080);
    request(&plain(SYN), 0).through(&mut lab);
    let mut after = |sent: Sent| {
        sent.through(&mut lab);
        states(&lab).remove(0)
    };
    assert_eq!(after(reply(&plain(SYN | ACK), 0)), ("SYN_RECV".into(), 1));
    assert_eq!(after(request(&plain(ACK), 0)), ("ESTABLISHED".into(), 2));
    assert_eq!(after(reply(&plain(FIN | ACK), 0)), ("FIN_WAIT".into(), 2));
    // ICMP errors leave it as it is.
    let of_request = plain(ACK).sent(client(0), server(0));
    let told = error(SERVER[0], CLIENT[0], &of_request).by_server();
    let length = told.ip.end - 14;
    assert_eq!(after(told), ("FIN_WAIT".into(), 2));
    let counted = lab.engine.statistics();
    let length = u64::try_from(2 * (40 + 33) + length).unwrap();
    let service = counted.services.iter().find(|service| service.traffic.connections.0 == 1);
    for traffic in [counted.traffic, service.unwrap().traffic, service.unwrap().servers[0].traffic]
    {
        assert_eq!((traffic.in_packets.0, traffic.out_packets.0), (2, 3));
        assert_eq!(traffic.out_octets.0, length);
    }
}

#[test]
fn strays_are_answered_where_asked_to_but_not_what_ends_a_connection() {
    let patch = SettingsPatch { nat_icmp_send: Some(true), ..SettingsPatch::default() };
    for family in FAMILIES {
        let mut lab = masquerading(8080);
        lab.ways.1 = Some(address(OWN[family]));
        let stray = |shape: &Shape| reply(shape, family);
        let from_server = Verdict::Pass(PassReason::FromServer);
        assert_eq!(stray(&plain(ACK)).through(&mut lab).verdict, from_server);
        lab.apply(&[settings(patch.clone())]);
        let sent = stray(&plain(ACK));
        let outcome = sent.through(&mut lab);
        assert_eq!(outcome.verdict, Verdict::Reply(ReplyReason::NoConnection));
        let (source, kind, _, quote) = answer(&outcome);
        let expected = if family == 0 { [3, 3] } else { [1, 4] };
        assert_eq!((source, kind), (address(OWN[family]), expected));
        assert_eq!(quote[if family == 0 { 8 } else { 7 }], 63, "the hop is taken off");
        let abort = Shape { protocol: SCTP, ..plain(0) };
        let mut abort = stray(&abort);
        abort.octets[abort.ip.l4 + 12] = 6;
        for sent in [stray(&plain(RST | ACK)), stray(&Shape { hop_limit: 1, ..plain(ACK) }), abort]
        {
            assert_eq!(sent.through(&mut lab).verdict, from_server);
        }
        lab.ways.1 = None;
        assert_eq!(stray(&plain(ACK)).through(&mut lab).verdict, from_server);
    }
}
