//! A port that fails for good, for tests of what happens then.

use std::io;
use std::time::Duration;

use engine::frame::InterfaceId;

use super::{FrameHandler, InterfaceCounters, Outgoing, PacketPort};

/// How the port fails.
#[derive(Debug)]
pub(crate) enum FailingPort {
    /// With a panic.
    Panics(&'static str),
    /// With an error.
    Fails(&'static str),
}

impl PacketPort for FailingPort {
    type Control = ();

    fn wait(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Panics(message) => panic!("{message}"),
            Self::Fails(message) => Err(io::Error::other(*message)),
        }
    }

    fn exchange(&mut self, _limit: usize, _handler: impl FrameHandler) -> io::Result<usize> {
        Ok(0)
    }

    fn send<'a>(&mut self, _frames: impl Iterator<Item = Outgoing<'a>>) {}

    fn control(&mut self, _control: ()) -> io::Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _interfaces: impl Iterator<Item = InterfaceId>) {}

    fn is_congested(&self) -> bool {
        false
    }

    fn counters(&mut self, _into: &mut Vec<InterfaceCounters>) {}
}
