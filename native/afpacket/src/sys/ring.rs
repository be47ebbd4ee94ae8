//! The receive ring the kernel shares with a packet socket (`TPACKET_V2`).
//!
//! A slot belongs to the kernel or to us, as its status word says. The kernel fills slots in order
//! and stops at one that is still ours, so the slots from `head` on that are ours form a run: that
//! run is what a [`Ready`] stands for, and why it may hand out their octets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Octets of `struct tpacket2_hdr`, rounded up to the alignment of slots.
const HEADER_OCTETS: usize = 32;
/// Where `sll_pkttype` lies in the `sockaddr_ll` behind the header.
const PACKET_TYPE_OFFSET: usize = HEADER_OCTETS + 10;
/// What must be readable of each slot whatever frame it holds.
const FIXED_OCTETS: usize = HEADER_OCTETS + 20;

/// How the ring is cut into slots; all lengths in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// One slot: header, virtio-net header and frame.
    pub(crate) slot: u32,
    /// One block of physically contiguous memory.
    pub(crate) block: u32,
    /// Number of blocks.
    pub(crate) blocks: u32,
}

impl Geometry {
    /// Slots in a block: a slot never spans two blocks, the rest of a block stays unused.
    pub(crate) const fn slots_per_block(self) -> u32 {
        self.block / self.slot
    }

    /// Slots in the ring.
    pub(crate) const fn slots(self) -> u32 {
        self.slots_per_block() * self.blocks
    }
}

/// What the kernel wrote about the frame in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotHeader {
    pub(crate) status: u32,
    /// Octets of the frame on the wire.
    pub(crate) length: u32,
    /// Octets of the frame in the slot.
    pub(crate) captured: u32,
    /// Where the frame begins in the slot.
    pub(crate) frame_offset: u16,
    /// When the frame came, by the machine's own date: seconds and nanoseconds.
    pub(crate) stamp: (u32, u32),
    pub(crate) vlan_tci: u16,
    pub(crate) vlan_tpid: u16,
    pub(crate) packet_type: u8,
}

/// The mapped ring.
#[derive(Debug)]
pub(crate) struct Ring {
    base: NonNull<u8>,
    length: usize,
    slot: usize,
    block: usize,
    slots_per_block: usize,
    slots: usize,
    head: usize,
}

// JUSTIFICATION: a worker is built on one thread and runs on another.
// SAFETY: the mapping belongs to the process, not to a thread, and `Ring` is its only owner.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring `socket` was told to make with `geometry`.
    ///
    /// The two must agree: a mapping longer than the kernel's ring is refused by the kernel.
    pub(crate) fn map(socket: BorrowedFd<'_>, geometry: Geometry) -> io::Result<Self> {
        let (slot, block) = (geometry.slot as usize, geometry.block as usize);
        if slot < FIXED_OCTETS || slot % 16 != 0 || geometry.slots() == 0 {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let length = block * geometry.blocks as usize;
        // JUSTIFICATION: the ring is reachable by a memory mapping only.
        // SAFETY: a fresh mapping at an address the kernel chooses touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let slots_per_block = geometry.slots_per_block() as usize;
        let slots = geometry.slots() as usize;
        Ok(Self { base, length, slot, block, slots_per_block, slots, head: 0 })
    }

    /// Whether the slot in the middle is filled: the kernel fills them in order.
    pub(crate) fn is_half_full(&self) -> bool {
        self.is_ours(self.wrap(self.head + self.slots / 2))
    }

    /// The run of at most `limit` filled slots at the head.
    pub(crate) fn ready(&mut self, limit: usize) -> Ready<'_> {
        let limit = limit.min(self.slots);
        let mut count = 0;
        while count < limit && self.is_ours(self.wrap(self.head + count)) {
            count += 1;
        }
        Ready { ring: self, count }
    }

    fn wrap(&self, index: usize) -> usize {
        if index >= self.slots { index - self.slots } else { index }
    }

    fn is_ours(&self, index: usize) -> bool {
        // Acquire: what the kernel wrote to the slot before the status is visible after it.
        self.status(index).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    fn status(&self, index: usize) -> &AtomicU32 {
        let slot = self.slot_start(index);
        // JUSTIFICATION: the status word is shared with the kernel, an atomic models that.
        // SAFETY: the first word of a slot inside the mapping; slots are aligned to 16 octets; both
        // sides access it atomically only; the mapping lives as long as `self`.
        unsafe { AtomicU32::from_ptr(slot.as_ptr().cast::<u32>()) }
    }

    fn slot_start(&self, index: usize) -> NonNull<u8> {
        assert!(index < self.slots, "slot {index} of a ring of {}", self.slots);
        let offset =
            index / self.slots_per_block * self.block + index % self.slots_per_block * self.slot;
        // JUSTIFICATION: slots lie in one mapping made by the kernel.
        // SAFETY: `index < slots`, so the whole slot lies inside the mapping.
        unsafe { self.base.add(offset) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // JUSTIFICATION: the mapping has to be given back.
        // SAFETY: base and length are those of `mmap`; nothing borrows from `self` any more.
        unsafe { libc::munmap(self.base.as_ptr().cast::<libc::c_void>(), self.length) };
    }
}

/// A run of filled slots; they go back to the kernel when it is dropped.
#[derive(Debug)]
pub(crate) struct Ready<'r> {
    ring: &'r mut Ring,
    count: usize,
}

impl Ready<'_> {
    /// Number of slots.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// What the kernel wrote about the frame of slot `index` of the run.
    pub(crate) fn header(&self, index: usize) -> Option<SlotHeader> {
        let octets = self.octets(index, 0, FIXED_OCTETS)?;
        Some(SlotHeader {
            status: word(octets, 0)?,
            length: word(octets, 4)?,
            captured: word(octets, 8)?,
            frame_offset: half(octets, 12)?,
            stamp: (word(octets, 16)?, word(octets, 20)?),
            vlan_tci: half(octets, 24)?,
            vlan_tpid: half(octets, 26)?,
            packet_type: *octets.get(PACKET_TYPE_OFFSET)?,
        })
    }

    /// `length` octets of slot `index` of the run, `None` when they do not lie inside it.
    pub(crate) fn octets(&self, index: usize, offset: usize, length: usize) -> Option<&[u8]> {
        let start = self.start(index, offset, length)?;
        // JUSTIFICATION: frames are read where the kernel put them.
        // SAFETY: `start` checked that the octets lie inside a slot of the run; the slot is ours
        // until `self` is dropped, so the kernel does not write; exclusive use needs `&mut self`.
        Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), length) })
    }

    /// As [`Self::octets`], to be rewritten in place.
    pub(crate) fn octets_mut(
        &mut self,
        index: usize,
        offset: usize,
        length: usize,
    ) -> Option<&mut [u8]> {
        // The status word is atomic ground and never handed out mutably.
        if offset < HEADER_OCTETS {
            return None;
        }
        let start = self.start(index, offset, length)?;
        // JUSTIFICATION: frames are rewritten where the kernel put them.
        // SAFETY: as in `octets`, and `&mut self` excludes every other slice of the run.
        Some(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), length) })
    }

    fn start(&self, index: usize, offset: usize, length: usize) -> Option<NonNull<u8>> {
        if index >= self.count || offset.checked_add(length)? > self.ring.slot {
            return None;
        }
        let slot = self.ring.slot_start(self.ring.wrap(self.ring.head + index));
        // JUSTIFICATION: see `octets`.
        // SAFETY: `offset` lies inside the slot, the slot inside the mapping.
        Some(unsafe { slot.add(offset) })
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        for index in 0..self.count {
            let slot = self.ring.wrap(self.ring.head + index);
            // Release: our reads and writes of the slot are over before the kernel may refill it.
            self.ring.status(slot).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
        self.ring.head = self.ring.wrap(self.ring.head + self.count);
    }
}

fn word(octets: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(octets.get(offset..offset + 4)?.try_into().ok()?))
}

fn half(octets: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(octets.get(offset..offset + 2)?.try_into().ok()?))
}
