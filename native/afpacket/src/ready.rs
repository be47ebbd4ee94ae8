//! Waiting for sockets, and waking a thread that waits.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::error::{Named, SyscallError};
use crate::sys;

/// What a watched descriptor has for its watcher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read.
    pub readable: bool,
    /// There is an error to take ([`crate::PacketSocket::take_fault`]).
    pub failed: bool,
}

/// Descriptors waited for together. It keeps its memory between rounds: `clear`, `watch` each,
/// `wait`, ask `readiness` by the number `watch` returned.
#[derive(Debug, Default)]
pub struct PollSet {
    entries: Vec<libc::pollfd>,
}

impl PollSet {
    /// A set without descriptors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the descriptors.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Adds a descriptor for the next [`Self::wait`]; returns its number for [`Self::readiness`].
    /// One that is closed before the wait counts as failed.
    pub fn watch(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.entries.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        self.entries.len() - 1
    }

    /// Waits until a descriptor is ready or the time is over; `None` waits without end. Returns
    /// how many are ready; a signal ends the wait with 0.
    ///
    /// # Errors
    /// When the kernel refuses, which a valid set does not see.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<usize, SyscallError> {
        match sys::poll::wait(&mut self.entries, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other.named("ppoll"),
        }
    }

    /// What the descriptor of that number has, as of the last wait.
    #[must_use]
    pub fn readiness(&self, number: usize) -> Readiness {
        let found = self.entries.get(number).map_or(0, |entry| entry.revents);
        Readiness {
            readable: found & libc::POLLIN != 0,
            failed: found & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0,
        }
    }
}

/// Wakes a thread that waits in [`PollSet::wait`]. Share it by `Arc`.
#[derive(Debug)]
pub struct Waker {
    counter: File,
}

impl Waker {
    /// A waker nobody has pulled.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> Result<Self, SyscallError> {
        Ok(Self { counter: File::from(sys::poll::event_counter().named("eventfd")?) })
    }

    /// Makes the waiting thread, or the next one to wait, go on.
    pub fn wake(&self) {
        // A full counter (EAGAIN) is as awake as can be; no other error is possible.
        drop((&self.counter).write(&1_u64.to_ne_bytes()));
    }

    /// Forgets all wakes so far.
    pub fn drain(&self) {
        // An empty counter (EAGAIN) has nothing to forget.
        drop((&self.counter).read(&mut [0; 8]));
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_seen_once_and_before_the_wait() {
        let waker = Waker::new().expect("eventfd");
        let mut set = PollSet::new();
        let number = set.watch(waker.as_fd());
        assert_eq!(set.wait(Some(Duration::ZERO)).expect("poll"), 0);
        waker.wake();
        waker.wake();
        assert_eq!(set.wait(None).expect("poll"), 1);
        assert!(set.readiness(number).readable);
        waker.drain();
        assert_eq!(set.wait(Some(Duration::ZERO)).expect("poll"), 0);
    }
}
