//! One packet's way: related connection, service, scheduler, connection, forwarding method.

use wire::dissect::Upper;
use wire::ethernet::MacAddress;

use crate::command::{ForwardingMethod, Protocol};
use crate::configuration::{Configuration, MarkSubject, Server, Service};
use crate::connection::{ConnectionId, ConnectionKey, ConnectionTable, Timeouts};
use crate::engine::admission::Admission;
use crate::engine::books::Books;
use crate::engine::defence::Defence;
use crate::engine::fast_path::FastPath;
use crate::engine::known::Known;
use crate::engine::opening::{self, Opening};
use crate::event::AdoptionCause;
use crate::event_queue::EventQueue;
use crate::forward::{Answers, direct_routing, masquerade, tunnel};
use crate::hop::Hops;
use crate::packet::Packet;
use crate::reply::Answer;
use crate::reset;
use crate::time::Instant;
use crate::verdict::{DropReason, PassReason, Verdict};

/// Everything a packet meets on its way, borrowed from the engine for as long as that takes.
#[derive(Debug)]
pub(super) struct Judge<'a, H> {
    pub(super) configuration: &'a Configuration,
    pub(super) timeouts: &'a Timeouts,
    pub(super) connections: &'a mut ConnectionTable,
    pub(super) books: &'a mut Books,
    pub(super) events: &'a mut EventQueue,
    pub(super) fast_path: &'a mut FastPath,
    pub(super) admission: &'a mut Admission,
    pub(super) placed_without_entry: &'a mut u64,
    pub(super) defence: &'a mut Defence,
    pub(super) hops: &'a H,
    pub(super) answers: Answers<'a>,
    pub(super) now: Instant,
}

impl<'a, H: Hops> Judge<'a, H> {
    /// The verdict on an IP packet.
    pub(super) fn judge(&mut self, packet: &mut Packet<'_>) -> Verdict {
        if is_for_many(packet.frame) {
            return Verdict::Pass(PassReason::OtherHost);
        }
        record_route(packet, self.configuration);
        match packet.ip.upper {
            Upper::Tcp { source_port, destination_port, .. }
            | Upper::Udp { source_port, destination_port }
            | Upper::Sctp { source_port, destination_port, .. } => {
                self.transport(packet, &key_of(packet, source_port, destination_port))
            }
            Upper::Icmpv4 { kind, .. } => self.icmpv4(packet, kind),
            Upper::Icmpv6 { kind, .. } => self.icmpv6(packet, kind),
            Upper::Truncated if self.configuration.is_virtual_address(packet.ip.destination) => {
                Verdict::Drop(DropReason::TruncatedTransport)
            }
            Upper::Truncated => Verdict::Pass(PassReason::NoService),
            Upper::Other => Verdict::Pass(PassReason::Protocol),
        }
    }

    /// A packet with ports. The connection comes before the service: it outlives a change of the
    /// service, of its servers and of their weights (IPVS).
    fn transport(&mut self, packet: &mut Packet<'_>, key: &ConnectionKey) -> Verdict {
        let Some(id) = self.connections.lookup(key, self.now) else {
            return self.unknown(packet, key);
        };
        match self.known(packet, id) {
            Known::Judged(verdict) => verdict,
            Known::GaveWay(ended) => {
                // IPVS: the old connection still counts while the new one is scheduled.
                let verdict = self.unknown(packet, key);
                if let Some(ended) = ended {
                    super::load::ended(self.configuration, self.events, &ended);
                }
                verdict
            }
        }
    }

    /// A packet with ports, of no connection.
    fn unknown(&mut self, packet: &mut Packet<'_>, key: &ConnectionKey) -> Verdict {
        if self.connections.has_masqueraded()
            && let Some(id) = self.replied(key)
        {
            return self.give_back(packet, id);
        }
        if self.configuration.settings().nat_icmp_send
            && let Some(verdict) = self.refuse_stray(packet, key)
        {
            return verdict;
        }
        let Some(protocol) = Protocol::from_number(key.protocol) else {
            return Verdict::Pass(PassReason::Protocol);
        };
        let Some(service) = self.service(packet, protocol, key) else {
            if !self.configuration.is_server_address(key.client) {
                return Verdict::Pass(PassReason::NoService);
            }
            return self.onward(packet, key, protocol);
        };
        let opening = opening::opening(&packet.ip.upper);
        let adoption = match self.may_open(service, protocol, opening) {
            Ok(adoption) => adoption,
            Err(verdict) => return self.not_opened(packet, verdict),
        };
        self.schedule(packet, service, key, adoption)
    }

    /// The service of a packet with this key (IPVS: mark, exact, FTP, port 0).
    pub(super) fn service(
        &self,
        packet: &Packet<'_>,
        protocol: Protocol,
        key: &ConnectionKey,
    ) -> Option<&'a Service> {
        let configuration = self.configuration;
        let mark = if configuration.has_marks() {
            configuration.mark_of(&MarkSubject {
                protocol,
                source: key.client,
                source_port: key.client_port,
                destination: key.virtual_address,
                port: key.virtual_port,
                interface: Some(packet.meta.interface),
                vlan: Some(packet.vlan()),
            })
        } else {
            None
        };
        configuration
            .lookup(protocol, key.virtual_address, key.virtual_port, mark)
            .map(|service| &**service)
    }

    /// Whether a packet may create a connection, and what adopts it if it is not the first.
    fn may_open(
        &self,
        service: &Service,
        protocol: Protocol,
        opening: Opening,
    ) -> Result<Option<AdoptionCause>, Verdict> {
        match opening {
            Opening::First => Ok(None),
            Opening::Never(verdict) => Err(verdict),
            Opening::Midstream(cause) => {
                // A full table places without entries: then nothing tells a connection it placed
                // from one it never saw, and every service that can is sloppy.
                let stateless = self.connections.is_full() && service.placement.is_stateless();
                if stateless || self.configuration.is_sloppy(service, protocol) {
                    Ok(Some(cause))
                } else {
                    Err(Verdict::Pass(opening::not_adopted(cause)))
                }
            }
        }
    }

    /// What becomes of a packet to a service that creates no connection, and none of which is known.
    fn not_opened(&mut self, packet: &Packet<'_>, verdict: Verdict) -> Verdict {
        if self.configuration.settings().reset_midstream
            && let Some(verdict) = reset::answer(packet, &mut self.answers)
        {
            return verdict;
        }
        verdict
    }

    /// Counts a packet of connection `id` and sends it on its way, by the forwarding method the
    /// server had when the connection was made (IPVS).
    pub(super) fn deliver_known(
        &mut self,
        packet: &mut Packet<'_>,
        id: ConnectionId,
        service: &Service,
        server: &Server,
    ) -> Verdict {
        let entry = self.connections.entry(id);
        let (method, port) = (entry.forwarding(), entry.server_port());
        self.deliver(packet, service, server, method, port)
    }

    /// Counts the packet and sends it to a server that is spoken to at `port`.
    pub(super) fn deliver(
        &mut self,
        packet: &mut Packet<'_>,
        service: &Service,
        server: &Server,
        method: ForwardingMethod,
        port: u16,
    ) -> Verdict {
        self.books.count_in(service.id, server.id, packet.length());
        if let Err(reason) = packet.settle_offload() {
            return Verdict::Drop(reason);
        }
        let Self { hops, answers, configuration, .. } = self;
        match method {
            ForwardingMethod::DirectRouting => {
                direct_routing::transmit(packet, server.id, *hops, answers)
            }
            ForwardingMethod::Masquerading => {
                masquerade::transmit(packet, server.id, (server.address, port), *hops, answers)
            }
            ForwardingMethod::Tunnelling => {
                tunnel::transmit(packet, server, configuration.settings(), *hops, answers)
            }
        }
    }

    /// Refuses a new connection (IPVS: port unreachable, for TCP as well).
    pub(super) fn refuse(&mut self, packet: &Packet<'_>, service: &Service) -> Verdict {
        if let Some(book) = self.books.service(service.id) {
            book.refused += 1;
        }
        self.answers.answer(packet, Answer::NoServer)
    }

    /// Ends a connection at once. Its server's load still has it.
    pub(super) fn end(&mut self, id: ConnectionId) -> Known {
        let ended = self.connections.remove(id);
        if let Some(ended) = &ended {
            self.fast_path.ended(ended);
        }
        Known::GaveWay(ended)
    }
}

/// Frames for many hosts are never a director's (IPVS looks only at frames for this host).
pub(super) fn is_for_many(frame: &[u8]) -> bool {
    frame.first_chunk::<6>().is_some_and(|address| MacAddress(*address).is_multicast())
}

/// A packet to a virtual address has arrived: its record-route option gets that address, as from
/// any host (RFC 791 §3.1).
fn record_route(packet: &mut Packet<'_>, configuration: &Configuration) {
    if packet.ip.options
        && let core::net::IpAddr::V4(address) = packet.ip.destination
        && configuration.is_virtual_address(packet.ip.destination)
    {
        wire::ipv4::fill_record_route(packet.octets_mut(), address);
    }
}

fn key_of(packet: &Packet<'_>, source_port: u16, destination_port: u16) -> ConnectionKey {
    ConnectionKey {
        protocol: packet.ip.protocol,
        client: packet.ip.source,
        client_port: source_port,
        virtual_address: packet.ip.destination,
        virtual_port: destination_port,
    }
}
