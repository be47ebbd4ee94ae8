//! What masqueraded servers send on their own: from a service's port, to somebody who is no client.

use core::net::IpAddr;

use crate::command::Protocol;
use crate::connection::ConnectionKey;
use crate::engine::judge::Judge;
use crate::forward::masquerade::Return;
use crate::hop::{Hop, Hops};
use crate::packet::Packet;
use crate::verdict::{PassReason, Verdict};

impl<H: Hops> Judge<'_, H> {
    /// A packet of a server, of no connection and to no service. What the host sees it routes on
    /// itself; from the ports that answers come from it sees nothing, so those packets are routed on
    /// here (IPVS: what is no reply goes on to the host's routing).
    pub(super) fn onward(
        &mut self,
        packet: &mut Packet<'_>,
        key: &ConnectionKey,
        protocol: Protocol,
    ) -> Verdict {
        let passed = Verdict::Pass(PassReason::FromServer);
        let configuration = self.configuration;
        if !configuration.settings().route_servers
            || !is_routed(key.virtual_address)
            || configuration.is_virtual_address(key.virtual_address)
        {
            return passed;
        }
        let answering = configuration.answering_server(protocol, key.client, key.client_port);
        let Some(answering) = answering.filter(|answering| !answering.adopts) else {
            return passed;
        };
        // The guard spares what is to the host itself.
        if self.hops.client_hop(key.virtual_address) == Hop::Local {
            return passed;
        }
        if let Err(reason) = packet.settle_offload() {
            return Verdict::Drop(reason);
        }
        let server = answering.server;
        let own = self.own_address(server, key.virtual_address);
        match Return::of(packet, server, own, self.hops, &mut self.answers) {
            Ok(way) => way.send_on(packet, &mut self.answers),
            Err(verdict) => verdict,
        }
    }
}

/// Whether routers forward to this address: not to groups, to all, to one link, or to nobody.
const fn is_routed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !(address.is_multicast()
                || address.is_broadcast()
                || address.is_link_local()
                || address.is_loopback()
                || address.is_unspecified())
        }
        IpAddr::V6(address) => {
            !(address.is_multicast()
                || address.is_unicast_link_local()
                || address.is_loopback()
                || address.is_unspecified())
        }
    }
}
