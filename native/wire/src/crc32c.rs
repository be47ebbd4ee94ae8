//! CRC32c (Castagnoli), the checksum of SCTP (RFC 9260 Appendix A).

/// The polynomial 0x1EDC6F41, lowest bit first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][octet]`: what `octet` does to the register when `n` more octets follow it.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut octet: u32 = 0;
    while octet < 256 {
        let mut register = octet;
        let mut bit = 0;
        while bit < 8 {
            let carry = if register & 1 == 1 { POLYNOMIAL } else { 0 };
            register = (register >> 1) ^ carry;
            bit += 1;
        }
        tables[0][octet as usize] = register;
        octet += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut octet = 0;
        while octet < 256 {
            let register = tables[behind - 1][octet];
            tables[behind][octet] = (register >> 8) ^ tables[0][(register & 0xff) as usize];
            octet += 1;
        }
        behind += 1;
    }
    tables
}

/// Takes up octets piece by piece, so that a field in between can be counted as something else.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// Nothing taken up yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Takes up `bytes`, eight octets a step.
    #[must_use]
    pub fn with(self, bytes: &[u8]) -> Self {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let register = chunks.iter().fold(self.0, |register, chunk| {
            let [a, b, c, d, e, f, g, h] = *chunk;
            let [r0, r1, r2, r3] = register.to_le_bytes();
            entry(7, a ^ r0)
                ^ entry(6, b ^ r1)
                ^ entry(5, c ^ r2)
                ^ entry(4, d ^ r3)
                ^ entry(3, e)
                ^ entry(2, f)
                ^ entry(1, g)
                ^ entry(0, h)
        });
        Self(rest.iter().fold(register, |register, octet| {
            let [low, ..] = register.to_le_bytes();
            (register >> 8) ^ entry(0, low ^ octet)
        }))
    }

    /// The octets of the checksum in the order they lie in a packet.
    #[must_use]
    pub const fn octets(self) -> [u8; 4] {
        (!self.0).to_le_bytes()
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// An octet is always within the table.
#[inline]
fn entry(behind: usize, octet: u8) -> u32 {
    TABLES[behind][usize::from(octet)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The register by the definition, a bit a step.
    fn by_the_book(bytes: &[u8]) -> [u8; 4] {
        let mut register = !0_u32;
        for octet in bytes {
            register ^= u32::from(*octet);
            for _ in 0..8 {
                register = (register >> 1) ^ if register & 1 == 1 { POLYNOMIAL } else { 0 };
            }
        }
        (!register).to_le_bytes()
    }

    #[test]
    fn check_value() {
        // The check value of CRC-32C for "123456789" is 0xe3069283.
        let crc = Crc32c::new().with(b"123456789");
        assert_eq!(crc.octets(), 0xe306_9283_u32.to_le_bytes());
        // RFC 3720 B.4: 32 octets of zeros.
        assert_eq!(Crc32c::new().with(&[0; 32]).octets(), [0xaa, 0x36, 0x91, 0x8a]);
    }

    #[test]
    fn pieces_of_any_length_make_the_whole() {
        let mut bytes = [0_u8; 67];
        for (octet, number) in bytes.iter_mut().zip(0_u8..) {
            *octet = number.wrapping_mul(37);
        }
        for cut in 0..bytes.len() {
            let (first, second) = (&bytes[..cut], &bytes[cut..]);
            assert_eq!(Crc32c::new().with(first).with(second).octets(), by_the_book(&bytes));
        }
    }
}
