//! The eBPF program of a receive socket, put together from its parts.

use std::os::fd::OwnedFd;

use crate::admission::{Admission, Admitted, Lookup, admit, unless_overloaded};
use crate::bpf::Program;
use crate::ebpf::translate::{Untranslatable, translate};
use crate::ebpf::{Assembler, Instruction, Register};
use crate::fast_path::{FastPath, FastPathError, Programs, load};
use crate::sys::bpf::ProgramKind;
use Register::{R0, R1, R6};

/// Hands the kernel the program that lets through what `others` does, without what `fast_path`
/// forwards, and of that what `admission` admits.
pub(crate) fn load_socket_filter(
    others: &Program,
    fast_path: Option<&FastPath>,
    admission: Option<(&Admission, Admitted)>,
) -> Result<OwnedFd, FastPathError> {
    let programs = fast_path.map(FastPath::programs);
    let admission = admission.map(|(admission, admitted)| (admission.lookup(), admitted));
    let program = socket_filter(others, programs.as_ref(), admission)
        .map_err(|error| FastPathError::Untranslatable { why: format!("{:?}", error.0) })?;
    let program = program.ok_or_else(FastPathError::too_long)?;
    load(ProgramKind::SocketFilter, "socket filter", &program)
}

/// The same as instructions; `None` when a jump would be too far.
pub(crate) fn socket_filter(
    others: &Program,
    fast_path: Option<&Programs>,
    admission: Option<(Lookup, Admitted)>,
) -> Result<Option<Vec<Instruction>>, Untranslatable> {
    let mut assembler = Assembler::default();
    let (refuse, accepted, accept) = (assembler.label(), assembler.label(), assembler.label());
    // First what costs least.
    if let Some((lookup, Admitted::Unknown)) = &admission {
        assembler.push(&[Instruction::copy(R6, R1)]);
        unless_overloaded(lookup, &mut assembler, refuse);
        assembler.push(&[Instruction::copy(R1, R6)]);
    }
    match fast_path {
        Some(programs) => programs.leave_out(&mut assembler, refuse),
        None => assembler.push(&[Instruction::copy(R6, R1)]),
    }
    translate(others, &mut assembler, accepted)?;
    if assembler.is_reached(accepted) {
        assembler.place(accepted);
        if let Some((lookup, admitted)) = &admission {
            if *admitted == Admitted::Known {
                unless_overloaded(lookup, &mut assembler, accept);
            }
            admit(lookup, *admitted, &mut assembler, (accept, refuse));
            assembler.place(accept);
            // A classifier's program takes frames whole.
            assembler.push(&[Instruction::set(R0, -1)]);
        }
        assembler.push(&[Instruction::exit()]);
    }
    if assembler.is_reached(refuse) {
        assembler.place(refuse);
        assembler.push(&[Instruction::set(R0, 0), Instruction::exit()]);
    }
    Ok(assembler.finish())
}
