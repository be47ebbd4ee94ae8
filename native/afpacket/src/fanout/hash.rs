//! The programs that hash a frame's client.

use std::net::IpAddr;

use crate::bpf::{ANCILLARY_PROTOCOL, Assembler, FROM_NETWORK, Instruction, Label, Program, code};
use crate::classifier::ServiceMatch;

const TYPE_IPV4: u32 = 0x0800;
const TYPE_IPV6: u32 = 0x86dd;
const ICMPV4: u32 = 1;
const ICMPV6: u32 = 58;
/// In an IPv4 header at octet 6: more fragments, or an offset.
pub(super) const FRAGMENT: u32 = 0x3fff;
pub(super) const PORTED: [u32; 3] = [6, 17, 132];
const ANY_PORT: (u16, u16) = (0, u16::MAX);
/// Odd, its bits spread evenly (2^32 divided by the golden ratio).
const MULTIPLIER: u32 = 0x9e37_79b1;
/// Memory cell of the hashed address.
const ADDRESS: u32 = 0;

/// What of the client decides which socket of a group gets a frame. The client is the sender; of an
/// ICMP error it is the receiver of the packet quoted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHash {
    /// Address and port: the evenest. Fragments go by address alone, so a datagram's fragments meet
    /// each other, but not the unfragmented packets of the same client and port.
    AddressAndPort,
    /// The network of the address, by prefix length in bits: keeps together what a persistent
    /// service keeps together, and fragments with the rest of their connection.
    Network {
        /// Prefix length of IPv4 clients, at most 32.
        ipv4: u8,
        /// Prefix length of IPv6 clients, at most 128.
        ipv6: u8,
    },
}

impl ClientHash {
    /// Every address by itself, ports set aside.
    pub const ADDRESS: Self = Self::Network { ipv4: 32, ipv6: 128 };

    /// The number of the socket that keeps a client, before it is divided by how many there are: what
    /// the program answers for the client's plain packets.
    #[must_use]
    pub fn of(self, client: IpAddr, port: u16) -> u32 {
        let (words, count) = match client {
            IpAddr::V4(address) => ([address.to_bits(), 0, 0, 0], 1),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h] = address.segments().map(u32::from);
                ([a << 16 | b, c << 16 | d, e << 16 | f, g << 16 | h], 4)
            }
        };
        let words = (0_u8..).zip(words).take(count);
        let address = words.fold(0_u32, |hash, (index, word)| {
            let bits = if count == 1 { 32 } else { 128 };
            hash.wrapping_mul(MULTIPLIER) ^ word & self.mask(bits, index)
        });
        let port = if self.with_ports() { u32::from(port) } else { 0 };
        let mixed = (address ^ port.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
        mixed ^ mixed >> 16
    }

    /// The program for `PACKET_FANOUT_DATA`. Of packets that come from what `returns` fit the client
    /// is the receiver, so that both directions of a translated connection meet.
    ///
    /// It is a good guess: what it cannot tell is which side of a fragment, or of a packet behind IPv6
    /// extension headers, has which port, and whether a packet between two masqueraded servers is an
    /// answer or a question.
    #[must_use]
    pub fn program(self, returns: &[ServiceMatch]) -> Program {
        let mut writer = Writer::new(self);
        let (ipv4, ipv6) = (writer.ipv4(), writer.ipv6());
        writer.from = &SERVER;
        let back = writer.ipv4();
        let ipv4 = writer.by_source(returns, false, back, ipv4);
        let back = writer.ipv6();
        let ipv6 = writer.by_source(returns, true, back, ipv6);
        let types = [(TYPE_IPV4, ipv4), (TYPE_IPV6, ipv6)];
        let start = writer.assembler.switch(&types, writer.first_socket);
        let load = [Instruction::new(code::LOAD_HALF, ANCILLARY_PROTOCOL)];
        let start = writer.assembler.then(&load, start);
        writer.assembler.finish(start)
    }

    fn with_ports(self) -> bool {
        self == Self::AddressAndPort
    }

    /// The program that looks as closely at what comes back as fits into one.
    pub(crate) fn closest_program(self, returns: &[ServiceMatch]) -> Program {
        let exact = self.program(returns);
        if exact.fits() {
            return exact;
        }
        let any_port =
            |one: &ServiceMatch| ServiceMatch { protocol: None, ports: ANY_PORT, ..*one };
        let mut addresses: Vec<_> = returns.iter().map(any_port).collect();
        addresses.dedup();
        let by_address = self.program(&addresses);
        if by_address.fits() { by_address } else { self.program(&[]) }
    }

    /// The mask of word `index` of an address with `bits` bits.
    fn mask(self, bits: u8, index: u8) -> u32 {
        let prefix = match self {
            Self::AddressAndPort => bits,
            Self::Network { ipv4, ipv6 } => (if bits == 32 { ipv4 } else { ipv6 }).min(bits),
        };
        let inside = prefix.saturating_sub(32 * index).min(32);
        u32::MAX.checked_shl(32 - u32::from(inside)).unwrap_or(0)
    }
}

pub(super) const fn at(offset: u32) -> u32 {
    FROM_NETWORK.wrapping_add(offset)
}

/// Where the client stands in a packet, counted from the IP header unless said otherwise.
#[derive(Debug)]
struct Standing {
    ipv4: u32,
    ipv6: [u32; 4],
    /// Behind the upper-layer header's start.
    port: u32,
    /// The same of a packet quoted in an ICMP error, from the quoted header on.
    quoted_ipv4: u32,
    quoted_ipv6: [u32; 4],
    quoted_port: u32,
}

/// The client is the sender; an error is about what was sent to it.
static CLIENT: Standing = Standing {
    ipv4: 12,
    ipv6: [8, 12, 16, 20],
    port: 0,
    quoted_ipv4: 16,
    quoted_ipv6: [24, 28, 32, 36],
    quoted_port: 2,
};

/// A server is the sender; an error is about what the client sent.
static SERVER: Standing = Standing {
    ipv4: 16,
    ipv6: [24, 28, 32, 36],
    port: 2,
    quoted_ipv4: 12,
    quoted_ipv6: [8, 12, 16, 20],
    quoted_port: 0,
};

pub(super) struct Writer {
    hash: ClientHash,
    from: &'static Standing,
    pub(super) assembler: Assembler,
    first_socket: Label,
    /// With the address in its cell: answers.
    by_address: Label,
    /// With the address in its cell and the port in A: answers.
    by_port: Label,
}

impl Writer {
    fn new(hash: ClientHash) -> Self {
        let mut assembler = Assembler::new();
        let first_socket = assembler.answer(0);
        let answer = assembler.answer_accumulator();
        let mix = [
            Instruction::new(code::MULTIPLY, MULTIPLIER),
            Instruction::new(code::TO_X, 0),
            Instruction::new(code::LOAD_MEMORY, ADDRESS),
            Instruction::new(code::XOR_X, 0),
            Instruction::new(code::MULTIPLY, MULTIPLIER),
            Instruction::new(code::TO_X, 0),
            Instruction::new(code::SHIFT_RIGHT, 16),
            Instruction::new(code::XOR_X, 0),
        ];
        let by_port = assembler.then(&mix, answer);
        let by_address = assembler.then(&[Instruction::new(code::LOAD_CONSTANT, 0)], by_port);
        Self { hash, from: &CLIENT, assembler, first_socket, by_address, by_port }
    }

    fn ipv4(&mut self) -> Label {
        let sender = self.ipv4_sender();
        let error = self.ipv4_error();
        // RFC 792: what is said of a packet by those who have it, and of which a director takes note.
        let errors = [3, 4, 11].map(|kind| (kind, error));
        let by_address = self.address(&[self.from.ipv4], self.by_address);
        let icmp = self.assembler.switch(&errors, by_address);
        let icmp = self.load_indexed_kind(icmp);
        let check = self.assembler.branch(code::JUMP_EQUAL, ICMPV4, icmp, sender);
        let load = [
            Instruction::new(code::LOAD_BYTE, at(0)),
            Instruction::new(code::AND, 0xf),
            Instruction::new(code::SHIFT_LEFT, 2),
            Instruction::new(code::TO_X, 0),
            Instruction::new(code::LOAD_BYTE, at(9)),
        ];
        let whole = self.assembler.then(&load, check);
        let check = self.assembler.branch(code::JUMP_ANY_BIT, FRAGMENT, by_address, whole);
        self.assembler.then(&[Instruction::new(code::LOAD_HALF, at(6))], check)
    }

    /// The ICMP type at X into A.
    fn load_indexed_kind(&mut self, next: Label) -> Label {
        self.assembler.then(&[Instruction::new(code::LOAD_BYTE_INDEXED, at(0))], next)
    }

    /// With the protocol in A and X behind the header.
    fn ipv4_sender(&mut self) -> Label {
        let by_address = self.address(&[self.from.ipv4], self.by_address);
        if !self.hash.with_ports() {
            return by_address;
        }
        let port = [Instruction::new(code::LOAD_HALF_INDEXED, at(self.from.port))];
        let port = self.assembler.then(&port, self.by_port);
        // Hashing the address overwrites X; the header length is read again behind it.
        let length = [
            Instruction::new(code::LOAD_BYTE, at(0)),
            Instruction::new(code::AND, 0xf),
            Instruction::new(code::SHIFT_LEFT, 2),
            Instruction::new(code::TO_X, 0),
        ];
        let port = self.assembler.then(&length, port);
        let by_port = self.address(&[self.from.ipv4], port);
        self.assembler.switch(&PORTED.map(|protocol| (protocol, by_port)), by_address)
    }

    /// With X at the ICMP header of an error: the quoted packet begins 8 octets behind it.
    fn ipv4_error(&mut self) -> Label {
        let mask = self.hash.mask(32, 0);
        let keep = [
            Instruction::new(code::LOAD_WORD_INDEXED, at(8 + self.from.quoted_ipv4)),
            Instruction::new(code::AND, mask),
            Instruction::new(code::STORE, ADDRESS),
        ];
        let next = if self.hash.with_ports() { self.quoted_ipv4_port() } else { self.by_address };
        self.assembler.then(&keep, next)
    }

    fn quoted_ipv4_port(&mut self) -> Label {
        let port = [
            Instruction::new(code::LOAD_BYTE_INDEXED, at(8)),
            Instruction::new(code::AND, 0xf),
            Instruction::new(code::SHIFT_LEFT, 2),
            Instruction::new(code::ADD_X, 0),
            Instruction::new(code::TO_X, 0),
            Instruction::new(code::LOAD_HALF_INDEXED, at(8 + self.from.quoted_port)),
        ];
        let port = self.assembler.then(&port, self.by_port);
        let known = PORTED.map(|protocol| (protocol, port));
        let check = self.assembler.switch(&known, self.by_address);
        let check =
            self.assembler.then(&[Instruction::new(code::LOAD_BYTE_INDEXED, at(8 + 9))], check);
        let fragment = self.assembler.branch(code::JUMP_ANY_BIT, FRAGMENT, self.by_address, check);
        self.assembler.then(&[Instruction::new(code::LOAD_HALF_INDEXED, at(8 + 6))], fragment)
    }

    fn ipv6(&mut self) -> Label {
        let client = self.from.ipv6;
        let by_address = self.address(&client, self.by_address);
        let error = self.ipv6_error();
        // RFC 4443 §2.1: types below 128 are errors.
        let icmp = self.assembler.branch(code::JUMP_AT_LEAST, 128, by_address, error);
        let icmp = self.assembler.then(&[Instruction::new(code::LOAD_BYTE, at(40))], icmp);
        let ported = if self.hash.with_ports() {
            let port = [Instruction::new(code::LOAD_HALF, at(40 + self.from.port))];
            let port = self.assembler.then(&port, self.by_port);
            self.address(&client, port)
        } else {
            by_address
        };
        let mut keys = PORTED.map(|protocol| (protocol, ported)).to_vec();
        keys.push((ICMPV6, icmp));
        let switch = self.assembler.switch(&keys, by_address);
        self.assembler.then(&[Instruction::new(code::LOAD_BYTE, at(6))], switch)
    }

    /// The quoted packet begins 48 octets into the packet.
    fn ipv6_error(&mut self) -> Label {
        let client = self.from.quoted_ipv6.map(|offset| 48 + offset);
        let by_address = self.address(&client, self.by_address);
        if !self.hash.with_ports() {
            return by_address;
        }
        let port = [Instruction::new(code::LOAD_HALF, at(48 + 40 + self.from.quoted_port))];
        let port = self.assembler.then(&port, self.by_port);
        let by_port = self.address(&client, port);
        let known = PORTED.map(|protocol| (protocol, by_port));
        let check = self.assembler.switch(&known, by_address);
        self.assembler.then(&[Instruction::new(code::LOAD_BYTE, at(48 + 6))], check)
    }

    /// Hashes the address whose words lie at `offsets` into its cell, then on to `next`.
    fn address(&mut self, offsets: &[u32], next: Label) -> Label {
        let bits = if offsets.len() == 1 { 32 } else { 128 };
        let mut instructions = Vec::with_capacity(5 * offsets.len());
        for (index, offset) in (0_u8..).zip(offsets) {
            if index > 0 {
                instructions.push(Instruction::new(code::MULTIPLY, MULTIPLIER));
                instructions.push(Instruction::new(code::TO_X, 0));
            }
            instructions.push(Instruction::new(code::LOAD_WORD, at(*offset)));
            instructions.push(Instruction::new(code::AND, self.hash.mask(bits, index)));
            if index > 0 {
                instructions.push(Instruction::new(code::XOR_X, 0));
            }
        }
        instructions.push(Instruction::new(code::STORE, ADDRESS));
        self.assembler.then(&instructions, next)
    }
}

#[cfg(test)]
mod tests;
