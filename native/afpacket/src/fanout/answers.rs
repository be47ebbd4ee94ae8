//! Which packets are answers of servers: the part of a program that tells them by where they come from.

use std::collections::HashMap;

use super::hash::{FRAGMENT, PORTED, Writer, at};
use crate::bpf::{Assembler, Instruction, Label, code};
use crate::classifier::ServiceMatch;
use crate::classifier::address::{self, Field, Network};
use crate::classifier::port::{PortBlocks, port_block};

/// What of a server's traffic is an answer: by protocol, which ports it comes from.
type Answers = Vec<(u32, Vec<((u32, u32), usize)>)>;

impl Writer {
    /// On to `back` for packets of one family from what `returns` fit, and for those without ports
    /// from their addresses.
    pub(super) fn by_source(
        &mut self,
        returns: &[ServiceMatch],
        ipv6: bool,
        back: Label,
        other: Label,
    ) -> Label {
        let field = match ipv6 {
            false => Field { offset: at(12), words: 1 },
            true => Field { offset: at(8), words: 4 },
        };
        let of_family: Vec<_> =
            returns.iter().filter(|one| one.address.is_ipv6() == ipv6).collect();
        let networks: Vec<_> = of_family.iter().map(|one| Network::of(one)).collect();
        let (mut blocks, mut known) = (PortBlocks::new(), HashMap::new());
        // Servers that answer from the same ports share what looks at them.
        let mut leaf = |assembler: &mut _, members: &[usize]| {
            let members = members.iter().filter_map(|member| of_family.get(*member));
            let answers = answers(members.copied());
            if let Some(label) = known.get(&answers) {
                return *label;
            }
            let label = by_ports(assembler, &mut blocks, ipv6, &answers, back, other);
            known.insert(answers, label);
            label
        };
        address::search(&mut self.assembler, field, &networks, other, &mut leaf)
    }
}

fn answers<'m>(members: impl Iterator<Item = &'m ServiceMatch> + Clone) -> Answers {
    let ports = |protocol: u32| {
        let fitting = members
            .clone()
            .filter(move |one| one.protocol.is_none_or(|it| u32::from(it) == protocol));
        let ports = fitting.map(|one| ((u32::from(one.ports.0), u32::from(one.ports.1)), 0));
        (protocol, ports.collect())
    };
    PORTED.map(ports).to_vec()
}

/// Looks at protocol and source port. What has no ports to look at goes `back`: errors, and fragments,
/// which must not part.
fn by_ports(
    assembler: &mut Assembler,
    blocks: &mut PortBlocks,
    ipv6: bool,
    answers: &Answers,
    back: Label,
    other: Label,
) -> Label {
    let by_protocol: Vec<_> = answers
        .iter()
        .map(|(protocol, ports)| {
            (*protocol, port_block(assembler, blocks, at(0), ports, back, other))
        })
        .collect();
    if by_protocol.iter().all(|(_, label)| *label == back) {
        return back;
    }
    let switch = assembler.switch(&by_protocol, back);
    if ipv6 {
        let load =
            [Instruction::new(code::LOAD_X_CONSTANT, 40), Instruction::new(code::LOAD_BYTE, at(6))];
        return assembler.then(&load, switch);
    }
    let load = [
        Instruction::new(code::LOAD_BYTE, at(0)),
        Instruction::new(code::AND, 0xf),
        Instruction::new(code::SHIFT_LEFT, 2),
        Instruction::new(code::TO_X, 0),
        Instruction::new(code::LOAD_BYTE, at(9)),
    ];
    let whole = assembler.then(&load, switch);
    let check = assembler.branch(code::JUMP_ANY_BIT, FRAGMENT, back, whole);
    assembler.then(&[Instruction::new(code::LOAD_HALF, at(6))], check)
}
