//! Destination networks as ranges of 32-bit words, and the search for them in a frame.

use std::net::IpAddr;

use super::ServiceMatch;
use super::interval::partition;
use crate::bpf::{Assembler, Instruction, Label, code};

/// A destination network: a range of values for each word of the address, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    words: [(u32, u32); 4],
}

impl Network {
    /// The network of `service`; an IPv4 address fills the first word only.
    pub(crate) fn of(service: &ServiceMatch) -> Self {
        let (value, bits) = match service.address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let prefix = u32::from(service.prefix_length).min(bits);
        let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
        let (first, last) = (value & !host, value | host);
        let word = |value: u128, index: u32| {
            // The mask keeps 32 bits: nothing is lost.
            u32::try_from((value >> (96 - 32 * index)) & 0xffff_ffff).unwrap_or(0)
        };
        Self { words: [0, 1, 2, 3].map(|index| (word(first, index), word(last, index))) }
    }

    /// The network of one address.
    pub(crate) fn one(address: &IpAddr) -> Self {
        Self::of(&ServiceMatch::service(0, *address, 0))
    }

    fn word(&self, index: usize) -> (u32, u32) {
        self.words.get(index).copied().unwrap_or((0, u32::MAX))
    }
}

/// Where an address lies in the frame and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Octets from the beginning of the frame.
    pub(crate) offset: u32,
    /// Length in words: 1 or 4.
    pub(crate) words: usize,
}

/// Writes the search for the network an address lies in. `leaf` is asked for the label of each set
/// of networks (by their numbers, ascending) that some address lies in; X is left alone.
pub(crate) fn search(
    assembler: &mut Assembler,
    field: Field,
    networks: &[Network],
    miss: Label,
    leaf: &mut dyn FnMut(&mut Assembler, &[usize]) -> Label,
) -> Label {
    let all: Vec<usize> = (0..networks.len()).collect();
    level(assembler, field, 0, networks, &all, miss, leaf)
}

fn level(
    assembler: &mut Assembler,
    field: Field,
    word: usize,
    networks: &[Network],
    members: &[usize],
    miss: Label,
    leaf: &mut dyn FnMut(&mut Assembler, &[usize]) -> Label,
) -> Label {
    if members.is_empty() {
        return miss;
    }
    if word == field.words {
        return leaf(assembler, members);
    }
    let ranges: Vec<_> = members
        .iter()
        .filter_map(|&member| networks.get(member).map(|network| (network.word(word), member)))
        .collect();
    let parts = partition(&ranges);
    let starts: Vec<(u32, Label)> = parts
        .iter()
        .map(|(start, inside)| {
            (*start, level(assembler, field, word + 1, networks, inside, miss, leaf))
        })
        .collect();
    if let [(_, only)] = starts.as_slice() {
        return *only;
    }
    let Some(tree) = assembler.search(&starts) else { return miss };
    let offset = field.offset + 4 * u32::try_from(word).unwrap_or(0);
    assembler.then(&[Instruction::new(code::LOAD_WORD, offset)], tree)
}
