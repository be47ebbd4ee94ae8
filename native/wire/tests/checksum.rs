//! The quick ways to a checksum against the slow one of RFC 1071.

use proptest::prelude::*;
use wire::{checksum, ipv4};

/// RFC 1071 §4.1, word by word.
fn slow(octets: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in octets.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap()
}

fn header() -> impl Strategy<Value = [u8; 20]> {
    (any::<[u8; 20]>(), 1..=u8::MAX).prop_map(|(mut header, ttl)| {
        header[0] = 0x45;
        header[8] = ttl;
        ipv4::Packet::new_unchecked(&mut header[..]).fill_checksum();
        header
    })
}

proptest! {
    #[test]
    fn whole(octets in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(checksum::of(&octets), slow(&octets));
    }

    #[test]
    fn pieces_add_up(octets in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..150) {
        let (front, back) = octets.split_at((at * 2).min(octets.len() & !1));
        let sum = checksum::sum(front) + checksum::sum(back);
        prop_assert_eq!(!checksum::fold(sum), slow(&octets));
    }

    #[test]
    fn a_changed_port(mut header in header(), new: u16) {
        let before = ipv4::Packet::new_unchecked(&header);
        let old = before.identification();
        let updated = checksum::update_u16(before.checksum(), old, new);
        let mut after = ipv4::Packet::new_unchecked(&mut header[..]);
        after.set_identification(new);
        after.fill_checksum();
        prop_assert_eq!(updated, after.checksum());
    }

    #[test]
    fn a_changed_ipv4_address(mut header in header(), new: u32) {
        let before = ipv4::Packet::new_unchecked(&header);
        let old = before.source().to_bits();
        let updated = checksum::update_u32(before.checksum(), old, new);
        let mut after = ipv4::Packet::new_unchecked(&mut header[..]);
        after.set_source(new.into());
        after.fill_checksum();
        prop_assert_eq!(updated, after.checksum());
    }

    #[test]
    fn a_changed_ipv6_address(old: u128, new: u128, rest in 1_u64..) {
        let whole = |address: u128| {
            slow(&[&address.to_be_bytes()[..], &rest.to_be_bytes()].concat())
        };
        prop_assert_eq!(checksum::update_u128(whole(old), old, new), whole(new));
    }

    #[test]
    fn a_decremented_time_to_live(mut header in header()) {
        let mut slowly = header;
        let mut packet = ipv4::Packet::new_unchecked(&mut slowly[..]);
        packet.set_hop_limit(packet.hop_limit() - 1);
        packet.fill_checksum();
        ipv4::decrement_ttl(&mut header);
        prop_assert_eq!(header, slowly);
    }

    #[test]
    fn a_recorded_route(mut header in header(), address: [u8; 4], taken in 0_u8..3) {
        let mut packet = [0; 36];
        packet[20..23].copy_from_slice(&[7, 15, 4 + 4 * taken]);
        header[0] = 0x49;
        packet[..20].copy_from_slice(&header);
        prop_assert!(ipv4::fill_record_route(&mut packet, address.into()));
        prop_assert!(ipv4::Packet::new_unchecked(&packet).checksum_valid());
        let at = 23 + 4 * usize::from(taken);
        prop_assert_eq!(&packet[at..at + 4], &address);
        prop_assert_eq!(packet[22], 8 + 4 * taken);
    }
}
