//! `-L -c`.

use std::fmt::Write as _;

use super::name::{Naming, protocol_title};
use crate::table::Connection;

/// The lines above the connections.
#[must_use]
pub fn connections_title(persistent: bool) -> String {
    let more = if persistent { "        pe name          pe_data" } else { "" };
    format!(
        "IPVS connection entries\n\
         pro expire state       source             virtual            destination{more}\n"
    )
}

/// Connections, in the order given; `persistent` shows the data of packets that templates have.
#[must_use]
pub fn connections(rows: &[Connection], naming: &Naming, persistent: bool) -> String {
    let mut text = String::new();
    for row in rows {
        // IPVS: templates of services by mark are of the protocol "IP".
        let (title, number) = row
            .protocol
            .map_or(("IP", 0), |protocol| (protocol_title(protocol), protocol.number()));
        let place =
            |socket: core::net::SocketAddr| naming.endpoint(socket.ip(), socket.port(), number);
        let seconds = row.expires_in_ms / 1000;
        let left = format!("{:02}:{:02}", seconds / 60, seconds % 60);
        let (client, virtual_address) = (place(row.client), place(row.virtual_address));
        let _written = write!(
            text,
            "{title:<3} {left:<6} {:<11} {client:<18} {virtual_address:<18} ",
            row.state,
        );
        let server = place(row.server);
        let _written = match (row.persistence_engine, &row.persistence_data) {
            (Some(engine), Some(data)) if persistent => {
                writeln!(text, "{server:<16} {:<18} {data}", engine.name())
            }
            _ => writeln!(text, "{server}"),
        };
    }
    text
}
