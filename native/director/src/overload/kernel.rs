//! The filters of the receive sockets as what separates.

use std::net::IpAddr;

use afpacket::Admission;

use super::Separator;

impl Separator for Admission {
    fn learn(&self, client: IpAddr, port: u16) {
        Self::learn(self, client, port);
    }

    fn begin_renewal(&self) {
        Self::begin_renewal(self);
    }

    fn learn_anew(&self, client: IpAddr, port: u16) {
        Self::learn_anew(self, client, port);
    }

    fn end_renewal(&self) {
        Self::end_renewal(self);
    }

    fn set_overload(&self, overload: bool) {
        Self::set_overload(self, overload);
    }

    fn allow(&self, frames: u32) {
        Self::allow(self, frames);
    }
}
