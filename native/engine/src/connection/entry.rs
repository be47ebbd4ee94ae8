//! One connection entry: exactly one cache line.

use core::num::NonZeroU32;

use super::key::{PackedKey, ReplyKey};
use super::sctp_state::SctpState;
use super::state::{self, SCTP, TCP};
use super::tcp_state::TcpState;
use super::tick::Tick;
use crate::command::ForwardingMethod;
use crate::hop::ServerId;

/// Number of an entry, valid until the entry expires or is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(NonZeroU32);

impl ConnectionId {
    /// Position in the table, from 0: cursor of a listing.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0.get() - 1
    }

    pub(super) const fn from_index(index: u32) -> Option<Self> {
        Self::from_link(index.wrapping_add(1))
    }

    /// A link is 0 for nothing, so that untouched zeroed memory holds no links.
    pub(super) const fn from_link(link: u32) -> Option<Self> {
        match NonZeroU32::new(link) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    pub(super) const fn link(self) -> u32 {
        self.0.get()
    }

    pub(super) const fn position(self) -> usize {
        self.index() as usize
    }
}

/// Bits of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u16);

impl Flags {
    pub(super) const NONE: Self = Self(0);
    /// Part of the table; clear in free entries.
    pub(super) const OCCUPIED: Self = Self(1);
    pub(super) const IPV6: Self = Self(1 << 1);
    pub(super) const TEMPLATE: Self = Self(1 << 2);
    /// A template that is not matched again.
    pub(super) const DISABLED: Self = Self(1 << 3);
    /// Replies go past the director.
    pub(super) const NO_OUTPUT: Self = Self(1 << 4);
    pub(super) const INACTIVE: Self = Self(1 << 5);
    /// A template one of whose connections was established.
    pub(super) const ASSURED: Self = Self(1 << 6);
    /// Its frames take the fast path.
    pub(super) const FAST: Self = Self(1 << 7);
    /// The forwarding method, as a number; 0 is direct routing.
    const METHOD_SHIFT: u32 = 8;
    const METHOD: Self = Self(3 << Self::METHOD_SHIFT);
    /// A template that is found by data of a packet, and in no hash chain.
    pub(super) const KEYED: Self = Self(1 << 10);

    /// Its time is over, but the fast path may have carried something meanwhile: it is being asked.
    pub(super) const LAPSED: Self = Self(1 << 11);

    /// What is compared on lookup: a disabled template equals no key.
    const IDENTITY: Self = Self(Self::IPV6.0 | Self::TEMPLATE.0 | Self::DISABLED.0);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The flags of a new connection with this forwarding method: with any but masquerading replies
    /// go past the director, as far as is known (IPVS).
    pub(super) const fn of_method(method: ForwardingMethod) -> Self {
        match method {
            ForwardingMethod::DirectRouting => Self::NO_OUTPUT,
            ForwardingMethod::Masquerading => Self(1 << Self::METHOD_SHIFT),
            ForwardingMethod::Tunnelling => Self(2 << Self::METHOD_SHIFT).with(Self::NO_OUTPUT),
        }
    }

    const fn method(self) -> ForwardingMethod {
        match (self.0 & Self::METHOD.0) >> Self::METHOD_SHIFT {
            1 => ForwardingMethod::Masquerading,
            2 => ForwardingMethod::Tunnelling,
            _ => ForwardingMethod::DirectRouting,
        }
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Packets of its client that confirm a connection.
const CONFIRMING_PACKETS: u32 = 2;

/// A connection, or a persistence template ("these clients belong to that server").
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Entry {
    client: u128,
    virtual_address: u32,
    server: ServerId,
    pub(super) expires: Tick,
    pub(super) timeout_seconds: u32,
    /// Next of the hash chain; of the free list in a free entry.
    pub(super) hash_next: Option<ConnectionId>,
    pub(super) timer_next: Option<ConnectionId>,
    pub(super) timer_previous: Option<ConnectionId>,
    pub(super) controller: Option<ConnectionId>,
    /// Packets from the client; in a template, connections it controls.
    count: u32,
    client_port: u16,
    virtual_port: u16,
    server_port: u16,
    pub(super) timer_slot: u16,
    pub(super) flags: Flags,
    protocol: u8,
    pub(super) state: u8,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry is one cache line");

impl Entry {
    pub(super) fn new(key: &PackedKey, server: ServerId, server_port: u16, flags: Flags) -> Self {
        Self {
            client: key.client,
            virtual_address: key.virtual_address,
            server,
            expires: Tick::default(),
            timeout_seconds: 0,
            hash_next: None,
            timer_next: None,
            timer_previous: None,
            controller: None,
            count: 0,
            client_port: key.client_port,
            virtual_port: key.virtual_port,
            server_port,
            timer_slot: 0,
            flags: flags.with(key.flags).with(Flags::OCCUPIED),
            protocol: key.protocol,
            state: 0,
        }
    }

    /// Protocol number; 0 in the template of a service by mark.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The client's port; 0 in templates.
    #[must_use]
    pub const fn client_port(&self) -> u16 {
        self.client_port
    }

    /// The virtual port.
    #[must_use]
    pub const fn virtual_port(&self) -> u16 {
        self.virtual_port
    }

    /// The real server.
    #[must_use]
    pub const fn server(&self) -> ServerId {
        self.server
    }

    /// The port the real server is spoken to.
    #[must_use]
    pub const fn server_port(&self) -> u16 {
        self.server_port
    }

    /// The idle timeout now in force, in seconds.
    #[must_use]
    pub const fn timeout_seconds(&self) -> u32 {
        self.timeout_seconds
    }

    /// Whether this is a persistence template.
    #[must_use]
    pub const fn is_template(&self) -> bool {
        self.flags.has(Flags::TEMPLATE)
    }

    /// Whether this template is not matched again.
    #[must_use]
    pub const fn is_disabled(&self) -> bool {
        self.flags.has(Flags::DISABLED)
    }

    /// Whether this template is found by data of a packet.
    pub(super) const fn is_keyed(&self) -> bool {
        self.flags.has(Flags::KEYED)
    }

    /// Whether a connection of this template was established (IPVS: "ASSURED").
    #[must_use]
    pub const fn is_assured(&self) -> bool {
        self.flags.has(Flags::ASSURED)
    }

    /// Whether this connection counts as active with its server; never for a template.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.flags.has(Flags::INACTIVE)
    }

    /// Whether replies go past the director, as far as is known (IPVS: "no output").
    #[must_use]
    pub const fn is_input_only(&self) -> bool {
        self.flags.has(Flags::NO_OUTPUT)
    }

    /// Whether its frames take the fast path.
    #[must_use]
    pub const fn is_fast(&self) -> bool {
        self.flags.has(Flags::FAST)
    }

    /// How its packets reach the server: as the server's forwarding method was when the connection
    /// was made (IPVS); of a template nothing.
    #[must_use]
    pub const fn forwarding(&self) -> ForwardingMethod {
        self.flags.method()
    }

    /// Whether its packets are masqueraded.
    #[must_use]
    pub const fn is_masqueraded(&self) -> bool {
        matches!(self.forwarding(), ForwardingMethod::Masquerading)
    }

    /// The template this connection was made through.
    #[must_use]
    pub const fn controller(&self) -> Option<ConnectionId> {
        self.controller
    }

    /// Packets from the client so far; 0 for a template. Stays at `u32::MAX` once there.
    #[must_use]
    pub const fn in_packets(&self) -> u32 {
        if self.is_template() { 0 } else { self.count }
    }

    /// Connections this template controls; 0 for a connection.
    #[must_use]
    pub const fn controlled(&self) -> u32 {
        if self.is_template() { self.count } else { 0 }
    }

    /// The state as `ipvsadm -L -c` prints it.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match (self.is_template(), self.is_assured()) {
            (true, true) => "ASSURED",
            (true, false) => "NONE",
            (false, _) => state::name(self.protocol, self.state),
        }
    }

    /// The state, if this is a TCP connection.
    #[must_use]
    pub fn tcp_state(&self) -> Option<TcpState> {
        (self.protocol == TCP && !self.is_template()).then(|| TcpState::from_raw(self.state))
    }

    /// The state, if this is an SCTP association.
    #[must_use]
    pub fn sctp_state(&self) -> Option<SctpState> {
        (self.protocol == SCTP && !self.is_template()).then(|| SctpState::from_raw(self.state))
    }

    /// Whether both sides have ended it, or one has broken it off.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.tcp_state(), Some(TcpState::TimeWait | TcpState::Close))
            || self.sctp_state() == Some(SctpState::Closed)
    }

    pub(super) const fn client_bits(&self) -> u128 {
        self.client
    }

    pub(super) const fn virtual_address_number(&self) -> u32 {
        self.virtual_address
    }

    pub(super) const fn is_occupied(&self) -> bool {
        self.flags.has(Flags::OCCUPIED)
    }

    pub(super) fn matches(&self, key: &PackedKey) -> bool {
        self.client == key.client
            && self.virtual_address == key.virtual_address
            && self.client_port == key.client_port
            && self.virtual_port == key.virtual_port
            && self.protocol == key.protocol
            && self.flags.0 & Flags::IDENTITY.0 == key.flags.0
    }

    /// Whether a reply with this key, whose client is `client`, may be one to it.
    pub(super) fn answers(&self, key: &ReplyKey, client: u128, ipv6: bool) -> bool {
        self.client == client
            && self.client_port == key.client_port
            && self.server_port == key.server_port
            && self.protocol == key.protocol
            && self.flags.has(Flags::IPV6) == ipv6
    }

    /// The key the entry was created with.
    pub(super) const fn packed_key(&self) -> PackedKey {
        PackedKey {
            client: self.client,
            virtual_address: self.virtual_address,
            client_port: self.client_port,
            virtual_port: self.virtual_port,
            protocol: self.protocol,
            flags: Flags(self.flags.0 & (Flags::IPV6.0 | Flags::TEMPLATE.0)),
        }
    }

    /// A template does not go while it controls connections, a connection on the fast path not before
    /// that was asked; anything else goes when its time has come, whether or not its timer has fired.
    pub(super) const fn is_alive(&self, tick: Tick) -> bool {
        self.expires.is_after(tick) || self.controlled() > 0 || self.is_fast()
    }

    /// Whether its client has sent more than the packet that opened it: a forged source does not.
    #[must_use]
    pub const fn is_confirmed(&self) -> bool {
        self.count >= CONFIRMING_PACKETS && self.flags.has(Flags::OCCUPIED) && !self.is_template()
    }

    /// Returns whether it is confirmed from now on.
    pub(super) fn count_packets(&mut self, packets: u32) -> bool {
        if self.is_template() {
            return false;
        }
        let before = self.count;
        self.count = before.saturating_add(packets);
        before < CONFIRMING_PACKETS && self.count >= CONFIRMING_PACKETS
    }

    pub(super) fn count_up(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    pub(super) fn count_down(&mut self) {
        self.count = self.count.saturating_sub(1);
    }
}
