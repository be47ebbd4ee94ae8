//! Classic programs as eBPF: the part of classic BPF a classifier's programs are written in.
//!
//! As in the kernel's own translation, A is R0 and X is R7, R6 is the frame, and a load behind the
//! frame's end ends the program with 0: the instructions for reading a frame are the same in both
//! machines and bring that with them.

use super::{Assembler, Instruction, Label, Register, Size, alu, when};
use crate::bpf::{self, Program, code};
use Register::{R0, R6, R7, R8, R10};

const A: Register = R0;
const X: Register = R7;
const SPARE: Register = R8;
/// Memory cells lie behind what a prefix of the program may use of the stack.
const CELLS: i16 = -512;
const CELL_COUNT: u32 = 16;
/// Where `struct __sk_buff` tells whom the frame is for.
pub(crate) const PACKET_TYPE: i16 = 4;

/// An instruction of a classic program that is not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untranslatable(pub(crate) bpf::Instruction);

/// Adds `program`, with the frame in R6, to what `assembler` has. Where it answers with anything but 0 it
/// goes on at `accepted`, the answer in R0.
pub(crate) fn translate(
    program: &Program,
    assembler: &mut Assembler,
    accepted: Label,
) -> Result<(), Untranslatable> {
    let classic = program.instructions();
    let labels: Vec<_> = classic.iter().map(|_| assembler.label()).collect();
    assembler.push(&[Instruction::set(A, 0), Instruction::set(X, 0)]);
    // The verifier insists that what is read was written.
    for one in
        classic.iter().filter(|one| matches!(one.code, code::LOAD_MEMORY | code::LOAD_X_MEMORY))
    {
        let cell = cell(one.operand).ok_or(Untranslatable(*one))?;
        assembler.push(&[Instruction::store_constant(Size::Word, R10, cell, 0)]);
    }
    let reached = reached(classic);
    for (at, ((one, label), reached)) in classic.iter().zip(&labels).zip(reached).enumerate() {
        if !reached {
            continue;
        }
        assembler.place(*label);
        let target = |skip: u32| {
            let to = at + 1 + usize::try_from(skip).ok()?;
            labels.get(to).copied()
        };
        match one.code {
            code::JUMP => assembler.jump(target(one.operand).ok_or(Untranslatable(*one))?),
            code::JUMP_EQUAL | code::JUMP_AT_LEAST | code::JUMP_ANY_BIT => {
                let hit = target(one.jump_true.into()).ok_or(Untranslatable(*one))?;
                let miss = target(one.jump_false.into()).ok_or(Untranslatable(*one))?;
                branch(assembler, one, hit, miss);
            }
            code::RETURN | code::RETURN_A => answer(assembler, one, accepted),
            _ => assembler.push(&straight(one).ok_or(Untranslatable(*one))?),
        }
    }
    Ok(())
}

/// The end of the program.
fn answer(assembler: &mut Assembler, one: &bpf::Instruction, accepted: Label) {
    if one.code == code::RETURN {
        assembler.push(&[Instruction::set(R0, one.operand.cast_signed())]);
    }
    match (one.code, one.operand) {
        (code::RETURN, 0) => {}
        (code::RETURN, _) => return assembler.jump(accepted),
        _ => assembler.jump_if(when::NOT_EQUAL, R0, 0, accepted),
    }
    assembler.push(&[Instruction::exit()]);
}

/// Which instructions something leads to; the verifier refuses a program with others.
fn reached(classic: &[bpf::Instruction]) -> Vec<bool> {
    let mut reached = vec![false; classic.len()];
    let mark = |reached: &mut Vec<bool>, at: usize, skip: u32| {
        let target = usize::try_from(skip).ok().and_then(|skip| at.checked_add(skip));
        if let Some(one) = target.and_then(|target| reached.get_mut(target)) {
            *one = true;
        }
    };
    mark(&mut reached, 0, 0);
    for (at, one) in classic.iter().enumerate() {
        if reached.get(at) != Some(&true) {
            continue;
        }
        match one.code {
            code::RETURN | code::RETURN_A => {}
            code::JUMP => mark(&mut reached, at + 1, one.operand),
            code::JUMP_EQUAL | code::JUMP_AT_LEAST | code::JUMP_ANY_BIT => {
                mark(&mut reached, at + 1, one.jump_true.into());
                mark(&mut reached, at + 1, one.jump_false.into());
            }
            _ => mark(&mut reached, at + 1, 0),
        }
    }
    reached
}

/// A conditional jump has one target in eBPF: the other has to be what follows.
fn branch(assembler: &mut Assembler, one: &bpf::Instruction, hit: Label, miss: Label) {
    let right = one.operand.cast_signed();
    let (condition, opposite) = match one.code {
        code::JUMP_EQUAL => (when::EQUAL, Some(when::NOT_EQUAL)),
        code::JUMP_AT_LEAST => (when::AT_LEAST, Some(when::BELOW)),
        _ => (when::ANY_BIT, None),
    };
    match opposite {
        Some(opposite) if one.jump_true == 0 => assembler.jump_if(opposite, A, right, miss),
        _ => {
            assembler.jump_if(condition, A, right, hit);
            if one.jump_false != 0 {
                assembler.jump(miss);
            }
        }
    }
}

/// What stands for an instruction that does not jump.
fn straight(one: &bpf::Instruction) -> Option<Vec<Instruction>> {
    let k = one.operand.cast_signed();
    Some(match one.code {
        code::LOAD_WORD | code::LOAD_HALF | code::LOAD_BYTE => vec![load(one)?],
        code::LOAD_WORD_INDEXED | code::LOAD_HALF_INDEXED | code::LOAD_BYTE_INDEXED => {
            vec![Instruction::new(u8::try_from(one.code).ok()?, R0, X, 0, k)]
        }
        code::LOAD_X_HEADER_LENGTH => vec![
            Instruction::copy(SPARE, A),
            Instruction::new(u8::try_from(code::LOAD_BYTE).ok()?, R0, R0, 0, k),
            Instruction::alu(alu::AND, A, 0xf),
            Instruction::alu(alu::SHIFT_LEFT, A, 2),
            Instruction::copy(X, A),
            Instruction::copy(A, SPARE),
        ],
        code::LOAD_CONSTANT => vec![Instruction::set(A, k)],
        code::LOAD_X_CONSTANT => vec![Instruction::set(X, k)],
        code::LOAD_MEMORY => vec![Instruction::load(Size::Word, A, R10, cell(one.operand)?)],
        code::LOAD_X_MEMORY => vec![Instruction::load(Size::Word, X, R10, cell(one.operand)?)],
        code::STORE => vec![Instruction::store(Size::Word, R10, cell(one.operand)?, A)],
        // Numbered alike in both machines.
        code::ADD | code::MULTIPLY | code::AND | code::SHIFT_LEFT | code::SHIFT_RIGHT => {
            vec![Instruction::new(u8::try_from(one.code).ok()?, A, R0, 0, k)]
        }
        code::ADD_X | code::XOR_X => {
            vec![Instruction::new(u8::try_from(one.code).ok()?, A, X, 0, 0)]
        }
        code::TO_X => vec![Instruction::copy(X, A)],
        code::FROM_X => vec![Instruction::copy(A, X)],
        _ => return None,
    })
}

/// Octets of the frame, or what the kernel knows about it.
fn load(one: &bpf::Instruction) -> Option<Instruction> {
    match one.operand {
        bpf::ANCILLARY_PACKET_TYPE => Some(Instruction::load(Size::Word, A, R6, PACKET_TYPE)),
        bpf::ANCILLARY_PROTOCOL.. => None,
        offset => {
            Some(Instruction::new(u8::try_from(one.code).ok()?, R0, R0, 0, offset.cast_signed()))
        }
    }
}

fn cell(number: u32) -> Option<i16> {
    Some(CELLS + 4 * i16::try_from(Some(number).filter(|number| *number < CELL_COUNT)?).ok()?)
}

/// Runs a program as it is and translated, and insists on one answer.
#[cfg(test)]
pub(crate) fn in_both_machines(
    program: &Program,
    input: &crate::classifier::interpret::Input<'_>,
) -> u32 {
    use crate::classifier::interpret::run;
    use crate::ebpf::interpret;

    let expected = run(program.instructions(), input);
    let mut assembler = Assembler::default();
    let accepted = assembler.label();
    assembler.push(&[Instruction::copy(R6, Register::R1)]);
    translate(program, &mut assembler, accepted).expect("known instructions");
    assembler.place(accepted);
    assembler.push(&[Instruction::exit()]);
    let translated = assembler.finish().expect("short jumps");
    let octets = input.octets.to_vec();
    let frame = interpret::Input { octets, packet_type: input.packet_type, ..Default::default() };
    assert_eq!(interpret::run(&translated, &frame).answer, expected, "{program:?}");
    expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classifier::interpret::Input;

    /// Numbers without a pattern, the same in every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u32::try_from((self.0 >> 33) % u64::from(limit)).expect("small")
        }
    }

    const STRAIGHT: [u16; 20] = [
        code::LOAD_WORD,
        code::LOAD_HALF,
        code::LOAD_BYTE,
        code::LOAD_WORD_INDEXED,
        code::LOAD_HALF_INDEXED,
        code::LOAD_BYTE_INDEXED,
        code::LOAD_CONSTANT,
        code::LOAD_X_CONSTANT,
        code::LOAD_X_HEADER_LENGTH,
        code::LOAD_MEMORY,
        code::LOAD_X_MEMORY,
        code::STORE,
        code::ADD,
        code::ADD_X,
        code::MULTIPLY,
        code::AND,
        code::SHIFT_LEFT,
        code::SHIFT_RIGHT,
        code::XOR_X,
        code::TO_X,
    ];

    /// Any instruction that may stand `left` instructions before the last one.
    fn instruction(numbers: &mut Numbers, left: u32) -> bpf::Instruction {
        let jumps = [code::JUMP_EQUAL, code::JUMP_AT_LEAST, code::JUMP_ANY_BIT];
        let mut skip = || u8::try_from(numbers.below(left.min(4))).expect("small");
        let (jump_true, jump_false) = (skip(), skip());
        match numbers.below(10) {
            0 => bpf::Instruction::new(code::JUMP, jump_true.into()),
            1..=2 => {
                let code = jumps[numbers.below(3) as usize];
                let operand = numbers.below(6);
                bpf::Instruction { code, jump_true, jump_false, operand }
            }
            3 if numbers.below(4) == 0 => bpf::Instruction::new(code::RETURN, numbers.below(9)),
            4 => bpf::Instruction::new(code::FROM_X, 0),
            5 => bpf::Instruction::new(code::LOAD_WORD, bpf::ANCILLARY_PACKET_TYPE),
            _ => {
                let code = STRAIGHT[numbers.below(20) as usize];
                bpf::Instruction::new(code, numbers.below(14))
            }
        }
    }

    #[test]
    fn any_program_answers_as_its_translation() {
        let mut numbers = Numbers(11);
        let mut answered = [0; 2];
        for _ in 0..20_000 {
            let length = 1 + numbers.below(24);
            let mut program: Vec<_> =
                (1..=length).rev().map(|left| instruction(&mut numbers, left)).collect();
            program.push(bpf::Instruction::new(code::RETURN_A, 0));
            let octets: Vec<u8> =
                (0..24).map(|_| u8::try_from(numbers.below(8)).expect("small")).collect();
            let input = Input { octets: &octets, packet_type: numbers.below(5) };
            let answer = in_both_machines(&Program::from_instructions(program), &input);
            answered[usize::from(answer != 0)] += 1;
        }
        assert!(answered.iter().all(|count| *count > 2000), "{answered:?}");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let unknown = bpf::Instruction::new(0x80, 0);
        let program =
            Program::from_instructions(vec![unknown, bpf::Instruction::new(code::RETURN, 0)]);
        let refused = |program| {
            let mut assembler = Assembler::default();
            let accepted = assembler.label();
            translate(program, &mut assembler, accepted)
        };
        assert_eq!(refused(&program), Err(Untranslatable(unknown)));
        let cell = bpf::Instruction::new(code::STORE, 16);
        let program =
            Program::from_instructions(vec![cell, bpf::Instruction::new(code::RETURN, 0)]);
        assert_eq!(refused(&program), Err(Untranslatable(cell)));
    }
}
