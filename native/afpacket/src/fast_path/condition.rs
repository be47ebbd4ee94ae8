//! Which frames are forwarded. Part of both programs, so that they decide alike: what the socket
//! does not get is what the kernel forwards.

use super::flow::{FAMILY_IPV4, FAMILY_IPV6, KEY_WORDS, Transport, key, way};
use super::program::Programs;
use super::protocols;
use super::table::{HEADER_WORDS, SLOT_WORDS, SLOTS, slot, state};
use crate::ebpf::translate::PACKET_TYPE;
use crate::ebpf::{Assembler, Instruction, Label, Register, Size, alu, when};
use Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};

/// Functions of the kernel (`linux/bpf.h`, `enum bpf_func_id`).
pub(crate) mod function {
    pub(crate) const MAP_LOOKUP: i32 = 1;
    pub(crate) const STORE_OCTETS: i32 = 9;
    pub(crate) const REDIRECT: i32 = 23;
    pub(crate) const LOAD_OCTETS: i32 = 26;
}

/// Fields of `struct __sk_buff` (`linux/bpf.h`).
pub(crate) mod frame_field {
    pub(crate) const LENGTH: i16 = 0;
    pub(crate) const VLAN_PRESENT: i16 = 20;
    pub(crate) const SEGMENT_SIZE: i16 = 176;
}

/// Where the frame's headers lie on the stack: so that what follows the Ethernet header is aligned.
pub(super) const FRAME: i16 = -94;
pub(super) const ETHERNET: i32 = 14;
const ETHERNET_TYPE: i16 = FRAME + 12;
pub(super) const PACKET: i16 = FRAME + 14;
/// In front of the frame, as long as a key and a multiple of 8.
pub(super) const KEY: i16 = -136;
/// The number of the bucket.
const BUCKET: i16 = KEY - 4;
/// Not 0 for a segment with FIN.
pub(super) const FIN: i16 = KEY - 8;
/// For [`Instruction::order_loads`].
const FENCE: i16 = KEY - 16;
/// Octets of all headers without options up to that of UDP, which is the shortest.
const HEADERS_IPV4: i32 = 42;
const HEADERS_IPV6: i32 = 62;
const IPV4_LEN: i16 = 20;
pub(super) const IPV6_LEN: i16 = 40;
const UDP_LEN: i32 = 8;
const TCP_LEN: i32 = 20;
const TCP: i32 = Transport::Tcp as i32;
const UDP: i32 = Transport::Udp as i32;
const FLAG_FIN: i32 = 0x01;
const FLAG_ACK: i32 = 0x10;
/// SYN, RST and ACK, of which just the last has to be set.
const FLAGS_OF_STATE: i32 = 0x16;

/// Goes on at `miss` unless the frame is one to be forwarded. Then R6 is the frame, R8 the slot of its
/// flow, R5 where the slot's word is and R7 the word, for [`still`] to say whether all that holds; and the
/// stack has the headers, the key and [`FIN`].
pub(super) fn condition(programs: &Programs, assembler: &mut Assembler, miss: Label) {
    let (ipv4, lookup) = (assembler.label(), assembler.label());
    assembler.push(&[
        Instruction::copy(R6, R1),
        Instruction::store_constant(Size::Double, R10, FENCE, 0),
    ]);
    // R9: how many flows each protocol has.
    assembler.push(&Instruction::map_value(R9, programs.protocols));
    assembler.push(&[
        Instruction::load(Size::Double, R1, R9, protocols::offset(Transport::Tcp)),
        Instruction::load(Size::Double, R2, R9, protocols::offset(Transport::Udp)),
        Instruction::whole_register(alu::OR, R1, R2),
    ]);
    assembler.jump_if_nothing(R1, miss);
    assembler.push(&[Instruction::load(Size::Word, R1, R6, PACKET_TYPE)]);
    // Anything but PACKET_HOST.
    assembler.jump_if(when::NOT_EQUAL, R1, 0, miss);
    assembler.push(&[Instruction::load(Size::Word, R1, R6, frame_field::VLAN_PRESENT)]);
    assembler.jump_if(when::NOT_EQUAL, R1, 0, miss);
    load_octets(assembler, 0, HEADERS_IPV4, miss);
    assembler.push(&[
        Instruction::load(Size::Half, R1, R10, ETHERNET_TYPE),
        Instruction::half_from_network_order(R1),
    ]);
    assembler.jump_if(when::EQUAL, R1, libc::ETH_P_IP, ipv4);
    assembler.jump_if(when::NOT_EQUAL, R1, libc::ETH_P_IPV6, miss);
    load_octets(assembler, HEADERS_IPV4, HEADERS_IPV6 - HEADERS_IPV4, miss);
    ipv6_condition(assembler, miss);
    // All halves of words of the key.
    hash(programs, assembler, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assembler.jump(lookup);
    assembler.place(ipv4);
    ipv4_condition(assembler, miss);
    // Those that are not always 0.
    hash(programs, assembler, &[0, 4, 8, 9]);
    assembler.place(lookup);
    find_bucket(programs, assembler, miss);
    find_slot(assembler, miss);
    fits(assembler, miss);
}

/// R1 = the hash of the key ([`super::table`]), as the upper half of the register.
fn hash(programs: &Programs, assembler: &mut Assembler, halves: &[i16]) {
    let [first, keys @ ..] = &programs.hash;
    assembler.push(&Instruction::double(R1, *first));
    for (half, key) in halves.iter().filter_map(|&half| {
        let key = keys.get(usize::try_from(half).ok()?)?;
        Some((half, *key))
    }) {
        assembler.push(&Instruction::double(R2, key));
        assembler.push(&[
            Instruction::load(Size::Word, R3, R10, KEY + 4 * half),
            Instruction::whole_register(alu::MULTIPLY, R2, R3),
            Instruction::whole_register(alu::ADD, R1, R2),
        ]);
    }
}

/// R8 = the bucket of the hash in R1, R7 = the hash.
fn find_bucket(programs: &Programs, assembler: &mut Assembler, miss: Label) {
    assembler.push(&[
        Instruction::whole(alu::SHIFT_RIGHT, R1, 32),
        Instruction::copy(R7, R1),
        Instruction::alu(alu::AND, R1, programs.mask.cast_signed()),
        Instruction::store(Size::Word, R10, BUCKET, R1),
    ]);
    assembler.push(&Instruction::map(R1, programs.table));
    assembler.push(&[
        Instruction::copy(R2, R10),
        Instruction::advance(R2, BUCKET.into()),
        Instruction::call(function::MAP_LOOKUP),
    ]);
    assembler.jump_if_nothing(R0, miss);
    assembler.push(&[Instruction::copy(R8, R0)]);
}

/// With the bucket in R8 and the hash in R7: R8 = the slot that has the key, R5 = where its word is, R7 =
/// the word.
fn find_slot(assembler: &mut Assembler, miss: Label) {
    let [forwarded, mask] =
        [state::FORWARDED, state::MASK].map(|bits| i32::try_from(bits).unwrap_or(i32::MAX));
    let found = assembler.label();
    // R4: the hash.
    assembler.push(&[Instruction::copy(R4, R7), Instruction::copy(R5, R8)]);
    for number in 0..SLOTS {
        let next = assembler.label();
        assembler.push(&[
            Instruction::load(Size::Double, R7, R5, 0),
            Instruction::copy(R1, R7),
            Instruction::whole(alu::SHIFT_RIGHT, R1, 32),
        ]);
        assembler.jump_if_whole_register(when::NOT_EQUAL, R1, R4, next);
        assembler.push(&[Instruction::copy(R1, R7), Instruction::alu(alu::AND, R1, mask)]);
        assembler.jump_if(when::NOT_EQUAL, R1, forwarded, next);
        order_loads(assembler);
        let slot_at = octets(HEADER_WORDS + number * SLOT_WORDS);
        // The ports, which differ most, first.
        for word in (0..KEY_WORDS).rev() {
            let at = octets(word);
            assembler.push(&[
                Instruction::load(Size::Double, R1, R10, KEY + at),
                Instruction::load(Size::Double, R2, R8, slot_at + slot::KEY + at),
            ]);
            assembler.jump_if_whole_register(when::NOT_EQUAL, R1, R2, next);
        }
        assembler.push(&[Instruction::advance(R8, slot_at.into())]);
        assembler.jump(found);
        assembler.place(next);
        if number + 1 < SLOTS {
            assembler.push(&[Instruction::advance(R5, octets(1).into())]);
        }
    }
    assembler.jump(miss);
    assembler.place(found);
}

/// So many words, in octets.
fn octets(words: usize) -> i16 {
    i16::try_from(8 * words).unwrap_or(i16::MAX)
}

/// With the slot in R8 and the lengths of the IP header and the next in R9: its way is wide enough,
/// and takes ends if the segment is one.
fn fits(assembler: &mut Assembler, miss: Label) {
    let (whole, compare, taken) = (assembler.label(), assembler.label(), assembler.label());
    assembler.push(&[Instruction::load(Size::Word, R1, R6, frame_field::SEGMENT_SIZE)]);
    assembler.jump_if(when::EQUAL, R1, 0, whole);
    assembler.push(&[Instruction::alu_register(alu::ADD, R1, R9)]);
    assembler.jump(compare);
    assembler.place(whole);
    assembler.push(&[
        Instruction::load(Size::Word, R1, R6, frame_field::LENGTH),
        Instruction::alu(alu::SUBTRACT, R1, ETHERNET),
    ]);
    assembler.place(compare);
    assembler.push(&[Instruction::load(Size::Word, R2, R8, slot::WAY + way::MTU)]);
    assembler.jump_if_register(when::ABOVE, R1, R2, miss);
    assembler.push(&[Instruction::load(Size::Word, R1, R10, FIN)]);
    assembler.jump_if(when::EQUAL, R1, 0, taken);
    assembler.push(&[Instruction::load(Size::Word, R1, R8, slot::WAY + way::ENDS)]);
    assembler.jump_if(when::EQUAL, R1, 0, miss);
    assembler.place(taken);
}

/// Goes on at `miss` unless the word at R5 still is R7: what was loaded of its slot in between is then
/// true.
pub(super) fn still(assembler: &mut Assembler, miss: Label) {
    order_loads(assembler);
    assembler.push(&[Instruction::load(Size::Double, R1, R5, 0)]);
    assembler.jump_if_whole_register(when::NOT_EQUAL, R1, R7, miss);
}

fn order_loads(assembler: &mut Assembler) {
    assembler.push(Instruction::order_loads(R10, FENCE, R1).as_slice());
}

/// Copies octets of the frame to their place on the stack.
fn load_octets(assembler: &mut Assembler, from: i32, count: i32, miss: Label) {
    assembler.push(&[
        Instruction::copy(R1, R6),
        Instruction::set(R2, from),
        Instruction::copy(R3, R10),
        Instruction::advance(R3, i32::from(FRAME) + from),
        Instruction::set(R4, count),
        Instruction::call(function::LOAD_OCTETS),
    ]);
    assembler.jump_if(when::NOT_EQUAL, R0, 0, miss);
}

/// No options, no fragment, TCP or UDP, a TTL to spare, lengths that agree.
fn ipv4_condition(assembler: &mut Assembler, miss: Label) {
    let byte = |to, at: i16| Instruction::load(Size::Byte, to, R10, PACKET + at);
    let half = |to, at: i16| Instruction::load(Size::Half, to, R10, PACKET + at);
    assembler.push(&[byte(R1, 0)]);
    assembler.jump_if(when::NOT_EQUAL, R1, 0x45, miss);
    assembler.push(&[half(R1, 6), Instruction::half_from_network_order(R1)]);
    // More fragments, or an offset.
    assembler.jump_if(when::ANY_BIT, R1, 0x3fff, miss);
    assembler.push(&[byte(R1, 8)]);
    assembler.jump_if(when::AT_MOST, R1, 1, miss);
    // R7: octets behind the IP header.
    assembler.push(&[half(R7, 2), Instruction::half_from_network_order(R7)]);
    assembler.jump_if(when::BELOW, R7, IPV4_LEN.into(), miss);
    assembler.push(&[Instruction::alu(alu::SUBTRACT, R7, IPV4_LEN.into()), byte(R1, 9)]);
    upper_condition(assembler, FAMILY_IPV4, IPV4_LEN, miss);
    for (from, to) in [(12, key::SOURCE), (16, key::DESTINATION)] {
        assembler.push(&[
            Instruction::load(Size::Word, R1, R10, PACKET + from),
            Instruction::store(Size::Word, R10, KEY + to, R1),
            Instruction::store_constant(Size::Word, R10, KEY + to + 4, 0),
            Instruction::store_constant(Size::Double, R10, KEY + to + 8, 0),
        ]);
    }
}

/// No extension header, TCP or UDP, a hop limit to spare, lengths that agree.
fn ipv6_condition(assembler: &mut Assembler, miss: Label) {
    let byte = |to, at: i16| Instruction::load(Size::Byte, to, R10, PACKET + at);
    assembler.push(&[byte(R1, 0), Instruction::alu(alu::AND, R1, 0xf0)]);
    assembler.jump_if(when::NOT_EQUAL, R1, 0x60, miss);
    assembler.push(&[byte(R1, 7)]);
    assembler.jump_if(when::AT_MOST, R1, 1, miss);
    assembler.push(&[
        Instruction::load(Size::Half, R7, R10, PACKET + 4),
        Instruction::half_from_network_order(R7),
        byte(R1, 6),
    ]);
    upper_condition(assembler, FAMILY_IPV6, IPV6_LEN, miss);
    for at in [0, 8, 16, 24] {
        assembler.push(&[
            Instruction::load(Size::Double, R1, R10, PACKET + 8 + at),
            Instruction::store(Size::Double, R10, KEY + at, R1),
        ]);
    }
}

/// With the protocol in R1, the protocols' numbers of flows at R9 and the octets behind an IP header of
/// `behind` octets in R7: they are there, and the next header is one of TCP or UDP, has flows, and
/// meets its condition. Leaves the lengths of both headers in R9, ports, family and protocol in the
/// key, and [`FIN`] on the stack.
fn upper_condition(assembler: &mut Assembler, family: u8, behind: i16, miss: Label) {
    let (udp, good) = (assembler.label(), assembler.label());
    assembler.push(&[
        Instruction::store(Size::Byte, R10, KEY + key::PROTOCOL, R1),
        Instruction::store_constant(Size::Byte, R10, KEY + key::FAMILY, family.into()),
        Instruction::store_constant(Size::Half, R10, KEY + key::PADDING, 0),
        Instruction::store_constant(Size::Word, R10, FIN, 0),
        Instruction::load(Size::Word, R2, R10, PACKET + behind),
        Instruction::store(Size::Word, R10, KEY + key::PORTS, R2),
        Instruction::load(Size::Word, R2, R6, frame_field::LENGTH),
        Instruction::alu(alu::SUBTRACT, R2, ETHERNET + i32::from(behind)),
    ]);
    assembler.jump_if_register(when::ABOVE, R7, R2, miss);
    assembler.jump_if(when::EQUAL, R1, UDP, udp);
    assembler.jump_if(when::NOT_EQUAL, R1, TCP, miss);
    has_flows(Transport::Tcp, assembler, miss);
    tcp_condition(assembler, behind, miss);
    assembler.jump(good);
    assembler.place(udp);
    has_flows(Transport::Udp, assembler, miss);
    assembler.jump_if(when::BELOW, R7, UDP_LEN, miss);
    assembler.push(&[Instruction::set(R9, UDP_LEN)]);
    assembler.place(good);
    assembler.push(&[Instruction::alu(alu::ADD, R9, behind.into())]);
}

/// With the protocols' numbers of flows at R9: the frame's has any. For all others a look-up, in both
/// programs, would be for nothing.
fn has_flows(transport: Transport, assembler: &mut Assembler, miss: Label) {
    assembler.push(&[Instruction::load(Size::Double, R1, R9, protocols::offset(transport))]);
    assembler.jump_if_nothing(R1, miss);
}

/// With the octets from the TCP header on in R7: the header is whole, and of a segment that neither
/// opens a connection nor resets it and acknowledges. Leaves its length in R9, and [`FIN`] on the
/// stack.
fn tcp_condition(assembler: &mut Assembler, behind: i16, miss: Label) {
    let byte = |to, at: i16| Instruction::load(Size::Byte, to, R10, PACKET + behind + at);
    // What is longer than the header of UDP is not on the stack yet.
    load_octets(assembler, ETHERNET + i32::from(behind) + UDP_LEN, TCP_LEN - UDP_LEN, miss);
    assembler.push(&[
        byte(R1, 13),
        Instruction::copy(R2, R1),
        Instruction::alu(alu::AND, R2, FLAG_FIN),
        Instruction::store(Size::Word, R10, FIN, R2),
        Instruction::alu(alu::AND, R1, FLAGS_OF_STATE),
    ]);
    assembler.jump_if(when::NOT_EQUAL, R1, FLAG_ACK, miss);
    // Length in words in the upper half of the octet.
    assembler.push(&[
        byte(R9, 12),
        Instruction::alu(alu::SHIFT_RIGHT, R9, 4),
        Instruction::alu(alu::SHIFT_LEFT, R9, 2),
    ]);
    assembler.jump_if(when::BELOW, R9, TCP_LEN, miss);
    assembler.jump_if_register(when::ABOVE, R9, R7, miss);
}
