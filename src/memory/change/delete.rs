//! Deleting a memory by its id, and saying what was removed by it: Zep cannot delete a single
//! message.

use serde_json::Map;

use crate::memory::{
    Error, Result,
    access::Right,
    change::update::replaced_by,
    model::{Caller, Owner, RecordId, Scope, Uuid},
    read::by_id::{self, Thing, What},
    record::fit::{self, Ours},
    record::view::{self, Form},
    service::MemoryService,
};
use crate::zep::{self, Episode, Fact, ThreadId};

/// How much of a memory was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// All of it.
    All,
    /// A fact. What it was drawn from is still stored, in these episodes.
    FactOnly {
        /// The episodes.
        sources: Vec<Uuid>,
    },
    /// Of a turn of a conversation, the facts that were drawn from it. Its words are still stored in
    /// this session, where they are hidden from all reads; deleting the session removes them.
    FactsOnly {
        /// The session.
        session: String,
    },
}

/// A deleted memory.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// Its id.
    pub id: Uuid,
    /// What it was.
    pub form: Form,
    /// Whose it was.
    pub owner: Owner,
    /// How much of it is gone.
    pub removed: Removed,
}

impl MemoryService {
    /// Deletes a memory, all parts of it. Repeating an interrupted call finishes it.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::Unfinished`] if it stopped on the way, or whatever the backend
    /// says.
    pub async fn delete(&self, caller: &Caller, id: &str, scope: &Scope) -> Result<Deleted> {
        let id = by_id::checked(id)?;
        let Thing { owner, what } = self.find(caller, Right::Delete, &id, scope).await?;
        let (form, removed) = match what {
            What::Fact(fact) => (Form::Fact, self.delete_fact(*fact).await?),
            What::Record(parts) => {
                let first = parts.first().ok_or_else(|| by_id::no_memory(&id))?;
                let form = Form::of_episode(first);
                let removed = match (form, first.thread_id.clone()) {
                    // One that is marked but still has its episode was deleted half-way.
                    (Form::Message, Some(thread)) => {
                        self.delete_message(&owner, &thread, parts).await?
                    }
                    _ => self.delete_text(&owner, parts).await?,
                };
                (form, removed)
            }
        };
        self.inner.shown.remove(&id);
        Ok(Deleted {
            id,
            form,
            owner,
            removed,
        })
    }

    async fn delete_fact(&self, fact: Fact) -> Result<Removed> {
        gone(self.zep().delete_fact(&fact.uuid).await)?;
        Ok(match fact.episodes {
            sources if sources.is_empty() => Removed::All,
            sources => Removed::FactOnly { sources },
        })
    }

    /// Deletes a text, its first part last: as long as any is there, so is the one that tells of the
    /// others.
    async fn delete_text(&self, owner: &Owner, parts: Vec<Episode>) -> Result<Removed> {
        let count = parts.len();
        // What it took the place of may still be there, and would come back.
        if let Some(old) = replaced_by(&parts) {
            self.delete_episodes_of(owner, &old).await?;
        }
        for (nth, part) in parts.iter().rev().enumerate() {
            gone(self.zep().delete_episode(&part.uuid).await)
                .map_err(|error| half_way(error, nth, count))?;
        }
        Ok(Removed::All)
    }

    /// Deletes the episodes of a message, and with them the facts that only they support. Where the
    /// message itself stays in its thread, it is marked, and so hidden: first of all, so that nobody
    /// sees half of it.
    async fn delete_message(
        &self,
        owner: &Owner,
        thread: &str,
        parts: Vec<Episode>,
    ) -> Result<Removed> {
        let count = parts.len();
        for (nth, part) in parts.iter().rev().enumerate() {
            let there = fit::unpack(part.metadata.as_ref().unwrap_or(&Map::new()));
            let record = there.ours.as_ref().map(|ours| ours.record.clone());
            let mut blank = Ours::new(record.unwrap_or_else(RecordId::fresh));
            blank.marks.deleted = true;
            let marked = fit::repack(&there, &blank, &Map::new())
                .map_err(|error| Error::invalid("memory_id", error.to_string()))?;
            gone(
                self.zep()
                    .set_message_metadata(&part.uuid, &marked)
                    .await
                    .map(drop),
            )
            .map_err(|error| half_way(error, nth, count))?;
            gone(self.zep().delete_episode(&part.uuid).await)
                .map_err(|error| half_way(error, nth, count))?;
        }
        if self.still_there(thread, &parts).await? {
            Ok(Removed::FactsOnly {
                session: view::session_of(Some(thread), owner).unwrap_or_default(),
            })
        } else {
            Ok(Removed::All)
        }
    }

    async fn still_there(&self, thread: &str, parts: &[Episode]) -> Result<bool> {
        let thread = ThreadId::new(thread)?;
        let messages = match self.zep().all_messages(&thread).await {
            Ok(page) => page.messages,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(messages.iter().any(|message| {
            parts
                .iter()
                .any(|part| Some(&part.uuid) == message.uuid.as_ref())
        }))
    }
}

/// What is not there is deleted, whoever did it.
pub(crate) fn gone(outcome: zep::Result<()>) -> zep::Result<()> {
    match outcome {
        Err(error) if error.is_not_found() => Ok(()),
        outcome => outcome,
    }
}

fn half_way(cause: zep::Error, done: usize, count: usize) -> Error {
    match count {
        1 => cause.into(),
        _ => Error::Unfinished {
            done: format!("{done} of the {count} parts of this memory are deleted"),
            cause,
        },
    }
}
