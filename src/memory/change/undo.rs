//! Removes what a run of a migration wrote, and nothing else: each stored part names its run.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::Map;

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    change::delete::records_of,
    error::{if_deleted, if_found},
    model::{Owner, RecordId, UserId, Uuid},
    record::assemble::StoredPart,
    record::fit::{self, Ours},
    record::view::own_fields,
    service::MemoryService,
};
use crate::zep::{PartNo, ThreadId, TimeOrder, limits::PAGE_ITEMS};

/// What a stored part is, to somebody who undoes a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The run wrote it, and nobody has changed it since.
    Run {
        /// The record's id.
        record: String,
    },
    /// The run wrote it, and somebody has changed its metadata since.
    Changed {
        /// The record's id.
        record: String,
    },
    /// It replaced a record that some migration wrote.
    Replacement {
        /// The id of the migrated record.
        record: String,
    },
    /// It was removed by undoing the run, as far as Zep allows.
    Undone,
    /// It is hidden from all reads: deleted as far as Zep allows, or a second copy.
    Hidden,
    /// Somebody else wrote it.
    Other,
}

/// What a stored part is to a run that began at this time. A change after that is not the run's: the time
/// of a change in the source lies before it.
pub fn origin(part: &StoredPart, run: &str, begun_at: Timestamp) -> Origin {
    let Some(ours) = fit::unpack(&part.metadata).ours else {
        return Origin::Other;
    };
    let is_of_run = ours.marks.run.as_deref() == Some(run);
    let record = ours.record.to_string();
    match (is_of_run, ours.marks.instead_of) {
        (true, _) if ours.marks.deleted => Origin::Undone,
        (false, _) if ours.marks.deleted || ours.marks.double => Origin::Hidden,
        (true, _) if ours.marks.updated.is_some_and(|at| at > begun_at) => {
            Origin::Changed { record }
        }
        (true, _) => Origin::Run { record },
        (false, Some(record)) => Origin::Replacement { record },
        (false, None) => Origin::Other,
    }
}

impl MemoryService {
    /// Deletes texts of an owner. Skips what is not theirs.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`]; [`crate::memory::Error::Zep`] if Zep fails: what was deleted
    /// before stays deleted.
    pub async fn undo_texts(&self, caller: &Caller, owner: &Owner, texts: &[Uuid]) -> Result<()> {
        caller.may(Right::Delete, owner)?;
        // Zep deletes an episode regardless of owner.
        for text in self.zep().episodes_by_id(owner, texts).await? {
            if text.thread_id.is_none() {
                if_deleted(self.zep().delete_episode(&text.uuid).await)?;
            }
        }
        Ok(())
    }

    /// Removes a message that a run wrote, as far as Zep allows: it is marked and thereby hidden, and
    /// its episode is deleted with the facts that only it supports. Its record id is given up, so that
    /// a migration may store the record again.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`]; [`crate::memory::Error::Zep`] if Zep fails; repeating it
    /// completes it.
    pub async fn undo_message(
        &self,
        caller: &Caller,
        user: &UserId,
        message: &Uuid,
        run: &str,
    ) -> Result<()> {
        caller.may(Right::Delete, &Owner::User(user.clone()))?;
        let mut blank = Ours::new(RecordId::fresh());
        blank.marks.deleted = true;
        blank.marks.run = Some(run.to_owned());
        let nothing = fit::Unpacked {
            ours: None,
            part: PartNo::WHOLE,
            gaps: Vec::new(),
            caller: Map::new(),
        };
        let (mark, blanked) = fit::repack(&nothing, &blank, &Map::new())
            .map_err(|error| Error::invalid("metadata", error.to_string()))?;
        let marked = self
            .zep()
            .set_message_metadata(message, Some(&mark), &blanked);
        if_deleted(marked.await.map(drop))?;
        if_deleted(self.zep().delete_episode(message).await)?;
        Ok(())
    }

    /// Deletes what is left of a message that was removed already, if it is left.
    ///
    /// # Errors
    /// As [`MemoryService::undo_message`].
    pub async fn undo_episode(&self, caller: &Caller, user: &UserId, message: &Uuid) -> Result<()> {
        caller.may(Right::Delete, &Owner::User(user.clone()))?;
        if_deleted(self.zep().delete_episode(message).await)?;
        Ok(())
    }

    /// Deletes a thread of a user with all its messages.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::NotYours`] if it is not the user's, [`crate::memory::Error::Zep`].
    pub async fn undo_session(
        &self,
        caller: &Caller,
        user: &UserId,
        thread: &ThreadId,
    ) -> Result<()> {
        caller.may(Right::Delete, &Owner::User(user.clone()))?;
        let newest = crate::zep::Window::Last { limit: 1 };
        let Some(page) = if_found(self.zep().messages(thread, &newest).await)? else {
            return Ok(());
        };
        if page.user_id.as_deref() != Some(user.as_str()) {
            return Err(Error::NotYours {
                what: "this session".into(),
            });
        }
        if_deleted(self.zep().delete_thread(thread).await)?;
        self.inner.sessions.forget_all();
        Ok(())
    }

    /// Deletes a user or an agent's graph with everything in it.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn undo_owner(&self, caller: &Caller, owner: &Owner) -> Result<()> {
        caller.may(Right::Delete, owner)?;
        let deleted = match owner {
            Owner::User(user) => self.zep().delete_user(user).await,
            Owner::Graph(graph) => self.zep().delete_graph(graph).await,
        };
        if_deleted(deleted)?;
        self.inner.sessions.forget_all();
        Ok(())
    }

    /// What somebody did to the facts of an owner after a time. Takes a request for each page of facts.
    ///
    /// # Errors
    /// [`crate::memory::Error::Forbidden`], [`crate::memory::Error::Zep`].
    pub async fn touched_facts(
        &self,
        caller: &Caller,
        owner: &Owner,
        after: Timestamp,
    ) -> Result<Touched> {
        caller.may(Right::Migrate, owner)?;
        let mut touched = Touched::default();
        let mut episodes = HashSet::new();
        let mut pages = self.zep().facts(owner, TimeOrder::OldestFirst, PAGE_ITEMS);
        while let Some(page) = pages.next().await? {
            for fact in page.items {
                touched.added |= fact.episodes.is_empty();
                if own_fields(&fact).updated_at.is_some_and(|at| at > after) {
                    episodes.extend(fact.episodes);
                }
            }
        }
        let episodes: Vec<_> = episodes.into_iter().collect();
        if !episodes.is_empty() {
            let changed = self.zep().episodes_by_id(owner, &episodes).await?;
            touched.records = records_of(&changed).collect();
        }
        Ok(touched)
    }
}

/// What somebody did to the facts of an owner.
#[derive(Debug, Default)]
pub struct Touched {
    /// Whether there are facts that were drawn from no episode: somebody put them there.
    pub added: bool,
    /// The ids of the records with a changed fact.
    pub records: HashSet<String>,
}
