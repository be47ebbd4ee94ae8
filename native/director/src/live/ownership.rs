//! Whose guard is whose: the name of this director, and what dead ones left behind.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use afpacket::guard::{self, Found};
use afpacket::netlink::Netlink;
use afpacket::{Claim, ClaimError, Guard};

use crate::error::ApplyError;

/// Names tried before giving up; each is taken only by a director of another process namespace
/// with the same process number.
const ATTEMPTS: u32 = 1024;

/// A name no other living director of the network namespace has, for as long as this lives.
#[derive(Debug)]
pub(super) struct Ownership {
    id: String,
    _claim: Claim,
}

impl Ownership {
    /// Finds a free name.
    pub(super) fn acquire() -> Result<Self, ClaimError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut attempt = 0;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let id = format!("{}-{number}", process::id());
            attempt += 1;
            match Claim::acquire(&Guard::claim_name(&id)) {
                Ok(claim) => return Ok(Self { id, _claim: claim }),
                Err(ClaimError::Taken { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// The names of the directors that left them.
pub(super) fn ids(orphans: &[Found]) -> Vec<String> {
    orphans.iter().map(|orphan| orphan.id.clone()).collect()
}

/// The guards dead directors left on an interface.
///
/// # Errors
/// When the kernel does not tell: what is left of the dead would go on dropping traffic.
pub(super) fn orphans(netlink: &mut Netlink, interface: u32) -> Result<Vec<Found>, ApplyError> {
    let found = guard::find(netlink, interface).map_err(|error| ApplyError::refused(&error))?;
    let mut orphans = Vec::new();
    for one in found {
        if one.is_orphan().map_err(|error| ApplyError::refused(&error))? {
            orphans.push(one);
        }
    }
    Ok(orphans)
}
