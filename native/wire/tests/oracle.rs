//! Good frames and headers as another library, etherparse, makes them.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpAuthHeader, IpFragOffset, IpHeaders,
    IpNumber, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6FragmentHeader, Ipv6Header,
    Ipv6RawExtHeader, Ipv6RoutingExtensions, PacketBuilder, TcpHeader, VlanId,
};
use proptest::prelude::*;
use wire::{Dissection, Fragment, IpFrame, Upper, checksum, dissect, quoted};
use wire::{icmpv4, icmpv6, ipv4, ipv6, protocol, tcp};

/// A frame and what is to be found in it.
#[derive(Clone, Debug)]
struct Sample {
    tags: u8,
    headers: IpHeaders,
    segment: Option<TcpHeader>,
    ports: (u16, u16),
    payload: Vec<u8>,
    padding: usize,
}

fn v4_headers() -> impl Strategy<Value = IpHeaders> {
    let source = (1_u8..=126, any::<[u8; 3]>());
    let alert = any::<bool>();
    (source, any::<[u8; 4]>(), any::<u8>(), any::<(u16, bool, bool, u8)>(), alert).prop_map(
        |((a, [b, c, d]), destination, ttl, (identification, df, mf, class), alert)| {
            let router_alert = Ipv4Options::try_from(&[0x94, 4, 0, 0][..]).unwrap();
            let header = Ipv4Header {
                dscp: (class >> 2).try_into().unwrap(),
                identification,
                dont_fragment: df,
                more_fragments: mf,
                time_to_live: ttl,
                source: [a, b, c, d],
                destination,
                options: if alert { router_alert } else { Ipv4Options::new() },
                ..Default::default()
            };
            IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
        },
    )
}

fn raw_header() -> impl Strategy<Value = Option<Ipv6RawExtHeader>> {
    prop::option::of((0_usize..4).prop_map(|words| {
        Ipv6RawExtHeader::new_raw(IpNumber::UDP, &[1, 2].repeat(3 + words * 4)).unwrap()
    }))
}

fn extensions() -> impl Strategy<Value = Ipv6Extensions> {
    let fragment = prop::option::of(any::<(bool, u32)>());
    let auth = prop::option::of(0_usize..5);
    (raw_header(), raw_header(), raw_header(), raw_header(), fragment, auth).prop_map(
        |(hop_by_hop_options, destination_options, routing, last, fragment, auth)| Ipv6Extensions {
            hop_by_hop_options,
            destination_options,
            routing: routing
                .map(|routing| Ipv6RoutingExtensions { routing, final_destination_options: last }),
            fragment: fragment.map(|(more, identification)| {
                Ipv6FragmentHeader::new(IpNumber::UDP, IpFragOffset::ZERO, more, identification)
            }),
            auth: auth.map(|words| {
                IpAuthHeader::new(IpNumber::UDP, 1, 2, &[7; 4].repeat(words)).unwrap()
            }),
        },
    )
}

fn v6_headers() -> impl Strategy<Value = IpHeaders> {
    let source = any::<[u8; 15]>();
    (source, any::<[u8; 16]>(), any::<(u8, u8)>(), extensions()).prop_map(
        |(rest, destination, (hop_limit, traffic_class), extensions)| {
            let mut source = [0x20; 16];
            source[1..].copy_from_slice(&rest);
            let header =
                Ipv6Header { source, destination, hop_limit, traffic_class, ..Default::default() };
            IpHeaders::Ipv6(header, extensions)
        },
    )
}

fn segment() -> impl Strategy<Value = TcpHeader> {
    any::<(u32, [bool; 6], bool)>().prop_map(|(sequence, [fin, syn, rst, psh, ack, urg], mss)| {
        let mut header = TcpHeader { fin, syn, rst, psh, ack, urg, ..Default::default() };
        header.sequence_number = sequence;
        if mss {
            header.set_options_raw(&[2, 4, 5, 0xb4]).unwrap();
        }
        header
    })
}

fn sample() -> impl Strategy<Value = Sample> {
    (
        0_u8..3,
        prop_oneof![v4_headers(), v6_headers()],
        prop::option::of(segment()),
        any::<(u16, u16)>(),
        prop::collection::vec(any::<u8>(), 0..64),
        0_usize..8,
    )
        .prop_map(|(tags, headers, segment, ports, payload, padding)| Sample {
            tags,
            headers,
            segment,
            ports,
            payload,
            padding,
        })
}

impl Sample {
    fn frame(&self) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let headers = self.headers.clone();
        let vlan = VlanId::try_new(7).unwrap();
        let ip = match self.tags {
            0 => ethernet.ip(headers),
            1 => ethernet.single_vlan(vlan).ip(headers),
            _ => ethernet.double_vlan(vlan, vlan).ip(headers),
        };
        let mut frame = Vec::new();
        match &self.segment {
            Some(segment) => {
                let mut header = segment.clone();
                (header.source_port, header.destination_port) = self.ports;
                ip.tcp_header(header).write(&mut frame, &self.payload).unwrap();
            }
            None => {
                ip.udp(self.ports.0, self.ports.1).write(&mut frame, &self.payload).unwrap();
            }
        }
        frame.resize(frame.len() + self.padding, 0xee);
        frame
    }

    fn upper(&self) -> Upper {
        let (source_port, destination_port) = self.ports;
        let Some(segment) = &self.segment else {
            return Upper::Udp { source_port, destination_port };
        };
        let bits = [segment.fin, segment.syn, segment.rst, segment.psh, segment.ack, segment.urg];
        let flags = bits.iter().rev().fold(0, |flags, bit| flags << 1 | u8::from(*bit));
        Upper::Tcp { source_port, destination_port, flags: tcp::Flags(flags) }
    }

    fn expected(&self, frame_len: usize) -> IpFrame {
        let l3 = 14 + usize::from(self.tags) * wire::vlan::TAG_LEN;
        let end = frame_len - self.padding;
        let header_len = self.segment.as_ref().map_or(8, TcpHeader::header_len);
        let l4 = end - self.payload.len() - header_len;
        let upper = self.upper();
        let protocol = if self.segment.is_some() { protocol::TCP } else { protocol::UDP };
        let piece = |first: bool| if first { Fragment::First } else { Fragment::No };
        match &self.headers {
            IpHeaders::Ipv4(header, _) => IpFrame {
                l3,
                l4,
                end,
                source: header.source.into(),
                destination: header.destination.into(),
                hop_limit: header.time_to_live,
                protocol,
                fragment: piece(header.more_fragments),
                dont_fragment: header.dont_fragment,
                options: !header.options.is_empty(),
                hop_by_hop: false,
                upper,
            },
            IpHeaders::Ipv6(header, extensions) => IpFrame {
                l3,
                l4,
                end,
                source: header.source.into(),
                destination: header.destination.into(),
                hop_limit: header.hop_limit,
                protocol,
                fragment: piece(extensions.fragment.as_ref().is_some_and(|f| f.more_fragments)),
                dont_fragment: true,
                options: false,
                hop_by_hop: extensions.hop_by_hop_options.is_some(),
                upper,
            },
        }
    }
}

/// The folded sum of the upper-layer packet with its pseudo header; 0xffff if its checksum is
/// right.
fn upper_sum(frame: &[u8], ip: &IpFrame) -> u16 {
    let segment = &frame[ip.l4..ip.end];
    let length = u16::try_from(segment.len()).unwrap();
    let pseudo = match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            checksum::pseudo_header_v4(source, destination, ip.protocol, length)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            checksum::pseudo_header_v6(source, destination, ip.protocol, length.into())
        }
        _ => panic!("addresses of two families"),
    };
    checksum::fold(pseudo + checksum::sum(segment))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn dissection(sample in sample()) {
        let frame = sample.frame();
        let expected = sample.expected(frame.len());
        prop_assert_eq!(dissect(&frame), Ok(Dissection::Ip(expected)));
        prop_assert_eq!(upper_sum(&frame, &expected), 0xffff);
    }

    #[test]
    fn quotes(sample in sample(), cut in 0_usize..64) {
        let frame = sample.frame();
        let ip = sample.expected(frame.len());
        let packet = &frame[ip.l3..frame.len().min(ip.l4 + cut)];
        let quote = quoted(packet).unwrap();
        prop_assert_eq!((quote.source, quote.destination), (ip.source, ip.destination));
        prop_assert_eq!((quote.protocol, quote.upper), (ip.protocol, ip.l4 - ip.l3));
        prop_assert_eq!(quote.ports, (cut >= 4).then_some(sample.ports));
        prop_assert!(!quote.fragment_later);
        prop_assert_eq!(quoted(&frame[ip.l3..ip.l4 - 1]), None);
    }

    #[test]
    fn ipv4_headers(headers in v4_headers(), payload_len in 0_u16..1480) {
        let IpHeaders::Ipv4(mut theirs, _) = headers else { unreachable!() };
        theirs.options = Ipv4Options::new();
        theirs.more_fragments = false;
        theirs.protocol = IpNumber::ICMP;
        theirs.set_payload_len(payload_len.into()).unwrap();
        theirs.header_checksum = theirs.calc_header_checksum();
        let ours = ipv4::Repr {
            source: theirs.source.into(),
            destination: theirs.destination.into(),
            protocol: protocol::ICMPV4,
            hop_limit: theirs.time_to_live,
            traffic_class: theirs.dscp.value() << 2,
            identification: theirs.identification,
            dont_fragment: theirs.dont_fragment,
            payload_len: payload_len.into(),
        };
        let mut out = [0xff; ipv4::HEADER_LEN];
        prop_assert!(ours.emit(&mut out).is_some());
        prop_assert_eq!(&out[..], &theirs.to_bytes()[..]);
    }

    #[test]
    fn ipv6_headers(headers in v6_headers(), payload_len: u16) {
        let IpHeaders::Ipv6(mut theirs, _) = headers else { unreachable!() };
        theirs.next_header = IpNumber::IPV6_ICMP;
        theirs.payload_length = payload_len;
        let ours = ipv6::Repr {
            source: theirs.source.into(),
            destination: theirs.destination.into(),
            next_header: protocol::ICMPV6,
            hop_limit: theirs.hop_limit,
            traffic_class: theirs.traffic_class,
            payload_len: payload_len.into(),
        };
        let mut out = [0xff; ipv6::HEADER_LEN];
        prop_assert!(ours.emit(&mut out).is_some());
        prop_assert_eq!(&out[..], &theirs.to_bytes()[..]);
    }

    #[test]
    fn icmpv4_errors(mtu: u16, quote in prop::collection::vec(any::<u8>(), 0..548)) {
        let header = etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded {
            next_hop_mtu: mtu,
        };
        let theirs = Icmpv4Header::with_checksum(Icmpv4Type::DestinationUnreachable(header), &quote);
        let mut out = [0xff; 576];
        let (kind, code) =
            (icmpv4::kind::DESTINATION_UNREACHABLE, icmpv4::code::FRAGMENTATION_NEEDED);
        let length = icmpv4::emit_error(&mut out, kind, code, mtu.into(), &quote).unwrap();
        prop_assert_eq!(&out[..length], &[&theirs.to_bytes()[..], &quote].concat()[..]);
    }

    #[test]
    fn icmpv6_errors(
        mtu: u32,
        addresses: ([u8; 16], [u8; 16]),
        quote in prop::collection::vec(any::<u8>(), 0..1232),
    ) {
        let (source, destination) = addresses;
        let kind = Icmpv6Type::PacketTooBig { mtu };
        let theirs = Icmpv6Header::with_checksum(kind, source, destination, &quote).unwrap();
        let error = icmpv6::ErrorRepr {
            source: Ipv6Addr::from(source),
            destination: Ipv6Addr::from(destination),
            kind: icmpv6::kind::PACKET_TOO_BIG,
            code: icmpv6::code::PACKET_TOO_BIG,
            rest_of_header: mtu,
        };
        let mut out = [0xff; 1280];
        let length = icmpv6::emit_error(&mut out, &error, &quote).unwrap();
        prop_assert_eq!(&out[..length], &[&theirs.to_bytes()[..], &quote].concat()[..]);
    }
}
