//! The `clsact` queueing discipline that filters hang on, shared with other directors and other
//! programs.
//!
//! The kernel does not say who made it. So a director that makes one leaves a mark in it: a filter,
//! signed as a guard's are, in a chain of the egress side that no frame comes by. Whichever director
//! is the last to leave removes a discipline with that mark; one without it was made by somebody
//! else and stays.

use crate::bpf::Program;
use crate::guard::{is_of_a_director, signature};
use crate::netlink::exclusive::Exclusive;
use crate::netlink::traffic_control::{Direction, Filter, Place};
use crate::netlink::{Netlink, NetlinkError};

/// What the mark is signed with.
const MARK: &str = "made-clsact";
/// Nothing leads to this chain, so the mark costs no frame anything.
const PLACE: Place =
    Place { direction: Direction::Egress, chain: 0x6c34, priority: 0x6c34, handle: 1 };

/// Sees to a discipline on the interface. No director removes it while the answer lives: hang
/// filters on it meanwhile.
pub(crate) fn enter(netlink: &mut Netlink, interface: u32) -> Result<Exclusive, NetlinkError> {
    let exclusive = netlink.exclusive();
    if netlink.add_clsact(interface)?
        && let Err(error) = netlink.add_filter_at(interface, PLACE, &mark())
    {
        // Without a mark nobody would ever take it away.
        netlink.remove_clsact(interface)?;
        return Err(error);
    }
    Ok(exclusive)
}

/// Takes the discipline away if a director made it and nobody uses it any more. One that another
/// program uses by now is left to it, without the mark.
pub(crate) fn leave(netlink: &mut Netlink, interface: u32) -> Result<(), NetlinkError> {
    let _exclusive = netlink.exclusive();
    match Use::of(netlink, interface, |_| false)? {
        Use::Ours => netlink.remove_clsact(interface),
        Use::Others { marked: true } => netlink.remove_filter_at(interface, PLACE),
        Use::Directors | Use::Others { marked: false } => Ok(()),
    }
}

/// Who needs a discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A director made it, and nobody needs it.
    Ours,
    /// Other directors' filters are on it.
    Directors,
    /// Another program made it, or has filters on it.
    Others {
        /// Whether a director made it.
        marked: bool,
    },
}

impl Use {
    /// Who needs the discipline of the interface, not counting filters that are `leaving`.
    pub(crate) fn of(
        netlink: &mut Netlink,
        interface: u32,
        leaving: impl Fn(&Filter) -> bool,
    ) -> Result<Self, NetlinkError> {
        let egress = netlink.filters(interface, Direction::Egress)?;
        let marked = egress.iter().any(is_mark);
        let mut ingress = netlink.filters(interface, Direction::Ingress)?;
        ingress.retain(|one| !leaving(one));
        if ingress.iter().any(is_of_a_director) {
            return Ok(Self::Directors);
        }
        // Each priority is also listed without a handle; of one with others' filters that counts.
        let others = egress.iter().any(|one| one.chain != PLACE.chain)
            || ingress.iter().any(|one| one.handle != 0);
        Ok(if marked && !others { Self::Ours } else { Self::Others { marked } })
    }
}

fn is_mark(filter: &Filter) -> bool {
    let signer = filter.program.as_ref().and_then(signature::signer);
    filter.chain == PLACE.chain && signer.is_some_and(|signer| signer == MARK)
}

fn mark() -> Program {
    signature::sign(&Program::constant(0), MARK)
}
