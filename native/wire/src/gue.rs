//! Generic UDP encapsulation (draft-ietf-intarea-gue, version 0) with remote checksum offload
//! (draft-herbert-remotecsumoffload), as Linux speaks them.

use crate::checksum;
use crate::field::{put, tail, u8_at, u16_at, u32_at};

/// Octets of a header without options.
pub const HEADER_LEN: usize = 4;
/// Octets of the options of remote checksum offload: private flags, then start and offset.
pub const REMOTE_CHECKSUM_LEN: usize = 8;

/// Private flags follow the header.
const PRIVATE: u16 = 0x0001;
/// Private flag: remote checksum offload.
const REMOTE_CHECKSUM: u32 = 0x8000_0000;
/// Version and the bit of control messages.
const VERSION_AND_CONTROL: u8 = 0xe0;

mod field {
    pub(super) const VERSION_AND_LENGTH: usize = 0;
    pub(super) const PROTOCOL: usize = 1;
    pub(super) const FLAGS: usize = 2;
    pub(super) const PRIVATE_FLAGS: usize = 4;
    pub(super) const START: usize = 8;
    pub(super) const OFFSET: usize = 10;
}

/// A checksum of the payload that the receiver is to fill in: it sums the payload from `start` to
/// its end, the field at `offset` included. Both count from the start of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteChecksum {
    /// Where summing begins.
    pub start: u16,
    /// Where the checksum field lies; it holds the pseudo-header sum.
    pub offset: u16,
}

impl RemoteChecksum {
    /// Fills in the checksum of `payload`, as the receiver does. Does nothing if the payload ends
    /// before the field.
    pub fn restore(&self, payload: &mut [u8]) {
        let checksum = checksum::of(tail(payload, usize::from(self.start)));
        put(payload, usize::from(self.offset), checksum.to_be_bytes());
    }
}

/// A header to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr {
    /// What follows, see [`crate::protocol`].
    pub protocol: u8,
    /// The checksum the receiver is to fill in, if any.
    pub remote_checksum: Option<RemoteChecksum>,
}

impl Repr {
    /// Octets of the header with its options.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        match self.remote_checksum {
            Some(_) => HEADER_LEN + REMOTE_CHECKSUM_LEN,
            None => HEADER_LEN,
        }
    }

    /// Writes the header and returns the room behind it; `None`, with nothing written, if `out` is
    /// too short.
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_at_mut_checked(self.header_len())?;
        header.fill(0);
        put(header, field::PROTOCOL, [self.protocol]);
        if let Some(RemoteChecksum { start, offset }) = self.remote_checksum {
            // The length field counts the words of the options.
            put(header, field::VERSION_AND_LENGTH, [2]);
            put(header, field::FLAGS, PRIVATE.to_be_bytes());
            put(header, field::PRIVATE_FLAGS, REMOTE_CHECKSUM.to_be_bytes());
            put(header, field::START, start.to_be_bytes());
            put(header, field::OFFSET, offset.to_be_bytes());
        }
        Some(rest)
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What follows, see [`crate::protocol`].
    pub protocol: u8,
    /// Octets of the header with its options.
    pub header_len: usize,
    /// The checksum to be filled in, if any.
    pub remote_checksum: Option<RemoteChecksum>,
}

/// Reads the header that begins `packet`; `None` if it is cut, of another version, or a control
/// message.
#[must_use]
pub fn header(packet: &[u8]) -> Option<Header> {
    let first = u8_at(packet, field::VERSION_AND_LENGTH);
    let header_len = HEADER_LEN + usize::from(first & 0x1f) * 4;
    if first & VERSION_AND_CONTROL != 0 || packet.len() < header_len {
        return None;
    }
    let announced = header_len >= HEADER_LEN + REMOTE_CHECKSUM_LEN
        && u16_at(packet, field::FLAGS) & PRIVATE != 0
        && u32_at(packet, field::PRIVATE_FLAGS) & REMOTE_CHECKSUM != 0;
    let remote_checksum = announced.then(|| RemoteChecksum {
        start: u16_at(packet, field::START),
        offset: u16_at(packet, field::OFFSET),
    });
    Some(Header { protocol: u8_at(packet, field::PROTOCOL), header_len, remote_checksum })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol;

    #[test]
    fn plain_headers_name_the_protocol_alone() {
        let mut out = [0xff; 5];
        let repr = Repr { protocol: protocol::IPV6, remote_checksum: None };
        assert_eq!(repr.emit(&mut out).map(|rest| rest.len()), Some(1));
        assert_eq!(out, [0, 41, 0, 0, 0xff]);
        let expected = Header { protocol: 41, header_len: 4, remote_checksum: None };
        assert_eq!(header(&out), Some(expected));
        assert_eq!(header(&out[..3]), None);
        assert_eq!(header(&[0x20, 4, 0, 0]), None);
        assert_eq!(header(&[0x01, 4, 0, 0]), None);
    }

    #[test]
    fn remote_checksums_are_announced_in_private_flags() {
        let remote_checksum = Some(RemoteChecksum { start: 20, offset: 36 });
        let repr = Repr { protocol: protocol::IPV4, remote_checksum };
        let mut out = [0xff; 12];
        assert!(repr.emit(&mut out).is_some());
        assert_eq!(out, [2, 4, 0, 1, 0x80, 0, 0, 0, 0, 20, 0, 36]);
        assert_eq!(header(&out), Some(Header { protocol: 4, header_len: 12, remote_checksum }));
        assert_eq!(repr.emit(&mut out[..11]), None);
    }

    #[test]
    fn what_is_restored_is_the_checksum_of_what_follows_the_start() {
        let mut payload = *b"....\x12\x34abcdefg";
        RemoteChecksum { start: 4, offset: 4 }.restore(&mut payload);
        let mut whole = *b"\x12\x34abcdefg";
        let expected = checksum::of(&whole);
        whole[..2].copy_from_slice(&expected.to_be_bytes());
        assert_eq!(payload[4..], whole);
        RemoteChecksum { start: 90, offset: 90 }.restore(&mut payload);
        assert_eq!(payload[4..], whole);
    }
}
