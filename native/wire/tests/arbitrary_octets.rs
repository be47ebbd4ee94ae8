//! Whatever the octets: no panic, and no offset outside the frame.

use proptest::prelude::*;
use wire::glimpse::{Glimpse, glimpse};
use wire::{Dissection, Fragment, IpFrame, Upper, dissect, quoted};
use wire::{arp, ethernet, icmpv4, icmpv6, ipv4, ipv6, sctp, sip, tcp, udp, vlan};

const PROTOCOLS: &[u8] = &[0, 1, 6, 17, 43, 44, 50, 51, 58, 59, 60, 132];

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

/// Random octets that begin as IP does often enough to reach the inner headers: likely types,
/// lengths, protocols and a right checksum.
fn likely_frame() -> impl Strategy<Value = Vec<u8>> {
    let upper = prop::sample::select(PROTOCOLS);
    let chain = prop::collection::vec((upper, 0_u8..3), 5);
    let tags = 0_usize..4;
    (octets(), any::<bool>(), tags, chain, 0_u16..220, 5_u8..16).prop_map(
        |(payload, v6, tags, chain, length, words)| {
            let mut frame = vec![2; 12];
            for _ in 0..tags {
                frame.extend([0x81, 0, 0, 7]);
            }
            frame.extend(if v6 { [0x86, 0xdd] } else { [8, 0] });
            let l3 = frame.len();
            frame.extend(&payload);
            let mut write = |at: usize, value: u8| {
                if let Some(octet) = frame.get_mut(l3 + at) {
                    *octet = value;
                }
            };
            let [high, low] = length.to_be_bytes();
            if v6 {
                write(0, 0x60);
                write(4, high);
                write(5, low);
                write(6, chain[0].0);
                for (position, header) in chain.windows(2).enumerate() {
                    write(40 + position * 8, header[1].0);
                    write(41 + position * 8, header[0].1);
                }
            } else {
                write(0, 0x40 | words);
                write(2, high);
                write(3, low);
                write(9, chain[0].0);
                ipv4::Packet::new_unchecked(&mut frame[l3..]).fill_checksum();
            }
            frame
        },
    )
}

fn check_dissection(frame: &[u8]) -> Result<(), TestCaseError> {
    let Ok(Dissection::Ip(ip)) = dissect(frame) else { return Ok(()) };
    prop_assert!(ethernet::HEADER_LEN <= ip.l3);
    let shortest = if ip.source.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
    prop_assert!(ip.l3 + shortest <= ip.l4);
    prop_assert!(ip.l4 <= ip.end);
    prop_assert!(ip.end <= frame.len());
    prop_assert_eq!(ip.source.is_ipv4(), ip.destination.is_ipv4());
    if ip.fragment == Fragment::Later {
        prop_assert_eq!(ip.upper, Upper::Other);
    }
    check_glimpse(frame, &ip, shortest)?;
    if let Some((source, destination)) = ip.upper.ports() {
        let [a, b] = source.to_be_bytes();
        let [c, d] = destination.to_be_bytes();
        prop_assert_eq!(frame.get(ip.l4..ip.l4 + 4), Some(&[a, b, c, d][..]));
    }
    Ok(())
}

/// What is seen at a glance is what dissection finds, and of the plainest packets it is seen.
fn check_glimpse(frame: &[u8], ip: &IpFrame, shortest: usize) -> Result<(), TestCaseError> {
    let Some((source_port, destination_port)) = ip.upper.ports() else { return Ok(()) };
    let IpFrame { protocol, source, destination, .. } = *ip;
    let seen = glimpse(frame);
    if seen.is_some() || (ip.fragment == Fragment::No && ip.l4 == ethernet::HEADER_LEN + shortest) {
        let flow = Glimpse { protocol, source, source_port, destination, destination_port };
        prop_assert_eq!(seen, Some(flow));
    }
    Ok(())
}

/// Reads every field of every view over `octets`.
fn read_all_views(octets: &[u8]) {
    let _ = format!("{:?} {:?}", ethernet::payload(octets), glimpse(octets));
    let frame = ethernet::Frame::new_unchecked(octets);
    let _ = (frame.source(), frame.destination(), frame.ether_type(), frame.payload());
    let tag = vlan::Packet::new_unchecked(octets);
    let _ = (tag.identifier(), tag.ether_type(), tag.payload());
    let message = arp::Packet::new_unchecked(octets);
    let _ = (message.check_len(), message.operation(), message.sender(), message.target());
    let _ = (message.sender_hardware(), message.target_hardware());
    let packet = ipv4::Packet::new_unchecked(octets);
    let _ = (packet.check_len(), packet.checksum_valid(), packet.source(), packet.destination());
    let _ = (packet.payload(), packet.fragment_offset(), ipv4::option::check(packet.options()));
    let packet = ipv6::Packet::new_unchecked(octets);
    let _ = (packet.check_len(), packet.traffic_class(), packet.flow_label(), packet.source());
    let _ = (packet.destination(), packet.payload(), packet.hop_limit());
    let segment = tcp::Packet::new_unchecked(octets);
    let _ = (segment.check_len(), segment.flags(), segment.payload(), segment.checksum());
    let datagram = udp::Packet::new_unchecked(octets);
    let _ = (datagram.length(), datagram.payload(), datagram.checksum());
    let packet = sctp::Packet::new_unchecked(octets);
    let _ = (packet.chunk(), packet.payload(), packet.verification_tag());
    let message = icmpv4::Packet::new_unchecked(octets);
    let _ = (message.mtu(), message.payload(), message.checksum_valid());
    let message = icmpv6::Packet::new_unchecked(octets);
    let _ = (message.rest_of_header(), message.payload());
    let message = icmpv6::ndp::Solicitation::new_unchecked(octets);
    let _ = (message.check_len(), message.target(), message.source_link_layer_address());
    let message = icmpv6::ndp::Advertisement::new_unchecked(octets);
    let _ = (message.check_len(), message.overrides(), message.target_link_layer_address());
}

/// Writes with everything that writes into octets it did not make itself.
fn write_into(octets: &mut [u8]) {
    ipv4::decrement_ttl(octets);
    ipv6::decrement_hop_limit(octets);
    ipv4::fill_record_route(octets, [192, 0, 2, 1].into());
    ipv4::Packet::new_unchecked(&mut *octets).fill_checksum();
    let _ = icmpv4::emit_error(octets, 3, 4, 1500, &[0x45; 600]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn random(mut octets in octets()) {
        check_dissection(&octets)?;
        read_all_views(&octets);
        if let Some(packet) = quoted(&octets) {
            prop_assert!(packet.upper <= octets.len());
        }
        write_into(&mut octets);
    }

    #[test]
    fn likely(frame in likely_frame()) {
        check_dissection(&frame)?;
        if let Some(packet) = frame.get(14..) {
            if let Some(quote) = quoted(packet) {
                prop_assert!(quote.upper <= packet.len());
            }
            write_into(&mut packet.to_vec());
        }
    }

    #[test]
    fn ipv6_extension_headers(octets in octets(), first: u8) {
        if let Ok(upper) = ipv6::extension::walk(&octets, first) {
            prop_assert!(upper.offset <= octets.len());
        }
    }
}

/// The frames of `likely_frame` must not all be refused at the first header.
#[test]
fn likely_frames_reach_the_upper_layer() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = likely_frame();
    let reached = (0..2000)
        .filter_map(|_| {
            let frame = strategy.new_tree(&mut runner).ok()?.current();
            match dissect(&frame) {
                Ok(Dissection::Ip(ip)) => ip.upper.ports(),
                _ => None,
            }
        })
        .count();
    assert!(reached > 50, "only {reached} of 2000 frames had ports");
}

proptest! {
    /// Text that is often nearly a Call-ID header: a value found is a part of it, and of use.
    #[test]
    fn call_ids_are_in_the_message(pieces in prop::collection::vec(
        prop_oneof![
            prop::sample::select(&["Call-ID", "i", "I", ":", " ", "\r\n", "\n", "\t", "@", "ab", "c"])
                .prop_map(|text| text.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
            (200_usize..300).prop_map(|length| vec![b'x'; length]),
        ], 0..30)) {
        let message = pieces.concat();
        if let Some(id) = sip::call_id(&message) {
            prop_assert!((1..=sip::CALL_ID_MAX).contains(&id.len()));
            prop_assert!(message.windows(id.len()).any(|part| part == id));
            prop_assert!(id.iter().all(u8::is_ascii_graphic));
        }
    }
}
