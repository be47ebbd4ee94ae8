//! What stays when a guard could not be removed, and how to remove it by hand.

use super::owner_of;
use crate::clsact::Use;
use crate::netlink::traffic_control::Filter;
use crate::netlink::{Netlink, NetlinkError};

/// The commands that remove from an interface, called `name`, what the directors left whose ids pass
/// `of`: the filters of their guards and fast paths, and the discipline if nobody else needs it. None
/// when nothing is left.
///
/// # Errors
/// When the kernel does not answer.
pub fn removal_commands(
    netlink: &mut Netlink,
    interface: u32,
    name: &str,
    of: impl Fn(&str) -> bool,
) -> Result<Vec<String>, NetlinkError> {
    let left = |filter: &Filter| owner_of(filter).is_some_and(|id| of(&id));
    if Use::of(netlink, interface, left)? == Use::Ours {
        return Ok(vec![format!("tc qdisc del dev {name} clsact")]);
    }
    let filters = netlink.ingress_filters(interface)?;
    let command = |filter: &Filter| {
        let Filter { priority, handle, .. } = filter;
        format!("tc filter del dev {name} ingress pref {priority} handle {handle:#x} bpf")
    };
    Ok(filters.iter().filter(|filter| left(filter)).map(command).collect())
}
