//! The far end of a tunnel: checks every checksum on the outside and takes the packet out.

use wire::gue::RemoteChecksum;
use wire::{gre, gue, ipv4, ipv6, protocol};

use super::frames::reference_checksum;

/// What came out of a tunnel.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The packet, with a checksum that was left to the server filled in.
    pub(crate) packet: Vec<u8>,
    pub(crate) outer: Outer,
    /// UDP source port and checksum, of GUE.
    pub(crate) udp: Option<(u16, u16)>,
    pub(crate) remote_checksum: Option<RemoteChecksum>,
}

/// The outer IP header.
#[derive(Debug)]
pub(crate) struct Outer {
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    pub(crate) dont_fragment: bool,
    pub(crate) identification: u16,
    pub(crate) length: usize,
    protocol: u8,
    pseudo: Vec<u8>,
}

/// Takes the packet out of a frame; panics with what is wrong with the outside.
pub(crate) fn decapsulate(frame: &[u8]) -> Arrived {
    let (outer, payload) = strip(frame);
    let mut udp = None;
    let mut remote_checksum = None;
    let mut packet = match outer.protocol {
        protocol::IPV4 | protocol::IPV6 => payload.to_vec(),
        protocol::GRE => {
            let header = gre::header(payload).expect("a GRE header");
            assert!(!header.checksum || reference_checksum(payload) == 0, "GRE checksum");
            payload[header.header_len..].to_vec()
        }
        protocol::UDP => {
            let datagram = wire::udp::Packet::new_unchecked(payload);
            assert_eq!(usize::from(datagram.length()), payload.len());
            assert_eq!(datagram.destination_port(), 6080);
            udp = Some((datagram.source_port(), datagram.checksum()));
            if datagram.checksum() != 0 {
                let covered = [&outer.pseudo, payload].concat();
                assert_eq!(reference_checksum(&covered), 0, "UDP checksum of GUE");
            }
            let header = gue::header(datagram.payload()).expect("a GUE header");
            remote_checksum = header.remote_checksum;
            datagram.payload()[header.header_len..].to_vec()
        }
        other => panic!("outer protocol {other}"),
    };
    if let Some(remote) = remote_checksum {
        remote.restore(&mut packet);
    }
    let version = packet[0] >> 4;
    let named = match outer.protocol {
        protocol::IPV4 => 4,
        protocol::IPV6 => 6,
        _ => version,
    };
    assert_eq!(named, version);
    Arrived { packet, outer, udp, remote_checksum }
}

fn strip(frame: &[u8]) -> (Outer, &[u8]) {
    let packet = &frame[14..];
    if frame[12..14] == [0x08, 0x00] {
        let ip = ipv4::Packet::new_checked(packet).expect("an IPv4 packet");
        assert_eq!(reference_checksum(&packet[..20]), 0, "outer header checksum");
        assert_eq!(ip.total_len(), packet.len());
        let length = u16::try_from(packet.len() - 20).unwrap();
        let outer = Outer {
            hop_limit: ip.hop_limit(),
            traffic_class: ip.traffic_class(),
            dont_fragment: ip.dont_fragment(),
            identification: ip.identification(),
            length: packet.len(),
            protocol: ip.protocol(),
            pseudo: [&packet[12..20], &[0, ip.protocol()], &length.to_be_bytes()].concat(),
        };
        return (outer, &packet[20..]);
    }
    let ip = ipv6::Packet::new_checked(packet).expect("an IPv6 packet");
    assert_eq!((ip.payload_len() + 40, ip.flow_label()), (packet.len(), 0));
    let length = u32::try_from(packet.len() - 40).unwrap();
    let outer = Outer {
        hop_limit: ip.hop_limit(),
        traffic_class: ip.traffic_class(),
        dont_fragment: true,
        identification: 0,
        length: packet.len(),
        protocol: ip.next_header(),
        pseudo: [&packet[8..40], &length.to_be_bytes(), &[0, 0, 0, ip.next_header()]].concat(),
    };
    (outer, &packet[40..])
}
