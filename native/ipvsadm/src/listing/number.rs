//! Large numbers.

/// Right-aligned in nine columns, cut down to thousands and beyond when it is large: IPVS divides and
/// drops the rest.
pub(super) fn abbreviated(number: u64) -> String {
    let (divisor, unit) = match number {
        0..100_000_000 => return format!("{number:>9}"),
        100_000_000..1_000_000_000 => (1_000, 'K'),
        1_000_000_000..100_000_000_000 => (1_000_000, 'M'),
        100_000_000_000..100_000_000_000_000 => (1_000_000_000, 'G'),
        _ => (1_000_000_000_000, 'T'),
    };
    format!("{:>8}{unit}", number / divisor)
}

/// All digits, a blank before them.
pub(super) fn exact(number: u64) -> String {
    format!(" {number:>8}")
}
