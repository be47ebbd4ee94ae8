//! Keeping the host's hands off the services' traffic.
//!
//! A packet socket gets a copy: the host's own stack gets the frame too, and answers with a reset
//! or an ICMP error that ends the connection for the client. A guard drops the services' traffic
//! for the host after the packet sockets had their copy.
//!
//! A guard outlives a director that was killed, so that the host does not begin to answer for it.
//! Its programs carry the director's id; whether that director still lives is told by its claim
//! ([`Guard::claim_name`]). A successor removes what the dead left: [`find`], [`Found::is_orphan`],
//! [`Found::remove`].

mod remains;
pub(crate) mod signature;

use crate::bpf::Program;
use crate::claim::{self, ClaimError};
use crate::classifier::Classifier;
use crate::clsact;
use crate::fast_path::signer_of_label as fast_path_signer;
use crate::netlink::traffic_control::Filter;
use crate::netlink::{Netlink, NetlinkError};
use signature::{PROGRAM_LEN_MAX, sign, signer};

pub use remains::removal_commands;
pub use signature::ID_LEN_MAX;

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The id does not fit.
    #[error("the guard id {id:?} has {} octets; 1 to {ID_LEN_MAX} printable ASCII characters are allowed", id.len())]
    BadId {
        /// The id.
        id: String,
    },
    /// The kernel refused.
    #[error("no ingress guard on interface {interface}: {source}{}", advice(.source))]
    Kernel {
        /// Index of the interface.
        interface: u32,
        /// What the kernel answered.
        source: NetlinkError,
    },
    /// The kernel accepted the filters but does not list them as they were given.
    #[error(
        "the ingress guard on interface {interface} does not read back as it was installed: another program changes the filters of this interface; stop it, or keep the virtual addresses off this host"
    )]
    NotVerified {
        /// Index of the interface.
        interface: u32,
    },
}

fn advice(error: &NetlinkError) -> &'static str {
    match error.number() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => {
            "; the kernel needs CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF (modules sch_ingress \
             and cls_bpf)"
        }
        _ => "",
    }
}

/// A guard on one interface. Dropping it removes it from the kernel: in the network namespace of the
/// thread that drops it, which has to be the one it was installed in.
#[derive(Debug)]
pub struct Guard {
    interface: u32,
    id: String,
    /// What the kernel was given last.
    programs: Vec<Program>,
    removed: bool,
}

impl Guard {
    /// Installs a guard that drops nothing yet. `id` names this director: no two living directors
    /// of a network namespace may use the same, which [`Self::claim_name`] is for.
    ///
    /// # Errors
    /// When the id does not fit, a right is missing, or the kernel lacks the filter.
    pub fn install(netlink: &mut Netlink, interface: u32, id: &str) -> Result<Self, GuardError> {
        if !is_id(id) {
            return Err(GuardError::BadId { id: id.to_owned() });
        }
        let kernel = |source| GuardError::Kernel { interface, source };
        drop(clsact::enter(netlink, interface).map_err(kernel)?);
        Ok(Self { interface, id: id.to_owned(), programs: Vec::new(), removed: false })
    }

    /// The claim that a living director with this id holds; see [`crate::claim::Claim::acquire`].
    #[must_use]
    pub fn claim_name(id: &str) -> String {
        format!("guard/{id}")
    }

    /// Index of the interface.
    #[must_use]
    pub const fn interface(&self) -> u32 {
        self.interface
    }

    /// Drops exactly the traffic of `classifier` from now on. What was guarded before and still is
    /// stays guarded all the while.
    ///
    /// # Errors
    /// When the kernel refuses, or does not list the filters as given. The guard then covers the
    /// old services, the new ones, or both; call again or remove it.
    pub fn set(
        &mut self,
        netlink: &mut Netlink,
        classifier: &Classifier,
    ) -> Result<(), GuardError> {
        let programs = classifier.guard_programs(PROGRAM_LEN_MAX);
        self.programs = programs.iter().map(|program| sign(program, &self.id)).collect();
        self.exchange(netlink).map_err(|source| self.kernel(source))?;
        match self.is_in_place(netlink) {
            Ok(true) => Ok(()),
            Ok(false) => Err(GuardError::NotVerified { interface: self.interface }),
            Err(source) => Err(self.kernel(source)),
        }
    }

    /// Whether the guard's filters are in the kernel as they were given; another program may have
    /// removed them.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_in_place(&self, netlink: &mut Netlink) -> Result<bool, NetlinkError> {
        let filters = netlink.ingress_filters(self.interface)?;
        let listed =
            |program: &Program| filters.iter().any(|one| one.program.as_ref() == Some(program));
        Ok(self.programs.iter().all(listed))
    }

    /// Whether another program's filters come first on this interface. One that ends the decision
    /// (as Cilium's do) keeps the guard from dropping anything: keep the virtual addresses off such
    /// a host.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_behind_others(&self, netlink: &mut Netlink) -> Result<bool, NetlinkError> {
        let filters = netlink.ingress_filters(self.interface)?;
        let own = self.own(&filters).map(|one| one.priority).max().unwrap_or(0);
        let is_other = |one: &Filter| one.handle != 0 && !is_of_a_director(one);
        Ok(filters.iter().any(|one| one.priority < own && is_other(one)))
    }

    fn kernel(&self, source: NetlinkError) -> GuardError {
        GuardError::Kernel { interface: self.interface, source }
    }

    fn own<'f>(&self, filters: &'f [Filter]) -> impl Iterator<Item = &'f Filter> {
        filters.iter().filter(|one| signer_of(one).is_some_and(|id| id == self.id))
    }

    /// Brings the kernel from whatever it lists of this guard to `programs`.
    fn exchange(&mut self, netlink: &mut Netlink) -> Result<(), NetlinkError> {
        // Somebody may have deleted the discipline, and our filters with it.
        let _exclusive = clsact::enter(netlink, self.interface)?;
        let filters = netlink.ingress_filters(self.interface)?;
        let old: Vec<&Filter> = self.own(&filters).collect();
        if let ([program], [filter]) = (self.programs.as_slice(), old.as_slice()) {
            let (priority, handle) = (filter.priority, filter.handle);
            return netlink.replace_filter(self.interface, priority, handle, program);
        }
        // New filters first, old ones away after: in between both hold.
        self.add(netlink, &filters)?;
        old.iter()
            .try_for_each(|one| netlink.remove_filter(self.interface, one.priority, one.handle))
    }

    fn add(&self, netlink: &mut Netlink, filters: &[Filter]) -> Result<(), NetlinkError> {
        let mut priority = self
            .own(filters)
            .next()
            .map_or_else(|| free_priority(filters, &self.id), |one| one.priority);
        let mut handle = 0;
        for program in &self.programs {
            handle = free_handle(filters, priority, handle);
            let mut attempts_left = 8;
            // Another director may have taken the same priority since the list was made.
            while let Err(error) = netlink.add_filter(self.interface, priority, handle, program) {
                if error.number() != Some(libc::EEXIST) || attempts_left == 0 {
                    return Err(error);
                }
                attempts_left -= 1;
                let filters = netlink.ingress_filters(self.interface)?;
                priority = free_priority(&filters, &self.id);
            }
        }
        Ok(())
    }

    /// Removes the guard. Dropping does the same but cannot tell of a failure.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(mut self, netlink: &mut Netlink) -> Result<(), GuardError> {
        let interface = self.interface;
        self.clear(netlink).map_err(|source| GuardError::Kernel { interface, source })
    }

    /// Lets go of a guard that has gone with its interface. The interface's number may be another's
    /// by now, so nothing is removed.
    pub fn forget(mut self) {
        self.programs.clear();
        self.removed = true;
    }

    fn clear(&mut self, netlink: &mut Netlink) -> Result<(), NetlinkError> {
        self.removed = true;
        let filters = netlink.ingress_filters(self.interface)?;
        for one in self.own(&filters) {
            netlink.remove_filter(self.interface, one.priority, one.handle)?;
        }
        clsact::leave(netlink, self.interface)
    }
}

impl Drop for Guard {
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

/// Whether a director can be named like that.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Whether a filter is a guard's or a fast path's.
pub(crate) fn is_of_a_director(filter: &Filter) -> bool {
    owner_of(filter).is_some()
}

/// The first priority of the guard with that id.
pub(crate) fn priority_of(filters: &[Filter], id: &str) -> Option<u16> {
    let own = filters.iter().filter(|one| signer_of(one).is_some_and(|signer| signer == id));
    own.map(|one| one.priority).min()
}

/// The earliest priority no other program's filters use, behind one more such: what comes first
/// cannot be skipped, and the place in front is for the fast path.
fn free_priority(filters: &[Filter], id: &str) -> u16 {
    let is_free = |priority: u16| !filters.iter().any(|filter| filter.priority == priority);
    let is_fast_path = |priority: u16| {
        filters.iter().any(|one| one.priority == priority && fast_path_signer(one).is_some())
    };
    let own = filters.iter().filter(|one| fast_path_signer(one).is_some_and(|signer| signer == id));
    let first = own.map(|one| one.priority).max().unwrap_or(1).saturating_add(1);
    (first..u16::MAX)
        .find(|priority| {
            is_free(*priority) && (is_free(priority - 1) || is_fast_path(priority - 1))
        })
        .unwrap_or(u16::MAX)
}

/// A handle behind `last` that no listed filter of the priority has.
fn free_handle(filters: &[Filter], priority: u16, last: u32) -> u32 {
    let is_taken =
        |handle| filters.iter().any(|one| one.priority == priority && one.handle == handle);
    (last + 1..).find(|handle| !is_taken(*handle)).unwrap_or(u32::MAX)
}

fn signer_of(filter: &Filter) -> Option<String> {
    signer(filter.program.as_ref().filter(|_| filter.kind == "bpf")?)
}

fn owner_of(filter: &Filter) -> Option<String> {
    signer_of(filter).or_else(|| fast_path_signer(filter))
}

/// A filter of a director's guard or fast path found on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index of the interface.
    pub interface: u32,
    /// Id of the director that installed it.
    pub id: String,
    priority: u16,
    handle: u32,
}

impl Found {
    /// Whether the director that installed it is dead.
    ///
    /// # Errors
    /// When the claim cannot be looked up.
    pub fn is_orphan(&self) -> Result<bool, ClaimError> {
        Ok(!claim::is_held(&Guard::claim_name(&self.id))?)
    }

    /// Removes it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self, netlink: &mut Netlink) -> Result<(), NetlinkError> {
        netlink.remove_filter(self.interface, self.priority, self.handle)
    }
}

/// The filters of all directors' guards and fast paths on the interface, those of the living
/// included.
///
/// # Errors
/// When the kernel does not answer.
pub fn find(netlink: &mut Netlink, interface: u32) -> Result<Vec<Found>, NetlinkError> {
    let found = |filter: Filter| {
        let id = owner_of(&filter)?;
        Some(Found { interface, id, priority: filter.priority, handle: filter.handle })
    };
    Ok(netlink.ingress_filters(interface)?.into_iter().filter_map(found).collect())
}
