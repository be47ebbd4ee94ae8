//! Ingress filters: the `clsact` queueing discipline and classic BPF filters that decide by
//! themselves what becomes of a frame ("direct action").
//!
//! A classic BPF filter with direct action needs no action module in the kernel, no `bpf()` system
//! call and no right beyond `CAP_NET_ADMIN`. It runs after the packet sockets had their copy. The
//! fast path's filter is an eBPF program with a name.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::message::{Attributes, Request, text_of, u32_at};
use super::{Netlink, NetlinkError};
use crate::bpf::{Instruction, Program};

const FIXED_OCTETS: usize = 20;
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const CHAIN: u16 = 11;
const BPF_LENGTH: u16 = 4;
const BPF_INSTRUCTIONS: u16 = 5;
const BPF_DESCRIPTOR: u16 = 6;
const BPF_NAME: u16 = 7;
const BPF_FLAGS: u16 = 8;
const DIRECT_ACTION: u32 = 1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_PARENT: u32 = 0xffff_fff1;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
const EVERY_PROTOCOL: u16 = 0x0003;
const OCTETS_OF_INSTRUCTION: usize = 8;

/// Which frames a filter sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    const fn parent(self) -> u32 {
        match self {
            Self::Ingress => INGRESS,
            Self::Egress => EGRESS,
        }
    }
}

/// Where a filter hangs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) direction: Direction,
    pub(crate) chain: u32,
    pub(crate) priority: u16,
    pub(crate) handle: u32,
}

/// A filter of an interface.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) chain: u32,
    pub(crate) priority: u16,
    pub(crate) handle: u32,
    /// Which kind of classifier.
    pub(crate) kind: String,
    /// The program of a classic BPF filter.
    pub(crate) program: Option<Program>,
    /// The name of an eBPF filter.
    pub(crate) name: Option<String>,
}

/// An eBPF program to be made a filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedProgram<'p> {
    pub(crate) descriptor: BorrowedFd<'p>,
    /// What the kernel lists the filter by.
    pub(crate) name: &'p str,
}

impl Filter {
    fn parse(body: &[u8]) -> Option<Self> {
        let info = u32_at(body, 16)?;
        let mut filter = Self {
            chain: 0,
            priority: u16::try_from(info >> 16).ok()?,
            handle: u32_at(body, 8)?,
            kind: String::new(),
            program: None,
            name: None,
        };
        for (kind, value) in Attributes::behind(body, FIXED_OCTETS) {
            match kind {
                KIND => filter.kind = text_of(value),
                CHAIN => filter.chain = u32_at(value, 0)?,
                OPTIONS => {
                    filter.program = program_of(value);
                    filter.name = name_of(value);
                }
                _ => {}
            }
        }
        Some(filter)
    }
}

fn name_of(options: &[u8]) -> Option<String> {
    let (_, octets) = Attributes::new(options).find(|(kind, _)| *kind == BPF_NAME)?;
    Some(text_of(octets))
}

fn program_of(options: &[u8]) -> Option<Program> {
    let (_, octets) = Attributes::new(options).find(|(kind, _)| *kind == BPF_INSTRUCTIONS)?;
    let instructions = octets.chunks_exact(OCTETS_OF_INSTRUCTION).filter_map(instruction_of);
    Some(Program::from_instructions(instructions.collect()))
}

fn instruction_of(octets: &[u8]) -> Option<Instruction> {
    let [c0, c1, jump_true, jump_false, k0, k1, k2, k3] = *octets else { return None };
    Some(Instruction {
        code: u16::from_ne_bytes([c0, c1]),
        jump_true,
        jump_false,
        operand: u32::from_ne_bytes([k0, k1, k2, k3]),
    })
}

fn octets_of(program: &Program) -> Vec<u8> {
    let octets = |one: &Instruction| {
        let [c0, c1] = one.code.to_ne_bytes();
        let [k0, k1, k2, k3] = one.operand.to_ne_bytes();
        [c0, c1, one.jump_true, one.jump_false, k0, k1, k2, k3]
    };
    program.instructions().iter().flat_map(octets).collect()
}

impl Netlink {
    /// Gives the interface a `clsact` discipline. Returns whether it had none before.
    pub(crate) fn add_clsact(&mut self, interface: u32) -> Result<bool, NetlinkError> {
        let request =
            Request::new(libc::RTM_NEWQDISC, &fixed(interface, CLSACT_HANDLE, CLSACT_PARENT, 0))
                .flag(libc::NLM_F_CREATE | libc::NLM_F_EXCL)
                .attribute(KIND, b"clsact\0");
        match self.command("creation of the clsact queueing discipline", request) {
            Ok(()) => Ok(true),
            // clsact, or the older ingress discipline: both take ingress filters.
            Err(error) if error.number() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the `clsact` discipline away, and all filters with it.
    pub(crate) fn remove_clsact(&mut self, interface: u32) -> Result<(), NetlinkError> {
        let request =
            Request::new(libc::RTM_DELQDISC, &fixed(interface, CLSACT_HANDLE, CLSACT_PARENT, 0))
                .attribute(KIND, b"clsact\0");
        match self.command("removal of the clsact queueing discipline", request) {
            // It went with its interface.
            Err(error) if error.number() == Some(libc::ENODEV) => Ok(()),
            other => other,
        }
    }

    /// The ingress filters of the interface.
    pub(crate) fn ingress_filters(&mut self, interface: u32) -> Result<Vec<Filter>, NetlinkError> {
        self.filters(interface, Direction::Ingress)
    }

    /// The filters of one direction, those of all chains.
    pub(crate) fn filters(
        &mut self,
        interface: u32,
        direction: Direction,
    ) -> Result<Vec<Filter>, NetlinkError> {
        let mut filters: Vec<Filter> = Vec::new();
        let request =
            Request::new(libc::RTM_GETTFILTER, &fixed(interface, 0, direction.parent(), 0));
        let answer = self.dump("list of traffic filters", &request, |kind, body| {
            // Each priority also lists an entry without handle: it shows the priority as taken.
            filters.extend((kind == libc::RTM_NEWTFILTER).then(|| Filter::parse(body)).flatten());
        });
        match answer {
            // No discipline, hence no filters; the kernel says so in either way.
            Err(error) if matches!(error.number(), Some(libc::EINVAL | libc::ENOENT)) => {
                Ok(Vec::new())
            }
            other => {
                other?;
                // A list that changed while it was read is read again: what came last holds.
                filters.reverse();
                filters.sort_by_key(|one| (one.chain, one.priority, one.handle));
                filters.dedup_by_key(|one| (one.chain, one.priority, one.handle));
                Ok(filters)
            }
        }
    }

    /// Adds an ingress filter.
    pub(crate) fn add_filter(
        &mut self,
        interface: u32,
        priority: u16,
        handle: u32,
        program: &Program,
    ) -> Result<(), NetlinkError> {
        let request = filter(interface, priority, handle, program)
            .flag(libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        self.command("creation of an ingress filter", request)
    }

    /// Adds a filter somewhere else.
    pub(crate) fn add_filter_at(
        &mut self,
        interface: u32,
        place: Place,
        program: &Program,
    ) -> Result<(), NetlinkError> {
        let request = filter_at(interface, place, program)
            .attribute(CHAIN, &place.chain.to_ne_bytes())
            .flag(libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        self.command("creation of a filter", request)
    }

    /// Removes a filter somewhere else.
    pub(crate) fn remove_filter_at(
        &mut self,
        interface: u32,
        place: Place,
    ) -> Result<(), NetlinkError> {
        let Place { direction, chain, priority, handle } = place;
        let fixed = fixed(interface, handle, direction.parent(), info(priority));
        let request = Request::new(libc::RTM_DELTFILTER, &fixed)
            .attribute(KIND, b"bpf\0")
            .attribute(CHAIN, &chain.to_ne_bytes());
        self.command("removal of a filter", request)
    }

    /// Adds an ingress filter of an eBPF program; in its priority it comes first.
    pub(crate) fn add_program_filter(
        &mut self,
        interface: u32,
        priority: u16,
        handle: u32,
        program: &NamedProgram<'_>,
    ) -> Result<(), NetlinkError> {
        let name = [program.name.as_bytes(), &[0]].concat();
        let descriptor = program.descriptor.as_raw_fd().to_ne_bytes();
        let flags = DIRECT_ACTION.to_ne_bytes();
        let options: [(u16, &[u8]); 3] =
            [(BPF_DESCRIPTOR, &descriptor), (BPF_NAME, &name), (BPF_FLAGS, &flags)];
        let fixed = fixed(interface, handle, INGRESS, info(priority));
        let request = Request::new(libc::RTM_NEWTFILTER, &fixed)
            .attribute(KIND, b"bpf\0")
            .nested(OPTIONS, &options)
            .flag(libc::NLM_F_CREATE | libc::NLM_F_EXCL);
        self.command("creation of the fast path's ingress filter", request)
    }

    /// Exchanges the program of an ingress filter in one step: no frame slips by.
    pub(crate) fn replace_filter(
        &mut self,
        interface: u32,
        priority: u16,
        handle: u32,
        program: &Program,
    ) -> Result<(), NetlinkError> {
        let request = filter(interface, priority, handle, program)
            .flag(libc::NLM_F_CREATE | libc::NLM_F_REPLACE);
        self.command("replacement of an ingress filter", request)
    }

    /// Removes an ingress filter; one that is not there is removed already.
    pub(crate) fn remove_filter(
        &mut self,
        interface: u32,
        priority: u16,
        handle: u32,
    ) -> Result<(), NetlinkError> {
        let request =
            Request::new(libc::RTM_DELTFILTER, &fixed(interface, handle, INGRESS, info(priority)))
                .attribute(KIND, b"bpf\0");
        match self.command("removal of an ingress filter", request) {
            Err(error) if self.is_absent(interface, priority, handle, &error) => Ok(()),
            other => other,
        }
    }

    /// Whether a removal failed because there is nothing to remove. The number alone does not tell.
    fn is_absent(
        &mut self,
        interface: u32,
        priority: u16,
        handle: u32,
        error: &NetlinkError,
    ) -> bool {
        match error.number() {
            Some(libc::ENODEV) => true,
            Some(libc::ENOENT | libc::EINVAL) => {
                self.ingress_filters(interface).is_ok_and(|filters| {
                    !filters.iter().any(|one| one.priority == priority && one.handle == handle)
                })
            }
            _ => false,
        }
    }
}

fn filter(interface: u32, priority: u16, handle: u32, program: &Program) -> Request {
    filter_at(
        interface,
        Place { direction: Direction::Ingress, chain: 0, priority, handle },
        program,
    )
}

fn filter_at(interface: u32, place: Place, program: &Program) -> Request {
    let Place { direction, priority, handle, .. } = place;
    let octets = octets_of(program);
    let length = u16::try_from(program.instructions().len()).unwrap_or(u16::MAX).to_ne_bytes();
    let flags = DIRECT_ACTION.to_ne_bytes();
    let fixed = fixed(interface, handle, direction.parent(), info(priority));
    Request::new(libc::RTM_NEWTFILTER, &fixed)
        .attribute(KIND, b"bpf\0")
        .nested(OPTIONS, &[(BPF_LENGTH, &length), (BPF_INSTRUCTIONS, &octets), (BPF_FLAGS, &flags)])
}

/// Priority and protocol share a field; the protocol is in network order.
fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(EVERY_PROTOCOL.to_be())
}

/// `struct tcmsg`.
fn fixed(interface: u32, handle: u32, parent: u32, info: u32) -> [u8; FIXED_OCTETS] {
    let mut fixed = [0; FIXED_OCTETS];
    let words = [0, interface, handle, parent, info].map(u32::to_ne_bytes);
    fixed.copy_from_slice(words.as_flattened());
    fixed
}
