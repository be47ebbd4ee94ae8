//! What comes back: answers of servers whose packets are translated, told by where they come from.
//! The host's own business with those servers (its health checks, say) stays the host's.

use std::net::IpAddr;

use super::address::{self, Field, Network};
use super::emit::{DROP, Emitter, End, GO_ON};
use super::{Classifier, Precision, ServiceMatch, SocketAudience};
use crate::bpf::{Label, Program};

/// Drops for the host what comes from `returns`, unless it is to an `own` address.
pub(super) fn guard(returns: &[ServiceMatch], own: &[IpAddr]) -> Program {
    let mut emitter = Emitter::new(returns, End::Source, DROP, GO_ON);
    let (drop, go_on) = (emitter.hit, emitter.miss);
    let hit = emitter.unless_own(own, End::Destination.ipv4(), drop, go_on);
    emitter.turn(returns, End::Source, hit, go_on);
    let ipv4 = emitter.guard_ipv4();
    let hit = emitter.unless_own(own, End::Destination.ipv6(), drop, go_on);
    emitter.turn(returns, End::Source, hit, go_on);
    let ipv6 = emitter.guard_ipv6();
    let start = emitter.by_type(go_on, ipv4, ipv6);
    emitter.assembler.finish(start)
}

impl<'m> Emitter<'m> {
    /// Where a socket's program goes on with a frame that is not to a service.
    pub(super) fn returns(
        &mut self,
        classifier: &'m Classifier,
        audience: &SocketAudience,
        precision: Precision,
    ) -> Label {
        // Nobody asks servers' addresses of the director.
        let audience = SocketAudience { neighbours: false, ..*audience };
        let (returns, own) = (&classifier.returns, &classifier.own);
        let (whole, nothing) = (self.hit, self.miss);
        let hit = self.unless_own(own, End::Destination.ipv4(), whole, nothing);
        self.turn(returns, End::Source, hit, nothing);
        let (_, ipv4, _) = self.parts(&audience, precision);
        let hit = self.unless_own(own, End::Destination.ipv6(), whole, nothing);
        self.turn(returns, End::Source, hit, nothing);
        let (_, _, ipv6) = self.parts(&audience, precision);
        let start = self.by_type(nothing, ipv4, ipv6);
        self.hit = whole;
        start
    }

    /// The parts of a socket's program, with `returns` for what is not to a service.
    pub(super) fn socket_behind(
        &mut self,
        returns: Label,
        matches: &'m [ServiceMatch],
        audience: &SocketAudience,
        precision: Precision,
    ) -> (Label, Label, Label) {
        self.turn(matches, End::Destination, self.hit, returns);
        self.parts(audience, precision)
    }

    fn parts(&mut self, audience: &SocketAudience, precision: Precision) -> (Label, Label, Label) {
        match precision {
            Precision::Exact => self.exact_socket(audience),
            Precision::Address | Precision::Everything => self.address_socket(audience),
        }
    }

    /// On to `hit` unless the address in `field` is one of `own`.
    fn unless_own(&mut self, own: &[IpAddr], field: Field, hit: Label, miss: Label) -> Label {
        let networks: Vec<Network> = own
            .iter()
            .filter(|address| address.is_ipv6() == (field.words == 4))
            .map(Network::one)
            .collect();
        address::search(&mut self.assembler, field, &networks, hit, &mut |_, _| miss)
    }
}
