//! Which service has which key, and which addresses are virtual or real servers'.

use core::net::IpAddr;

use super::ranges::{self, Ranges};
use super::service::{ServiceId, virtual_address};
use super::table::Table;
use crate::command::{Protocol, ServiceKey};
use crate::snapshot::family_of;

/// Control port of FTP.
const FTP_PORT: u16 = 21;

/// Data port of FTP in active mode.
const FTP_DATA_PORT: u16 = 20;

/// First port any user may listen on; passive FTP data goes there.
const UNPRIVILEGED_PORT_MIN: u16 = 1024;

/// Services by key, and how often each address is in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    services: Table<ServiceKey, ServiceId>,
    virtual_addresses: Table<IpAddr, u32>,
    server_addresses: Table<IpAddr, u32>,
    ranges: Ranges,
}

impl Directory {
    /// The service with exactly this key.
    pub(super) fn get(&self, key: &ServiceKey) -> Option<ServiceId> {
        self.services.get(&ranges::normal(*key))
    }

    /// The service a packet belongs to. No service has the mark 0, which stands for none.
    ///
    /// IPVS asks in this order: by mark; by protocol, address and port; for TCP to port 20 or from
    /// 1024 on, the FTP service of the address (its data connections); the catch-all of the address.
    pub(super) fn lookup(
        &self,
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        mark: Option<u32>,
    ) -> Option<ServiceId> {
        if let Some(mark) = mark
            && let Some(id) = self.get(&ServiceKey::Mark { mark, family: family_of(address) })
        {
            return Some(id);
        }
        if self.virtual_addresses.get(&address).is_none() {
            return self.ranges.find(protocol, address, port);
        }
        let at = |port| self.get(&ServiceKey::Address { protocol, address, port });
        let ftp_data =
            protocol == Protocol::Tcp && (port == FTP_DATA_PORT || port >= UNPRIVILEGED_PORT_MIN);
        at(port)
            .or_else(|| if ftp_data { at(FTP_PORT) } else { None })
            .or_else(|| self.ranges.find(protocol, address, port))
            .or_else(|| at(0))
    }

    /// Whether a service by address, or on a range, has `address`.
    pub(super) fn is_virtual(&self, address: IpAddr) -> bool {
        self.virtual_addresses.get(&address).is_some() || self.ranges.cover(address)
    }

    /// Whether a real server of any service has `address`.
    pub(super) fn is_server(&self, address: IpAddr) -> bool {
        self.server_addresses.get(&address).is_some()
    }

    pub(super) fn add_service(&mut self, key: ServiceKey, id: ServiceId) {
        self.services.insert(ranges::normal(key), id);
        if let Some((_, address)) = virtual_address(&key) {
            self.virtual_addresses.count(address);
        }
        self.ranges.add(key, id);
    }

    pub(super) fn remove_service(&mut self, key: &ServiceKey) {
        self.services.remove(&ranges::normal(*key));
        if let Some((_, address)) = virtual_address(key) {
            self.virtual_addresses.discount(&address);
        }
        self.ranges.remove(key);
    }

    pub(super) fn add_server(&mut self, address: IpAddr) {
        self.server_addresses.count(address);
    }

    pub(super) fn remove_server(&mut self, address: IpAddr) {
        self.server_addresses.discount(&address);
    }
}
