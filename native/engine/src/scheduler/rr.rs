//! `rr`, round robin: one after the other, in list order.

use crate::configuration::Server;

/// The last pick of a service: the next one follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    last: Option<Last>,
}

/// A picked server, by where it stands and by what stays when the list changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    index: usize,
    addition: u64,
}

impl Cursor {
    /// Before the first server of the list.
    pub const BEFORE_HEAD: Self = Self { last: None };

    /// The first usable server behind the last pick, round to the last pick itself. The cursor
    /// stays where it is when there is none.
    pub(super) fn pick(&mut self, servers: &[Server]) -> Option<usize> {
        let next = self.position(servers).map_or(0, |last| last + 1);
        let usable = |&index: &usize| servers.get(index).is_some_and(Server::is_usable);
        let index = (next..servers.len()).chain(0..next).find(usable)?;
        self.move_to(servers, Some(index));
        Some(index)
    }

    /// Follows a change of the list. Adding does not move the cursor; when the last pick was
    /// deleted, it moves to the nearest server before it that was there and still is.
    pub(super) fn reconcile(&mut self, old: &[Server], new: &[Server]) {
        let stays = |server: &Server| position_of(new, server.addition);
        let before = self.position(old).and_then(|last| old.get(..=last));
        let index = before.and_then(|servers| servers.iter().rev().find_map(stays));
        self.move_to(new, index);
    }

    fn move_to(&mut self, servers: &[Server], index: Option<usize>) {
        self.last = index.and_then(|index| {
            servers.get(index).map(|server| Last { index, addition: server.addition })
        });
    }

    fn position(&self, servers: &[Server]) -> Option<usize> {
        let last = self.last?;
        let unmoved = servers.get(last.index).is_some_and(|it| it.addition == last.addition);
        if unmoved { Some(last.index) } else { position_of(servers, last.addition) }
    }
}

fn position_of(servers: &[Server], addition: u64) -> Option<usize> {
    servers.iter().position(|server| server.addition == addition)
}
