//! What was written and read lately, for as long as Zep does not answer. It is kept in memory only, for a
//! short time, and not shown any more once any process of this machine deleted or changed something.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cache::Cache;
use crate::memory::{
    model::{Owner, Record, SessionId, UserId},
    record::view::{Form, Memory},
};

/// How much content is kept of memories, and as much of sessions, in bytes. Ours.
const KEPT_BYTES: u64 = 4 << 20;
/// How many of one owner, and of one session.
const KEPT_EACH: usize = 200;
/// How long it is kept since it was known. Ours: others may change it meanwhile.
const KEPT_FOR: Duration = Duration::from_secs(15 * 60);
/// What a memory takes beside its text, about.
const OVERHEAD: usize = 600;

/// A read that began before a deletion may end so long after it. Ours: longer than a call to Zep takes.
const READ: SignedDuration = SignedDuration::from_secs(60);

/// What is known.
#[derive(Debug)]
pub(crate) struct Known {
    memories: Cache<Owner, Shared<Memory>>,
    sessions: Cache<(UserId, SessionId), Shared<Record>>,
}

/// A list is copied for each write, and its elements are not.
type Shared<T> = Arc<Vec<Arc<Noted<T>>>>;

/// With the time at which it was known.
#[derive(Debug)]
struct Noted<T> {
    at: Timestamp,
    it: T,
}

impl<T> Noted<T> {
    fn now(it: T) -> Arc<Self> {
        let at = Timestamp::now();
        Arc::new(Self { at, it })
    }
}

/// Those that were known after this time.
fn since<T: Clone>(noted: &[Arc<Noted<T>>], outdated: Option<Timestamp>) -> Vec<T> {
    let is_valid =
        |one: &&Arc<Noted<T>>| outdated.is_none_or(|then| one.at.duration_since(then) > READ);
    noted
        .iter()
        .filter(is_valid)
        .map(|one| one.it.clone())
        .collect()
}

impl Known {
    pub(crate) fn new() -> Self {
        let of_memories = |all: &Shared<Memory>| weight(all.iter().map(|one| one.it.text.len()));
        let of_turns = |all: &Shared<Record>| weight(all.iter().map(|one| one.it.content.len()));
        Self {
            memories: Cache::weighing(KEPT_BYTES, of_memories).expiring(KEPT_FOR),
            sessions: Cache::weighing(KEPT_BYTES, of_turns).expiring(KEPT_FOR),
        }
    }

    /// Keeps a memory.
    pub(crate) fn note(&self, memory: &Memory) {
        if memory.pending || memory.form == Form::Entity {
            return;
        }
        let known = self.memories.get(&memory.owner).unwrap_or_default();
        let others = known.iter().filter(|other| other.it.id != memory.id);
        let mut all = vec![Noted::now(memory.clone())];
        all.extend(others.take(KEPT_EACH - 1).cloned());
        self.memories.insert(memory.owner.clone(), Arc::new(all));
    }

    /// Keeps turns of a session.
    pub(crate) fn note_turns(&self, user: &UserId, session: &SessionId, turns: &[Record]) {
        let key = (user.clone(), session.clone());
        let known = self.sessions.get(&key).unwrap_or_default();
        let is_new = |known: &&Arc<Noted<Record>>| turns.iter().all(|turn| turn.id != known.it.id);
        let mut all: Vec<_> = known.iter().filter(is_new).cloned().collect();
        all.extend(turns.iter().cloned().map(Noted::now));
        all.sort_by_key(|turn| turn.it.created_at);
        let surplus = all.len().saturating_sub(KEPT_EACH);
        all.drain(..surplus);
        self.sessions.insert(key, Arc::new(all));
    }

    /// The owner's memories that are known, newest known first.
    pub(crate) fn memories(&self, owner: &Owner, outdated: Option<Timestamp>) -> Vec<Memory> {
        let known = self.memories.get(owner).unwrap_or_default();
        since(&known, outdated)
    }

    /// The turns of a session that are known, oldest first.
    pub(crate) fn turns(
        &self,
        user: &UserId,
        session: &SessionId,
        outdated: Option<Timestamp>,
    ) -> Vec<Record> {
        let key = (user.clone(), session.clone());
        since(&self.sessions.get(&key).unwrap_or_default(), outdated)
    }
}

fn weight(texts: impl Iterator<Item = usize>) -> u64 {
    texts.map(|text| (text + OVERHEAD) as u64).sum()
}
