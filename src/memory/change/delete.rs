//! Deletes a memory by its id and reports what was removed: Zep cannot delete a single message.

use std::collections::BTreeSet;

use serde_json::Map;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    beside::CopyWork,
    change::{replacement::replaced_by, turn::Turn},
    error::if_deleted,
    model::{Owner, RecordId, Scope, Uuid},
    read::by_id::{Item, Located},
    record::fit::{self, Ours},
    record::view::{self, Form},
    service::MemoryService,
};
use crate::zep::{self, Episode, Fact, SentTo, ThreadId};

/// What a deletion removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// The whole memory.
    All,
    /// A fact. Its source episodes are still stored.
    FactOnly {
        /// The source episodes.
        sources: Vec<Uuid>,
    },
    /// The facts drawn from a turn of a conversation. Its words are still stored in this session,
    /// hidden from all reads; deleting the session removes them.
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
    /// Its form.
    pub form: Form,
    /// Its owner.
    pub owner: Owner,
    /// What was removed.
    pub removed: Removed,
    /// Whether it was mem0's.
    pub in_mem0: bool,
}

impl MemoryService {
    /// Deletes a memory, all parts of it; with a change of it that is under way, what it is changed
    /// to. Once begun it completes, even if the caller is gone. Repeating an interrupted call
    /// finishes it.
    ///
    /// # Errors
    /// [`Error::NoMemory`], [`Error::Unfinished`] if it stopped midway, or the backend's error.
    pub(crate) async fn delete_stored(
        &self,
        caller: &Caller,
        id: &Uuid,
        scope: &Scope,
    ) -> Result<Deleted> {
        let turn = self.turn(caller, Right::Delete, id, scope).await?;
        let service = self.clone();
        self.complete_change(async move { service.delete_found(turn).await })
            .await
    }

    async fn delete_found(&self, turn: Turn) -> Result<Deleted> {
        let Turn {
            id,
            found: Located { owner, what },
            share: _share,
            _lock,
        } = turn;
        let (form, removed) = match what {
            Item::Fact(fact) => (Form::Fact, self.delete_fact(*fact).await?),
            Item::Record(parts) => {
                // Before, so that it is told even if this process is killed.
                let gone = known_records(&parts).into_iter();
                let gone = gone.map(|record| CopyWork::Deleted { record });
                self.tell_mem0(&owner, gone).await;
                let first = parts.first().ok_or_else(|| Error::no_memory(&id))?;
                let form = Form::of_episode(first);
                let removed = match (form, first.thread_id.clone()) {
                    // A marked record that still has its episode was deleted only half-way.
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
            in_mem0: false,
        })
    }

    async fn delete_fact(&self, fact: Fact) -> Result<Removed> {
        if_deleted(self.zep().delete_fact(&fact.uuid).await)?;
        Ok(match fact.episodes {
            sources if sources.is_empty() => Removed::All,
            sources => Removed::FactOnly { sources },
        })
    }

    /// Deletes a text, its first part last: as long as any part exists, so does the one that leads
    /// to the others.
    async fn delete_text(&self, owner: &Owner, parts: Vec<Episode>) -> Result<Removed> {
        let count = parts.len();
        // A text that it replaced may still exist and would reappear.
        if let (Some(old), Some(first)) = (replaced_by(&parts), parts.first()) {
            self.delete_episodes_of(owner, &old, &first.uuid).await?;
        }
        self.tell_deleted(SentTo::Graph(owner.clone()), records_of(&parts), true)
            .await;
        for (nth, part) in parts.iter().rev().enumerate() {
            if_deleted(self.zep().delete_episode(&part.uuid).await)
                .map_err(|error| half_way(error, nth, count))?;
        }
        Ok(Removed::All)
    }

    /// Deletes the episodes of a message and the facts that only they support. If the message stays
    /// in its thread, it is marked and thereby hidden, before anything is deleted, so that no
    /// reader sees half of it.
    async fn delete_message(
        &self,
        owner: &Owner,
        thread: &str,
        parts: Vec<Episode>,
    ) -> Result<Removed> {
        let count = parts.len();
        let to = SentTo::Thread(ThreadId::new(thread)?);
        self.tell_deleted(to, records_of(&parts), true).await;
        for (nth, part) in parts.iter().rev().enumerate() {
            let there = fit::unpack(part.metadata.as_ref().unwrap_or(&Map::new()));
            let record = there.ours.as_ref().map(|ours| ours.record.clone());
            let mut blank = Ours::new(record.unwrap_or_else(RecordId::fresh));
            blank.marks.deleted = true;
            let (mark, blanked) = fit::repack(&there, &blank, &Map::new())
                .map_err(|error| Error::invalid("memory_id", error.to_string()))?;
            if_deleted(
                self.zep()
                    .set_message_metadata(&part.uuid, Some(&mark), &blanked)
                    .await
                    .map(drop),
            )
            .map_err(|error| half_way(error, nth, count))?;
            if_deleted(self.zep().delete_episode(&part.uuid).await)
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

/// The records that these are parts of.
pub(super) fn records_of(parts: &[Episode]) -> impl Iterator<Item = String> {
    parts
        .iter()
        .filter_map(|part| part.mark().map(|mark| mark.record))
}

/// The records of these parts, and those that they replaced, by which mem0 may know them.
fn known_records(parts: &[Episode]) -> BTreeSet<String> {
    let ours = |part: &Episode| fit::unpack(part.metadata.as_ref()?).ours;
    let replaced = parts.iter().filter_map(|part| ours(part)?.marks.instead_of);
    records_of(parts).chain(replaced).collect()
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
