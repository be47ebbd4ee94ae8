//! The loop around long-lived flows: reports, orders from the driver, the end.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::control::{Control, Controls};
use crate::orders::Chief;
use crate::tally::Tally;

/// Reports and passes orders on until every flow has ended after a finish, and reports once more.
pub(crate) async fn drive(
    flows: &mut JoinSet<()>,
    tally: &Tally,
    chief: &Chief,
    controls: &mut Controls,
    report: Duration,
) {
    let mut ticks = interval_at(Instant::now() + report, report);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut finishing, mut last_report) = (false, Instant::now());
    while !(finishing && flows.is_empty()) {
        tokio::select! {
            _ = flows.join_next(), if !flows.is_empty() => {}
            control = controls.next() => match control {
                Control::Finish => {
                    finishing = true;
                    chief.finish();
                }
                Control::CloseServer(name) => chief.close_server(name),
            },
            _ = ticks.tick() => {
                tally.report(last_report.elapsed());
                last_report = Instant::now();
            }
        }
    }
    tally.report(last_report.elapsed());
}
