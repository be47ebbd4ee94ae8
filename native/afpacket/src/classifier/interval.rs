//! Cutting a line of numbers where overlapping ranges begin and end.

/// Cuts 0..=MAX into intervals inside which the same ranges hold. Returns where each interval
/// begins and the members of the ranges that hold there, in ascending order; the first begins at 0,
/// and neighbours with the same members are one interval.
pub(super) fn partition(ranges: &[((u32, u32), usize)]) -> Vec<(u32, Vec<usize>)> {
    let mut edges: Vec<(u32, bool, usize)> = Vec::with_capacity(2 * ranges.len());
    for &((first, last), member) in ranges {
        edges.push((first, true, member));
        if let Some(behind) = last.checked_add(1) {
            edges.push((behind, false, member));
        }
    }
    edges.sort_unstable();
    let mut parts: Vec<(u32, Vec<usize>)> = vec![(0, Vec::new())];
    let mut inside: Vec<usize> = Vec::new();
    for run in edges.chunk_by(|a, b| a.0 == b.0) {
        for &(_, begins, member) in run {
            match (inside.binary_search(&member), begins) {
                (Err(at), true) => inside.insert(at, member),
                (Ok(at), false) => drop(inside.remove(at)),
                // A range that ends where an equal member begins: sorted ends first, so unreachable
                // for distinct members, harmless for equal ones.
                (Ok(_), true) | (Err(_), false) => {}
            }
        }
        let start = run.first().map_or(0, |edge| edge.0);
        if parts.last().is_some_and(|(begin, _)| *begin == start) {
            parts.pop();
        }
        if parts.last().is_none_or(|(_, members)| *members != inside) {
            parts.push((start, inside.clone()));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_ranges_are_cut_at_their_edges() {
        let parts = partition(&[((10, 20), 0), ((15, 30), 1)]);
        let expected =
            vec![(0, vec![]), (10, vec![0]), (15, vec![0, 1]), (21, vec![1]), (31, vec![])];
        assert_eq!(parts, expected);
    }

    #[test]
    fn the_ends_of_the_line_are_covered() {
        assert_eq!(partition(&[((0, u32::MAX), 7)]), vec![(0, vec![7])]);
        assert_eq!(partition(&[]), vec![(0, vec![])]);
        assert_eq!(partition(&[((u32::MAX, u32::MAX), 1)]), vec![(0, vec![]), (u32::MAX, vec![1])]);
    }
}
