//! Fragments: packets are put together before they are judged, as IPVS sees them behind its host's
//! reassembly, and cut again on their way out.
//!
//! Everything is bounded: the memory, the packets that wait, the fragments of each, the time. Where
//! there is no room the packet that has waited longest goes.

mod assemble;
mod pool;
mod table;

use core::time::Duration;

use wire::dissect::IpFrame;
use wire::piece::Piece;

pub(crate) use assemble::Assembled;

use crate::frame::FrameMeta;
use crate::snapshot::{Counter, FragmentStatistics};
use crate::time::Instant;
use crate::verdict::DropReason;
use pool::Pool;
use table::{Datagram, Key, Part, Table};

/// How long the fragments of a packet wait for the rest (the kernel's `ipfrag_time`).
const WAIT: Duration = Duration::from_secs(30);
/// Packets that are put together at a time.
const DATAGRAMS_MAX: usize = 1024;
/// Fragments of one packet: enough for the largest one over the smallest usual links.
const PARTS_MAX: usize = 256;
/// Payload octets of the largest packet.
const PAYLOAD_MAX: usize = 0xffff;

/// What became of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collected {
    /// It waits for the others.
    Held,
    /// It is of no use, and with some reasons neither is the rest of its packet.
    Refused(DropReason),
    /// It was the last that was missing: the whole is at [`Reassembly::assemble`].
    Complete(Whole),
}

/// A packet all of whose fragments are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole(u32);

/// Puts packets together.
#[derive(Debug)]
pub(crate) struct Reassembly {
    pool: Pool,
    table: Table,
    reassembled: u64,
    expired: u64,
    evicted: u64,
}

impl Reassembly {
    /// With room for `octets` octets of fragments.
    pub(crate) fn new(octets: usize, seed: u64) -> Self {
        let pool = Pool::new(octets);
        let table = Table::new(pool.blocks().min(DATAGRAMS_MAX), seed);
        Self { pool, table, reassembled: 0, expired: 0, evicted: 0 }
    }

    /// What was counted.
    pub(crate) const fn statistics(&self) -> FragmentStatistics {
        FragmentStatistics {
            waiting: self.table.used,
            reassembled: Counter(self.reassembled),
            expired: Counter(self.expired),
            evicted: Counter(self.evicted),
        }
    }

    /// When [`Reassembly::expire`] is to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.table.oldest().map(|(_, deadline)| deadline)
    }

    /// Gives up packets that have waited too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((slot, deadline)) = self.table.oldest()
            && deadline <= now
        {
            self.discard(slot);
            self.expired += 1;
        }
    }

    /// Takes in the fragment `piece`, which is the packet `ip` of `frame`.
    pub(crate) fn collect(
        &mut self,
        frame: &[u8],
        ip: &IpFrame,
        piece: &Piece,
        meta: &FrameMeta,
        now: Instant,
    ) -> Collected {
        self.expire(now);
        let (start, end) = match extent(ip, piece) {
            Ok(extent) => extent,
            Err(reason) => return Collected::Refused(reason),
        };
        let key = Key {
            source: ip.source,
            destination: ip.destination,
            identification: piece.identification,
            protocol: piece.protocol,
            interface: meta.interface,
            vlan: meta.vlan,
        };
        let Some(slot) = self.slot(key, now) else {
            return Collected::Refused(DropReason::FragmentLimit);
        };
        match self.insert(slot, frame, ip, piece, (start, end)) {
            Err(reason) => {
                // RFC 8200 §4.5, RFC 5722: with overlapping fragments the whole packet goes.
                if reason != DropReason::FragmentDuplicate {
                    self.discard(slot);
                }
                Collected::Refused(reason)
            }
            Ok(()) if self.table.get(slot).is_some_and(|it| it.is_whole()) => {
                Collected::Complete(Whole(slot))
            }
            Ok(()) => Collected::Held,
        }
    }

    /// The packet this key belongs to, a new one if need be; in a full table the oldest gives way.
    fn slot(&mut self, key: Key, now: Instant) -> Option<u32> {
        if let Some(slot) = self.table.find(&key) {
            return Some(slot);
        }
        let deadline = now + WAIT;
        self.table.add(key, deadline).or_else(|| {
            self.evict(None);
            self.table.add(key, deadline)
        })
    }

    fn insert(
        &mut self,
        slot: u32,
        frame: &[u8],
        ip: &IpFrame,
        piece: &Piece,
        (start, end): (usize, usize),
    ) -> Result<(), DropReason> {
        let datagram = self.table.get(slot).ok_or(DropReason::FragmentLimit)?;
        let total = total(datagram, piece, end)?;
        let position = position(datagram, start, end)?;
        let from = ip.l3 + piece.payload;
        let payload = frame.get(from..from + (end - start)).ok_or(DropReason::BadLength)?;
        let headers = frame.get(..ip.l3 + piece.header).ok_or(DropReason::BadLength)?;
        let kept = if start == 0 { headers } else { &[] };
        if datagram.parts.len() == PARTS_MAX {
            return Err(DropReason::FragmentLimit);
        }
        self.make_room(slot, payload.len(), kept.len())?;
        let stored = self.pool.store(payload).ok_or(DropReason::FragmentLimit)?;
        let Some(kept) = self.pool.store(kept) else {
            self.pool.release(stored);
            return Err(DropReason::FragmentLimit);
        };
        let datagram = self.table.get(slot).ok_or(DropReason::FragmentLimit)?;
        datagram.parts.insert(position, Part { start, end, stored });
        datagram.total = total;
        datagram.octets += end - start;
        datagram.ecn |= 1 << piece.ecn;
        let length = ip.end - ip.l3;
        datagram.longest = datagram.longest.max(length);
        if piece.dont_fragment {
            datagram.longest_uncuttable = datagram.longest_uncuttable.max(length);
        }
        if start == 0 {
            datagram.headers = kept;
            datagram.next_header = piece.next_header;
        }
        Ok(())
    }

    /// Evicts old packets until payload and headers fit; not the one at `keep`.
    fn make_room(&mut self, keep: u32, payload: usize, headers: usize) -> Result<(), DropReason> {
        while !self.pool.has_room_for(payload, headers) {
            if !self.evict(Some(keep)) {
                return Err(DropReason::FragmentLimit);
            }
        }
        Ok(())
    }

    /// Gives up the packet that has waited longest, unless it is `keep`. Whether it did.
    fn evict(&mut self, keep: Option<u32>) -> bool {
        let Some((slot, _)) = self.table.oldest().filter(|(slot, _)| Some(*slot) != keep) else {
            return false;
        };
        self.discard(slot);
        self.evicted += 1;
        true
    }

    fn discard(&mut self, slot: u32) {
        if let Some(datagram) = self.table.get(slot) {
            for part in &datagram.parts {
                self.pool.release(part.stored);
            }
            self.pool.release(datagram.headers);
        }
        self.table.remove(slot);
    }
}

/// Where the payload of a fragment begins and ends in the whole.
fn extent(ip: &IpFrame, piece: &Piece) -> Result<(usize, usize), DropReason> {
    let length = (ip.end - ip.l3).checked_sub(piece.payload).ok_or(DropReason::BadLength)?;
    // All but the last are counted in units of eight octets. IPv4: what is beyond is left off, as
    // in the kernel; IPv6 refuses (RFC 8200 §4.5).
    let usable = match piece.next_header {
        Some(_) if piece.more && length % 8 != 0 => return Err(DropReason::BadLength),
        None if piece.more => length & !7,
        _ => length,
    };
    let end = piece.offset + usable;
    let fits = piece.header + end <= PAYLOAD_MAX;
    if usable == 0 || !fits {
        return Err(DropReason::BadLength);
    }
    Ok((piece.offset, end))
}

/// The length of the whole as this fragment and those before it say.
fn total(datagram: &Datagram, piece: &Piece, end: usize) -> Result<Option<usize>, DropReason> {
    match (datagram.total, piece.more) {
        (Some(total), false) if total != end => Err(DropReason::FragmentMismatch),
        (Some(total), true) if end > total => Err(DropReason::FragmentMismatch),
        (None, false) if end < datagram.end() => Err(DropReason::FragmentMismatch),
        (None, false) => Ok(Some(end)),
        (total, _) => Ok(total),
    }
}

/// Where among the parts a new one belongs. One that is there already is of no use but does no harm
/// (as in the kernel); one that overlaps others partly may be an attack (RFC 5722).
fn position(datagram: &Datagram, start: usize, end: usize) -> Result<usize, DropReason> {
    let index = datagram.parts.partition_point(|part| part.end <= start);
    let Some(next) = datagram.parts.get(index).filter(|part| part.start < end) else {
        return Ok(index);
    };
    let run = datagram.parts.get(index..).unwrap_or_default();
    let covered = run.iter().try_fold(start, |at, part| {
        let joined = at < end && part.start <= at;
        joined.then_some(part.end.max(at)).ok_or(at)
    });
    let (Ok(covered) | Err(covered)) = covered;
    if next.start <= start && covered >= end {
        Err(DropReason::FragmentDuplicate)
    } else {
        Err(DropReason::FragmentOverlap)
    }
}
