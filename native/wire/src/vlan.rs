//! VLAN tags that are still in the frame (IEEE 802.1Q, 802.1ad).

use crate::ethernet::EtherType;
use crate::field::{put, tail, u16_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of one tag: control information and the type of what follows.
pub const TAG_LEN: usize = 4;

/// Whether `ether_type` announces a tag.
#[inline]
#[must_use]
pub fn is_tag(ether_type: EtherType) -> bool {
    matches!(ether_type, EtherType::VLAN | EtherType::QINQ)
}

view! {
    /// A view over what follows a tag's Ethernet type: control information, the next type, payload.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether the tag is all there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below [`TAG_LEN`] octets.
    #[inline]
    pub fn check_len(&self) -> Result<(), Malformed> {
        if self.bytes().len() < TAG_LEN { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// The tag control information: priority, drop eligibility and VLAN identifier in one.
    #[inline]
    #[must_use]
    pub fn control(&self) -> u16 {
        u16_at(self.bytes(), 0)
    }

    /// The VLAN, 0 to 4095 (0: priority only).
    #[inline]
    #[must_use]
    pub fn identifier(&self) -> u16 {
        self.control() & 0x0fff
    }

    /// What follows the tag.
    #[inline]
    #[must_use]
    pub fn ether_type(&self) -> EtherType {
        EtherType(u16_at(self.bytes(), 2))
    }

    /// Everything behind the tag.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), TAG_LEN)
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the tag control information.
    #[inline]
    pub fn set_control(&mut self, control: u16) {
        put(self.buffer.as_mut(), 0, control.to_be_bytes());
    }

    /// Sets the type of what follows.
    #[inline]
    pub fn set_ether_type(&mut self, ether_type: EtherType) {
        put(self.buffer.as_mut(), 2, ether_type.0.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deconstruct_and_construct() {
        let octets = [0xa0, 0x2a, 0x08, 0x00, 0x45];
        let tag = Packet::new_checked(octets).unwrap();
        assert_eq!(tag.control(), 0xa02a);
        assert_eq!(tag.identifier(), 42);
        assert_eq!(tag.ether_type(), EtherType::IPV4);
        assert_eq!(tag.payload(), [0x45]);

        let mut written = Packet::new_unchecked([0, 0, 0, 0, 0x45]);
        written.set_control(0xa02a);
        written.set_ether_type(EtherType::IPV4);
        assert_eq!(written.into_inner(), octets);
        assert_eq!(Packet::new_checked([0; 3]), Err(Malformed::Truncated));
    }
}
