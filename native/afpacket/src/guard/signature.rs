//! A name for filters the kernel gives none: classic BPF filters of tc are anonymous, but the
//! kernel lists their instructions as they were given. So the name stands behind the program's end,
//! in the operands of instructions that are never reached.

use crate::bpf::{Instruction, Program, code};

const MARK: &[u8] = b"l4-director:";
/// Octets in one operand.
const OPERAND: usize = 4;
/// Longest id in octets.
pub const ID_LEN_MAX: usize = 64;
/// Instructions of a signed program at most. The kernel lists and removes filters by messages of
/// one page; one that does not fit can be neither listed nor, in some versions, removed.
const SIGNED_LEN_MAX: usize = 400;
/// Instructions a program may have before it is signed.
pub(super) const PROGRAM_LEN_MAX: usize =
    SIGNED_LEN_MAX - (MARK.len() + ID_LEN_MAX).div_ceil(OPERAND);

/// `program` with the name `l4-director:<id>` behind it.
pub(crate) fn sign(program: &Program, id: &str) -> Program {
    let mut name = [MARK, id.as_bytes()].concat();
    name.resize(name.len().next_multiple_of(OPERAND), 0);
    // The kernel insists on a return at the end, so each one is.
    let words = name.as_chunks::<OPERAND>().0.iter();
    let words = words.map(|word| Instruction::new(code::RETURN, u32::from_be_bytes(*word)));
    Program::from_instructions(program.instructions().iter().copied().chain(words).collect())
}

/// The id in a signed program; `None` for programs of others.
pub(crate) fn signer(program: &Program) -> Option<String> {
    let operands: Vec<u8> = program
        .instructions()
        .iter()
        .rev()
        .take((MARK.len() + ID_LEN_MAX).div_ceil(OPERAND))
        .take_while(|instruction| instruction.code == code::RETURN)
        .flat_map(|instruction| instruction.operand.to_le_bytes())
        .collect();
    // Read backwards octet by octet, the operands become text again.
    let text: Vec<u8> = operands.into_iter().rev().collect();
    let begin = text.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let id = text.get(begin..)?;
    let end = id.iter().position(|octet| *octet == 0).unwrap_or(id.len());
    let id = std::str::from_utf8(id.get(..end)?).ok()?;
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_program_tells_its_signer() {
        let program = Program::constant(2);
        for id in ["a", "abcd", "host-1234", &"x".repeat(ID_LEN_MAX)] {
            let signed = sign(&program, id);
            assert_eq!(signer(&signed).as_deref(), Some(id));
            assert_eq!(signed.instructions()[0], program.instructions()[0]);
        }
    }

    #[test]
    fn programs_of_others_have_no_signer() {
        assert_eq!(signer(&Program::constant(0)), None);
        assert_eq!(signer(&Program::from_instructions(Vec::new())), None);
        assert_eq!(signer(&sign(&Program::constant(0), "")), None);
    }
}
