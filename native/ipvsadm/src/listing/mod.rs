//! Listings: a table in, text out, to the trailing blank.

mod connections;
mod name;
mod number;
pub mod order;
mod rule;
mod table;

pub use connections::{connections, connections_title};
pub use name::Naming;
pub use rule::save;
pub use table::{Columns, Layout, services, title};

use crate::table::Timeouts;

/// `-L --timeout`.
#[must_use]
pub fn timeouts(timeouts: Timeouts) -> String {
    let Timeouts { tcp_timeout_seconds, tcp_fin_timeout_seconds, udp_timeout_seconds } = timeouts;
    format!(
        "Timeout (tcp tcpfin udp): {tcp_timeout_seconds} {tcp_fin_timeout_seconds} \
         {udp_timeout_seconds}\n"
    )
}
