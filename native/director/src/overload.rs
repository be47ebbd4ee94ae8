//! Keeps known connections going while more frames come than a worker can judge.
//!
//! A flood fills the receive ring, and what belongs to known connections is lost with it. While that
//! threatens, frames of unknown connections come by a ring of their own, which is served last.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use engine::time::Instant;

mod kernel;
#[cfg(test)]
mod tests;

/// How long after the last congestion everything comes by one ring again.
const CALM: Duration = Duration::from_secs(1);

/// There is overload where fewer than this part of the frames belong to known connections: otherwise a ring
/// of their own would not help them.
const KNOWN_PARTS: (u64, u64) = (3, 4);

/// Frames that known clients may send beside their known connections, from one look at the ring to the
/// next: half of a batch.
const GRANT: u32 = 64;

/// Connections told by the engine that are taken notice of in one turn.
const NEWS: usize = 1024;

/// Entries of the connection table looked at in one turn while who is known is found out anew.
const ENTRIES: u32 = 2048;

/// What tells frames of known connections from others, by the client's end.
pub(crate) trait Separator: Debug + Send + Sync {
    /// From now on the end of a known connection.
    fn learn(&self, client: IpAddr, port: u16);

    /// Forgets all, from [`Self::end_renewal`] on, but who is told by [`Self::learn_anew`].
    fn begin_renewal(&self);

    /// As [`Self::learn`], and beyond the end of the renewal.
    fn learn_anew(&self, client: IpAddr, port: u16);

    /// Forgets who was not told anew.
    fn end_renewal(&self);

    /// Begins to separate frames, or ends it.
    fn set_overload(&self, overload: bool);

    /// Grants so many more frames to known clients without a known connection.
    fn allow(&self, frames: u32);
}

/// What a worker may use to separate frames.
#[derive(Clone, Debug)]
pub(crate) struct SeparatorShare {
    pub(crate) separator: Arc<dyn Separator>,
    /// Connections it has room for.
    pub(crate) connections: u32,
}

/// Who is known, and whether there is overload.
#[derive(Debug)]
pub(crate) struct Overload {
    share: Option<SeparatorShare>,
    /// Until when there is overload, if there is.
    until: Option<Instant>,
    /// Packets of known connections the engine had counted at the last look.
    known: u64,
    /// Ends learned since the last renewal.
    learned: u32,
    /// Where the renewal under way goes on in the connection table.
    renewal: Option<u32>,
}

impl Overload {
    /// Nobody is known yet.
    pub(crate) fn new(share: Option<SeparatorShare>, engine: &mut Engine) -> Self {
        if share.is_some() {
            engine.tell_confirmed(NEWS);
        }
        Self { share, until: None, known: 0, learned: 0, renewal: None }
    }

    /// Takes notice of a turn in which so many frames were handed out; `congested` says whether many more
    /// wait.
    pub(crate) fn follow(
        &mut self,
        engine: &mut Engine,
        handled: usize,
        congested: bool,
        now: Instant,
    ) {
        let Some(share) = self.share.clone() else { return };
        let before = std::mem::replace(&mut self.known, engine.known_packets());
        let known = self.known - before;
        self.learn(engine, &*share.separator);
        self.renew(engine, &share);
        let (part, parts) = KNOWN_PARTS;
        let frames = u64::try_from(handled).unwrap_or(u64::MAX);
        let flooded = known.saturating_mul(parts) < frames.saturating_mul(part);
        if congested && flooded {
            self.begin(&*share.separator, now);
        }
        let Some(until) = self.until else { return };
        share.separator.allow(GRANT);
        if congested {
            self.until = Some(now + CALM);
        } else if now >= until {
            self.until = None;
            share.separator.set_overload(false);
        }
    }

    /// When [`Self::follow`] is to be called next, whatever comes.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.renewal.is_some() { Some(Instant::ZERO) } else { self.until }
    }

    fn begin(&mut self, separator: &dyn Separator, now: Instant) {
        if self.until.replace(now + CALM).is_none() {
            separator.allow(GRANT);
            separator.set_overload(true);
        }
    }

    fn learn(&mut self, engine: &mut Engine, separator: &dyn Separator) {
        while let Some(key) = engine.poll_confirmed() {
            self.learned = self.learned.saturating_add(1);
            match self.renewal {
                Some(_) => separator.learn_anew(key.client, key.client_port),
                None => separator.learn(key.client, key.client_port),
            }
        }
    }

    /// Once as many were learned as there is room for, those that have ended are forgotten.
    fn renew(&mut self, engine: &Engine, share: &SeparatorShare) {
        let separator = &*share.separator;
        if self.renewal.is_none() {
            if self.learned < share.connections {
                return;
            }
            self.learned = 0;
            separator.begin_renewal();
        }
        let cursor = self.renewal.unwrap_or(0);
        self.renewal = engine.confirmed_connections(cursor, ENTRIES, |key| {
            separator.learn_anew(key.client, key.client_port);
        });
        if self.renewal.is_none() {
            separator.end_renewal();
        }
    }
}
