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

mod signature;

use crate::bpf::Program;
use crate::claim::{self, ClaimError};
use crate::classifier::Classifier;
use crate::netlink::traffic_control::Filter;
use crate::netlink::{Netlink, NetlinkError};
use signature::{PROGRAM_LEN_MAX, sign, signer};

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

/// A guard on one interface. Dropping it removes it from the kernel.
#[derive(Debug)]
pub struct Guard {
    interface: u32,
    id: String,
    priority: u16,
    handles: Vec<u32>,
    made_clsact: bool,
}

impl Guard {
    /// Installs a guard that drops nothing yet. `id` names this director: no two living directors
    /// of a network namespace may use the same, which [`Self::claim_name`] is for.
    ///
    /// # Errors
    /// When the id does not fit, a right is missing, or the kernel lacks the filter.
    pub fn install(netlink: &mut Netlink, interface: u32, id: &str) -> Result<Self, GuardError> {
        if id.is_empty()
            || id.len() > ID_LEN_MAX
            || !id.bytes().all(|octet| octet.is_ascii_graphic())
        {
            return Err(GuardError::BadId { id: id.to_owned() });
        }
        let kernel = |source| GuardError::Kernel { interface, source };
        let made_clsact = netlink.add_clsact(interface).map_err(kernel)?;
        Ok(Self { interface, id: id.to_owned(), priority: 0, handles: Vec::new(), made_clsact })
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
        let programs: Vec<Program> =
            programs.iter().map(|program| sign(program, &self.id)).collect();
        let old = std::mem::take(&mut self.handles);
        let result = self.exchange(netlink, &programs, &old);
        result.map_err(|source| GuardError::Kernel { interface: self.interface, source })?;
        self.verify(netlink, &programs)
    }

    /// Whether another program's filters come first on this interface. One that ends the decision
    /// (as Cilium's do) keeps the guard from dropping anything: keep the virtual addresses off such
    /// a host, or add the guard's interface to what that program leaves alone.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_behind_others(&self, netlink: &mut Netlink) -> Result<bool, NetlinkError> {
        let filters = netlink.ingress_filters(self.interface)?;
        let is_guard = |filter: &Filter| filter.program.as_ref().and_then(signer).is_some();
        Ok(filters
            .iter()
            .any(|one| one.handle != 0 && one.priority < self.priority && !is_guard(one)))
    }

    /// New filters first, old ones away after: in between both hold.
    fn exchange(
        &mut self,
        netlink: &mut Netlink,
        programs: &[Program],
        old: &[u32],
    ) -> Result<(), NetlinkError> {
        if old.is_empty() {
            self.priority = free_priority(&netlink.ingress_filters(self.interface)?);
        }
        if let ([program], [handle]) = (programs, old) {
            self.handles.push(*handle);
            return netlink.replace_filter(self.interface, self.priority, *handle, program);
        }
        self.handles.extend_from_slice(old);
        let mut handle = 0;
        for program in programs {
            handle = (handle + 1..).find(|one| !old.contains(one)).unwrap_or(u32::MAX);
            netlink.add_filter(self.interface, self.priority, handle, program)?;
            self.handles.push(handle);
        }
        for handle in old {
            netlink.remove_filter(self.interface, self.priority, *handle)?;
            self.handles.retain(|one| one != handle);
        }
        Ok(())
    }

    /// Whether the kernel still lists the filters as they were given.
    ///
    /// # Errors
    /// [`GuardError::NotVerified`] when it does not.
    fn verify(&self, netlink: &mut Netlink, programs: &[Program]) -> Result<(), GuardError> {
        let interface = self.interface;
        let filters = netlink
            .ingress_filters(interface)
            .map_err(|source| GuardError::Kernel { interface, source })?;
        let listed = |program: &Program| {
            filters.iter().any(|filter| filter.program.as_ref() == Some(program))
        };
        match programs.iter().all(listed) {
            true => Ok(()),
            false => Err(GuardError::NotVerified { interface }),
        }
    }

    /// Whether the guard's filters are still in the kernel; another program may have removed them.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn is_in_place(&self, netlink: &mut Netlink) -> Result<bool, NetlinkError> {
        let filters = netlink.ingress_filters(self.interface)?;
        let mine = |handle: &u32| {
            filters.iter().any(|filter| {
                filter.handle == *handle
                    && filter.priority == self.priority
                    && filter.program.as_ref().and_then(signer).is_some_and(|id| id == self.id)
            })
        };
        Ok(self.handles.iter().all(mine))
    }

    /// Removes the guard. Dropping does the same but cannot tell of a failure.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(mut self, netlink: &mut Netlink) -> Result<(), GuardError> {
        let interface = self.interface;
        self.clear(netlink).map_err(|source| GuardError::Kernel { interface, source })
    }

    fn clear(&mut self, netlink: &mut Netlink) -> Result<(), NetlinkError> {
        while let Some(handle) = self.handles.last() {
            netlink.remove_filter(self.interface, self.priority, *handle)?;
            self.handles.pop();
        }
        if std::mem::take(&mut self.made_clsact) {
            netlink.remove_unused_clsact(self.interface)?;
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.handles.is_empty() && !self.made_clsact {
            return;
        }
        // Nobody is left to hear of a failure; the next director finds what stays.
        if let Ok(mut netlink) = Netlink::open() {
            drop(self.clear(&mut netlink));
        }
    }
}

/// The earliest priority no other program's filters use: what comes first cannot be skipped.
fn free_priority(filters: &[Filter]) -> u16 {
    (1..u16::MAX)
        .find(|priority| !filters.iter().any(|filter| filter.priority == *priority))
        .unwrap_or(u16::MAX)
}

/// A guard's filter found on an interface.
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

/// The filters of all directors' guards on the interface, those of the living included.
///
/// # Errors
/// When the kernel does not answer.
pub fn find(netlink: &mut Netlink, interface: u32) -> Result<Vec<Found>, NetlinkError> {
    let found = |filter: Filter| {
        if filter.kind != "bpf" {
            return None;
        }
        let id = signer(filter.program.as_ref()?)?;
        Some(Found { interface, id, priority: filter.priority, handle: filter.handle })
    };
    Ok(netlink.ingress_filters(interface)?.into_iter().filter_map(found).collect())
}
