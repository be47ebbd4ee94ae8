//! The kernel as what forwards.

use std::net::SocketAddr;

use afpacket::fast_path::{FastPath, Flow, FlowCounters, Transport, Way};
use engine::connection::{ConnectionKey, UDP};
use engine::hop::NextHop;
use engine::{FastCounts, FastFlow};

use super::Forwarder;

impl Forwarder for FastPath {
    fn take_over(&self, flow: &FastFlow, hop: &NextHop) -> bool {
        let way = Way {
            interface: hop.interface.0,
            mtu: hop.mtu,
            source: hop.source.0,
            destination: hop.destination.0,
            ends: flow.ends,
        };
        self.insert(&of(&flow.key), &way).is_ok()
    }

    fn carried(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        self.counters(&of(connection)).ok()?.map(counts)
    }

    fn give_back(&self, connection: &ConnectionKey) -> Option<FastCounts> {
        // One that is not there is what is wanted.
        self.withdraw(&of(connection)).ok()?.map(counts)
    }
}

/// A connection as the kernel is told of it.
const fn of(connection: &ConnectionKey) -> Flow {
    Flow {
        transport: if connection.protocol == UDP { Transport::Udp } else { Transport::Tcp },
        source: SocketAddr::new(connection.client, connection.client_port),
        destination: SocketAddr::new(connection.virtual_address, connection.virtual_port),
    }
}

const fn counts(counters: FlowCounters) -> FastCounts {
    let FlowCounters { packets, octets, data, fin } = counters;
    FastCounts { packets, octets, data, fin }
}
