//! The memory of answers.
//!
//! An answer takes memory from the moment it exists until it is written to the client's connection.
//! That memory is bounded for each token and in all: before a call starts, memory for an answer as
//! large as the token's largest lately is reserved, and the call waits while there is none. Clients
//! that do not read are cut where their token's calls wait for that memory.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::{Account, Place, Shares, Subject, Use, lock};
use crate::http::replay::ReplayBuffer;
use crate::mcp::{TooBusy, Turn, Turns};

/// How many calls of a token may start at once. Ours: twice as many as the embedded store works on at a
/// time, and so few that others' calls wait for moments only, even if each answer is large.
pub(super) const CALLS_STARTING: usize = 8;
/// After this time a call has started: it waits for Zep, and others may start.
const STARTED_AFTER: Duration = Duration::from_millis(500);
/// The memory that is reserved for an answer at least, in bytes: more than most answers take.
const LEAST_RESERVED: usize = 256 << 10;
/// How long an answer counts as its token's largest.
const LATELY: Duration = Duration::from_secs(10);
/// How long a call waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(30);
/// The most memory of unread answers on one connection whose client does not read, in bytes.
const UNREAD_OF_CONNECTION: usize = 32 << 20;
/// A client that reads nothing for this time is cut where memory is needed. Others that read slowly
/// make room within seconds.
const STALLED: Duration = Duration::from_secs(2);
/// How often such clients are looked for.
const LOOKED_FOR_EVERY: Duration = Duration::from_millis(500);

/// Memory of an answer, counted until it is dropped.
pub(in crate::http) struct Held {
    shares: Arc<Shares>,
    subject: Subject,
    place: Option<Arc<Place>>,
    bytes: usize,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes).finish()
    }
}

impl Held {
    pub(in crate::http) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        {
            let mut taken = lock(&self.shares.taken);
            taken.token(&self.subject).unread -= self.bytes;
            taken.unread -= self.bytes;
        }
        if let Some(place) = &self.place {
            place.remove(self.bytes);
        }
        self.shares.freed.notify_waiters();
    }
}

/// In a response's extensions: the memory of its frames is counted already.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Counted;

/// Bytes whose memory is counted until all copies are dropped.
struct Owned {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Account {
    /// Counts memory of an answer, in bytes.
    pub(in crate::http) fn hold(&self, bytes: usize) -> Held {
        {
            let mut taken = lock(&self.shares.taken);
            taken.unread += bytes;
            let token = taken.token(&self.subject);
            token.unread += bytes;
            if bytes >= token.reserve() {
                token.largest = Some((bytes, Instant::now()));
            }
        }
        if let Some(place) = &self.place {
            place.add(bytes);
        }
        // The answer is there, so that nothing needs to be reserved for it.
        if let Some(call) = &self.call {
            let reserved = lock(&call.reserved).take();
            drop(reserved);
        }
        Held {
            shares: Arc::clone(&self.shares),
            subject: self.subject.clone(),
            place: self.place.clone(),
            bytes,
        }
    }

    /// Counts memory of a message that is kept as values, in bytes.
    pub(in crate::http) fn hold_message(&self, message: &impl Serialize) -> Held {
        let mut size = Size(0);
        // Counting cannot fail, and a message always serialises.
        let _ = serde_json::to_writer(&mut size, message);
        self.hold(size.0)
    }

    /// Counts these bytes until they are written.
    pub(in crate::http) fn owned(&self, bytes: Bytes) -> Bytes {
        let held = self.hold(bytes.len());
        Bytes::from_owner(Owned { bytes, _held: held })
    }

    /// Reserves memory for an answer; `None` if the token or all have too little left.
    fn reserve(&self) -> Option<Held> {
        let most = self.shares.bounds.unread_bytes;
        let share = self.shares.bounds.share_of(most);
        let mut taken = lock(&self.shares.taken);
        let all = taken.unread;
        let takers = taken.tokens.values().filter(|token| token.unread > 0);
        let part = most / takers.count().max(1);
        let token = taken.token(&self.subject);
        let bytes = token.reserve();
        let then = token.unread + bytes;
        // A token that has no other answers is served, however large they are.
        let fits = token.unread == 0 || (then <= share && (all + bytes <= most || then <= part));
        if !fits {
            return None;
        }
        token.unread += bytes;
        taken.unread += bytes;
        Some(Held {
            shares: Arc::clone(&self.shares),
            subject: self.subject.clone(),
            place: None,
            bytes,
        })
    }

    async fn start(&self) -> (OwnedSemaphorePermit, Held) {
        let starting = Arc::clone(&lock(&self.shares.taken).token(&self.subject).starting);
        // The semaphore is never closed.
        let Ok(permit) = starting.acquire_owned().await else {
            std::future::pending().await
        };
        let mut waiting = None;
        loop {
            let freed = self.shares.freed.notified();
            if let Some(reserved) = self.reserve() {
                return (permit, reserved);
            }
            waiting.get_or_insert_with(|| Waiting::new(self));
            // Reservations of others may shrink unnoticed.
            let _ = tokio::time::timeout(LOOKED_FOR_EVERY, freed).await;
        }
    }
}

/// A call that waits for memory.
struct Waiting<'a>(&'a Account);

impl<'a> Waiting<'a> {
    fn new(account: &'a Account) -> Self {
        let mut taken = lock(&account.shares.taken);
        taken.token(&account.subject).waiting += 1;
        Self(account)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut taken = lock(&self.0.shares.taken);
        taken.token(&self.0.subject).waiting -= 1;
    }
}

#[async_trait]
impl Turns for Account {
    async fn turn(&self) -> Result<Turn, TooBusy> {
        let started = tokio::time::timeout(TURN_WITHIN, self.start()).await;
        let Ok((permit, reserved)) = started else {
            self.shares.refused.fetch_add(1, Ordering::Relaxed);
            return Err(TooBusy);
        };
        let turn = Turn::default();
        let over = turn.over();
        tokio::spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = over.cancelled() => {}
                () = tokio::time::sleep(STARTED_AFTER) => {}
            }
        });
        if let Some(call) = &self.call {
            *lock(&call.reserved) = Some(reserved);
        }
        Ok(turn)
    }
}

impl Use {
    /// How much memory is reserved for an answer.
    fn reserve(&self) -> usize {
        match self.largest {
            Some((bytes, at)) if at.elapsed() < LATELY => bytes.max(LEAST_RESERVED),
            _ => LEAST_RESERVED,
        }
    }
}

/// Counts what is written.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Frees memory of answers where it is needed: those that are kept for clients that are gone, then
/// those of clients that do not read. Never returns.
pub(in crate::http) async fn relieve(shares: &Shares, replay: &ReplayBuffer) {
    let mut ticks = tokio::time::interval(LOOKED_FOR_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (subject, excess) in shares.pressed() {
            let freed = match excess {
                0 => 0,
                _ => replay.forget(&subject),
            };
            shares.cut_stalled(&subject, excess.saturating_sub(freed));
        }
    }
}

impl Shares {
    /// The tokens that must free memory, and how much.
    fn pressed(&self) -> Vec<(Subject, usize)> {
        let most = self.bounds.unread_bytes;
        let share = self.bounds.share_of(most);
        let taken = lock(&self.taken);
        let mut pressed: Vec<_> = taken
            .tokens
            .iter()
            .filter(|(_, token)| token.unread > share || token.waiting > 0)
            .map(|(subject, token)| {
                // Room for the next answer, and half of the share as long as there is any.
                let room = (share / 2).min(share.saturating_sub(token.reserve()));
                (subject.clone(), token.unread.saturating_sub(room))
            })
            .collect();
        if taken.unread > most {
            let largest = taken.tokens.iter().max_by_key(|(_, token)| token.unread);
            pressed.extend(largest.map(|(subject, _)| (subject.clone(), taken.unread - most)));
        }
        // Connections are looked at one by one, whatever their token takes.
        let others = taken
            .tokens
            .iter()
            .filter(|(_, token)| token.unread > UNREAD_OF_CONNECTION);
        pressed.extend(others.map(|(subject, _)| (subject.clone(), 0)));
        pressed
    }

    /// Cuts connections of this token that do not read: so many that this memory is freed, those that
    /// have not read for longest first, and each beyond what one connection may hold.
    fn cut_stalled(&self, subject: &Subject, excess: usize) {
        let mut stalled: Vec<_> = self
            .places
            .unread_of(subject)
            .into_iter()
            .filter(|place| place.stalled() >= STALLED)
            .collect();
        stalled.sort_by_key(|place| std::cmp::Reverse(place.stalled()));
        let mut freed = 0;
        let mut count = 0;
        for place in stalled {
            let unread = place.unread();
            if freed < excess || unread > UNREAD_OF_CONNECTION {
                place.cut();
                freed += unread;
                count += 1;
            }
        }
        if count > 0 {
            self.cut.fetch_add(count, Ordering::Relaxed);
            tracing::warn!(
                connections = count,
                bytes = freed,
                holder = subject.label(),
                "cut clients that do not read their answers"
            );
        }
    }
}
