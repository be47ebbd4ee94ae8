//! Writes the programs. Offsets count from the Ethernet header of an untagged frame: the kernel has
//! taken the VLAN tag out before any of these programs run.

use super::address::{self, Field, Network};
use super::port::{PortBlocks, port_block};
use super::{Classifier, Precision, SERVICE_PROTOCOLS, ServiceMatch, SocketAudience};
use crate::bpf::{ANCILLARY_PACKET_TYPE, Assembler, Instruction, Label, Program, code};

/// Socket: take all of the frame. Guard: `TC_ACT_SHOT`.
const WHOLE_FRAME: u32 = u32::MAX;
const NOTHING: u32 = 0;
pub(super) const DROP: u32 = 2;
/// `TC_ACT_UNSPEC`: the next filter decides. A frame too short for its own headers ends the program
/// with 0, `TC_ACT_OK`: the host's stack finds it malformed.
pub(super) const GO_ON: u32 = u32::MAX;

const PACKET_OTHER_HOST: u32 = 3;
const PACKET_OUTGOING: u32 = 4;
const TYPE_IPV4: u32 = 0x0800;
const TYPE_IPV6: u32 = 0x86dd;
const TYPE_ARP: u32 = 0x0806;
const ICMPV4: u32 = 1;
const ICMPV6: u32 = 58;
const NEIGHBOUR_SOLICITATION: u32 = 135;

const ARP_TARGET: Field = Field { offset: 38, words: 1 };
const SOLICITED_TARGET: Field = Field { offset: 62, words: 4 };
/// Octets of the Ethernet header; X counts from behind it.
pub(super) const ETHERNET: u32 = 14;
/// Extension headers a guard program walks over before it lets a packet go on.
const EXTENSION_HEADERS_MAX: usize = 4;

/// Which end of a packet the matches are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Destination,
    Source,
}

impl End {
    pub(super) const fn ipv4(self) -> Field {
        let offset = match self {
            Self::Destination => 30,
            Self::Source => 26,
        };
        Field { offset, words: 1 }
    }

    pub(super) const fn ipv6(self) -> Field {
        let offset = match self {
            Self::Destination => 38,
            Self::Source => 22,
        };
        Field { offset, words: 4 }
    }

    /// Where the port lies in the headers of TCP, UDP and SCTP.
    const fn port(self) -> u32 {
        match self {
            Self::Destination => 2,
            Self::Source => 0,
        }
    }
}

const fn load_byte(offset: u32) -> Instruction {
    Instruction::new(code::LOAD_BYTE, offset)
}

const fn load_half(offset: u32) -> Instruction {
    Instruction::new(code::LOAD_HALF, offset)
}

/// A program under construction with its two answers.
pub(super) struct Emitter<'m> {
    pub(super) assembler: Assembler,
    matches: &'m [ServiceMatch],
    end: End,
    pub(super) hit: Label,
    pub(super) miss: Label,
    /// Port blocks written so far: services on many addresses share them.
    port_blocks: PortBlocks,
}

pub(super) fn socket(
    classifier: &Classifier,
    audience: &SocketAudience,
    precision: Precision,
) -> Program {
    let mut emitter = Emitter::new(&classifier.matches, End::Destination, WHOLE_FRAME, NOTHING);
    let nothing = emitter.miss;
    let (arp, ipv4, ipv6) = match precision {
        Precision::Exact | Precision::Address if classifier.is_empty() => {
            return Program::constant(NOTHING);
        }
        Precision::Exact | Precision::Address if !classifier.returns.is_empty() => {
            let returns = emitter.returns(classifier, audience, precision);
            emitter.socket_behind(returns, &classifier.matches, audience, precision)
        }
        Precision::Exact => emitter.exact_socket(audience),
        Precision::Address => emitter.address_socket(audience),
        Precision::Everything => {
            let arp = if audience.neighbours { emitter.hit } else { emitter.miss };
            (arp, emitter.hit, emitter.hit)
        }
    };
    let start = emitter.by_type(arp, ipv4, ipv6);
    // Own outgoing frames are never wanted; kernels before 5.10 show them to fanout groups.
    let refused = if audience.other_hosts { PACKET_OUTGOING } else { PACKET_OTHER_HOST };
    let check = emitter.assembler.branch(code::JUMP_AT_LEAST, refused, nothing, start);
    let start = emitter.assembler.then(&[load_byte(ANCILLARY_PACKET_TYPE)], check);
    emitter.assembler.finish(start)
}

pub(super) fn guard(matches: &[ServiceMatch]) -> Program {
    let mut emitter = Emitter::new(matches, End::Destination, DROP, GO_ON);
    let ipv4 = emitter.guard_ipv4();
    let ipv6 = emitter.guard_ipv6();
    let miss = emitter.miss;
    let start = emitter.by_type(miss, ipv4, ipv6);
    emitter.assembler.finish(start)
}

impl<'m> Emitter<'m> {
    pub(super) fn new(matches: &'m [ServiceMatch], end: End, hit: u32, miss: u32) -> Self {
        let mut assembler = Assembler::new();
        let hit = assembler.answer(hit);
        let miss = assembler.answer(miss);
        Self { assembler, matches, end, hit, miss, port_blocks: PortBlocks::new() }
    }

    /// Has what follows be about `matches` and their `end`, with other answers.
    pub(super) fn turn(&mut self, matches: &'m [ServiceMatch], end: End, hit: Label, miss: Label) {
        // Port blocks written so far lead to the answers of before.
        self.port_blocks.clear();
        (self.matches, self.end, self.hit, self.miss) = (matches, end, hit, miss);
    }

    pub(super) fn by_type(&mut self, arp: Label, ipv4: Label, ipv6: Label) -> Label {
        let types = [(TYPE_IPV4, ipv4), (TYPE_IPV6, ipv6), (TYPE_ARP, arp)];
        let switch = self.assembler.switch(&types, self.miss);
        self.assembler.then(&[load_half(12)], switch)
    }

    pub(super) fn exact_socket(&mut self, audience: &SocketAudience) -> (Label, Label, Label) {
        let any_ipv4 = self.by_address(self.end.ipv4());
        let any_ipv6 = self.by_address(self.end.ipv6());
        let icmpv4 = if audience.icmp { any_ipv4 } else { self.miss };
        let icmpv6 = self.icmpv6(any_ipv6, audience);
        let later = if audience.fragments { any_ipv4 } else { self.miss };
        let ipv4 = self.ipv4_services(icmpv4, later);
        // Behind extension headers the ports are not searched for: the address decides.
        let others = [0, 43, 44, 51, 60].map(|header| (header, any_ipv6));
        let ipv6 = self.by_protocol(self.end.ipv6(), &[(ICMPV6, icmpv6)], &others);
        let ipv6 = self.ipv6_start(ipv6);
        (self.arp(audience), ipv4, ipv6)
    }

    pub(super) fn address_socket(&mut self, audience: &SocketAudience) -> (Label, Label, Label) {
        let any_ipv4 = self.by_address(self.end.ipv4());
        let any_ipv6 = self.by_address(self.end.ipv6());
        if !audience.neighbours {
            return (self.miss, any_ipv4, any_ipv6);
        }
        let solicited = self.solicitation(any_ipv6);
        let check = self.assembler.branch(code::JUMP_EQUAL, ICMPV6, solicited, any_ipv6);
        let ipv6 = self.assembler.then(&[load_byte(20)], check);
        (self.arp(audience), any_ipv4, ipv6)
    }

    pub(super) fn guard_ipv4(&mut self) -> Label {
        let later = self.later_fragments(self.end.ipv4());
        let later = self.assembler.then(&[load_byte(23)], later);
        self.ipv4_services(self.miss, later)
    }

    /// Checks for a later fragment, sets X behind the header, searches by protocol.
    fn ipv4_services(&mut self, icmp: Label, later: Label) -> Label {
        let protocols = self.by_protocol(self.end.ipv4(), &[(ICMPV4, icmp)], &[]);
        let load = [Instruction::new(code::LOAD_X_HEADER_LENGTH, ETHERNET), load_byte(23)];
        let first = self.assembler.then(&load, protocols);
        let check = self.assembler.branch(code::JUMP_ANY_BIT, 0x1fff, later, first);
        self.assembler.then(&[load_half(20)], check)
    }

    pub(super) fn guard_ipv6(&mut self) -> Label {
        if !self.matches.iter().any(|one| one.address.is_ipv6()) {
            return self.miss;
        }
        let protocols = self.by_protocol(self.end.ipv6(), &[], &[]);
        let later = self.later_fragments(self.end.ipv6());
        let walk = (0..EXTENSION_HEADERS_MAX)
            .fold(protocols, |next, _| self.extension_header(next, protocols, later));
        self.ipv6_start(walk)
    }

    fn ipv6_start(&mut self, next: Label) -> Label {
        // X counts from behind the Ethernet header, as it does for IPv4.
        let load = [Instruction::new(code::LOAD_X_CONSTANT, 40), load_byte(20)];
        self.assembler.then(&load, next)
    }

    /// With the kind of the header at X in A: steps over an extension header to `next`; anything
    /// else is for `protocols`.
    fn extension_header(&mut self, next: Label, protocols: Label, later: Label) -> Label {
        const KIND: u32 = 0;
        let step = [
            Instruction::new(code::ADD_X, 0),
            Instruction::new(code::TO_X, 0),
            Instruction::new(code::LOAD_MEMORY, KIND),
        ];
        let step = self.assembler.then(&step, next);
        let next_kind = [
            Instruction::new(code::LOAD_BYTE_INDEXED, ETHERNET),
            Instruction::new(code::STORE, KIND),
        ];
        // RFC 8200 §4.3-4.6: length in units of 8 octets, the first not counted.
        let length = [
            Instruction::new(code::LOAD_BYTE_INDEXED, ETHERNET + 1),
            Instruction::new(code::ADD, 1),
            Instruction::new(code::SHIFT_LEFT, 3),
        ];
        let options = self.assembler.then(&length, step);
        let options = self.assembler.then(&next_kind, options);
        let first = self.assembler.then(&[Instruction::new(code::LOAD_CONSTANT, 8)], step);
        let first = self.assembler.then(&next_kind, first);
        let later_kind = [Instruction::new(code::LOAD_BYTE_INDEXED, ETHERNET)];
        let later = self.assembler.then(&later_kind, later);
        let fragment = self.assembler.branch(code::JUMP_ANY_BIT, 0xfff8, later, first);
        let offset = [Instruction::new(code::LOAD_HALF_INDEXED, ETHERNET + 2)];
        let fragment = self.assembler.then(&offset, fragment);
        let kinds = [(0, options), (43, options), (60, options), (44, fragment)];
        self.assembler.switch(&kinds, protocols)
    }

    /// With the protocol in A and X at the upper-layer header: services by address and port.
    fn by_protocol(
        &mut self,
        field: Field,
        before: &[(u32, Label)],
        behind: &[(u32, Label)],
    ) -> Label {
        let matches = self.matches;
        let services = SERVICE_PROTOCOLS.map(|protocol| {
            let label = self.services(field, matches, |one| has_protocol(one, protocol));
            (u32::from(protocol), label)
        });
        let keys = [&services, before, behind].concat();
        self.assembler.switch(&keys, self.miss)
    }

    /// With the protocol of a later fragment in A: every address that has a service of that
    /// protocol. It has no ports; the director puts the whole together, and the host that were left
    /// with pieces of it would wait for the rest in vain.
    fn later_fragments(&mut self, field: Field) -> Label {
        let matches = self.matches;
        let services = SERVICE_PROTOCOLS.map(|protocol| {
            let networks: Vec<Network> = matches
                .iter()
                .filter(|one| is_of(one, field) && has_protocol(one, protocol))
                .map(Network::of)
                .collect();
            let (hit, miss) = (self.hit, self.miss);
            let leaf = &mut |_: &mut Assembler, _: &[usize]| hit;
            let label = address::search(&mut self.assembler, field, &networks, miss, leaf);
            (u32::from(protocol), label)
        });
        self.assembler.switch(&services, self.miss)
    }

    fn services(
        &mut self,
        field: Field,
        matches: &[ServiceMatch],
        wanted: impl Fn(&ServiceMatch) -> bool,
    ) -> Label {
        let wanted: Vec<_> =
            matches.iter().filter(|one| is_of(one, field) && wanted(one)).copied().collect();
        let networks: Vec<Network> = wanted.iter().map(Network::of).collect();
        let (hit, miss) = (self.hit, self.miss);
        let (blocks, port_at) = (&mut self.port_blocks, ETHERNET + self.end.port());
        address::search(&mut self.assembler, field, &networks, miss, &mut |assembler, members| {
            let ports: Vec<_> = members
                .iter()
                .filter_map(|&member| wanted.get(member))
                .map(|one| ((u32::from(one.ports.0), u32::from(one.ports.1)), 0))
                .collect();
            port_block(assembler, blocks, port_at, &ports, hit, miss)
        })
    }

    /// Every address of the field's family, whatever the protocol.
    pub(super) fn by_address(&mut self, field: Field) -> Label {
        let ipv6 = field.words == 4;
        let networks: Vec<_> = Classifier::networks(self.matches, ipv6).collect();
        let (hit, miss) = (self.hit, self.miss);
        address::search(&mut self.assembler, field, &networks, miss, &mut |_, _| hit)
    }

    fn arp(&mut self, audience: &SocketAudience) -> Label {
        if audience.neighbours { self.by_address(ARP_TARGET) } else { self.miss }
    }

    fn icmpv6(&mut self, any: Label, audience: &SocketAudience) -> Label {
        let other = if audience.icmp { any } else { self.miss };
        if audience.neighbours { self.solicitation(other) } else { other }
    }

    /// A neighbour solicitation for one of the addresses, or on to `other`.
    fn solicitation(&mut self, other: Label) -> Label {
        let target = self.by_address(SOLICITED_TARGET);
        let check = self.assembler.branch(code::JUMP_EQUAL, NEIGHBOUR_SOLICITATION, target, other);
        self.assembler.then(&[load_byte(54)], check)
    }
}

const fn has_protocol(one: &ServiceMatch, protocol: u8) -> bool {
    match one.protocol {
        Some(own) => own == protocol,
        None => true,
    }
}

const fn is_of(one: &ServiceMatch, field: Field) -> bool {
    one.address.is_ipv6() == (field.words == 4)
}
