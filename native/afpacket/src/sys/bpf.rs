//! The `bpf` system call: maps and programs. Structures are parts of `union bpf_attr`
//! (`linux/bpf.h`), each as long as what is used of it.

use std::io;
#[cfg(test)]
use std::os::fd::BorrowedFd;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use super::memory::page_octets;
use crate::ebpf::Instruction;

const MAP_CREATE: libc::c_int = 0;
const PROGRAM_LOAD: libc::c_int = 5;
#[cfg(test)]
const PROGRAM_ATTACH: libc::c_int = 8;
const PROGRAM_QUERY: libc::c_int = 16;
/// `BPF_MAP_TYPE_ARRAY`
const ARRAY: u32 = 2;
/// `BPF_F_MMAPABLE`, since Linux 5.5.
const MAPPABLE: u32 = 1 << 10;
/// `BPF_TCX_INGRESS`
const EXPRESS_INGRESS: u32 = 46;
const NAME_LEN: usize = 16;

/// Which kernel hook a program is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProgramKind {
    /// `BPF_PROG_TYPE_SOCKET_FILTER`
    SocketFilter = 1,
    /// `BPF_PROG_TYPE_SCHED_CLS`
    TrafficFilter = 3,
}

#[repr(C)]
#[derive(Default)]
struct MapCreate {
    kind: u32,
    key_octets: u32,
    value_octets: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; NAME_LEN],
}

#[repr(C)]
#[derive(Default)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_octets: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME_LEN],
}

#[repr(C)]
#[derive(Default)]
struct ProgramQuery {
    interface: u32,
    place: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    padding: u32,
    program_flags: u64,
    links: u64,
    link_flags: u64,
    revision: u64,
}

#[cfg(test)]
#[repr(C)]
#[derive(Default)]
struct ProgramAttach {
    interface: u32,
    program: u32,
    place: u32,
    flags: u32,
    replaced: u32,
    relative: u32,
    revision: u64,
}

/// An array in the kernel (`BPF_MAP_TYPE_ARRAY`) whose memory programs and this process share.
#[derive(Debug)]
pub(crate) struct SharedArray {
    fd: OwnedFd,
    base: NonNull<AtomicU64>,
    /// Octets of the mapping.
    length: usize,
    /// Words that are elements.
    words: usize,
}

// JUSTIFICATION: workers share the array.
// SAFETY: the mapping belongs to the process, not to a thread, and is read and written as atomic
// words only.
unsafe impl Send for SharedArray {}
// JUSTIFICATION: workers share the array.
// SAFETY: as above.
unsafe impl Sync for SharedArray {}

impl SharedArray {
    /// An array of `elements`, each of `words` words of eight octets, all zero. Its memory is taken
    /// at once.
    pub(crate) fn create(elements: u32, words: u32, name: &str) -> io::Result<Self> {
        let mut attributes = MapCreate {
            kind: ARRAY,
            key_octets: 4,
            value_octets: words.saturating_mul(8),
            entries: elements,
            flags: MAPPABLE,
            name: name_of(name),
            ..MapCreate::default()
        };
        // JUSTIFICATION: maps are made by this call only.
        // SAFETY: `MapCreate` is the beginning of `union bpf_attr` and holds no addresses.
        let raw = unsafe { call(MAP_CREATE, &mut attributes) }?;
        // JUSTIFICATION: the number just returned has to get an owner.
        // SAFETY: `raw` is a fresh descriptor nobody else owns; the kernel sets close-on-exec.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let words = usize::try_from(u64::from(elements) * u64::from(words))
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        let length = words.saturating_mul(8).next_multiple_of(page_octets()?);
        // JUSTIFICATION: the memory is shared by a memory mapping only.
        // SAFETY: a fresh mapping at an address the kernel chooses touches no memory of ours; the
        // kernel refuses one that is longer than the array's own pages.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<AtomicU64>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { fd, base, length, words })
    }

    /// The number programs name the array by.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsRef<[AtomicU64]> for SharedArray {
    fn as_ref(&self) -> &[AtomicU64] {
        // JUSTIFICATION: the mapping is reachable by its address only.
        // SAFETY: `base` begins a mapping of at least `words` words, aligned to a page, which lives
        // as long as `self`. All bit patterns are words, and what programs of the kernel change is
        // only ever read as atomic.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }
}

impl Drop for SharedArray {
    fn drop(&mut self) {
        // JUSTIFICATION: a mapping is returned by this call only.
        // SAFETY: address and length are those of the mapping, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// Hands a program to the kernel, which checks it and, where `log` has room, says what it finds.
pub(crate) fn load_program(
    kind: ProgramKind,
    instructions: &[Instruction],
    name: &str,
    log: &mut [u8],
) -> io::Result<OwnedFd> {
    // No function the programs call asks for a GPL-compatible license.
    let license = c"MIT";
    let mut attributes = ProgramLoad {
        kind: kind as u32,
        instruction_count: u32_of(instructions.len()),
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: license.as_ptr().expose_provenance() as u64,
        name: name_of(name),
        ..ProgramLoad::default()
    };
    if !log.is_empty() {
        attributes.log_level = 1;
        attributes.log_octets = u32_of(log.len());
        attributes.log = log.as_mut_ptr().expose_provenance() as u64;
    }
    // JUSTIFICATION: programs are loaded by this call only.
    // SAFETY: `Instruction` is `repr(C)` with the layout of `bpf_insn`, and as many are read as are
    // there; the license ends by a zero; the kernel writes at most `log.len()` octets to `log`. All
    // outlive the call, and the kernel keeps none of the addresses.
    let raw = unsafe { call(PROGRAM_LOAD, &mut attributes) }?;
    // JUSTIFICATION: the number just returned has to get an owner.
    // SAFETY: `raw` is a fresh descriptor nobody else owns; the kernel sets close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// How many programs see the frames of an interface before its ingress filters do (tcx, since
/// Linux 6.6).
pub(crate) fn programs_before_filters(interface: u32) -> io::Result<u32> {
    let mut attributes =
        ProgramQuery { interface, place: EXPRESS_INGRESS, ..ProgramQuery::default() };
    // JUSTIFICATION: netlink does not tell of these programs.
    // SAFETY: `ProgramQuery` is what the command takes; without room for lists the kernel writes
    // the counts only, which lie in it.
    match unsafe { call(PROGRAM_QUERY, &mut attributes) } {
        Ok(_) => Ok(attributes.count),
        // A kernel without this place.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Puts a program before the ingress filters of an interface.
#[cfg(test)]
pub(crate) fn attach_before_filters(interface: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    let program = u32_of_descriptor(program);
    let mut attributes =
        ProgramAttach { interface, program, place: EXPRESS_INGRESS, ..ProgramAttach::default() };
    // JUSTIFICATION: programs are attached there by this call only.
    // SAFETY: `ProgramAttach` is what the command takes and holds no addresses.
    unsafe { call(PROGRAM_ATTACH, &mut attributes) }.map(drop)
}

/// The call itself.
///
/// # Safety
/// `attributes` has to be what the kernel expects of `command`, its addresses valid for the call.
unsafe fn call<T>(command: libc::c_int, attributes: &mut T) -> io::Result<RawFd> {
    // JUSTIFICATION: libc has no wrapper for this call.
    // SAFETY: address and length describe `attributes`; for what it points at the caller vouches.
    let returned = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>())
    };
    match RawFd::try_from(returned) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

fn name_of(text: &str) -> [u8; NAME_LEN] {
    let mut name = [0; NAME_LEN];
    // The last octet stays 0: the kernel wants an end.
    name.iter_mut().take(NAME_LEN - 1).zip(text.bytes()).for_each(|(to, from)| *to = from);
    name
}

fn u32_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
fn u32_of_descriptor(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}
