//! Classic BPF: instructions and an assembler that writes programs from their end.
//!
//! Jumps of classic BPF go forward only and conditional ones reach 255 instructions. Written from
//! the end, every target exists when a jump to it is written: its distance is known at once, and a
//! far one gets an unconditional jump in between.

use std::collections::HashMap;

/// Instructions the kernel takes in one program (`BPF_MAXINSNS`).
pub const PROGRAM_LEN_MAX: usize = 4096;

/// Offset that addresses what the kernel knows about a frame (`SKF_AD_OFF`).
const ANCILLARY: u32 = 0xffff_f000;
/// Offset that addresses from the network header on (`SKF_NET_OFF`).
pub const FROM_NETWORK: u32 = 0xfff0_0000;
/// The Ethernet type, VLAN tags set aside (`SKF_AD_PROTOCOL`).
pub const ANCILLARY_PROTOCOL: u32 = ANCILLARY;
/// Whom the frame is for (`SKF_AD_PKTTYPE`).
pub const ANCILLARY_PACKET_TYPE: u32 = ANCILLARY + 4;

/// One instruction, in the layout of `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip when the condition holds.
    pub jump_true: u8,
    /// Instructions to skip when it does not.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

const _: () = assert!(
    size_of::<Instruction>() == size_of::<libc::sock_filter>()
        && align_of::<Instruction>() == align_of::<libc::sock_filter>()
);

impl Instruction {
    /// An instruction without jumps.
    #[must_use]
    pub const fn new(code: u16, operand: u32) -> Self {
        Self { code, jump_true: 0, jump_false: 0, operand }
    }
}

/// A complete program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// A program of the given instructions; the kernel checks them when it takes the program.
    #[must_use]
    pub const fn from_instructions(instructions: Vec<Instruction>) -> Self {
        Self { instructions }
    }

    /// A program with one answer for every frame.
    #[must_use]
    pub fn constant(answer: u32) -> Self {
        Self { instructions: vec![Instruction::new(code::RETURN, answer)] }
    }

    /// The instructions in order.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether the kernel takes a program this long.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.instructions.len() <= PROGRAM_LEN_MAX
    }
}

/// Operation codes (`linux/bpf_common.h`), as they are used here.
pub mod code {
    /// A = 32 bits at k.
    pub const LOAD_WORD: u16 = 0x20;
    /// A = 16 bits at k.
    pub const LOAD_HALF: u16 = 0x28;
    /// A = 8 bits at k.
    pub const LOAD_BYTE: u16 = 0x30;
    /// A = 32 bits at X + k.
    pub const LOAD_WORD_INDEXED: u16 = 0x40;
    /// A = 16 bits at X + k.
    pub const LOAD_HALF_INDEXED: u16 = 0x48;
    /// A = 8 bits at X + k.
    pub const LOAD_BYTE_INDEXED: u16 = 0x50;
    /// A = k.
    pub const LOAD_CONSTANT: u16 = 0x00;
    /// X = k.
    pub const LOAD_X_CONSTANT: u16 = 0x01;
    /// X = 4 * (low 4 bits of the octet at k): length of an IPv4 header.
    pub const LOAD_X_HEADER_LENGTH: u16 = 0xb1;
    /// A = memory cell k.
    pub const LOAD_MEMORY: u16 = 0x60;
    /// X = memory cell k.
    pub const LOAD_X_MEMORY: u16 = 0x61;
    /// Memory cell k = A.
    pub const STORE: u16 = 0x02;
    /// A += k.
    pub const ADD: u16 = 0x04;
    /// A += X.
    pub const ADD_X: u16 = 0x0c;
    /// A *= k.
    pub const MULTIPLY: u16 = 0x24;
    /// A &= k.
    pub const AND: u16 = 0x54;
    /// A <<= k.
    pub const SHIFT_LEFT: u16 = 0x64;
    /// A >>= k.
    pub const SHIFT_RIGHT: u16 = 0x74;
    /// A ^= X.
    pub const XOR_X: u16 = 0xac;
    /// X = A.
    pub const TO_X: u16 = 0x07;
    /// A = X.
    pub const FROM_X: u16 = 0x87;
    /// Skip k instructions.
    pub const JUMP: u16 = 0x05;
    /// Condition A == k.
    pub const JUMP_EQUAL: u16 = 0x15;
    /// Condition A >= k.
    pub const JUMP_AT_LEAST: u16 = 0x35;
    /// Condition A & k != 0.
    pub const JUMP_ANY_BIT: u16 = 0x45;
    /// Answer k.
    pub const RETURN: u16 = 0x06;
    /// Answer A.
    pub const RETURN_A: u16 = 0x16;
}

/// A place in a program under assembly: the number of instructions behind it, itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(usize);

/// Writes a program from its end. Every method puts instructions in front of what is there and
/// returns where they begin.
#[derive(Debug, Default)]
pub struct Assembler {
    reversed: Vec<Instruction>,
    /// The last stepping stone to a label that is out of reach.
    stones: HashMap<Label, Label>,
}

impl Assembler {
    /// An empty program.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Instructions written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reversed.len()
    }

    /// Whether nothing is written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reversed.is_empty()
    }

    /// The finished program, which begins at `start`.
    #[must_use]
    pub fn finish(mut self, start: Label) -> Program {
        self.lead_to(start);
        self.reversed.reverse();
        Program { instructions: self.reversed }
    }

    /// The program ends with `answer`.
    pub fn answer(&mut self, answer: u32) -> Label {
        self.push(Instruction::new(code::RETURN, answer))
    }

    /// The program ends with A for an answer.
    pub fn answer_accumulator(&mut self) -> Label {
        self.push(Instruction::new(code::RETURN_A, 0))
    }

    /// `instructions` in their order, then on to `next`.
    pub fn then(&mut self, instructions: &[Instruction], next: Label) -> Label {
        self.lead_to(next);
        for instruction in instructions.iter().rev() {
            self.push(*instruction);
        }
        Label(self.reversed.len())
    }

    /// A conditional jump on A.
    pub fn branch(&mut self, code: u16, operand: u32, hit: Label, miss: Label) -> Label {
        if hit == miss {
            return hit;
        }
        // Each may add an instruction, which moves the other one away: leave room for that.
        let miss = self.within_reach(miss);
        let hit = self.within_reach(hit);
        let (jump_true, jump_false) = (self.distance(hit), self.distance(miss));
        self.push(Instruction { code, jump_true, jump_false, operand })
    }

    /// A switch on A: the label of the equal key, `otherwise` without one.
    pub fn switch(&mut self, keys: &[(u32, Label)], otherwise: Label) -> Label {
        keys.iter()
            .rev()
            .fold(otherwise, |next, &(key, label)| self.branch(code::JUMP_EQUAL, key, label, next))
    }

    /// A binary search on A. `starts` are the intervals in order, each from its number to the next
    /// one's; the first begins at 0.
    pub fn search(&mut self, starts: &[(u32, Label)]) -> Option<Label> {
        match starts {
            [] => None,
            [(_, only)] => Some(*only),
            _ => {
                let (lower, upper) = starts.split_at(starts.len() / 2);
                let pivot = upper.first()?.0;
                let upper = self.search(upper)?;
                let lower = self.search(lower)?;
                Some(self.branch(code::JUMP_AT_LEAST, pivot, upper, lower))
            }
        }
    }

    /// `label`, or a stepping stone to it, so that the next conditional jump reaches it.
    fn within_reach(&mut self, label: Label) -> Label {
        // One less than the 255 of the field, for the stone the other target may get.
        let near = |candidate: &Label| self.reversed.len() - candidate.0 <= 254;
        if near(&label) {
            return label;
        }
        if let Some(stone) = self.stones.get(&label).copied().filter(near) {
            return stone;
        }
        // Nothing falls into a stone: conditional jumps name both targets, `then` jumps over it.
        let stone = match self.at(label) {
            Some(target) if target.code == code::RETURN => self.push(target),
            _ => self.jump(label),
        };
        self.stones.insert(label, stone);
        stone
    }

    fn at(&self, label: Label) -> Option<Instruction> {
        self.reversed.get(label.0.checked_sub(1)?).copied()
    }

    fn lead_to(&mut self, label: Label) {
        if label.0 != self.reversed.len() {
            self.jump(label);
        }
    }

    fn jump(&mut self, label: Label) -> Label {
        let distance = u32::try_from(self.reversed.len() - label.0).unwrap_or(u32::MAX);
        self.push(Instruction::new(code::JUMP, distance))
    }

    fn distance(&self, label: Label) -> u8 {
        u8::try_from(self.reversed.len() - label.0).unwrap_or(u8::MAX)
    }

    fn push(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len())
    }
}
