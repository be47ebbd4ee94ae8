//! SCTP common header and the chunk that decides a packet's event (RFC 9260 §3).

use crate::crc32c::Crc32c;
use crate::field::{array_at, put, tail, u16_at, u32_at};
use crate::malformed::Malformed;
use crate::view::view;

/// Octets of the common header.
pub const HEADER_LEN: usize = 12;
/// Where the checksum lies.
const CHECKSUM: usize = 8;
/// Octets of a chunk's own header.
pub const CHUNK_HEADER_LEN: usize = 4;

/// Chunk types (RFC 9260 §3.2).
pub mod kind {
    /// Payload data.
    pub const DATA: u8 = 0;
    /// Initiation.
    pub const INIT: u8 = 1;
    /// Initiation acknowledgment.
    pub const INIT_ACK: u8 = 2;
    /// Selective acknowledgment.
    pub const SACK: u8 = 3;
    /// Heartbeat request.
    pub const HEARTBEAT: u8 = 4;
    /// Heartbeat acknowledgment.
    pub const HEARTBEAT_ACK: u8 = 5;
    /// Abort.
    pub const ABORT: u8 = 6;
    /// Shutdown.
    pub const SHUTDOWN: u8 = 7;
    /// Shutdown acknowledgment.
    pub const SHUTDOWN_ACK: u8 = 8;
    /// Operation error.
    pub const ERROR: u8 = 9;
    /// State cookie.
    pub const COOKIE_ECHO: u8 = 10;
    /// Cookie acknowledgment.
    pub const COOKIE_ACK: u8 = 11;
    /// Shutdown complete.
    pub const SHUTDOWN_COMPLETE: u8 = 14;
}

/// The chunk that decides what a packet means to its association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// Chunk type, one of [`kind`] or unknown.
    pub kind: u8,
    /// Chunk flags.
    pub flags: u8,
}

view! {
    /// A view over an SCTP packet.
    Packet
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Whether the common header is all there.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] below [`HEADER_LEN`] octets.
    #[inline]
    pub fn check_len(&self) -> Result<(), Malformed> {
        if self.bytes().len() < HEADER_LEN { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// The source port.
    #[inline]
    #[must_use]
    pub fn source_port(&self) -> u16 {
        u16_at(self.bytes(), 0)
    }

    /// The destination port.
    #[inline]
    #[must_use]
    pub fn destination_port(&self) -> u16 {
        u16_at(self.bytes(), 2)
    }

    /// The verification tag; 0 with an INIT.
    #[inline]
    #[must_use]
    pub fn verification_tag(&self) -> u32 {
        u32_at(self.bytes(), 4)
    }

    /// The CRC32c as it stands (its octets in the order they lie in the packet).
    #[inline]
    #[must_use]
    pub fn checksum(&self) -> u32 {
        u32_at(self.bytes(), CHECKSUM)
    }

    /// The chunk whose type is the packet's event: the first one; but an ABORT that directly follows
    /// a COOKIE-ECHO or COOKIE-ACK (IPVS: "an abort bundled with a cookie"). `None` if the first
    /// chunk's header is not all there.
    #[inline]
    #[must_use]
    pub fn chunk(&self) -> Option<Chunk> {
        let bytes = self.bytes();
        let (first, length) = chunk_at(bytes, HEADER_LEN)?;
        if !matches!(first.kind, kind::COOKIE_ECHO | kind::COOKIE_ACK) || length < CHUNK_HEADER_LEN
        {
            return Some(first);
        }
        match chunk_at(bytes, HEADER_LEN + length.next_multiple_of(4)) {
            Some((second, _)) if second.kind == kind::ABORT => Some(second),
            _ => Some(first),
        }
    }

    /// All chunks.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        tail(self.bytes(), HEADER_LEN)
    }
}

/// The chunk whose header lies at `at`, and the length it states.
#[inline]
fn chunk_at(bytes: &[u8], at: usize) -> Option<(Chunk, usize)> {
    let [kind, flags, high, low] = array_at(bytes, at)?;
    Some((Chunk { kind, flags }, usize::from(u16::from_be_bytes([high, low]))))
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the source port.
    #[inline]
    pub fn set_source_port(&mut self, port: u16) {
        put(self.buffer.as_mut(), 0, port.to_be_bytes());
    }

    /// Sets the destination port.
    #[inline]
    pub fn set_destination_port(&mut self, port: u16) {
        put(self.buffer.as_mut(), 2, port.to_be_bytes());
    }

    /// Sets the verification tag.
    #[inline]
    pub fn set_verification_tag(&mut self, tag: u32) {
        put(self.buffer.as_mut(), 4, tag.to_be_bytes());
    }

    /// Sets the CRC32c (its octets in the order they lie in the packet).
    #[inline]
    pub fn set_checksum(&mut self, checksum: u32) {
        put(self.buffer.as_mut(), CHECKSUM, checksum.to_be_bytes());
    }

    /// Makes the CRC32c, with its own field counted as zeros (RFC 9260 §6.8). Does nothing if the
    /// common header is not all there.
    pub fn fill_checksum(&mut self) {
        let packet = self.buffer.as_mut();
        let Some((header, chunks)) = packet.split_at_checked(HEADER_LEN) else { return };
        let ports_and_tag = header.get(..CHECKSUM).unwrap_or_default();
        let crc = Crc32c::new().with(ports_and_tag).with(&[0; 4]).with(chunks);
        put(packet, CHECKSUM, crc.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A COOKIE-ECHO of six octets (padded to eight) and an ABORT behind it.
    const PACKET: [u8; 24] = [
        0x9c, 0x40, 0x00, 0x50, 0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04, 0x0a, 0x00, 0x00,
        0x06, 0xaa, 0xbb, 0x00, 0x00, 0x06, 0x01, 0x00, 0x04,
    ];

    #[test]
    fn deconstruct() {
        let packet = Packet::new_checked(PACKET).unwrap();
        assert_eq!((packet.source_port(), packet.destination_port()), (40000, 80));
        assert_eq!(packet.verification_tag(), 0xdead_beef);
        assert_eq!(packet.checksum(), 0x0102_0304);
        assert_eq!(packet.payload().len(), 12);
        assert_eq!(Packet::new_checked([0; 11]), Err(Malformed::Truncated));
    }

    #[test]
    fn construct() {
        let mut octets = PACKET;
        octets[..12].fill(0);
        let mut packet = Packet::new_unchecked(&mut octets[..]);
        packet.set_source_port(40000);
        packet.set_destination_port(80);
        packet.set_verification_tag(0xdead_beef);
        packet.set_checksum(0x0102_0304);
        assert_eq!(octets, PACKET);
    }

    #[test]
    fn an_abort_behind_a_cookie_is_an_abort() {
        let event = |octets: &[u8]| Packet::new_unchecked(octets).chunk();
        assert_eq!(event(&PACKET), Some(Chunk { kind: kind::ABORT, flags: 1 }));
        assert_eq!(event(&PACKET[..23]), Some(Chunk { kind: kind::COOKIE_ECHO, flags: 0 }));
        assert_eq!(event(&PACKET[..15]), None, "the first chunk header is cut");

        let mut other = PACKET;
        other[12] = kind::DATA;
        assert_eq!(event(&other), Some(Chunk { kind: kind::DATA, flags: 0 }));
        other[12] = kind::COOKIE_ACK;
        assert_eq!(event(&other).map(|chunk| chunk.kind), Some(kind::ABORT));
        other[15] = 3;
        assert_eq!(
            event(&other).map(|chunk| chunk.kind),
            Some(kind::COOKIE_ACK),
            "a chunk shorter than its header leads nowhere"
        );
    }
}
