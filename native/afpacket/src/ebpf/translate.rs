//! Classic programs as eBPF: the part of classic BPF a classifier's programs are written in.
//!
//! As in the kernel's own translation, A is R0 and X is R7, R6 is the frame, and a load behind the
//! frame's end ends the program with 0: the instructions for reading a frame are the same in both
//! machines and bring that with them.

use std::collections::BTreeSet;

use super::{Assembler, Instruction, Register, Size, alu, when};
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

/// Adds `program`, with the frame in R6, to what `assembler` has.
pub(crate) fn translate(
    program: &Program,
    assembler: &mut Assembler,
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
    for (at, one) in classic.iter().enumerate().filter(|(at, _)| reached.contains(at)) {
        if let Some(label) = labels.get(at) {
            assembler.place(*label);
        }
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
            _ => assembler.push(&straight(one).ok_or(Untranslatable(*one))?),
        }
    }
    Ok(())
}

/// The places of instructions something leads to; the verifier refuses a program with others.
fn reached(classic: &[bpf::Instruction]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([0]);
    for (at, one) in classic.iter().enumerate() {
        if !reached.contains(&at) {
            continue;
        }
        let skips: &[u32] = match one.code {
            code::RETURN | code::RETURN_A => &[],
            code::JUMP => &[one.operand],
            code::JUMP_EQUAL | code::JUMP_AT_LEAST | code::JUMP_ANY_BIT => {
                &[one.jump_true.into(), one.jump_false.into()]
            }
            _ => &[0],
        };
        let targets =
            skips.iter().filter_map(|skip| (at + 1).checked_add(usize::try_from(*skip).ok()?));
        reached.extend(targets);
    }
    reached
}

/// A conditional jump has one target in eBPF: the other has to be what follows.
fn branch(
    assembler: &mut Assembler,
    one: &bpf::Instruction,
    hit: super::Label,
    miss: super::Label,
) {
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
        code::RETURN => vec![Instruction::set(R0, k), Instruction::exit()],
        code::RETURN_A => vec![Instruction::exit()],
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
