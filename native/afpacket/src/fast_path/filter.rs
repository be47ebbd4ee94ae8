//! The fast path's filter on an interface: in front of the guard's, known by its name.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use super::FastPathError;
use crate::clsact;
use crate::guard::{self, is_id};
use crate::netlink::traffic_control::{Filter, NamedProgram};
use crate::netlink::{Netlink, NetlinkError};
use crate::sys::bpf::programs_before_filters;

const LABEL: &str = "l4-director-fast:";

/// The id in the name of a fast path's filter; `None` for filters of others.
pub(crate) fn signer(filter: &Filter) -> Option<String> {
    let id = filter.name.as_deref()?.strip_prefix(LABEL)?;
    (filter.kind == "bpf" && is_id(id)).then(|| id.to_owned())
}

/// A fast path in force on one interface. Dropping it ends that: in the network namespace of the
/// thread that drops it, which has to be the one it was installed in. It removes its own filter
/// only, not one that has taken its place.
#[derive(Debug)]
pub struct FastFilter {
    interface: u32,
    id: String,
    /// Tells this filter from others with the same id; 0 while there is none.
    handle: u32,
    removed: bool,
}

impl FastFilter {
    pub(super) fn install(
        program: BorrowedFd<'_>,
        netlink: &mut Netlink,
        interface: u32,
        id: &str,
    ) -> Result<Self, FastPathError> {
        if !is_id(id) {
            return Err(FastPathError::BadId { id: id.to_owned() });
        }
        let kernel = |source| FastPathError::Kernel { interface, source };
        let exclusive = clsact::enter(netlink, interface).map_err(kernel)?;
        let mut filter = Self { interface, id: id.to_owned(), handle: 0, removed: false };
        let added = filter.exchange(program, netlink);
        // Before a filter that did not get in place is dropped, which takes the lock, too.
        drop(exclusive);
        added?;
        match filter.is_in_place(netlink) {
            Ok(true) => Ok(filter),
            Ok(false) => Err(FastPathError::NotVerified { interface }),
            Err(source) => Err(kernel(source)),
        }
    }

    /// Adds the filter in the place of those with the same id.
    fn exchange(
        &mut self,
        program: BorrowedFd<'_>,
        netlink: &mut Netlink,
    ) -> Result<(), FastPathError> {
        let interface = self.interface;
        let kernel = |source| FastPathError::Kernel { interface, source };
        let old = self.listed(netlink).map_err(kernel)?;
        self.handle = self.add(program, netlink)?;
        // Away after the new one: in between both forward.
        for one in old {
            netlink.remove_filter(interface, one.priority, one.handle).map_err(kernel)?;
        }
        Ok(())
    }

    /// Index of the interface.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// Whether the filter is in the kernel; another program may have removed it. While it is not,
    /// frames of flows in the map reach nobody: withdraw the flows.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_in_place(&self, netlink: &mut Netlink) -> Result<bool, NetlinkError> {
        Ok(self.listed(netlink)?.iter().any(|one| one.handle == self.handle))
    }

    /// Whether another program's filters (tc or tcx), or the director's own guard, come first on
    /// this interface. One that ends the decision keeps the fast path from forwarding what the socket
    /// gets cut: insert no flows then.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_behind_others(&self, netlink: &mut Netlink) -> Result<bool, NetlinkError> {
        let filters = netlink.ingress_filters(self.interface)?;
        let own = self.own_of(&filters).find(|one| one.handle == self.handle);
        let own = own.map_or(0, |one| one.priority);
        let is_other = |one: &Filter| one.handle != 0 && !guard::is_of_a_director(one);
        // A kernel that does not say has no such programs, or keeps them from us.
        let express = programs_before_filters(self.interface).unwrap_or(0) > 0;
        let behind_guard = guard::priority_of(&filters, &self.id).is_some_and(|guard| guard <= own);
        Ok(express || behind_guard || filters.iter().any(|one| one.priority < own && is_other(one)))
    }

    /// Ends the forwarding. Dropping does the same but cannot tell of a failure.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(mut self, netlink: &mut Netlink) -> Result<(), FastPathError> {
        let interface = self.interface;
        self.clear(netlink).map_err(|source| FastPathError::Kernel { interface, source })
    }

    /// Lets go of a filter that has gone with its interface. The interface's number may be another's
    /// by now, so nothing is removed.
    pub fn forget(mut self) {
        self.removed = true;
    }

    /// Adds the filter; returns its handle.
    fn add(&self, program: BorrowedFd<'_>, netlink: &mut Netlink) -> Result<u32, FastPathError> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let interface = self.interface;
        let kernel = |source| FastPathError::Kernel { interface, source };
        let name = format!("{LABEL}{}", self.id);
        let program = NamedProgram { descriptor: program, name: &name };
        let mut attempts_left = 8;
        loop {
            let filters = netlink.ingress_filters(interface).map_err(kernel)?;
            let priority = self.place(&filters).ok_or(FastPathError::NoPriority { interface })?;
            let handle = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
            match netlink.add_program_filter(interface, priority, handle, &program) {
                Ok(()) => return Ok(handle),
                // Another director has taken the priority since the list was made.
                Err(error) if error.number() == Some(libc::EEXIST) && attempts_left > 0 => {
                    attempts_left -= 1;
                }
                Err(error) => return Err(kernel(error)),
            }
        }
    }

    /// The priority of the filter whose place is taken, or the earliest that is free; if it is in
    /// front of the guard with the same id.
    fn place(&self, filters: &[Filter]) -> Option<u16> {
        let guard = guard::priority_of(filters, &self.id).unwrap_or(u16::MAX);
        let own = self.own_of(filters).map(|one| one.priority).find(|priority| *priority < guard);
        let is_taken = |priority: u16| filters.iter().any(|one| one.priority == priority);
        own.or_else(|| (1..guard).find(|priority| !is_taken(*priority)))
    }

    /// The filters with this id.
    fn listed(&self, netlink: &mut Netlink) -> Result<Vec<Filter>, NetlinkError> {
        let filters = netlink.ingress_filters(self.interface)?;
        Ok(self.own_of(&filters).cloned().collect())
    }

    fn own_of<'f>(&self, filters: &'f [Filter]) -> impl Iterator<Item = &'f Filter> {
        filters.iter().filter(|one| signer(one).is_some_and(|id| id == self.id))
    }

    fn clear(&mut self, netlink: &mut Netlink) -> Result<(), NetlinkError> {
        self.removed = true;
        let mut listed = self.listed(netlink)?;
        listed.retain(|one| one.handle == self.handle);
        for one in listed {
            netlink.remove_filter(self.interface, one.priority, one.handle)?;
        }
        clsact::leave(netlink, self.interface)
    }
}

impl Drop for FastFilter {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        // Nobody is left to hear of a failure; the next director finds what stays.
        if let Ok(mut netlink) = Netlink::open() {
            drop(self.clear(&mut netlink));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::thread;

    use super::*;
    use crate::FastPath;
    use crate::sys::bpf::attach_before_filters;
    use crate::thread::new_network_namespace;

    const LOOPBACK: u32 = 1;

    /// What a filter says of itself before and after a program comes before it; `Err` without the
    /// right.
    fn noticed() -> Result<[bool; 2], String> {
        new_network_namespace().map_err(|error| error.to_string())?;
        let path = FastPath::open(1).map_err(|error| error.to_string())?;
        let mut netlink = Netlink::open().expect("netlink");
        let filter = path.install(&mut netlink, LOOPBACK, "one").expect("installed");
        let mut behind = || filter.is_behind_others(&mut netlink).expect("listed");
        let before = behind();
        match attach_before_filters(LOOPBACK, path.filter.as_fd()) {
            // A kernel without that place has nothing to notice there.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok([before, true]),
            attached => {
                attached.expect("attached");
                Ok([before, behind()])
            }
        }
    }

    #[test]
    fn a_program_before_all_filters_is_noticed() {
        match thread::spawn(noticed).join().expect("no panic") {
            Ok(noticed) => assert_eq!(noticed, [false, true]),
            Err(why) => {
                let required =
                    std::env::var("L4_REQUIRE_PRIVILEGED").is_ok_and(|value| value == "1");
                let line = format!("NOT RUN: a_program_before_all_filters_is_noticed: {why}\n");
                assert!(!required, "{line}");
                // Not by `eprintln!`, which the test harness hides for tests that do not fail.
                std::io::stderr().write_all(line.as_bytes()).expect("standard error");
            }
        }
    }
}
