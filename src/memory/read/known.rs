//! What was written and read lately, for as long as Zep does not answer. It is kept in memory only, for a
//! short time, and forgotten where anything of its owner is deleted or changed.

use std::sync::Arc;
use std::time::Duration;

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

/// What is known.
#[derive(Debug)]
pub(crate) struct Known {
    memories: Cache<Owner, Arc<Vec<Memory>>>,
    sessions: Cache<(UserId, SessionId), Arc<Vec<Record>>>,
}

impl Known {
    pub(crate) fn new() -> Self {
        let of_memories = |all: &Arc<Vec<Memory>>| weight(all.iter().map(|one| one.text.len()));
        let of_turns = |all: &Arc<Vec<Record>>| weight(all.iter().map(|one| one.content.len()));
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
        let others = known.iter().filter(|other| other.id != memory.id);
        let all = [memory].into_iter().chain(others).take(KEPT_EACH).cloned();
        self.memories
            .insert(memory.owner.clone(), Arc::new(all.collect()));
    }

    /// Keeps turns of a session that follow each other.
    pub(crate) fn note_turns(&self, user: &UserId, session: &SessionId, turns: &[Record]) {
        let key = (user.clone(), session.clone());
        let known = self.sessions.get(&key).unwrap_or_default();
        let is_new = |known: &&Record| turns.iter().all(|turn| turn.id != known.id);
        let mut all: Vec<Record> = known.iter().filter(is_new).chain(turns).cloned().collect();
        all.sort_by_key(|turn| turn.created_at);
        let surplus = all.len().saturating_sub(KEPT_EACH);
        all.drain(..surplus);
        self.sessions.insert(key, Arc::new(all));
    }

    /// The owner's memories that are known, newest known first.
    pub(crate) fn memories(&self, owner: &Owner) -> Vec<Memory> {
        self.memories
            .get(owner)
            .map_or_else(Vec::new, |known| known.to_vec())
    }

    /// The turns of a session that are known, oldest first.
    pub(crate) fn turns(&self, user: &UserId, session: &SessionId) -> Vec<Record> {
        let key = (user.clone(), session.clone());
        self.sessions
            .get(&key)
            .map_or_else(Vec::new, |known| known.to_vec())
    }

    /// Forgets everything: something was deleted or changed.
    pub(crate) fn forget(&self) {
        self.memories.clear();
        self.sessions.clear();
    }
}

fn weight(texts: impl Iterator<Item = usize>) -> u64 {
    texts.map(|text| (text + OVERHEAD) as u64).sum()
}
