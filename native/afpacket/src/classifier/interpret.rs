//! A machine for classic BPF, to run programs in tests without the kernel.

use crate::bpf::{ANCILLARY_PACKET_TYPE, ANCILLARY_PROTOCOL, FROM_NETWORK, Instruction, code};

/// A frame as a program sees it.
pub(crate) struct Input<'f> {
    pub(crate) octets: &'f [u8],
    pub(crate) packet_type: u32,
}

/// The answer of a program; 0 when it reads behind the frame's end, as in the kernel.
pub(crate) fn run(program: &[Instruction], input: &Input<'_>) -> u32 {
    run_counting(program, input).0
}

/// As [`run`], with how many instructions that took.
pub(crate) fn run_counting(program: &[Instruction], input: &Input<'_>) -> (u32, usize) {
    let mut machine = Machine { a: 0, x: 0, memory: [0; 16], steps: 0, input };
    let answer = machine.run(program).unwrap_or(0);
    (answer, machine.steps)
}

struct Machine<'i, 'f> {
    a: u32,
    x: u32,
    memory: [u32; 16],
    steps: usize,
    input: &'i Input<'f>,
}

impl Machine<'_, '_> {
    fn run(&mut self, program: &[Instruction]) -> Option<u32> {
        let mut at = 0;
        loop {
            let one = program.get(at).expect("a program ends by an answer");
            at += 1;
            self.steps += 1;
            let condition = match one.code {
                code::RETURN => return Some(one.operand),
                code::RETURN_A => return Some(self.a),
                code::JUMP => {
                    at += one.operand as usize;
                    continue;
                }
                code::JUMP_EQUAL => self.a == one.operand,
                code::JUMP_AT_LEAST => self.a >= one.operand,
                code::JUMP_ANY_BIT => self.a & one.operand != 0,
                _ => {
                    self.step(one)?;
                    continue;
                }
            };
            at += usize::from(if condition { one.jump_true } else { one.jump_false });
        }
    }

    fn step(&mut self, one: &Instruction) -> Option<()> {
        let k = one.operand;
        match one.code {
            code::LOAD_WORD => self.a = self.load(k, 4)?,
            code::LOAD_HALF => self.a = self.load(k, 2)?,
            code::LOAD_BYTE => self.a = self.load(k, 1)?,
            code::LOAD_WORD_INDEXED => self.a = self.load(self.x.wrapping_add(k), 4)?,
            code::LOAD_HALF_INDEXED => self.a = self.load(self.x.wrapping_add(k), 2)?,
            code::LOAD_BYTE_INDEXED => self.a = self.load(self.x.wrapping_add(k), 1)?,
            code::LOAD_CONSTANT => self.a = k,
            code::LOAD_X_CONSTANT => self.x = k,
            code::LOAD_X_HEADER_LENGTH => self.x = 4 * (self.load(k, 1)? & 0xf),
            code::LOAD_MEMORY => self.a = *self.memory.get(k as usize)?,
            code::LOAD_X_MEMORY => self.x = *self.memory.get(k as usize)?,
            code::STORE => *self.memory.get_mut(k as usize)? = self.a,
            code::ADD => self.a = self.a.wrapping_add(k),
            code::ADD_X => self.a = self.a.wrapping_add(self.x),
            code::MULTIPLY => self.a = self.a.wrapping_mul(k),
            code::AND => self.a &= k,
            code::SHIFT_LEFT => self.a <<= k,
            code::SHIFT_RIGHT => self.a >>= k,
            code::XOR_X => self.a ^= self.x,
            code::TO_X => self.x = self.a,
            code::FROM_X => self.a = self.x,
            other => panic!("instruction {other:#x} is not known to the test machine"),
        }
        Some(())
    }

    fn load(&self, offset: u32, length: usize) -> Option<u32> {
        if offset == ANCILLARY_PACKET_TYPE {
            return Some(self.input.packet_type);
        }
        let start = match offset {
            ANCILLARY_PROTOCOL => 12,
            FROM_NETWORK.. => (offset - FROM_NETWORK + 14) as usize,
            _ => offset as usize,
        };
        let octets = self.input.octets.get(start..start.checked_add(length)?)?;
        Some(octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet)))
    }
}
