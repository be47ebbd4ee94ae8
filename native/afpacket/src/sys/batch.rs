//! Many frames in one system call (`sendmmsg`), each gathered from its parts without a copy.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// Frames one call takes at most.
pub(crate) const CAPACITY: usize = 64;
/// Parts of a frame: virtio-net header, frame; or header, addresses, VLAN tag, rest, payload.
const PARTS: usize = 5;

/// A frame in its parts, in the order they go out. Empty parts are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'f> {
    pub(crate) header: [u8; 10],
    pub(crate) addresses: &'f [u8],
    pub(crate) tag: Option<[u8; 4]>,
    pub(crate) rest: [&'f [u8]; 2],
}

/// Room for the descriptions of one batch; made once, filled again for each batch.
pub(crate) struct Outbox {
    messages: Box<[libc::mmsghdr]>,
    vectors: Box<[[libc::iovec; PARTS]]>,
    /// Header and tag of each frame: they need an address while the call runs.
    prefixes: Box<[([u8; 10], [u8; 4])]>,
}

// JUSTIFICATION: a worker is built on one thread and runs on another.
// SAFETY: the pointers inside are read only while `Loaded` borrows both the outbox and the frames.
unsafe impl Send for Outbox {}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Outbox {
    /// An empty outbox.
    pub(crate) fn new() -> Self {
        // JUSTIFICATION: `mmsghdr` has private padding and cannot be written as a literal.
        // SAFETY: all-zero octets are a valid `mmsghdr`: null pointers with zero lengths.
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            messages: vec![message; CAPACITY].into_boxed_slice(),
            vectors: vec![[vector; PARTS]; CAPACITY].into_boxed_slice(),
            prefixes: vec![([0; 10], [0; 4]); CAPACITY].into_boxed_slice(),
        }
    }

    /// Describes up to [`CAPACITY`] of `frames`; the rest stays in the iterator.
    pub(crate) fn load<'o, 'f>(
        &'o mut self,
        frames: &mut impl Iterator<Item = Parts<'f>>,
    ) -> Loaded<'o, 'f> {
        let mut count = 0;
        let rooms = self.messages.iter_mut().zip(&mut self.vectors).zip(&mut self.prefixes);
        // The room comes first: asked the other way round, a full outbox would swallow a frame.
        for (((message, vectors), prefix), parts) in rooms.zip(frames) {
            *prefix = (parts.header, parts.tag.unwrap_or_default());
            let tag = if parts.tag.is_some() { prefix.1.as_slice() } else { &[] };
            let mut used = 0;
            let [rest, payload] = parts.rest;
            for part in [prefix.0.as_slice(), parts.addresses, tag, rest, payload] {
                if let Some(vector) = vectors.get_mut(used).filter(|_| !part.is_empty()) {
                    vector.iov_base = part.as_ptr().cast_mut().cast::<libc::c_void>();
                    vector.iov_len = part.len();
                    used += 1;
                }
            }
            message.msg_hdr.msg_iov = vectors.as_mut_ptr();
            message.msg_hdr.msg_iovlen = used as _;
            count += 1;
        }
        Loaded { outbox: self, count, frames: PhantomData }
    }
}

/// A described batch; the frames stay borrowed while it lives.
pub(crate) struct Loaded<'o, 'f> {
    outbox: &'o mut Outbox,
    count: usize,
    frames: PhantomData<&'f [u8]>,
}

impl Loaded<'_, '_> {
    /// Number of frames.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Offers the frames from `first` on to the kernel; returns how many it took, at least one, or
    /// why it refused the first of them.
    pub(crate) fn send_from(&mut self, fd: BorrowedFd<'_>, first: usize) -> io::Result<usize> {
        let Some(messages) = self.outbox.messages.get_mut(first..self.count) else {
            return Ok(0);
        };
        let length = libc::c_uint::try_from(messages.len()).unwrap_or(0);
        // JUSTIFICATION: the standard library sends one message a call.
        // SAFETY: each message points at vectors of the outbox, each vector at octets of the outbox
        // or of a frame borrowed for `'f`; the kernel only reads them and writes `msg_len`.
        let taken = check(unsafe {
            libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), length, libc::MSG_DONTWAIT)
        })?;
        Ok(usize::try_from(taken).unwrap_or(0))
    }
}
