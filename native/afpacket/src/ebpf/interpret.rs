//! A machine for eBPF, to run programs in tests without the kernel. It knows what the programs of
//! this crate use, and panics where the kernel's verifier would have refused.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Instruction, alu, code, when};
use crate::fast_path::function;

const STACK: u64 = 0x1000_0000;
const STACK_LEN: usize = 512;
const CONTEXT: u64 = 0x2000_0000;
/// Elements of the array map are that far apart, so that none is reached from another.
const VALUES: u64 = 0x3000_0000;
const VALUE_APART: u64 = 0x1000;
const MAP: u64 = 0x4000_0000;
const PROTOCOLS: u64 = 0x5000_0000;
const ADMISSION: u64 = 0x6000_0000;
/// Descriptor of the memory at [`ADMISSION`]; any other is that of the protocols.
pub(crate) const ADMISSION_DESCRIPTOR: i32 = 5;
/// `TC_ACT_REDIRECT`
const REDIRECTED: u64 = 7;

/// A frame as a program sees it, the array map it looks into, and the value it has an address of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Input<'m> {
    pub(crate) octets: Vec<u8>,
    pub(crate) packet_type: u32,
    pub(crate) vlan: bool,
    pub(crate) segment_size: u32,
    pub(crate) map: &'m [AtomicU64],
    /// Words of an element of the map.
    pub(crate) element: usize,
    pub(crate) protocols: [u64; 2],
    pub(crate) admission: &'m [AtomicU64],
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answer: u32,
    pub(crate) octets: Vec<u8>,
    /// The interface it was sent to.
    pub(crate) redirected: Option<u64>,
}

pub(crate) fn run(program: &[Instruction], input: &Input<'_>) -> Outcome {
    run_and_change(program, input, usize::MAX, || {}).0
}

/// As [`run`], with `change` to what the program looks into before its instruction number `step`, as
/// they are carried out; and how many those were.
pub(crate) fn run_and_change(
    program: &[Instruction],
    input: &Input<'_>,
    step: usize,
    change: impl FnOnce(),
) -> (Outcome, usize) {
    let mut machine = Machine {
        registers: [None; 11],
        stack: [None; STACK_LEN],
        redirected: None,
        input: input.clone(),
    };
    machine.registers[1] = Some(CONTEXT);
    machine.registers[10] = Some(STACK + STACK_LEN as u64);
    // A load behind the frame's end ends the program with 0.
    let mut change = Some(change);
    let mut steps = 0;
    let answer = machine.run(program, || {
        if steps == step
            && let Some(change) = change.take()
        {
            change();
        }
        steps += 1;
    });
    let answer = answer.unwrap_or(0);
    let Machine { input, redirected, .. } = machine;
    (Outcome { answer, octets: input.octets, redirected }, steps)
}

struct Machine<'m> {
    registers: [Option<u64>; 11],
    stack: [Option<u8>; STACK_LEN],
    redirected: Option<u64>,
    input: Input<'m>,
}

impl Machine<'_> {
    fn run(&mut self, program: &[Instruction], mut before_each: impl FnMut()) -> Option<u32> {
        let mut at = 0;
        loop {
            before_each();
            let one = program[at];
            at += 1;
            match one.code {
                code::EXIT => return Some(low(self.get(0))),
                code::CALL => self.call(one.constant),
                code::JUMP => at += usize::try_from(one.offset).expect("forward"),
                code::LOAD_DOUBLE_CONSTANT => {
                    self.registers[to(one)] = Some(match from(one) {
                        0 => {
                            let (low, high) = (one.constant, program[at].constant);
                            u64::from(high.cast_unsigned()) << 32 | u64::from(low.cast_unsigned())
                        }
                        1 => MAP,
                        2 if one.constant == ADMISSION_DESCRIPTOR => ADMISSION,
                        2 => PROTOCOLS,
                        other => panic!("address {other} is not known to the test machine"),
                    });
                    at += 1;
                }
                _ if matches!(one.code & 7, code::JUMP_WORD | code::JUMP_DOUBLE) => {
                    if self.holds(one) {
                        at += usize::try_from(one.offset).expect("forward");
                    }
                }
                _ => self.step(one)?,
            }
        }
    }

    fn step(&mut self, one: Instruction) -> Option<()> {
        match one.code & 7 {
            // LD: octets of the frame, absolute or from a register on.
            0 => {
                let base = if one.code & 0xe0 == 0x40 { low(self.get(from(one))) } else { 0 };
                let start = base.wrapping_add(one.constant.cast_unsigned()) as usize;
                let octets = self.input.octets.get(start..start.checked_add(length(one.code))?)?;
                let value = octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
                // What a call may change is lost.
                self.registers[1..=5].fill(None);
                self.registers[0] = Some(value);
            }
            1 => self.registers[to(one)] = Some(self.load(self.address(from(one), one), one.code)),
            2 => self.store(one, i64::from(one.constant).cast_unsigned()),
            3 if one.code == code::ADD_TO_MEMORY => self.add_to_value(one),
            3 => self.store(one, self.get(from(one))),
            4 if one.code == code::FROM_NETWORK_ORDER => {
                assert_eq!(one.constant, 16);
                let half = u16::try_from(self.get(to(one)) & 0xffff).expect("half");
                self.registers[to(one)] = Some(u16::from_be(half).into());
            }
            class => {
                let register = one.code & code::REGISTER != 0;
                let right = if register {
                    self.get(from(one))
                } else {
                    i64::from(one.constant).cast_unsigned()
                };
                let is_move = one.code & 0xf0 == alu::MOVE;
                let left = if is_move { 0 } else { self.get(to(one)) };
                let wide = class == code::ALU_DOUBLE;
                let (left, right) =
                    if wide { (left, right) } else { (low(left).into(), low(right).into()) };
                let value = compute(one.code & 0xf0, left, right);
                self.registers[to(one)] = Some(if wide { value } else { low(value).into() });
            }
        }
        Some(())
    }

    fn holds(&self, one: Instruction) -> bool {
        let register = one.code & code::REGISTER != 0;
        let constant = i64::from(one.constant).cast_unsigned();
        let right = if register { self.get(from(one)) } else { constant };
        let (mut left, mut right) = (self.get(to(one)), right);
        if one.code & 7 == code::JUMP_WORD {
            (left, right) = (low(left).into(), low(right).into());
        }
        match one.code & 0xf0 {
            when::EQUAL => left == right,
            when::NOT_EQUAL => left != right,
            when::ABOVE => left > right,
            when::AT_LEAST => left >= right,
            when::BELOW => left < right,
            when::AT_MOST => left <= right,
            when::ANY_BIT => left & right != 0,
            other => panic!("condition {other:#x} is not known to the test machine"),
        }
    }

    fn call(&mut self, number: i32) {
        let arguments = [1, 2, 3, 4, 5].map(|register| self.registers[register]);
        let argument = |number: usize| arguments[number - 1].expect("an argument");
        let at = |number: usize| usize::try_from(argument(number)).expect("offset");
        let answer = match number {
            function::MAP_LOOKUP => {
                assert_eq!(argument(1), MAP);
                let index = self.load(argument(2), 0);
                let elements = self.input.map.len() / self.input.element;
                if index < elements as u64 { VALUES + index * VALUE_APART } else { 0 }
            }
            function::LOAD_OCTETS => match self.input.octets.get(at(2)..at(2) + at(4)) {
                Some(octets) => {
                    let octets = octets.to_vec();
                    for (to, octet) in (argument(3)..).zip(octets) {
                        self.stack[stack_index(to)] = Some(octet);
                    }
                    0
                }
                None => u64::MAX,
            },
            function::STORE_OCTETS => {
                assert!(matches!(argument(5), 0 | 1));
                let octets: Vec<u8> =
                    (argument(3)..).take(at(4)).map(|at| self.stacked(at)).collect();
                self.input.octets[at(2)..at(2) + at(4)].copy_from_slice(&octets);
                0
            }
            function::REDIRECT => {
                assert_eq!(argument(2), 0);
                self.redirected = Some(argument(1));
                REDIRECTED
            }
            other => panic!("function {other} is not known to the test machine"),
        };
        self.registers[1..=5].fill(None);
        self.registers[0] = Some(answer);
    }

    fn get(&self, register: usize) -> u64 {
        self.registers[register].expect("a register that was written")
    }

    fn address(&self, register: usize, one: Instruction) -> u64 {
        self.get(register).wrapping_add_signed(one.offset.into())
    }

    fn stacked(&self, address: u64) -> u8 {
        self.stack[stack_index(address)].expect("an octet that was written")
    }

    fn load(&self, address: u64, code: u8) -> u64 {
        let octets: Vec<u8> = match address {
            CONTEXT..VALUES => {
                assert_eq!(length(code), 4, "fields of the frame are words");
                self.field(address - CONTEXT).to_ne_bytes().to_vec()
            }
            VALUES..MAP => {
                let octets = self.word(address).load(Ordering::Relaxed).to_ne_bytes();
                within(&octets, address, code)
            }
            ADMISSION.. => {
                let word = usize::try_from((address - ADMISSION) / 8).expect("offset");
                let octets = self.input.admission[word].load(Ordering::Relaxed).to_ne_bytes();
                within(&octets, address, code)
            }
            PROTOCOLS..ADMISSION => {
                let word = usize::try_from((address - PROTOCOLS) / 8).expect("offset");
                within(&self.input.protocols[word].to_ne_bytes(), address, code)
            }
            _ => {
                assert_eq!(address % length(code) as u64, 0, "the stack is read aligned");
                (address..).take(length(code)).map(|at| self.stacked(at)).collect()
            }
        };
        let mut whole = [0; 8];
        whole[..octets.len()].copy_from_slice(&octets);
        // The test machine has the low octet first, as the machines the tests run on.
        u64::from_le_bytes(whole)
    }

    fn field(&self, offset: u64) -> u32 {
        match offset {
            0 => u32::try_from(self.input.octets.len()).expect("length"),
            4 => self.input.packet_type,
            16 => match *self.input.octets.get(12..14).expect("an Ethernet header") {
                [a, b] => u16::from_ne_bytes([a, b]).into(),
                _ => unreachable!("two octets"),
            },
            20 => self.input.vlan.into(),
            176 => self.input.segment_size,
            other => panic!("field {other} is not known to the test machine"),
        }
    }

    /// The word of the map that has `address` in it.
    fn word(&self, address: u64) -> &AtomicU64 {
        let (index, at) = ((address - VALUES) / VALUE_APART, (address - VALUES) % VALUE_APART / 8);
        assert!(at < self.input.element as u64, "an element ends before");
        let at = index * self.input.element as u64 + at;
        &self.input.map[usize::try_from(at).expect("offset")]
    }

    fn add_to_value(&self, one: Instruction) {
        let address = self.address(to(one), one);
        assert_eq!(address % 8, 0, "a word is written aligned");
        if one.constant == 0 {
            let word = match address {
                ADMISSION.. => {
                    let word = usize::try_from((address - ADMISSION) / 8).expect("offset");
                    &self.input.admission[word]
                }
                _ => self.word(address),
            };
            word.fetch_add(self.get(from(one)), Ordering::Relaxed);
        }
    }

    fn store(&mut self, one: Instruction, value: u64) {
        let address = self.address(to(one), one);
        assert_eq!(address % length(one.code) as u64, 0, "the stack is written aligned");
        for (at, octet) in (address..).zip(value.to_le_bytes()).take(length(one.code)) {
            self.stack[stack_index(at)] = Some(octet);
        }
    }
}

/// The octets of a load from a word's memory.
fn within(word: &[u8; 8], address: u64, code: u8) -> Vec<u8> {
    let at = usize::try_from(address % 8).expect("offset");
    assert_eq!(at % length(code), 0, "memory is read aligned");
    word[at..at + length(code)].to_vec()
}

fn compute(operation: u8, left: u64, right: u64) -> u64 {
    match operation {
        alu::ADD => left.wrapping_add(right),
        alu::SUBTRACT => left.wrapping_sub(right),
        alu::MULTIPLY => left.wrapping_mul(right),
        alu::OR => left | right,
        alu::AND => left & right,
        alu::SHIFT_LEFT => left << right,
        alu::SHIFT_RIGHT => left >> right,
        0xa0 => left ^ right,
        alu::MOVE => right,
        other => panic!("operation {other:#x} is not known to the test machine"),
    }
}

fn low(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).expect("32 bits")
}

fn length(code: u8) -> usize {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn stack_index(address: u64) -> usize {
    usize::try_from(address.checked_sub(STACK).expect("on the stack")).expect("offset")
}

fn to(one: Instruction) -> usize {
    usize::from(one.registers & 0xf)
}

fn from(one: Instruction) -> usize {
    usize::from(one.registers >> 4)
}
