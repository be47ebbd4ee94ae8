//! An interface frames leave by.

use afpacket::{OpenError, OutgoingFrame, Sender, SenderOptions};
use engine::frame::InterfaceId;
use engine::snapshot::Counter;

use crate::clock::Clock;
use crate::port::InterfaceCounters;
use crate::retry::{Failures, Retry};

/// What the outlets of a port need beside frames.
#[derive(Clone, Debug)]
pub(super) struct Outset {
    pub(super) sender: SenderOptions,
    pub(super) failures: Failures,
    pub(super) clock: Clock,
}

/// An interface frames leave by; without a sender while that cannot be opened.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) interface: InterfaceId,
    pub(super) sender: Option<Sender>,
    retry: Retry,
    sent: u64,
    failures: u64,
}

impl Outlet {
    pub(super) fn open(interface: InterfaceId, outset: &Outset) -> Self {
        let what = format!("frames cannot leave by interface {}", interface.0);
        let retry = Retry::new(outset.failures.clone(), "socket", what);
        let mut outlet = Self { interface, sender: None, retry, sent: 0, failures: 0 };
        outlet.prepare(outset);
        outlet
    }

    /// Opens the sender if it is not open and due to be tried.
    pub(super) fn prepare(&mut self, outset: &Outset) {
        if self.sender.is_some() {
            return;
        }
        let now = outset.clock.now();
        if !self.retry.is_due(now) {
            return;
        }
        match Sender::open(self.interface.0, &outset.sender) {
            Ok(sender) => {
                self.sender = Some(sender);
                self.retry.succeeded();
            }
            // That an interface is gone is told as such, by those who follow the interfaces.
            Err(OpenError::Syscall { source, .. }) if source.is_gone() => self.retry.postpone(now),
            Err(OpenError::Syscall { source, .. }) => self.retry.failed(now, &source),
            Err(error) => self.retry.failed(now, &error),
        }
    }

    pub(super) fn send<'a>(&mut self, frames: impl Iterator<Item = OutgoingFrame<'a>>) {
        let Some(sender) = &mut self.sender else {
            self.failures += u64::try_from(frames.count()).unwrap_or(u64::MAX);
            return;
        };
        let sent = sender.send(frames);
        self.sent += sent.taken;
        self.failures += sent.lost();
    }

    pub(super) const fn counters(&self) -> InterfaceCounters {
        InterfaceCounters {
            sent: Counter(self.sent),
            send_failures: Counter(self.failures),
            ..InterfaceCounters::new(self.interface)
        }
    }
}
