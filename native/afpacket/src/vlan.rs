//! VLAN tags, which the kernel takes out of received frames and which go back in on sending.

/// Tag protocol of customer tags (IEEE 802.1Q).
pub const CUSTOMER_TAG: u16 = 0x8100;
/// Octets of a tag.
pub const TAG_LEN: u16 = 4;

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// Tag control information: priority, drop eligibility, VLAN identifier.
    pub tci: u16,
    /// Tag protocol identifier; 0x8100 unless the network stacks tags.
    pub tpid: u16,
}

impl VlanTag {
    /// A customer tag.
    #[must_use]
    pub const fn new(tci: u16) -> Self {
        Self { tci, tpid: CUSTOMER_TAG }
    }

    /// The tag as it stands behind the source address of a frame.
    #[must_use]
    pub const fn octets(self) -> [u8; TAG_LEN as usize] {
        let [p0, p1] = self.tpid.to_be_bytes();
        let [c0, c1] = self.tci.to_be_bytes();
        [p0, p1, c0, c1]
    }
}
