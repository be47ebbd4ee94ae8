//! What a port is told between batches: which interfaces it has, and what it takes of them.

use std::io;
use std::sync::Arc;

use afpacket::classifier::Classifier;
use engine::frame::InterfaceId;

use super::{AfPacketPort, Inlet};

/// What an [`AfPacketPort`] can be told to do.
#[derive(Debug)]
pub enum AfPacketControl {
    /// Take this traffic, from now on.
    Filter(Arc<Classifier>),
    /// Receive by this interface too, in place of the one with this number if there is one.
    Attach(Box<Inlet>, InterfaceId),
    /// Receive by this interface no longer.
    Detach(InterfaceId),
    /// This interface is gone. Its number may come back; what was open by it then works no more.
    Lose(InterfaceId),
    /// Take all frames, those of the fast path, too.
    ForgoFastPath,
}

impl AfPacketPort {
    /// Receives by `inlet` too, in place of the one that is `replaced`.
    pub fn attach(&mut self, inlet: Inlet, replaced: InterfaceId) {
        self.inlets.retain(|inlet| inlet.interface != replaced);
        self.outlets.retain(|outlet| outlet.interface != replaced);
        self.inlets.push(inlet);
    }

    /// Receives by `interface` no longer.
    fn detach(&mut self, interface: InterfaceId) {
        self.inlets.retain(|inlet| inlet.interface != interface);
    }

    /// Closes what was open by an interface that is gone. What was sent stays counted.
    fn lose(&mut self, interface: InterfaceId) {
        self.detach(interface);
        for outlet in self.outlets.iter_mut().filter(|outlet| outlet.interface == interface) {
            outlet.sender = None;
        }
    }

    /// Sockets whose filters are set from now on get everything.
    pub fn forgo_fast_path(&mut self) {
        self.options.fast_path = None;
    }

    fn set_classifier(&mut self, classifier: &Classifier) -> io::Result<()> {
        for inlet in self.inlets.iter_mut().filter(|inlet| !inlet.gone) {
            inlet.set_classifier(classifier, &self.options)?;
        }
        Ok(())
    }

    /// Does what it is told.
    pub(super) fn obey(&mut self, control: AfPacketControl) -> io::Result<()> {
        match control {
            AfPacketControl::Filter(classifier) => return self.set_classifier(&classifier),
            AfPacketControl::Attach(inlet, replaced) => self.attach(*inlet, replaced),
            AfPacketControl::Detach(interface) => self.detach(interface),
            AfPacketControl::Lose(interface) => self.lose(interface),
            AfPacketControl::ForgoFastPath => self.forgo_fast_path(),
        }
        Ok(())
    }
}
