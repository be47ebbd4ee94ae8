//! The two programs around their common [`condition`].

use super::condition::{ETHERNET, FIN, FRAME, IPV6_LEN, KEY, PACKET, condition, function, still};
use super::flow::{FAMILY_IPV4, key, way};
use super::table::{HASH_KEYS, slot};
use crate::ebpf::{Assembler, Instruction, Label, Register, Size, alu, when};
use Register::{R0, R1, R2, R3, R4, R5, R6, R8, R10};

/// `TC_ACT_UNSPEC`: the next filter decides. `TC_ACT_SHOT`: dropped.
const GO_ON: i32 = -1;
const DROP: i32 = 2;
/// `BPF_F_RECOMPUTE_CSUM`: a checksum of the whole packet, taken by the device, follows.
const KEEP_CHECKSUM: i32 = 1;

/// Where the interface the frame goes out by is kept while its slot may change.
const INTERFACE: i16 = -160;

/// What both programs look into, and how.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Descriptor of the table of flows.
    pub(crate) table: i32,
    /// Descriptor of how many flows each protocol has.
    pub(crate) protocols: i32,
    /// What the table's hash is keyed by.
    pub(crate) hash: [u64; HASH_KEYS],
    /// What of a hash names a bucket.
    pub(crate) mask: u32,
}

impl Programs {
    /// The filter of an interface: forwards what meets the condition, lets the rest go on.
    pub(crate) fn traffic_filter(&self) -> Option<Vec<Instruction>> {
        let mut assembler = Assembler::default();
        let miss = assembler.label();
        condition(self, &mut assembler, miss);
        address(&mut assembler);
        still(&mut assembler, miss);
        forward(&mut assembler);
        assembler.place(miss);
        assembler.push(&[Instruction::set(R0, GO_ON), Instruction::exit()]);
        assembler.finish()
    }

    /// With the frame in R1: goes on at `forwarded` if the kernel forwards it, at what follows if not; then
    /// the frame is in R6.
    pub(crate) fn leave_out(&self, assembler: &mut Assembler, forwarded: Label) {
        let miss = assembler.label();
        condition(self, assembler, miss);
        still(assembler, miss);
        assembler.jump(forwarded);
        assembler.place(miss);
    }
}

/// Copies where the frame goes from its slot (R8) to the stack.
fn address(assembler: &mut Assembler) {
    for at in [0, 2, 4, 6, 8, 10] {
        assembler.push(&[
            Instruction::load(Size::Half, R1, R8, slot::WAY + way::ADDRESSES + at),
            Instruction::store(Size::Half, R10, FRAME + at, R1),
        ]);
    }
    assembler.push(&[
        Instruction::load(Size::Word, R1, R8, slot::WAY + way::INTERFACE),
        Instruction::store(Size::Word, R10, INTERFACE, R1),
    ]);
}

/// Sends the frame its way, and counts it in its slot (R8).
fn forward(assembler: &mut Assembler) {
    let (ipv4, send, fail) = (assembler.label(), assembler.label(), assembler.label());
    assembler.push(&[Instruction::load(Size::Byte, R1, R10, KEY + key::FAMILY)]);
    assembler.jump_if(when::EQUAL, R1, FAMILY_IPV4.into(), ipv4);
    decrement(assembler, 7);
    store_octets(assembler, 0, 12, 0, fail);
    store_octets(assembler, ETHERNET + 7, 1, KEEP_CHECKSUM, fail);
    length(assembler, 4);
    assembler.push(&[Instruction::alu(alu::ADD, R1, IPV6_LEN.into())]);
    assembler.jump(send);
    assembler.place(ipv4);
    decrement(assembler, 8);
    ipv4_checksum(assembler);
    // The sum over the header stays what it was, and the Ethernet header is in no checksum.
    store_octets(assembler, 0, ETHERNET + 12, 0, fail);
    length(assembler, 2);
    assembler.place(send);
    assembler.push(&[Instruction::add_to_memory(R8, slot::OCTETS, R1)]);
    count(assembler);
    assembler.push(&[
        Instruction::load(Size::Word, R1, R10, INTERFACE),
        Instruction::set(R2, 0),
        Instruction::call(function::REDIRECT),
        Instruction::exit(),
    ]);
    assembler.place(fail);
    assembler.push(&[Instruction::set(R0, DROP), Instruction::exit()]);
}

/// Counts the frame in its slot (R8): before the first with FIN, as such a one, or behind it.
fn count(assembler: &mut Assembler) {
    let (fin, data, done) = (assembler.label(), assembler.label(), assembler.label());
    assembler.push(&[Instruction::set(R1, 1), Instruction::load(Size::Word, R2, R10, FIN)]);
    assembler.jump_if(when::NOT_EQUAL, R2, 0, fin);
    assembler.push(&[Instruction::load(Size::Double, R2, R8, slot::FIN)]);
    assembler.jump_if_nothing(R2, data);
    assembler.push(&[Instruction::add_to_memory(R8, slot::LATE, R1)]);
    assembler.jump(done);
    assembler.place(fin);
    assembler.push(&[Instruction::add_to_memory(R8, slot::FIN, R1)]);
    assembler.jump(done);
    assembler.place(data);
    assembler.push(&[Instruction::add_to_memory(R8, slot::DATA, R1)]);
    assembler.place(done);
}

/// R1 = the length at `at` of the IP header.
fn length(assembler: &mut Assembler, at: i16) {
    assembler.push(&[
        Instruction::load(Size::Half, R1, R10, PACKET + at),
        Instruction::half_from_network_order(R1),
    ]);
}

fn decrement(assembler: &mut Assembler, at: i16) {
    assembler.push(&[
        Instruction::load(Size::Byte, R1, R10, PACKET + at),
        Instruction::alu(alu::SUBTRACT, R1, 1),
        Instruction::store(Size::Byte, R10, PACKET + at, R1),
    ]);
}

/// RFC 1141: one TTL less is 0x0100 more in the checksum, with the carry around the end.
fn ipv4_checksum(assembler: &mut Assembler) {
    let done = assembler.label();
    assembler.push(&[
        Instruction::load(Size::Half, R1, R10, PACKET + 10),
        Instruction::half_from_network_order(R1),
        Instruction::alu(alu::ADD, R1, 0x0100),
    ]);
    assembler.jump_if(when::BELOW, R1, 0xffff, done);
    assembler.push(&[Instruction::alu(alu::ADD, R1, 1)]);
    assembler.place(done);
    assembler.push(&[
        Instruction::half_from_network_order(R1),
        Instruction::store(Size::Half, R10, PACKET + 10, R1),
    ]);
}

/// Copies octets from their place on the stack to the frame.
fn store_octets(assembler: &mut Assembler, from: i32, count: i32, flags: i32, fail: Label) {
    assembler.push(&[
        Instruction::copy(R1, R6),
        Instruction::set(R2, from),
        Instruction::copy(R3, R10),
        Instruction::advance(R3, i32::from(FRAME) + from),
        Instruction::set(R4, count),
        Instruction::set(R5, flags),
        Instruction::call(function::STORE_OCTETS),
    ]);
    assembler.jump_if(when::NOT_EQUAL, R0, 0, fail);
}
