//! VLAN tags: out of band on receiving, back in the frame on sending.

use std::net::Ipv4Addr;

use afpacket::vnet::{PartialChecksum, Segmentation, VnetHeader};
use afpacket::{OutgoingFrame, VlanTag};

use crate::capture::{open_all, sender, until};
use crate::frames::{self, TCP, udp_frame};
use crate::lab::with_lab;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const MACS: (frames::Mac, frames::Mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

#[test]
fn a_tag_goes_in_is_received_out_of_band_and_goes_back_in() {
    with_lab("a_tag_goes_in", |lab| {
        let there = lab.neighbour("near", "far");
        let (mut near, mut far) = (open_all(&lab.here, "near"), open_all(&there, "far"));
        let (mut back, mut forth) = (sender(&lab.here, "near"), sender(&there, "far"));
        let octets = udp_frame(MACS, (CLIENT, 4000), (SERVICE, 53));
        for tag in [VlanTag::new(0x2007), VlanTag { tci: 9, tpid: 0x88a8 }] {
            let frame = OutgoingFrame {
                prefix: &[],
                octets: &octets,
                vlan: Some(tag),
                vnet: VnetHeader::default(),
            };
            let sent = forth.send([frame]);
            assert_eq!((sent.taken, sent.octets), (1, octets.len() as u64 + 4));
            let seen = until(&mut near, "the tagged frame", |found, meta| {
                (found == octets).then_some(meta.vlan)
            });
            assert_eq!(seen, Some(tag));
            back.send([OutgoingFrame { vlan: seen, ..frame }]);
            let returned = until(&mut far, "the frame sent back", |found, meta| {
                (found == octets).then_some(meta.vlan)
            });
            assert_eq!(returned, Some(tag));
        }
    });
}

/// TCP over IPv4 with two and a half segments of payload and the checksum left to the device.
fn large_segment() -> (Vec<u8>, VnetHeader) {
    let mut segment = vec![0; 20];
    segment[..4].copy_from_slice(&[0x0f, 0xa0, 0, 80]);
    segment[12..14].copy_from_slice(&[0x50, 0x10]);
    segment.extend(std::iter::repeat_n(7, 2500));
    // The pseudo-header sum, not complemented, is what the device starts from.
    let mut pseudo = [CLIENT.octets(), SERVICE.octets()].concat();
    pseudo.extend_from_slice(&[0, TCP]);
    pseudo.extend_from_slice(&u16::try_from(segment.len()).unwrap().to_be_bytes());
    segment[16..18].copy_from_slice(&(!frames::checksum(&pseudo)).to_be_bytes());
    let packet = frames::ipv4(TCP, CLIENT, SERVICE, &[], 0, &segment);
    let vnet = VnetHeader {
        checksum: Some(PartialChecksum { start: 34, offset: 16 }),
        segmentation: Some(Segmentation { kind: 1, segment_size: 1000, header_length: 54 }),
    };
    (frames::ethernet(MACS.0, MACS.1, &packet), vnet)
}

#[test]
fn a_large_segment_keeps_its_offloads_with_and_without_a_tag() {
    with_lab("a_large_segment_keeps_its_offloads", |lab| {
        let there = lab.neighbour("near", "far");
        let mut near = open_all(&lab.here, "near");
        let mut forth = sender(&there, "far");
        let (octets, vnet) = large_segment();
        for vlan in [None, Some(VlanTag::new(5))] {
            let sent = forth.send([OutgoingFrame { prefix: &[], octets: &octets, vlan, vnet }]);
            assert_eq!(sent.taken, 1, "{sent:?}");
            let meta = until(&mut near, "the large segment", |found, meta| {
                (found == octets).then_some(meta)
            });
            assert_eq!(meta.vlan, vlan);
            assert_eq!(meta.vnet.checksum, vnet.checksum);
            let split = meta.vnet.segmentation.expect("still several segments");
            assert_eq!((split.kind, split.segment_size), (1, 1000));
        }
    });
}
