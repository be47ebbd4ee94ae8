//! Changes of frames.

use engine::frame::{ChecksumState, FrameMeta, PartialChecksum, Segmentation};

use crate::good;

/// Octets from the start of a frame that hold its headers, mostly.
const HEADERS: usize = 80;
const LINK: usize = 14;

/// Numbers without a pattern, the same in every run (xorshift64*).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).expect("it fits");
        usize::try_from(self.next() % limit).expect("it fits")
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.next() & 0xff).expect("it fits")
    }
}

/// Changes a frame in one to three ways, or, one time of eight, not at all. Half of the changed IPv4
/// headers get a good checksum again, or few would come any further.
pub(crate) fn mutate(frame: &mut Vec<u8>, numbers: &mut Numbers) {
    if numbers.below(8) == 0 {
        return;
    }
    for _ in 0..=numbers.below(3) {
        change(frame, numbers);
    }
    if numbers.below(2) == 0 {
        good::repair_ipv4_header(frame);
    }
}

fn change(frame: &mut Vec<u8>, numbers: &mut Numbers) {
    match numbers.below(8) {
        0 | 1 => flip(frame, HEADERS, numbers),
        2 => {
            let length = frame.len();
            flip(frame, length, numbers);
        }
        3 => frame.truncate(numbers.below(frame.len() + 1)),
        4 => {
            let more = 1 + numbers.below(40);
            frame.extend((0..more).map(|_| numbers.octet()));
        }
        5 => {
            // Another source: a new connection.
            let at = LINK + 12 + numbers.below(4);
            put(frame, at, numbers);
        }
        _ => lie(frame, numbers),
    }
}

fn flip(frame: &mut [u8], limit: usize, numbers: &mut Numbers) {
    let at = numbers.below(limit.min(frame.len()));
    if let Some(octet) = frame.get_mut(at) {
        *octet ^= 1 << numbers.below(8);
    }
}

fn put(frame: &mut [u8], at: usize, numbers: &mut Numbers) {
    if let Some(octet) = frame.get_mut(at) {
        *octet = numbers.octet();
    }
}

/// Writes anything over a field that says how long something is, or where it lies.
fn lie(frame: &mut [u8], numbers: &mut Numbers) {
    let fields: &[usize] = match frame.get(12..14) {
        // Header length, total length, fragment field; UDP length, TCP data offset; quoted packet.
        Some([8, 0]) => &[14, 16, 17, 20, 21, 38, 39, 46, 42, 44, 45],
        // Payload length, next header; the same of what is behind; the length of an extension.
        Some([0x86, 0xdd]) => &[18, 19, 20, 54, 55, 56, 57, 58, 59, 66, 66],
        _ => &[12, 13],
    };
    let at = *numbers.pick(fields);
    put(frame, at, numbers);
}

/// One time of eight, has the port tell something else of a frame than what is so.
pub(crate) fn mutate_meta(meta: &mut FrameMeta, numbers: &mut Numbers) {
    if numbers.below(8) > 0 {
        return;
    }
    let partial = |start, offset| ChecksumState::Partial(PartialChecksum { start, offset });
    match numbers.below(7) {
        0 => meta.checksum = partial(numbers.word(), numbers.word()),
        1 => meta.checksum = partial(numbers.word() % 128, numbers.word() % 32),
        2 => meta.checksum = partial(*numbers.pick(&[34, 54]), *numbers.pick(&[6, 8, 16])),
        3 => meta.checksum = ChecksumState::Complete,
        4 => meta.segmentation = None,
        _ => {
            let segment_size = *numbers.pick(&[0, 1, 36, 500, 1400, 1460, 1461, u16::MAX]);
            let header_length = numbers.word();
            meta.segmentation = Some(Segmentation { segment_size, header_length });
        }
    }
}
