//! ICMP errors the director makes itself, in the kernel's form.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::ethernet::{EtherType, MacAddress};
use wire::{icmpv4, icmpv6, ipv4, ipv6, protocol};

use crate::forward::{Answers, write_addresses};
use crate::hop::Egress;
use crate::packet::Packet;
use crate::verdict::{DropReason, ReplyReason, Verdict};
/// Precedence "internetwork control" (RFC 1812 §4.3.2.5); the type-of-service bits are kept.
const INTERNETWORK_CONTROL: u8 = 0xc0;
const TYPE_OF_SERVICE: u8 = 0x1e;
pub(crate) const HOP_LIMIT: u8 = 64;

/// What the director answers in place of forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Port unreachable: no server takes the connection. For TCP as well, never a RST (IPVS).
    NoServer,
    /// Time exceeded.
    HopLimit,
    /// Fragmentation needed or packet too big.
    TooBig {
        /// Largest packet that fits.
        mtu: u32,
    },
    /// Host or address unreachable.
    Unreachable,
    /// Port unreachable, to a masqueraded server: there is no such connection (IPVS,
    /// `nat_icmp_send`).
    NoConnection,
}

impl Answer {
    const fn reason(self) -> ReplyReason {
        match self {
            Self::NoServer => ReplyReason::NoServer,
            Self::HopLimit => ReplyReason::HopLimit,
            Self::TooBig { .. } => ReplyReason::TooBig,
            Self::Unreachable => ReplyReason::Unreachable,
            Self::NoConnection => ReplyReason::NoConnection,
        }
    }

    /// What becomes of a packet that no ICMP error may answer.
    const fn drop_reason(self) -> DropReason {
        match self {
            Self::NoServer => DropReason::NoServer,
            Self::NoConnection => DropReason::NoConnection,
            Self::HopLimit => DropReason::HopLimit,
            Self::TooBig { .. } => DropReason::TooBig,
            Self::Unreachable => DropReason::Unreachable,
        }
    }

    /// ICMP type, code and the second word of the header.
    pub(crate) fn header(self, ipv4: bool) -> (u8, u8, u32) {
        if ipv4 { self.ipv4() } else { self.ipv6() }
    }

    /// ICMPv4 type, code and the second word of the header (RFC 792, RFC 1191 §4).
    fn ipv4(self) -> (u8, u8, u32) {
        use icmpv4::{code, kind};
        match self {
            Self::NoServer | Self::NoConnection => {
                (kind::DESTINATION_UNREACHABLE, code::PORT_UNREACHABLE, 0)
            }
            Self::HopLimit => (kind::TIME_EXCEEDED, 0, 0),
            Self::TooBig { mtu } => (
                kind::DESTINATION_UNREACHABLE,
                code::FRAGMENTATION_NEEDED,
                mtu.min(u32::from(u16::MAX)),
            ),
            Self::Unreachable => (kind::DESTINATION_UNREACHABLE, code::HOST_UNREACHABLE, 0),
        }
    }

    /// ICMPv6 type, code and the second word of the header (RFC 4443 §3).
    const fn ipv6(self) -> (u8, u8, u32) {
        use icmpv6::{code, kind};
        match self {
            Self::NoServer | Self::NoConnection => {
                (kind::DESTINATION_UNREACHABLE, code::PORT_UNREACHABLE, 0)
            }
            Self::HopLimit => (kind::TIME_EXCEEDED, 0, 0),
            Self::TooBig { mtu } => (kind::PACKET_TOO_BIG, 0, mtu),
            Self::Unreachable => (kind::DESTINATION_UNREACHABLE, code::ADDRESS_UNREACHABLE, 0),
        }
    }
}

/// Answers `packet` with an ICMP error from `source`, back the way it came.
pub(crate) fn icmp_error(
    packet: &Packet<'_>,
    source: IpAddr,
    answer: Answer,
    answers: &mut Answers<'_>,
) -> Verdict {
    // RFC 1122 §3.2.2, RFC 4443 §2.4(e): never an ICMP error about an ICMP error.
    if packet.is_icmp() {
        return Verdict::Drop(answer.drop_reason());
    }
    if !answers.limit.take(answers.now) {
        return Verdict::Drop(DropReason::IcmpRateLimit);
    }
    let (kind, code, rest_of_header) = answer.header(source.is_ipv4());
    let error = Relayed { kind, code, rest_of_header, quoted: packet.octets() };
    match make(packet, &error, (source, packet.ip.source), answers) {
        Some(()) => Verdict::Reply(answer.reason()),
        None => Verdict::Drop(answer.drop_reason()),
    }
}

/// An ICMP error and the packet it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed<'q> {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// The second word of the header.
    pub(crate) rest_of_header: u32,
    pub(crate) quoted: &'q [u8],
}

/// Tells an error on that `packet` brought, from the virtual address to the client.
pub(crate) fn relay(
    packet: &Packet<'_>,
    error: &Relayed<'_>,
    (virtual_address, client): (IpAddr, IpAddr),
    answers: &mut Answers<'_>,
) -> Verdict {
    if !answers.limit.take(answers.now) {
        return Verdict::Drop(DropReason::IcmpRateLimit);
    }
    match make(packet, error, (virtual_address, client), answers) {
        Some(()) => Verdict::Reply(ReplyReason::Relayed),
        None => Verdict::Drop(DropReason::BadLength),
    }
}

/// Makes an error that goes back the way `packet` came.
fn make(
    packet: &Packet<'_>,
    error: &Relayed<'_>,
    ends: (IpAddr, IpAddr),
    answers: &mut Answers<'_>,
) -> Option<()> {
    match ends {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4_error(packet, error, answers, from, to),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6_error(packet, error, answers, from, to),
        _ => None,
    }
}

fn ipv4_error(
    packet: &Packet<'_>,
    error: &Relayed<'_>,
    answers: &mut Answers<'_>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) -> Option<()> {
    let Relayed { kind, code, rest_of_header, quoted } = *error;
    let payload_len = icmpv4::error_len(quoted.len());
    let type_of_service = quoted.get(1).copied().unwrap_or(0);
    let header = ipv4::Repr {
        source,
        destination,
        protocol: protocol::ICMPV4,
        hop_limit: HOP_LIMIT,
        traffic_class: (type_of_service & TYPE_OF_SERVICE) | INTERNETWORK_CONTROL,
        identification: answers.identification.ipv4(),
        dont_fragment: false,
        payload_len,
    };
    let message =
        header.emit(push(packet, answers, EtherType::IPV4, ipv4::HEADER_LEN + payload_len))?;
    icmpv4::emit_error(message, kind, code, rest_of_header, quoted).map(|_| ())
}

fn ipv6_error(
    packet: &Packet<'_>,
    error: &Relayed<'_>,
    answers: &mut Answers<'_>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Option<()> {
    let Relayed { kind, code, rest_of_header, quoted } = *error;
    let payload_len = icmpv6::error_len(quoted.len());
    let header = ipv6::Repr {
        source,
        destination,
        next_header: protocol::ICMPV6,
        hop_limit: HOP_LIMIT,
        traffic_class: 0,
        payload_len,
    };
    let message =
        header.emit(push(packet, answers, EtherType::IPV6, ipv6::HEADER_LEN + payload_len))?;
    let error = icmpv6::ErrorRepr { source, destination, kind, code, rest_of_header };
    icmpv6::emit_error(message, &error, quoted).map(|_| ())
}

/// Adds an output frame that goes back by the interface, the neighbour and the VLAN `packet` came
/// from, and returns the room for its IP packet. The router that brought the packet knows the way
/// to the client.
pub(crate) fn push<'a>(
    packet: &Packet<'_>,
    answers: &'a mut Answers<'_>,
    ether_type: EtherType,
    length: usize,
) -> &'a mut [u8] {
    let link = packet.link_header();
    let egress = Egress::Interface(packet.meta.interface);
    let frame = answers.outputs.push(link.len() + length, egress, packet.meta.vlan);
    if let Some(header) = frame.get_mut(..link.len()) {
        header.copy_from_slice(link);
        if let (Some(to), Some(from)) = (link.first_chunk::<6>(), link.get(6..12)) {
            let source = from.try_into().map_or(MacAddress([0; 6]), MacAddress);
            write_addresses(header, source, MacAddress(*to));
        }
        // An error about a tunnel may come in the other family; tags stay in front of the type.
        if let Some(kind) = header.last_chunk_mut::<2>() {
            *kind = ether_type.0.to_be_bytes();
        }
    }
    frame.get_mut(link.len()..).unwrap_or_default()
}
