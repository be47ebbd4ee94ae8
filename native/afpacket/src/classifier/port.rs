//! The search for a destination port.

use std::collections::HashMap;

use super::interval::partition;
use crate::bpf::{Assembler, Instruction, Label, code};

/// The searches written so far, by where their intervals begin and whether those are wanted.
pub(crate) type PortBlocks = HashMap<Vec<(u32, bool)>, Label>;

/// With X at the upper-layer header: whether the port `port_at` octets behind it lies in one of
/// `ports`. Blocks are for one such place.
pub(crate) fn port_block(
    assembler: &mut Assembler,
    blocks: &mut PortBlocks,
    port_at: u32,
    ports: &[((u32, u32), usize)],
    hit: Label,
    miss: Label,
) -> Label {
    let mut parts = partition(ports_without_overlap(ports).as_slice());
    // A port has 16 bits: what begins behind them is never met.
    parts.retain(|(start, _)| *start <= u32::from(u16::MAX));
    let key: Vec<(u32, bool)> =
        parts.iter().map(|(start, members)| (*start, !members.is_empty())).collect();
    if let Some(label) = blocks.get(&key) {
        return *label;
    }
    let starts: Vec<(u32, Label)> =
        key.iter().map(|(start, inside)| (*start, if *inside { hit } else { miss })).collect();
    let label = match starts.as_slice() {
        [(_, only)] => *only,
        _ => {
            let tree = assembler.search(&starts).unwrap_or(miss);
            // TCP, UDP and SCTP have their ports at the same places.
            let load = [Instruction::new(code::LOAD_HALF_INDEXED, port_at)];
            assembler.then(&load, tree)
        }
    };
    blocks.insert(key, label);
    label
}

/// Ranges joined where they touch or overlap.
fn ports_without_overlap(ports: &[((u32, u32), usize)]) -> Vec<((u32, u32), usize)> {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    let mut joined: Vec<((u32, u32), usize)> = Vec::with_capacity(sorted.len());
    for (range, _) in sorted {
        match joined.last_mut() {
            Some(((_, last), _)) if range.0 <= last.saturating_add(1) => *last = range.1.max(*last),
            _ => joined.push((range, 0)),
        }
    }
    joined
}
