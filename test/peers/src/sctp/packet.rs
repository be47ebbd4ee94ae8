//! The few facts about SCTP packets that are needed outside an association (RFC 9260 §3, §8.4).

const HEADER: usize = 12;
const INIT: u8 = 1;
const ABORT: u8 = 6;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
/// RFC 9260 §3.3.7: the T bit says that the verification tag is the receiver's own, reflected.
const TAG_REFLECTED: u8 = 1;
/// RFC 9260 §3.3.10.12, with a text, so that a trace shows who aborted.
const USER_ABORT_CAUSE: [u8; 4] = [0, 12, 0, 24];
const USER_ABORT_TEXT: &[u8; 20] = b"no such association.";

/// The common header and the type of the first chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) tag: u32,
    first_chunk: u8,
}

impl Head {
    /// Reads a packet without its IP header; nothing when it is too short.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let [s0, s1, d0, d1, t0, t1, t2, t3, _, _, _, _, first_chunk, ..] = *packet else {
            return None;
        };
        Some(Self {
            source_port: u16::from_be_bytes([s0, s1]),
            destination_port: u16::from_be_bytes([d0, d1]),
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
            first_chunk,
        })
    }

    /// Whether this opens an association.
    pub(crate) fn is_init(self) -> bool {
        self.first_chunk == INIT
    }

    /// Whether this ends one at once.
    pub(crate) fn is_abort(self) -> bool {
        self.first_chunk == ABORT
    }

    /// The answer to a packet that belongs to no association (RFC 9260 §8.4), if one is due.
    pub(crate) fn answer_out_of_the_blue(self) -> Option<Vec<u8>> {
        match self.first_chunk {
            INIT | ABORT | ERROR | COOKIE_ACK | SHUTDOWN_COMPLETE => None,
            SHUTDOWN_ACK => Some(self.reflect(SHUTDOWN_COMPLETE, &[])),
            _ => Some(self.reflect(ABORT, &[&USER_ABORT_CAUSE[..], USER_ABORT_TEXT].concat())),
        }
    }

    fn reflect(self, chunk: u8, value: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(HEADER + 4 + value.len());
        packet.extend_from_slice(&self.destination_port.to_be_bytes());
        packet.extend_from_slice(&self.source_port.to_be_bytes());
        packet.extend_from_slice(&self.tag.to_be_bytes());
        packet.extend_from_slice(&[0; 4]);
        packet.extend_from_slice(&[chunk, TAG_REFLECTED]);
        packet.extend_from_slice(&u16::try_from(4 + value.len()).unwrap_or(4).to_be_bytes());
        packet.extend_from_slice(value);
        let checksum = checksum(&packet);
        if let Some(field) = packet.get_mut(8..HEADER) {
            field.copy_from_slice(&checksum);
        }
        packet
    }
}

/// Whether the packet's CRC32c is right (RFC 9260 §6.8).
pub(crate) fn is_whole(packet: &[u8]) -> bool {
    packet.get(8..HEADER).is_some_and(|field| field == checksum(packet))
}

/// CRC32c over the packet with its checksum field taken as zero, as it stands in the packet.
fn checksum(packet: &[u8]) -> [u8; 4] {
    let (ports_and_tag, rest) = packet.split_at_checked(8).unwrap_or((packet, &[]));
    let crc = crc32c::crc32c_append(crc32c::crc32c(ports_and_tag), &[0; 4]);
    crc32c::crc32c_append(crc, rest.get(4..).unwrap_or(&[])).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunk: u8) -> Vec<u8> {
        vec![0x12, 0x34, 0, 7, 1, 2, 3, 4, 0, 0, 0, 0, chunk, 0, 0, 4]
    }

    #[test]
    fn reads_the_head() {
        let head = Head::parse(&packet(INIT)).expect("whole head");
        assert_eq!((head.source_port, head.destination_port, head.tag), (0x1234, 7, 0x0102_0304));
        assert!(head.is_init() && !head.is_abort());
        assert_eq!(Head::parse(&packet(INIT)[..12]), None);
    }

    #[test]
    fn answers_strangers_as_rfc_9260_section_8_4_says() {
        let answer = |chunk| Head::parse(&packet(chunk)).expect("head").answer_out_of_the_blue();
        for silent in [INIT, ABORT, ERROR, COOKIE_ACK, SHUTDOWN_COMPLETE] {
            assert_eq!(answer(silent), None);
        }
        let abort = answer(0).expect("DATA is answered");
        assert!(is_whole(&abort));
        assert_eq!(abort.get(..8), Some(&[0, 7, 0x12, 0x34, 1, 2, 3, 4][..]));
        assert_eq!(abort.get(12..16), Some(&[ABORT, TAG_REFLECTED, 0, 28][..]));
        let complete = answer(SHUTDOWN_ACK).expect("SHUTDOWN ACK is answered");
        assert_eq!(complete.get(12..), Some(&[SHUTDOWN_COMPLETE, TAG_REFLECTED, 0, 4][..]));
    }

    #[test]
    fn the_checksum_is_crc32c_in_little_endian() {
        // RFC 3720 §B.4: CRC32c of 32 zero bytes is aa 36 91 8a on the wire.
        let mut zeros = [0; 32];
        assert_eq!(checksum(&zeros), [0xaa, 0x36, 0x91, 0x8a]);
        zeros[8..12].copy_from_slice(&[0xaa, 0x36, 0x91, 0x8a]);
        assert!(is_whole(&zeros));
        zeros[20] = 1;
        assert!(!is_whole(&zeros));
    }
}
