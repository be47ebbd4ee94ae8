//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use crate::ethernet::MacAddress;
use crate::field::{array_at, put, u16_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of a message.
pub const LEN: usize = 28;

/// What a message asks or tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation(pub u16);

impl Operation {
    /// Who has the target address?
    pub const REQUEST: Self = Self(1);
    /// The sender has its address.
    pub const REPLY: Self = Self(2);
}

/// Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
const ETHERNET_IPV4: [u8; 6] = [0x00, 0x01, 0x08, 0x00, 6, 4];

mod field {
    pub(super) const OPERATION: usize = 6;
    pub(super) const SENDER_HARDWARE: usize = 8;
    pub(super) const SENDER: usize = 14;
    pub(super) const TARGET_HARDWARE: usize = 18;
    pub(super) const TARGET: usize = 24;
}

view! {
    /// A view over an ARP message; Ethernet padding may follow it in the buffer.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether the message is all there and about IPv4 over Ethernet.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below [`LEN`] octets; [`Malformed::BadHeader`] for other hardware
    /// or protocol types.
    pub fn check_len(&self) -> Result<(), Malformed> {
        let bytes = self.bytes();
        if bytes.len() < LEN {
            Err(Malformed::Truncated)
        } else if bytes.starts_with(&ETHERNET_IPV4) {
            Ok(())
        } else {
            Err(Malformed::BadHeader)
        }
    }

    /// What it asks or tells.
    #[must_use]
    pub fn operation(&self) -> Operation {
        Operation(u16_at(self.bytes(), field::OPERATION))
    }

    /// The hardware address of who sends it.
    #[must_use]
    pub fn sender_hardware(&self) -> MacAddress {
        MacAddress(array_at(self.bytes(), field::SENDER_HARDWARE).unwrap_or_default())
    }

    /// The address of who sends it; unspecified in a probe (RFC 5227).
    #[must_use]
    pub fn sender(&self) -> Ipv4Addr {
        Ipv4Addr::from(array_at(self.bytes(), field::SENDER).unwrap_or([0; 4]))
    }

    /// The hardware address of the target; means nothing in a request.
    #[must_use]
    pub fn target_hardware(&self) -> MacAddress {
        MacAddress(array_at(self.bytes(), field::TARGET_HARDWARE).unwrap_or_default())
    }

    /// The address that is asked for.
    #[must_use]
    pub fn target(&self) -> Ipv4Addr {
        Ipv4Addr::from(array_at(self.bytes(), field::TARGET).unwrap_or([0; 4]))
    }
}

/// A message to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// What it asks or tells.
    pub operation: Operation,
    /// The hardware address of who sends it.
    pub sender_hardware: MacAddress,
    /// The address of who sends it.
    pub sender: Ipv4Addr,
    /// The hardware address of the target; all zero in a request.
    pub target_hardware: MacAddress,
    /// The address of the target.
    pub target: Ipv4Addr,
}

impl Repr {
    /// The answer to `request`: its target address is at `hardware`.
    #[must_use]
    pub fn answer<T: AsRef<[u8]>>(request: &Packet<T>, hardware: MacAddress) -> Self {
        Self {
            operation: Operation::REPLY,
            sender_hardware: hardware,
            sender: request.target(),
            target_hardware: request.sender_hardware(),
            target: request.sender(),
        }
    }

    /// Writes the message. Returns the octets written, [`LEN`]; `None`, with nothing written, if
    /// `out` is shorter.
    #[must_use]
    pub fn emit(&self, out: &mut [u8]) -> Option<usize> {
        let message = out.get_mut(..LEN)?;
        put(message, 0, ETHERNET_IPV4);
        put(message, field::OPERATION, self.operation.0.to_be_bytes());
        put(message, field::SENDER_HARDWARE, self.sender_hardware.0);
        put(message, field::SENDER, self.sender.octets());
        put(message, field::TARGET_HARDWARE, self.target_hardware.0);
        put(message, field::TARGET, self.target.octets());
        Some(LEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; LEN] = [
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0xc0,
        0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x0a,
    ];

    #[test]
    fn deconstruct() {
        let request = Packet::new_checked(REQUEST).unwrap();
        assert_eq!(request.operation(), Operation::REQUEST);
        assert_eq!(request.sender_hardware(), MacAddress([2, 0, 0, 0, 0, 1]));
        assert_eq!(request.sender(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(request.target_hardware(), MacAddress::default());
        assert_eq!(request.target(), Ipv4Addr::new(192, 0, 2, 10));
    }

    #[test]
    fn the_answer_swaps_the_sides() {
        let request = Packet::new_checked(REQUEST).unwrap();
        let mut out = [0; LEN];
        let answer = Repr::answer(&request, MacAddress([2, 0, 0, 0, 0, 9]));
        assert_eq!(answer.emit(&mut out), Some(LEN));
        assert_eq!(
            out,
            [
                0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x09,
                0xc0, 0x00, 0x02, 0x0a, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0xc0, 0x00, 0x02, 0x01,
            ]
        );
        assert_eq!(answer.emit(&mut [0; LEN - 1]), None);
    }

    #[test]
    fn other_links_and_cut_messages_are_refused() {
        assert_eq!(Packet::new_checked(&REQUEST[..27]), Err(Malformed::Truncated));
        let mut octets = REQUEST;
        octets[1] = 6;
        assert_eq!(Packet::new_checked(octets), Err(Malformed::BadHeader));
    }
}
