//! What the programs of both sockets do while there is overload.

use super::{Admitted, Lookup, NO_PORT, offset};
use crate::bpf::code;
use crate::ebpf::{Assembler, Instruction, Label, Register, Size, alu, when};
use Register::{R0, R1, R2, R3, R6, R7, R8, R9};

/// `protocol` of `struct __sk_buff` (`linux/bpf.h`), in network order.
const PROTOCOL: i16 = 16;
const ETHERNET: i32 = 14;
const TCP: i32 = 6;
const UDP: i32 = 17;
const SCTP: i32 = 132;
const ICMPV4: i32 = 1;
const ICMPV6: i32 = 58;
/// ICMPv4 errors (RFC 792), each of which quotes the packet it is about.
const ICMPV4_ERRORS: [i32; 5] = [3, 4, 5, 11, 12];
/// ICMPv6 kinds from here on are no errors (RFC 4443 §2.1).
const ICMPV6_INFORMATIONAL: i32 = 128;
/// Neighbour discovery and router discovery (RFC 4861).
const DISCOVERY: (i32, i32) = (133, 137);
const IPV6_LEN: i32 = 40;
const ICMP_LEN: i32 = 8;
/// Words of an address.
const IPV4_WORDS: usize = 1;
const IPV6_WORDS: usize = 4;

/// Goes on at `calm` unless there is overload. Uses R1 and R8.
pub(crate) fn unless_overloaded(lookup: &Lookup, assembler: &mut Assembler, calm: Label) {
    assembler.push(&Instruction::map_value(R8, lookup.memory));
    assembler.push(&[Instruction::load(Size::Double, R1, R8, offset::OVERLOAD)]);
    assembler.jump_if_nothing(R1, calm);
}

/// With the frame in R6: goes on at `accept` if the socket gets it, at `refuse` if not. A frame that ends
/// in the middle of a header is for neither socket.
pub(crate) fn admit(
    lookup: &Lookup,
    admitted: Admitted,
    assembler: &mut Assembler,
    (accept, refuse): (Label, Label),
) {
    let (known, client) = (assembler.label(), assembler.label());
    assembler.push(&Instruction::map_value(R8, lookup.memory));
    let unknown = match admitted {
        Admitted::Known => refuse,
        Admitted::Unknown => accept,
    };
    Search { lookup, known, client, unknown }.search(assembler);
    assembler.place(client);
    match admitted {
        Admitted::Known => spend(assembler, accept, refuse),
        Admitted::Unknown => assembler.jump(refuse),
    }
    assembler.place(known);
    assembler.jump(match admitted {
        Admitted::Known => accept,
        Admitted::Unknown => refuse,
    });
}

/// With the shared memory at R8: uses up some of what is granted.
fn spend(assembler: &mut Assembler, accept: Label, refuse: Label) {
    let too_many = assembler.label();
    assembler.push(&[
        Instruction::set(R1, 1),
        Instruction::load(Size::Double, R2, R8, offset::USED),
        Instruction::load(Size::Double, R3, R8, offset::GRANTED),
    ]);
    // Another processor may spend the same at this moment: the grant is no exact bound.
    assembler.jump_if_whole_register(when::AT_LEAST, R2, R3, too_many);
    assembler.push(&[Instruction::add_to_memory(R8, offset::USED, R1)]);
    assembler.jump(accept);
    assembler.place(too_many);
    assembler.push(&[Instruction::add_to_memory(R8, offset::REFUSED, R1)]);
    assembler.jump(refuse);
}

/// Where an address and a port lie in a frame: at these places, or so far behind R7.
#[derive(Clone, Copy)]
struct End {
    address: Place,
    port: Option<Place>,
}

#[derive(Clone, Copy)]
enum Place {
    At(i32),
    Behind(i32),
}

struct Search<'l> {
    lookup: &'l Lookup,
    known: Label,
    client: Label,
    unknown: Label,
}

impl Search<'_> {
    /// Finds out who sent the frame, or whom it is for.
    fn search(&self, assembler: &mut Assembler) {
        let (ipv4, ipv6) = (assembler.label(), assembler.label());
        assembler.push(&[
            Instruction::load(Size::Word, R1, R6, PROTOCOL),
            Instruction::half_from_network_order(R1),
        ]);
        assembler.jump_if(when::EQUAL, R1, libc::ETH_P_IP, ipv4);
        assembler.jump_if(when::EQUAL, R1, libc::ETH_P_IPV6, ipv6);
        assembler.jump(self.client);
        assembler.place(ipv4);
        self.ipv4(assembler);
        assembler.place(ipv6);
        self.ipv6(assembler);
    }

    fn ipv4(&self, assembler: &mut Assembler) {
        let (ports, icmp, addresses) = (assembler.label(), assembler.label(), assembler.label());
        let [source, destination] = [Place::At(ETHERNET + 12), Place::At(ETHERNET + 16)];
        // R7: where the transport header begins.
        assembler.push(&[
            byte(Place::At(ETHERNET)),
            Instruction::alu(alu::AND, R0, 0xf),
            Instruction::alu(alu::SHIFT_LEFT, R0, 2),
            Instruction::alu(alu::ADD, R0, ETHERNET),
            Instruction::copy(R7, R0),
            half(Place::At(ETHERNET + 6)),
        ]);
        // A fragment behind the first has no ports.
        assembler.jump_if(when::ANY_BIT, R0, 0x1fff, addresses);
        assembler.push(&[byte(Place::At(ETHERNET + 9))]);
        jump_if_transport(assembler, ports);
        assembler.jump_if(when::EQUAL, R0, ICMPV4, icmp);
        assembler.jump(addresses);
        assembler.place(ports);
        let behind = Place::Behind;
        self.ends(assembler, [(source, behind(0)), (destination, behind(2))], IPV4_WORDS);
        assembler.jump(addresses);
        assembler.place(icmp);
        self.icmpv4(assembler, addresses);
        assembler.place(addresses);
        self.addresses(assembler, [source, destination], IPV4_WORDS);
        assembler.jump(self.unknown);
    }

    /// With the ICMP header at R7: whom an error is about.
    fn icmpv4(&self, assembler: &mut Assembler, otherwise: Label) {
        let (error, quoted) = (assembler.label(), Place::Behind);
        assembler.push(&[byte(quoted(0))]);
        for kind in ICMPV4_ERRORS {
            assembler.jump_if(when::EQUAL, R0, kind, error);
        }
        assembler.jump(otherwise);
        assembler.place(error);
        let [source, destination] = [quoted(ICMP_LEN + 12), quoted(ICMP_LEN + 16)];
        let options = assembler.label();
        assembler.push(&[byte(quoted(ICMP_LEN))]);
        // Behind IP options the ports are elsewhere.
        assembler.jump_if(when::NOT_EQUAL, R0, 0x45, options);
        self.ends(assembler, [(source, quoted(28)), (destination, quoted(30))], IPV4_WORDS);
        assembler.place(options);
        self.addresses(assembler, [source, destination], IPV4_WORDS);
        assembler.jump(otherwise);
    }

    fn ipv6(&self, assembler: &mut Assembler) {
        let (ports, icmp, addresses) = (assembler.label(), assembler.label(), assembler.label());
        let [source, destination] = [Place::At(ETHERNET + 8), Place::At(ETHERNET + 24)];
        let at = |behind| Place::At(ETHERNET + IPV6_LEN + behind);
        assembler.push(&[byte(Place::At(ETHERNET + 6))]);
        jump_if_transport(assembler, ports);
        assembler.jump_if(when::EQUAL, R0, ICMPV6, icmp);
        // Extension headers, fragments among them: the addresses have to do.
        assembler.jump(addresses);
        assembler.place(ports);
        self.ends(assembler, [(source, at(0)), (destination, at(2))], IPV6_WORDS);
        assembler.jump(addresses);
        assembler.place(icmp);
        self.icmpv6(assembler, addresses);
        assembler.place(addresses);
        self.addresses(assembler, [source, destination], IPV6_WORDS);
        assembler.jump(self.unknown);
    }

    fn icmpv6(&self, assembler: &mut Assembler, otherwise: Label) {
        let (error, ports) = (assembler.label(), assembler.label());
        let icmp = |behind| Place::At(ETHERNET + IPV6_LEN + behind);
        let quoted = |behind| icmp(ICMP_LEN + behind);
        let discovery = assembler.label();
        assembler.push(&[byte(icmp(0))]);
        assembler.jump_if(when::BELOW, R0, ICMPV6_INFORMATIONAL, error);
        assembler.jump_if(when::AT_LEAST, R0, DISCOVERY.0, discovery);
        assembler.jump(otherwise);
        assembler.place(discovery);
        assembler.jump_if(when::AT_MOST, R0, DISCOVERY.1, self.client);
        assembler.jump(otherwise);
        assembler.place(error);
        let [source, destination] = [quoted(8), quoted(24)];
        let addresses = assembler.label();
        assembler.push(&[byte(quoted(6))]);
        jump_if_transport(assembler, ports);
        assembler.jump(addresses);
        assembler.place(ports);
        let ports = [IPV6_LEN, IPV6_LEN + 2].map(quoted);
        self.ends(assembler, [(source, ports[0]), (destination, ports[1])], IPV6_WORDS);
        assembler.place(addresses);
        self.addresses(assembler, [source, destination], IPV6_WORDS);
        assembler.jump(otherwise);
    }

    /// Goes on at `known` if one of these is a known end.
    fn ends(&self, assembler: &mut Assembler, ends: [(Place, Place); 2], words: usize) {
        for (address, port) in ends {
            self.look_up(assembler, End { address, port: Some(port) }, words, self.known);
        }
    }

    /// Goes on at `client` if one of these is the address of a known end.
    fn addresses(&self, assembler: &mut Assembler, addresses: [Place; 2], words: usize) {
        for address in addresses {
            self.look_up(assembler, End { address, port: None }, words, self.client);
        }
    }

    /// Goes on at `hit` if the bit of `end`, whose address has so many words, is set.
    fn look_up(&self, assembler: &mut Assembler, end: End, words: usize, hit: Label) {
        let [first, keys @ .., of_port] = &self.lookup.keys;
        let constant = if end.port.is_none() { of_port.wrapping_mul(NO_PORT.into()) } else { 0 };
        // R9: the hash.
        assembler.push(&Instruction::double(R9, first.wrapping_add(constant)));
        for (number, key) in (0..).zip(keys).take(words) {
            add_product(assembler, word(end.address.further(4 * number)), *key);
        }
        if let Some(port) = end.port {
            add_product(assembler, half(port), *of_port);
        }
        let mask = |words: u64| i32::try_from(words - 1).unwrap_or(i32::MAX);
        assembler.push(&[
            Instruction::whole(alu::SHIFT_RIGHT, R9, 32),
            Instruction::copy(R1, R9),
            Instruction::alu(alu::AND, R1, 63),
            Instruction::alu(alu::SHIFT_RIGHT, R9, 6),
            Instruction::alu(alu::AND, R9, mask(self.lookup.words)),
            Instruction::load(Size::Double, R2, R8, offset::FIRST),
            Instruction::whole_register(alu::ADD, R9, R2),
            // What the verifier can see to be within the memory.
            Instruction::whole(alu::AND, R9, mask(2 * self.lookup.words)),
            Instruction::whole(alu::SHIFT_LEFT, R9, 3),
            Instruction::copy(R2, R8),
            Instruction::whole_register(alu::ADD, R2, R9),
            Instruction::load(Size::Double, R0, R2, offset::BITS),
            Instruction::whole_register(alu::SHIFT_RIGHT, R0, R1),
            Instruction::whole(alu::AND, R0, 1),
        ]);
        assembler.jump_if(when::NOT_EQUAL, R0, 0, hit);
    }
}

impl Place {
    const fn further(self, octets: i32) -> Self {
        match self {
            Self::At(at) => Self::At(at + octets),
            Self::Behind(at) => Self::Behind(at + octets),
        }
    }
}

/// R9 += what is loaded × `key`.
fn add_product(assembler: &mut Assembler, load: Instruction, key: u64) {
    assembler.push(&[load]);
    assembler.push(&Instruction::double(R1, key));
    assembler.push(&[
        Instruction::whole_register(alu::MULTIPLY, R0, R1),
        Instruction::whole_register(alu::ADD, R9, R0),
    ]);
}

/// Goes on at `hit` if the protocol in R0 has ports.
fn jump_if_transport(assembler: &mut Assembler, hit: Label) {
    for protocol in [TCP, UDP, SCTP] {
        assembler.jump_if(when::EQUAL, R0, protocol, hit);
    }
}

/// R0 = octets of the frame, in host order; ends the program with 0 where the frame ends before.
fn load(absolute: u16, indexed: u16, place: Place) -> Instruction {
    let (code, from, at) = match place {
        Place::At(at) => (absolute, R0, at),
        Place::Behind(at) => (indexed, R7, at),
    };
    Instruction::new(u8::try_from(code).unwrap_or(0), R0, from, 0, at)
}

fn byte(place: Place) -> Instruction {
    load(code::LOAD_BYTE, code::LOAD_BYTE_INDEXED, place)
}

fn half(place: Place) -> Instruction {
    load(code::LOAD_HALF, code::LOAD_HALF_INDEXED, place)
}

fn word(place: Place) -> Instruction {
    load(code::LOAD_WORD, code::LOAD_WORD_INDEXED, place)
}
