//! Masquerading: any packet arrives at the server as if sent there, its answer at the client as if from
//! the virtual service, and nothing else of either is another.

use std::net::IpAddr;
use std::ops::Range;

use engine::frame::ChecksumState;
use engine::verdict::{PassReason, Verdict};
use proptest::prelude::*;

use crate::lab::frames::{SYN, reference_checksum};
use crate::lab::masquerading::{CLIENT, ROUTER, SERVER, VIPS, masquerading};
use crate::lab::sent::{End, Given, ICMPV4, ICMPV6, SCTP, Sent, Shape, UDP, plain, shapes};
use crate::lab::{Outcome, PORT, address};

/// The frame that came out, when only one did.
fn out(outcome: &Outcome) -> Sent {
    assert!(
        matches!(outcome.verdict, Verdict::Forward { .. } | Verdict::Return { .. }),
        "{:?}",
        outcome.verdict
    );
    Sent::new(outcome.frames[0].clone())
}

/// What of `out` is allowed to be other than in `sent`, put back: hardware addresses, hop limit, IPv4
/// header checksum, the address of one end, and `also`.
fn put_back(out: &Sent, sent: &Sent, end: Side, also: &[Range<usize>]) -> Vec<u8> {
    let mut restored = out.octets.clone();
    let address = match (sent.ip.source.is_ipv4(), end) {
        (true, Side::Source) => 26..30,
        (true, Side::Destination) => 30..34,
        (false, Side::Source) => 22..38,
        (false, Side::Destination) => 38..54,
    };
    let hop = if sent.ip.source.is_ipv4() { 22..26 } else { 21..22 };
    for range in [0..12, hop, address].iter().chain(also) {
        if sent.ip.source.is_ipv4() && range.start == 22 {
            restored[22] = sent.octets[22];
            restored[24..26].copy_from_slice(&sent.octets[24..26]);
        } else {
            restored[range.clone()].copy_from_slice(&sent.octets[range.clone()]);
        }
    }
    restored
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

fn is_aged(out: &Sent, sent: &Sent) -> bool {
    let header = &out.octets[14..out.ip.l4];
    out.ip.hop_limit + 1 == sent.ip.hop_limit
        && (out.ip.source.is_ipv6() || reference_checksum(header) == 0)
}

fn ends(sent: &Sent) -> ((IpAddr, u16), (IpAddr, u16)) {
    let (source_port, destination_port) = sent.ip.upper.ports().expect("ports");
    ((sent.ip.source, source_port), (sent.ip.destination, destination_port))
}

fn place(end: End) -> (IpAddr, u16) {
    (address(end.0), end.1)
}

/// Checks the frame that `sent` became, one end of which was to be `becomes`.
fn is_rewritten(sent: &Sent, outcome: &Outcome, side: Side, becomes: End, shape: &Shape) {
    let out = out(outcome);
    let (source, destination) = ends(sent);
    let (port, expected) = match side {
        Side::Source => (0, (place(becomes), destination)),
        Side::Destination => (2, (source, place(becomes))),
    };
    assert_eq!(ends(&out), expected);
    assert!(is_aged(&out, sent));
    let port = sent.ip.l4 + port..sent.ip.l4 + port + 2;
    let changed = [port, sent.checksum_at()];
    assert_eq!(put_back(&out, sent, side, &changed), sent.octets);
    let is_sctp = shape.protocol == SCTP;
    match shape.checksum {
        Given::Open if !is_sctp => {
            assert_eq!(outcome.left, sent.meta.checksum);
            // All ones and zero are the same sum.
            let (seed, reference) = (out.checksum(), out.seed());
            let is_zero = |seed: &[u8]| seed == [0, 0] || seed == [0xff, 0xff];
            assert!(seed == reference || is_zero(seed) && is_zero(&reference), "{out:02x?}");
        }
        Given::Wrong(_) if is_sctp && ends(sent) != ends(&out) => {
            // A new CRC32c is made when a port changes, else the wrong one stays.
            let same_port = sent.ip.upper.ports() == out.ip.upper.ports();
            let expected = if same_port { sent.checksum().to_vec() } else { out.reference() };
            assert_eq!(out.checksum(), expected);
        }
        Given::Wrong(_) => assert!(!is_right(&out), "a wrong checksum became right"),
        _ => {
            assert_eq!(outcome.left, ChecksumState::Complete);
            assert!(is_right(&out) && !out.has_no_checksum(), "{out:02x?}");
        }
    }
}

fn is_right(out: &Sent) -> bool {
    let (checksum, reference) = (out.checksum(), out.reference());
    // TCP and ICMP may spell zero both ways.
    let is_zero = |sum: &[u8]| sum == [0, 0] || sum == [0xff, 0xff];
    checksum == reference || out.ip.protocol != UDP && is_zero(checksum) && is_zero(&reference)
}

/// An ICMP error that `by` sends to `to` about `about`, of which `quoted` octets are there.
fn error(shape: &Shape, by: &str, to: &str, about: &Sent, quoted: usize) -> Sent {
    let is_ipv4 = about.ip.source.is_ipv4();
    let (protocol, head) = if is_ipv4 { (ICMPV4, [3, 3]) } else { (ICMPV6, [1, 4]) };
    let packet = &about.octets[14..];
    let message = [&head, &[0; 6][..], &packet[..quoted.min(packet.len())]].concat();
    let mut sent = Sent::new(shape.frame(protocol, by, to, message));
    let good = sent.reference();
    sent.write(sent.checksum_at(), &good);
    sent
}

/// Checks an ICMP error whose quote had one end rewritten, besides its own one.
fn error_is_rewritten(sent: &Sent, outcome: &Outcome, side: Side, becomes: End) {
    let out = out(outcome);
    let quote = sent.ip.l4 + 8;
    let about = wire::quoted::quoted(&out.octets[quote..]).expect("a quote");
    let (source_port, destination_port) = about.ports.expect("ports");
    let is_ipv4 = sent.ip.source.is_ipv4();
    let upper = quote + about.upper;
    // What is quoted went the other way.
    let (quoted_end, address_at, port_at) = match (side, is_ipv4) {
        (Side::Destination, true) => ((about.source, source_port), 12..16, upper),
        (Side::Destination, false) => ((about.source, source_port), 8..24, upper),
        (Side::Source, true) => ((about.destination, destination_port), 16..20, upper + 2),
        (Side::Source, false) => ((about.destination, destination_port), 24..40, upper + 2),
    };
    assert_eq!(quoted_end, place(becomes));
    let end = if side == Side::Source { out.ip.source } else { out.ip.destination };
    assert_eq!(end, address(becomes.0));
    assert!(is_aged(&out, sent) && is_right(&out), "{out:02x?}");
    let mut changed = vec![
        sent.checksum_at(),
        quote + address_at.start..quote + address_at.end,
        port_at..port_at + 2,
    ];
    if is_ipv4 {
        assert_eq!(reference_checksum(&out.octets[quote..upper]), 0, "the header in the quote");
        changed.push(quote + 10..quote + 12);
    }
    assert_eq!(put_back(&out, sent, side, &changed), sent.octets);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn there_and_back_again(
        (there, back) in (shapes(), shapes()),
        family in 0..2_usize,
        client_port in 1_u16..,
        server_port in prop_oneof![Just(PORT), 1_u16..],
    ) {
        prop_assume!(client_port != 20);
        let back = Shape { protocol: there.protocol, ..back };
        let back = Shape { segment_size: back.segment_size.filter(|_| back.protocol != SCTP), ..back };
        let client = (CLIENT[family], client_port);
        let (virtual_end, server) = ((VIPS[family], PORT), (SERVER[family], server_port));
        let mut lab = masquerading(server_port);
        let sent = there.sent(client, virtual_end);
        let outcome = sent.through(&mut lab);
        let is_forwarded = matches!(outcome.verdict, Verdict::Forward { .. });
        prop_assert!(is_forwarded, "{:?}", outcome.verdict);
        is_rewritten(&sent, &outcome, Side::Destination, server, &there);
        let answer = back.sent(server, client).by_server();
        let outcome = answer.through(&mut lab);
        let is_returned = matches!(outcome.verdict, Verdict::Return { .. });
        prop_assert!(is_returned, "{:?}", outcome.verdict);
        is_rewritten(&answer, &outcome, Side::Source, virtual_end, &back);
        // The answer now is what the client would have got from the virtual end itself.
        let direct = back.sent(virtual_end, client);
        let same = put_back(&out(&outcome), &direct, Side::Source, &[direct.checksum_at()]);
        prop_assert_eq!(same, direct.octets);
    }

    #[test]
    fn errors_go_both_ways_with_what_they_quote(
        (quoted, outside) in (shapes(), shapes()),
        family in 0..2_usize,
        client_port in 21_u16..,
        server_port in prop_oneof![Just(PORT), 1_u16..],
        cut in any::<prop::sample::Index>(),
    ) {
        let client = (CLIENT[family], client_port);
        let (virtual_end, server) = ((VIPS[family], PORT), (SERVER[family], server_port));
        let mut lab = masquerading(server_port);
        out(&quoted.sent(client, virtual_end).through(&mut lab));
        // To the server, of what the client got; to the client, of what the server got.
        let got = [quoted.sent(virtual_end, client), quoted.sent(client, server)];
        let header = got[0].ip.l4 - got[0].ip.l3;
        let length = header + cut.index((got[0].octets.len() - 14 - header).min(548) + 1);
        let to_server = error(&outside, ROUTER[family], virtual_end.0, &got[0], length);
        let to_client = error(&outside, server.0, client.0, &got[1], length).by_server();
        let outcomes = [to_server.through(&mut lab), to_client.through(&mut lab)];
        if length < header + 4 {
            for outcome in outcomes {
                prop_assert_eq!(outcome.verdict, Verdict::Pass(PassReason::Icmp));
            }
            return Ok(());
        }
        error_is_rewritten(&to_server, &outcomes[0], Side::Destination, server);
        error_is_rewritten(&to_client, &outcomes[1], Side::Source, virtual_end);
    }

    #[test]
    fn a_computed_zero_is_sent_as_all_ones(
        mut data in prop::collection::vec(any::<u8>(), 2..99),
        family in 0..2_usize,
        server_port in prop_oneof![Just(PORT), 1_u16..],
        without in any::<bool>(),
    ) {
        let checksum = if without { Given::None } else { Given::Good };
        let shape =
            |data: &[u8]| Shape { protocol: UDP, data: data.to_vec(), checksum, ..plain(0) };
        let (client, server) = ((CLIENT[family], 40_000), (SERVER[family], server_port));
        // With its own checksum as the first word of data, the datagram sums up to zero.
        data[..2].fill(0);
        let there = Shape { checksum: Given::Good, ..shape(&data) }.sent(client, server);
        data[..2].copy_from_slice(there.checksum());
        let sent = shape(&data).sent(client, (VIPS[family], PORT));
        let arrived = out(&sent.through(&mut masquerading(server_port)));
        prop_assert_eq!(arrived.checksum(), [0xff, 0xff]);
    }
}

#[test]
fn an_error_whose_checksum_is_open_leaves_with_it_open() {
    let shape = plain(SYN);
    for family in 0..2 {
        let (client, virtual_end) = ((CLIENT[family], 40_000), (VIPS[family], PORT));
        let mut lab = masquerading(8080);
        out(&shape.sent(client, virtual_end).through(&mut lab));
        let got = shape.sent(virtual_end, client);
        let mut sent = error(&shape, ROUTER[family], virtual_end.0, &got, 60);
        let seed = if family == 0 { vec![0, 0] } else { sent.seed() };
        sent.write(sent.checksum_at(), &seed);
        sent.meta.checksum = ChecksumState::left_to_device(&sent.octets);
        let outcome = sent.through(&mut lab);
        assert_eq!(outcome.left, sent.meta.checksum);
        let arrived = out(&outcome);
        assert_eq!(arrived.ip.destination, address(SERVER[family]));
        let expected = if family == 0 { vec![0, 0] } else { arrived.seed() };
        assert_eq!(arrived.checksum(), expected);
    }
}
