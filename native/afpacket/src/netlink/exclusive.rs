//! One director at a time: a lock that all processes of a network namespace share.

use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Netlink;

/// Directors hold the lock for a few requests to the kernel. Another program that holds it for long
/// must not stop them: after this many attempts they go on without.
const ATTEMPTS: u32 = 400;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(5);

/// The lock, held until this is dropped. The kernel frees it, too, when its holder dies.
#[derive(Debug)]
pub(crate) struct Exclusive(Option<Arc<File>>);

/// The file that stands for the network namespace of the calling thread; none without `/proc`, where
/// directors that come and go at the same moment may disturb each other.
pub(super) fn namespace() -> Option<Arc<File>> {
    File::open("/proc/thread-self/ns/net").ok().map(Arc::new)
}

impl Netlink {
    /// Waits until no other director of the network namespace holds the lock, and takes it.
    pub(crate) fn exclusive(&self) -> Exclusive {
        let Some(namespace) = &self.namespace else { return Exclusive(None) };
        for _ in 0..ATTEMPTS {
            match namespace.try_lock() {
                Ok(()) => return Exclusive(Some(Arc::clone(namespace))),
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_ATTEMPTS),
                // A file system without locks.
                Err(TryLockError::Error(_)) => break,
            }
        }
        Exclusive(None)
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Some(namespace) = self.0.take() {
            // A lock that is held can be given back.
            drop(namespace.unlock());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn one_at_a_time_holds_the_lock() {
        let holders = AtomicU32::new(0);
        let most = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let netlink = Netlink::open().expect("netlink");
                    for _ in 0..10 {
                        let held = netlink.exclusive();
                        assert!(held.0.is_some(), "the namespace has a file");
                        let now = holders.fetch_add(1, Ordering::AcqRel) + 1;
                        most.fetch_max(now, Ordering::AcqRel);
                        thread::yield_now();
                        holders.fetch_sub(1, Ordering::AcqRel);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
    }
}
