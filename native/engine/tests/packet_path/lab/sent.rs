//! Packets of every shape, as senders send them.

use std::net::IpAddr;
use std::ops::Range;

use engine::frame::{ChecksumState, FrameMeta, Segmentation};
use proptest::prelude::*;
use wire::dissect::{Dissection, IpFrame, dissect};

use super::frames::{ACK, Ip, SYN, reference_checksum, sctp_packet, tcp_segment, udp_datagram};
use super::{CLIENT_SIDE, Lab, Outcome, SERVER_SIDE};
use crate::crc32c::crc32c;

pub(crate) const ICMPV4: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SCTP: u8 = 132;
const DESTINATION_OPTIONS: u8 = 60;

/// One end of a connection.
pub(crate) type End = (&'static str, u16);

/// Everything of a packet but where it comes from and goes to.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) protocol: u8,
    pub(crate) hop_limit: u8,
    pub(crate) class: u8,
    /// Words of IPv4 options, or whether there is an IPv6 extension header.
    pub(crate) extension: usize,
    pub(crate) flags: u8,
    pub(crate) data: Vec<u8>,
    pub(crate) checksum: Given,
    pub(crate) segment_size: Option<u16>,
}

/// A small TCP segment without anything special about it.
pub(crate) fn plain(flags: u8) -> Shape {
    Shape {
        protocol: TCP,
        hop_limit: 64,
        class: 0,
        extension: 0,
        flags,
        data: vec![5; 33],
        checksum: Given::Good,
        segment_size: None,
    }
}

/// What the sender did about the transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Good,
    /// Wrong by so much.
    Wrong(u16),
    /// None, in UDP over IPv4; elsewhere a good one.
    None,
    /// Left to the device.
    Open,
}

pub(crate) fn shapes() -> impl Strategy<Value = Shape> {
    let given = prop_oneof![
        3 => Just(Given::Good),
        1 => (1..0xffff_u16).prop_map(Given::Wrong),
        1 => Just(Given::None),
        2 => Just(Given::Open),
    ];
    (
        prop::sample::select(vec![TCP, UDP, SCTP]),
        (2_u8.., any::<u8>(), 0..11_usize),
        prop::sample::select(vec![SYN, ACK, ACK | 8, SYN | 0xc0]),
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..40),
            1 => prop::collection::vec(any::<u8>(), 0..1380),
        ],
        given,
        prop::option::of(1_u16..1380),
    )
        .prop_map(
            |(protocol, (hop_limit, class, extension), flags, data, checksum, segment_size)| {
                let segment_size = segment_size.filter(|_| protocol != SCTP);
                Shape { protocol, hop_limit, class, extension, flags, data, checksum, segment_size }
            },
        )
}

/// A frame, what the port says of it, and where what it says lies.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) octets: Vec<u8>,
    pub(crate) meta: FrameMeta,
    pub(crate) ip: IpFrame,
}

impl Sent {
    pub(crate) fn new(octets: Vec<u8>) -> Self {
        let ip = dissected(&octets);
        Self { octets, meta: FrameMeta::plain(CLIENT_SIDE), ip }
    }

    pub(crate) fn by_server(mut self) -> Self {
        self.meta.interface = SERVER_SIDE;
        self
    }

    pub(crate) fn through(&self, lab: &mut Lab) -> Outcome {
        lab.process_with(&self.octets, &self.meta)
    }

    /// Where the transport checksum lies.
    pub(crate) fn checksum_at(&self) -> Range<usize> {
        let at = self.ip.l4
            + match self.ip.protocol {
                TCP => 16,
                UDP => 6,
                SCTP => 8,
                _ => 2,
            };
        at..at + if self.ip.protocol == SCTP { 4 } else { 2 }
    }

    pub(crate) fn checksum(&self) -> &[u8] {
        &self.octets[self.checksum_at()]
    }

    pub(crate) fn has_no_checksum(&self) -> bool {
        self.ip.protocol == UDP && self.checksum() == [0, 0]
    }

    pub(crate) fn pseudo_header(&self) -> Vec<u8> {
        let length = u32::try_from(self.ip.end - self.ip.l4).unwrap().to_be_bytes();
        let octets = &self.octets[self.ip.l3..];
        match (self.ip.protocol, self.ip.source) {
            (SCTP | ICMPV4, _) => Vec::new(),
            (protocol, IpAddr::V4(_)) => [&octets[12..20], &[0, protocol], &length[2..]].concat(),
            (protocol, IpAddr::V6(_)) => [&octets[8..40], &length, &[0, 0, 0, protocol]].concat(),
        }
    }

    /// What a sender that leaves the checksum to the device writes.
    pub(crate) fn seed(&self) -> Vec<u8> {
        if self.ip.protocol == SCTP {
            return vec![0; 4];
        }
        (!reference_checksum(&self.pseudo_header())).to_be_bytes().to_vec()
    }

    /// The transport checksum by the book.
    pub(crate) fn reference(&self) -> Vec<u8> {
        let mut segment = self.octets[self.ip.l4..self.ip.end].to_vec();
        let at = self.checksum_at();
        segment[at.start - self.ip.l4..at.end - self.ip.l4].fill(0);
        if self.ip.protocol == SCTP {
            return crc32c(&segment).to_le_bytes().to_vec();
        }
        let sum = reference_checksum(&[self.pseudo_header(), segment].concat());
        let sum = if sum == 0 && self.ip.protocol == UDP { 0xffff } else { sum };
        sum.to_be_bytes().to_vec()
    }

    pub(crate) fn write(&mut self, at: Range<usize>, octets: &[u8]) {
        self.octets[at].copy_from_slice(octets);
    }
}

pub(crate) fn dissected(octets: &[u8]) -> IpFrame {
    let Ok(Dissection::Ip(ip)) = dissect(octets) else { panic!("{octets:02x?}") };
    ip
}

impl Shape {
    /// The frame of a packet between two ends of one family.
    pub(crate) fn sent(&self, from: End, to: End) -> Sent {
        let transport = match self.protocol {
            TCP => tcp_segment(from.1, to.1, self.flags, &self.data),
            UDP => udp_datagram(from.1, to.1, &self.data),
            _ => [&sctp_packet(from.1, to.1, 1)[..], &self.data].concat(),
        };
        let mut sent = Sent::new(self.frame(self.protocol, from.0, to.0, transport));
        self.finish(&mut sent);
        sent
    }

    pub(crate) fn frame(
        &self,
        protocol: u8,
        from: &str,
        to: &str,
        mut transport: Vec<u8>,
    ) -> Vec<u8> {
        let mut ip = Ip::new(from, to);
        ip.hop_limit = self.hop_limit;
        let mut protocol = protocol;
        if ip.source.is_ipv4() {
            ip.options = vec![1; self.extension * 4];
        } else if self.extension > 5 {
            transport.splice(0..0, [protocol, 0, 1, 4, 0, 0, 0, 0]);
            protocol = DESTINATION_OPTIONS;
        }
        let mut frame = ip.frame(protocol, &transport);
        if ip.source.is_ipv4() {
            frame[15] = self.class;
            fill_header_checksum(&mut frame);
        } else {
            frame[14] |= self.class >> 4;
            frame[15] |= self.class << 4;
        }
        frame
    }

    /// Does about the checksum what the sender does.
    fn finish(&self, sent: &mut Sent) {
        let good = sent.reference();
        let given = match self.checksum {
            Given::Wrong(by) if self.protocol != SCTP => {
                let good = u16::from_be_bytes([good[0], good[1]]);
                // Another one's complement number: all ones and zero are the same.
                let sum = u32::from(good) + u32::from(by);
                let wrong = u16::try_from(sum % 0xffff).unwrap();
                (if wrong == 0 { 0xffff } else { wrong }).to_be_bytes().to_vec()
            }
            Given::Wrong(_) => vec![!good[0], good[1], good[2], good[3]],
            Given::None if self.protocol == UDP && sent.ip.source.is_ipv4() => vec![0, 0],
            Given::Good | Given::None => good,
            Given::Open => sent.seed(),
        };
        sent.write(sent.checksum_at(), &given);
        if self.checksum == Given::Open {
            sent.meta.checksum = ChecksumState::left_to_device(&sent.octets);
        }
        sent.meta.segmentation =
            self.segment_size.map(|segment_size| Segmentation { segment_size, header_length: 54 });
    }
}

fn fill_header_checksum(frame: &mut [u8]) {
    let end = 14 + usize::from(frame[14] & 15) * 4;
    frame[24..26].fill(0);
    let checksum = reference_checksum(&frame[14..end]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}
