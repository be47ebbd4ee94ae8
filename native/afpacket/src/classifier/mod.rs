//! Which frames are the director's: services to programs the kernel runs on every frame.
//!
//! [`Classifier::socket_program`] lets to a packet socket what the director may have to look at;
//! letting too much through costs time, never correctness. [`Classifier::guard_programs`] drops for
//! the host what belongs to the services; there too much would cut off the host, so those programs
//! are always exact.

pub(crate) mod address;
mod emit;
#[cfg(test)]
pub(crate) mod interpret;
mod interval;
pub(crate) mod port;
mod returns;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::bpf::Program;
use address::Network;

/// Upper-layer protocols a service can have, by IP number: TCP, UDP, SCTP.
pub const SERVICE_PROTOCOLS: [u8; 3] = [6, 17, 132];

/// Traffic that belongs to the director: to these addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceMatch {
    /// IP protocol number; any of [`SERVICE_PROTOCOLS`] when absent.
    pub protocol: Option<u8>,
    /// Destination address, or one of the destination network.
    pub address: IpAddr,
    /// Length of the destination network's prefix in bits; longer than the address counts as whole.
    pub prefix_length: u8,
    /// First and last destination port; 0 to 65535 for any.
    pub ports: (u16, u16),
}

impl ServiceMatch {
    /// The traffic of one service; port 0 stands for every port.
    #[must_use]
    pub const fn service(protocol: u8, address: IpAddr, port: u16) -> Self {
        let ports = if port == 0 { (0, u16::MAX) } else { (port, port) };
        Self { protocol: Some(protocol), address, prefix_length: 128, ports }
    }
}

/// What a packet socket gets beside the services' own traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAudience {
    /// ICMP to the services' addresses: errors about forwarded packets, echo requests. Default yes.
    pub icmp: bool,
    /// IPv4 fragments behind the first, which have no ports. Default yes.
    pub fragments: bool,
    /// ARP requests and neighbour solicitations that ask for the services' addresses. Default no.
    pub neighbours: bool,
    /// Frames to another machine's hardware address, seen in promiscuous mode or flooded by a
    /// switch. Default no: another director handles them.
    pub other_hosts: bool,
}

impl Default for SocketAudience {
    fn default() -> Self {
        Self { icmp: true, fragments: true, neighbours: false, other_hosts: false }
    }
}

/// How closely a socket program fits the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// Addresses, protocols and ports.
    Exact,
    /// Addresses only: there are too many services for one program.
    Address,
    /// All IP traffic: there are too many addresses for one program.
    Everything,
}

/// A program for a packet socket.
#[derive(Clone, Debug)]
pub struct SocketProgram {
    /// The program: all of the frame, or none of it.
    pub program: Program,
    /// How closely it fits.
    pub precision: Precision,
}

/// The traffic of a set of services.
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    matches: Vec<ServiceMatch>,
    /// What comes back from servers whose answers are translated: by source address and port.
    returns: Vec<ServiceMatch>,
    /// The host's own addresses: what servers send there is the host's.
    own: Vec<IpAddr>,
    /// What makes sockets look at ICMP to other addresses.
    icmp: Vec<ServiceMatch>,
}

impl Classifier {
    /// The traffic any of `matches` fits. Order and repetitions do not matter; one whose ports run
    /// backwards fits nothing.
    #[must_use]
    pub fn new(matches: impl IntoIterator<Item = ServiceMatch>) -> Self {
        Self { matches: in_order(matches), ..Self::default() }
    }

    /// Also the traffic that comes *from* what any of `returns` fits, and ICMP from those addresses,
    /// unless it is to one of the host's `own` addresses.
    #[must_use]
    pub fn with_returns(
        self,
        returns: impl IntoIterator<Item = ServiceMatch>,
        own: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        Self { returns: in_order(returns), own: own.into_iter().collect(), ..self }
    }

    /// Sockets get ICMP to these addresses as well, for instance the host's own: errors about
    /// packets the director sent by itself. The host keeps all of its traffic. Without services
    /// nothing changes.
    #[must_use]
    pub fn with_icmp_to(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        // The programs let ICMP to a service's address through; nobody sends to TCP port 0.
        let matches = addresses.into_iter().map(|address| ServiceMatch {
            protocol: Some(SERVICE_PROTOCOLS[0]),
            address,
            prefix_length: 128,
            ports: (0, 0),
        });
        self.icmp.extend(matches);
        self
    }

    /// What comes back from servers, by source, in order.
    #[must_use]
    pub fn returns(&self) -> &[ServiceMatch] {
        &self.returns
    }

    /// Whether no traffic is the director's.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.matches.is_empty() && self.returns.is_empty()
    }

    /// The closest program the kernel takes. Without services it lets nothing through.
    #[must_use]
    pub fn socket_program(&self, audience: &SocketAudience) -> SocketProgram {
        let closest = Precision::Exact;
        self.socket_program_from(audience, closest)
    }

    /// As [`Self::socket_program`], no closer than `closest`: for a kernel that has no memory for
    /// the closer one (`net.core.optmem_max`).
    #[must_use]
    pub fn socket_program_from(
        &self,
        audience: &SocketAudience,
        closest: Precision,
    ) -> SocketProgram {
        let mut wanted = self.clone();
        if !self.matches.is_empty() && audience.icmp {
            wanted.matches = in_order(self.matches.iter().chain(&self.icmp).copied());
        }
        [Precision::Exact, Precision::Address]
            .into_iter()
            .filter(|precision| *precision >= closest)
            .map(|precision| SocketProgram {
                program: emit::socket(&wanted, audience, precision),
                precision,
            })
            .find(|candidate| candidate.program.fits())
            .unwrap_or_else(|| SocketProgram {
                program: emit::socket(&Self::default(), audience, Precision::Everything),
                precision: Precision::Everything,
            })
    }

    /// Programs for a tc filter with direct action, at most `length_max` instructions each, that
    /// answer "drop" for the services' own traffic and "go on" for the rest. Together they cover
    /// all services; without services there is none.
    #[must_use]
    pub fn guard_programs(&self, length_max: usize) -> Vec<Program> {
        let mut programs = Vec::new();
        split(&self.matches, &emit::guard, length_max, &mut programs);
        let returns = |matches: &[ServiceMatch]| returns::guard(matches, &self.own);
        split(&self.returns, &returns, length_max, &mut programs);
        programs
    }

    /// The networks of one family, for tests and for reading a classifier back.
    fn networks(matches: &[ServiceMatch], ipv6: bool) -> impl Iterator<Item = Network> {
        matches.iter().filter(move |one| one.address.is_ipv6() == ipv6).map(Network::of)
    }
}

/// Halves `matches` until each part's program is short enough.
fn split(
    matches: &[ServiceMatch],
    guard: &impl Fn(&[ServiceMatch]) -> Program,
    length_max: usize,
    programs: &mut Vec<Program>,
) {
    if matches.is_empty() {
        return;
    }
    let program = guard(matches);
    if program.instructions().len() <= length_max || matches.len() == 1 {
        programs.push(program);
        return;
    }
    let (lower, upper) = matches.split_at(matches.len() / 2);
    split(lower, guard, length_max, programs);
    split(upper, guard, length_max, programs);
}

fn in_order(matches: impl IntoIterator<Item = ServiceMatch>) -> Vec<ServiceMatch> {
    let mut matches: Vec<_> =
        matches.into_iter().filter(|one| one.ports.0 <= one.ports.1).collect();
    matches.sort_by_key(|one| (one.address, one.prefix_length, one.protocol, one.ports));
    matches.dedup();
    matches
}
