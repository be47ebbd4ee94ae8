//! Schedulers that count connections or weigh servers: `lc`, `wlc`, `sed`, `nq`, `fo`, `ovf`.

use proptest::prelude::*;

use super::*;

/// A server of a model: weight, active connections, inactive ones, whether it is overloaded.
type Row = (u32, u32, u32, bool);

fn live(scheduler: SchedulerName, rows: &[Row]) -> Live {
    let mut live = Live::new(scheduler, &[]);
    for (index, &(weight, active, inactive, full)) in rows.iter().enumerate() {
        let threshold = if full { (active + inactive).max(1) } else { 0 };
        live.apply(Command::AddServer { service: WEB, server: server(index, weight, threshold) });
        live.load(index, active, (active + inactive).max(u32::from(full)) - active);
    }
    live
}

fn pick(scheduler: SchedulerName, rows: &[Row]) -> Option<usize> {
    live(scheduler, rows).pick()
}

#[test]
fn lc_weighs_an_active_connection_as_257_inactive_ones() {
    assert_eq!(pick(SchedulerName::Lc, &[(1, 1, 0, false), (1, 0, 257, false)]), Some(1));
    assert_eq!(pick(SchedulerName::Lc, &[(1, 1, 0, false), (1, 0, 258, false)]), Some(0));
    assert_eq!(pick(SchedulerName::Lc, &[(9, 1, 0, false), (1, 1, 0, false)]), Some(1), "ties");
}

#[test]
fn wlc_divides_by_the_weight() {
    assert_eq!(pick(SchedulerName::Wlc, &[(3, 5, 0, false), (2, 4, 0, false)]), Some(0));
    assert_eq!(pick(SchedulerName::Wlc, &[(3, 6, 0, false), (2, 4, 0, false)]), Some(1), "ties");
    assert_eq!(pick(SchedulerName::Wlc, &[(0, 0, 0, false), (0, 0, 0, false)]), None);
}

#[test]
fn sed_counts_the_new_connection() {
    assert_eq!(pick(SchedulerName::Sed, &[(3, 0, 0, false), (1, 0, 0, false)]), Some(0));
    assert_eq!(pick(SchedulerName::Sed, &[(3, 2, 0, false), (1, 0, 0, false)]), Some(1), "ties");
    assert_eq!(pick(SchedulerName::Sed, &[(3, 3, 0, false), (1, 0, 99, false)]), Some(1));
}

#[test]
fn nq_takes_an_idle_server_whatever_its_weight() {
    assert_eq!(pick(SchedulerName::Nq, &[(100, 1, 0, false), (1, 0, 50, false)]), Some(1));
    assert_eq!(pick(SchedulerName::Nq, &[(100, 1, 0, false), (1, 1, 0, false)]), Some(0));
    assert_eq!(pick(SchedulerName::Nq, &[(100, 1, 0, false), (0, 0, 0, false)]), Some(0));
}

#[test]
fn fo_takes_the_heaviest_that_can() {
    assert_eq!(pick(SchedulerName::Fo, &[(5, 9, 0, false), (4, 0, 0, false)]), Some(0));
    assert_eq!(pick(SchedulerName::Fo, &[(5, 9, 0, true), (4, 0, 0, false)]), Some(1));
    assert_eq!(pick(SchedulerName::Fo, &[(5, 0, 0, false), (5, 9, 0, false)]), Some(1), "ties");
}

#[test]
fn ovf_flows_over_behind_the_weight() {
    let mut live = live(SchedulerName::Ovf, &[(1, 0, 0, false), (2, 0, 0, false)]);
    let picked: Vec<Option<usize>> =
        (0..6).map(|_| live.pick().inspect(|&server| live.load(server, 1, 0))).collect();
    assert_eq!(picked, [Some(1), Some(1), Some(1), Some(0), Some(0), None]);
}

/// The least cost for the weight, as a fraction; the newest of equals.
fn cheapest(
    rows: &[Row],
    cost: impl Fn(&Row) -> u64,
    weight: impl Fn(&Row) -> u64,
) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, row) in rows.iter().enumerate().rev().filter(|(_, row)| row.0 > 0 && !row.3) {
        let less = |other: usize| {
            let left = cost(row) as f64 / weight(row) as f64;
            let right = cost(&rows[other]) as f64 / weight(&rows[other]) as f64;
            right - left > 1e-9
        };
        if best.is_none_or(less) {
            best = Some(index);
        }
    }
    best
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((0_u32..5, 0_u32..6, 0_u32..6, prop::bool::weighted(0.2)), 0..7)
}

proptest! {
    #[test]
    fn as_the_formulas_say(rows in rows()) {
        let total = |row: &Row| u64::from((row.1 + row.2).max(u32::from(row.3)));
        let overhead = |row: &Row| 256 * u64::from(row.1) + total(row);
        let delay = |row: &Row| u64::from(row.1) + 1;
        let weight = |row: &Row| u64::from(row.0);
        prop_assert_eq!(pick(SchedulerName::Lc, &rows), cheapest(&rows, overhead, |_| 1));
        prop_assert_eq!(pick(SchedulerName::Wlc, &rows), cheapest(&rows, overhead, weight));
        let sed = cheapest(&rows, delay, weight);
        prop_assert_eq!(pick(SchedulerName::Sed, &rows), sed);
        let idle = rows.iter().rposition(|row| row.0 > 0 && !row.3 && row.1 == 0);
        prop_assert_eq!(pick(SchedulerName::Nq, &rows), idle.or(sed));
        let heaviest = |room: &dyn Fn(&Row) -> bool| {
            let usable = |row: &&Row| row.0 > 0 && !row.3 && room(row);
            let most = rows.iter().filter(usable).map(|row| row.0).max()?;
            rows.iter().rposition(|row| row.0 == most && usable(&row))
        };
        prop_assert_eq!(pick(SchedulerName::Fo, &rows), heaviest(&|_| true));
        prop_assert_eq!(pick(SchedulerName::Ovf, &rows), heaviest(&|row| row.1 <= row.0));
    }
}
