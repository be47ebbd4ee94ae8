//! Total reads and writes: what lies outside the buffer reads as zero and is not written.

/// `N` octets from `at`, if they are all there.
#[inline]
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

#[inline]
pub(crate) fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    array_at(bytes, at).map_or(0, u16::from_be_bytes)
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    array_at(bytes, at).map_or(0, u32::from_be_bytes)
}

/// The octets from `at` to the end; none if the buffer ends before.
#[inline]
pub(crate) fn tail(bytes: &[u8], at: usize) -> &[u8] {
    bytes.get(at..).unwrap_or_default()
}

/// Writes all of `value` at `at`, or nothing.
#[inline]
pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        *place = value;
    }
}

/// Replaces the bits of the octet at `at` that `mask` names.
#[inline]
pub(crate) fn put_bits(bytes: &mut [u8], at: usize, mask: u8, value: u8) {
    if let Some(octet) = bytes.get_mut(at) {
        *octet = *octet & !mask | value & mask;
    }
}
