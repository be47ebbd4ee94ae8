//! The `bpf` system call: maps and programs. Structures are parts of `union bpf_attr`
//! (`linux/bpf.h`), each as long as what is used of it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::ebpf::Instruction;

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP: libc::c_int = 1;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const MAP_NEXT_KEY: libc::c_int = 4;
const PROGRAM_LOAD: libc::c_int = 5;
#[cfg(test)]
const PROGRAM_ATTACH: libc::c_int = 8;
const PROGRAM_QUERY: libc::c_int = 16;
const MAP_LOOKUP_AND_DELETE: libc::c_int = 21;
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

/// How a map finds its entries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MapKind {
    /// `BPF_MAP_TYPE_HASH`
    Hash = 1,
    /// `BPF_MAP_TYPE_ARRAY`: keys are indices, every entry is there from the beginning.
    Array = 2,
}

/// Whether an entry may be there already.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    /// `BPF_NOEXIST`
    Absent = 1,
    /// `BPF_EXIST`
    Present = 2,
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
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    /// The value, or where the next key goes.
    value: u64,
    flags: u64,
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

/// A map in the kernel with keys of `K` and values of `V` octets.
#[derive(Debug)]
pub(crate) struct Map<const K: usize, const V: usize> {
    fd: OwnedFd,
}

impl<const K: usize, const V: usize> Map<K, V> {
    /// A map for at most `entries`, all memory taken at once.
    pub(crate) fn create(kind: MapKind, entries: u32, name: &str) -> io::Result<Self> {
        let mut attributes = MapCreate {
            kind: kind as u32,
            key_octets: u32_of(K),
            value_octets: u32_of(V),
            entries,
            name: name_of(name),
            ..MapCreate::default()
        };
        // JUSTIFICATION: maps are made by this call only.
        // SAFETY: `MapCreate` is the beginning of `union bpf_attr` and holds no addresses.
        let raw = unsafe { call(MAP_CREATE, &mut attributes) }?;
        // JUSTIFICATION: the number just returned has to get an owner.
        // SAFETY: `raw` is a fresh descriptor nobody else owns; the kernel sets close-on-exec.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(raw) } })
    }

    /// The number programs name the map by.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Writes an entry.
    pub(crate) fn update(
        &self,
        key: &[u8; K],
        value: &[u8; V],
        presence: Presence,
    ) -> io::Result<()> {
        let mut attributes = MapElement {
            value: value.as_ptr().expose_provenance() as u64,
            flags: presence as u64,
            ..self.element(key)
        };
        // JUSTIFICATION: maps are written by this call only.
        // SAFETY: the map was made with keys of K and values of V octets, which is what the kernel
        // reads at the two addresses; both are borrowed for the call.
        unsafe { call(MAP_UPDATE, &mut attributes) }.map(drop)
    }

    /// The value of an entry.
    pub(crate) fn read(&self, key: &[u8; K]) -> io::Result<[u8; V]> {
        self.fetch(MAP_LOOKUP, key)
    }

    /// Removes an entry; what it held last, unless the kernel is too old (before 5.14) to tell: then
    /// what it held shortly before.
    pub(crate) fn take(&self, key: &[u8; K]) -> io::Result<[u8; V]> {
        match self.fetch(MAP_LOOKUP_AND_DELETE, key) {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => {
                let value = self.read(key)?;
                self.delete(key).map(|()| value)
            }
            other => other,
        }
    }

    fn fetch(&self, command: libc::c_int, key: &[u8; K]) -> io::Result<[u8; V]> {
        let mut value = [0; V];
        let mut attributes = MapElement {
            value: value.as_mut_ptr().expose_provenance() as u64,
            ..self.element(key)
        };
        // JUSTIFICATION: maps are read by these calls only.
        // SAFETY: the map was made with keys of K and values of V octets: the kernel reads K octets
        // at the key's address and writes V octets to `value`, borrowed mutably for the call.
        unsafe { call(command, &mut attributes) }.map(|_| value)
    }

    /// Removes an entry.
    pub(crate) fn delete(&self, key: &[u8; K]) -> io::Result<()> {
        let mut attributes = self.element(key);
        // JUSTIFICATION: maps are written by this call only.
        // SAFETY: the kernel reads K octets at the key's address, borrowed for the call.
        unsafe { call(MAP_DELETE, &mut attributes) }.map(drop)
    }

    /// A key of the map; `None` when it is empty.
    pub(crate) fn first_key(&self) -> io::Result<Option<[u8; K]>> {
        let mut key = [0; K];
        let mut attributes = MapElement {
            map: u32_of_descriptor(self.fd.as_fd()),
            value: key.as_mut_ptr().expose_provenance() as u64,
            ..MapElement::default()
        };
        // JUSTIFICATION: maps are read by this call only.
        // SAFETY: without a key to begin behind, the kernel writes K octets to `key`, borrowed
        // mutably for the call.
        match unsafe { call(MAP_NEXT_KEY, &mut attributes) } {
            Ok(_) => Ok(Some(key)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn element(&self, key: &[u8; K]) -> MapElement {
        MapElement {
            map: u32_of_descriptor(self.fd.as_fd()),
            key: key.as_ptr().expose_provenance() as u64,
            ..MapElement::default()
        }
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

fn u32_of_descriptor(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}
