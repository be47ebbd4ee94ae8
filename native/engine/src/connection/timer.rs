//! Timer wheel: one level, a slot a tick, lists that run through the entries.
//!
//! An entry sits in a slot at or before its expiry. Refreshing it only stores the later expiry; the
//! slot is corrected when its turn comes. So the common case, a packet on a known connection,
//! touches nothing but the entry.

use alloc::vec;
use alloc::vec::Vec;

use super::entry::{ConnectionId, Entry};
use super::slot_set::{SLOTS, SlotSet};
use super::tick::Tick;

/// The wheel reaches this many ticks ahead (17 minutes); what expires later waits there.
const HORIZON: u32 = 16_383;
const _: () = assert!(HORIZON as usize == SLOTS - 1, "the slot of the present is not the last");

#[derive(Debug)]
pub(super) struct Wheel {
    /// Links to the first entry of each slot.
    heads: Vec<u32>,
    occupied: SlotSet,
    /// Every slot of an earlier tick has been emptied.
    cursor: Tick,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { heads: vec![0; SLOTS], occupied: SlotSet::new(), cursor: Tick::default() }
    }

    /// The tick whose slot is being emptied.
    pub(super) const fn cursor(&self) -> Tick {
        self.cursor
    }

    /// Puts an entry that is in no slot where its expiry says.
    pub(super) fn place(&mut self, entries: &mut [Entry], id: ConnectionId) {
        let ahead = entries[id.position()].expires.since(self.cursor);
        let ahead = u32::try_from(ahead).unwrap_or(0).min(HORIZON);
        let slot = slot_of(self.cursor.plus(ahead));
        let head = ConnectionId::from_link(self.heads[slot]);
        let entry = &mut entries[id.position()];
        entry.timer_slot = u16::try_from(slot).unwrap_or(0);
        entry.timer_previous = None;
        entry.timer_next = head;
        if let Some(head) = head {
            entries[head.position()].timer_previous = Some(id);
        }
        self.heads[slot] = id.link();
        self.occupied.insert(slot);
    }

    /// Takes an entry out of its slot.
    pub(super) fn remove(&mut self, entries: &mut [Entry], id: ConnectionId) {
        let entry = &entries[id.position()];
        let (previous, next) = (entry.timer_previous, entry.timer_next);
        let slot = usize::from(entry.timer_slot);
        if let Some(next) = next {
            entries[next.position()].timer_previous = previous;
        }
        if let Some(previous) = previous {
            entries[previous.position()].timer_next = next;
        } else {
            self.heads[slot] = next.map_or(0, ConnectionId::link);
            if next.is_none() {
                self.occupied.remove(slot);
            }
        }
    }

    /// The expiry of an entry has changed: moves it only if its slot would come too late.
    pub(super) fn adjust(&mut self, entries: &mut [Entry], id: ConnectionId) {
        let entry = &entries[id.position()];
        let turn = self.tick_of(usize::from(entry.timer_slot));
        if turn.is_after(entry.expires) && turn != self.cursor {
            self.remove(entries, id);
            self.place(entries, id);
        }
    }

    /// The next entry whose slot's turn has come by `now`. Without one the cursor moves to `now`.
    pub(super) fn due(&mut self, now: Tick) -> Option<ConnectionId> {
        match self.occupied.next(slot_of(self.cursor)) {
            Some(slot) if !self.tick_of(slot).is_after(now) => {
                self.cursor = self.tick_of(slot);
                ConnectionId::from_link(self.heads[slot])
            }
            _ => {
                if now.is_after(self.cursor) {
                    self.cursor = now;
                }
                None
            }
        }
    }

    /// The tick of the next slot that holds anything.
    pub(super) fn next_turn(&self) -> Option<Tick> {
        self.occupied.next(slot_of(self.cursor)).map(|slot| self.tick_of(slot))
    }

    /// The tick whose entries `slot` holds: the first at or after the cursor.
    fn tick_of(&self, slot: usize) -> Tick {
        let slot = u32::try_from(slot).unwrap_or(0);
        self.cursor.plus(slot.wrapping_sub(self.cursor.0) & HORIZON)
    }
}

const fn slot_of(tick: Tick) -> usize {
    (tick.0 & HORIZON) as usize
}
