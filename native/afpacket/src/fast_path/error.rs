//! Why there is no fast path.

use std::io;

use super::CAPACITY_MAX;
use crate::capability;
use crate::error::SyscallError;
use crate::guard::ID_LEN_MAX;
use crate::netlink::NetlinkError;

/// Why there is no fast path.
#[derive(Debug, thiserror::Error)]
pub enum FastPathError {
    /// The number of flows is out of range.
    #[error("the fast path's capacity is {value}; 1 to {CAPACITY_MAX} flows are allowed")]
    Capacity {
        /// The number.
        value: u32,
    },
    /// The process may not use eBPF.
    #[error(
        "no kernel fast path: {call} is not permitted ({source}); {}",
        capability::fast_path_advice()
    )]
    NotPermitted {
        /// The call and its object.
        call: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The kernel does not take a program.
    #[error(
        "no kernel fast path: the kernel refuses the {program} program: {source}; it says: {log}"
    )]
    Refused {
        /// Which program.
        program: &'static str,
        /// What the kernel answered.
        source: io::Error,
        /// The end of what its verifier says.
        log: String,
    },
    /// A call failed.
    #[error("no kernel fast path: {0}")]
    Syscall(#[from] SyscallError),
    /// The filter of an interface could not be set or removed.
    #[error("no kernel fast path on interface {interface}: {source}")]
    Kernel {
        /// Index of the interface.
        interface: u32,
        /// What the kernel answered.
        source: NetlinkError,
    },
    /// The id does not fit.
    #[error("the fast path id {id:?} has {} octets; 1 to {} printable ASCII characters are allowed", id.len(), ID_LEN_MAX)]
    BadId {
        /// The id.
        id: String,
    },
    /// There is no priority left in front of the guard.
    #[error(
        "no kernel fast path on interface {interface}: other programs' filters take every priority in front of the guard's; remove one of them"
    )]
    NoPriority {
        /// Index of the interface.
        interface: u32,
    },
    /// The kernel accepted the filter but does not list it.
    #[error(
        "no kernel fast path on interface {interface}: its filter does not read back as it was installed; another program changes the filters of this interface"
    )]
    NotVerified {
        /// Index of the interface.
        interface: u32,
    },
    /// The socket's program has an instruction or a length that does not go into eBPF.
    #[error("no kernel fast path: the socket's program does not go into eBPF ({why})")]
    Untranslatable {
        /// What does not.
        why: String,
    },
}

impl FastPathError {
    /// Whether a shorter program may succeed: no memory for this one (`net.core.optmem_max`), or
    /// more in it than the verifier looks at.
    pub(crate) fn is_too_large(&self) -> bool {
        match self {
            Self::Syscall(error) => {
                matches!(error.source.raw_os_error(), Some(libc::E2BIG | libc::ENOMEM))
            }
            Self::Refused { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::E2BIG | libc::ENOMEM))
            }
            Self::Untranslatable { .. } => true,
            _ => false,
        }
    }

    /// A call that failed.
    pub(super) fn failed(call: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { call, source },
            _ => Self::Syscall(SyscallError { call, source }),
        }
    }

    /// A program whose jumps do not fit.
    pub(crate) fn too_long() -> Self {
        Self::Untranslatable { why: "a jump reaches too far".to_owned() }
    }
}
