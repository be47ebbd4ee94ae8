//! CRC32c by the book, bit by bit: what the engine's own is held against.

/// CRC32c of an SCTP packet with its checksum taken as zero (RFC 9260 appendix A).
pub(crate) fn crc32c(packet: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for (at, octet) in packet.iter().enumerate() {
        register ^= u32::from(if (8..12).contains(&at) { 0 } else { *octet });
        for _ in 0..8 {
            register = (register >> 1) ^ if register & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    !register
}
