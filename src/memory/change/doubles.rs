//! Removes the doubles of a record that was sent again: a late write's copies, beside the ones that
//! are shown.

use std::collections::{BTreeSet, HashMap};

use serde_json::Map;

use crate::memory::{
    Error, Result,
    error::{if_deleted, if_found},
    model::{Owner, RecordId, UserId, Uuid},
    queue::Lane,
    record::fit::{self, Ours, Unpacked},
    service::MemoryService,
    sessions::threads_of,
};
use crate::zep::{Metadata, PartNo, SentAgain, SentTo, ThreadId};

/// A stored copy of a part of a record.
struct Copy {
    uuid: Uuid,
    stored: Unpacked,
    /// The copy that is shown, if this is not the first.
    kept: Option<Uuid>,
}

impl MemoryService {
    /// Looks whether parts of a record are stored twice, and removes what every reader leaves out
    /// already: the copies of a part that is still there, of the same owner, in the same place, and
    /// every copy of a record that was deleted. A text
    /// is deleted; a message, which Zep cannot delete, is blanked, hidden and loses its episode. Answers
    /// how many were removed. What a migration wrote is left to its run, which does this at its end.
    ///
    /// # Errors
    /// The backend's error; looking again continues.
    pub async fn remove_doubles(&self, sent: &SentAgain) -> Result<usize> {
        let (owner, doubles) = self.doubles_of(sent).await?;
        let Some(owner) = owner.filter(|_| !doubles.is_empty()) else {
            return Ok(0);
        };
        // No write, change or deletion of the owner runs beside it.
        let _alone = self.alone_with(&owner).await?;
        let (still, doubles) = self.doubles_of(sent).await?;
        if still.as_ref() != Some(&owner) {
            return Ok(0);
        }
        for double in &doubles {
            if let SentTo::Thread(_) = sent.to {
                self.hide_double(double).await?;
            }
            if_deleted(self.zep().delete_episode(&double.uuid).await)?;
            self.inner.shown.remove(&double.uuid);
            // It may have been told, or an id of the queue's leads to it.
            if let (Some(queue), Some(kept)) = (&self.inner.queue, &double.kept)
                && let Err(error) = queue.renamed(&owner, &double.uuid, kept).await
            {
                tracing::warn!("{error}");
            }
        }
        if let SentTo::Thread(thread) = &sent.to {
            self.inner.repeats.remove(thread);
        }
        self.inner.lists.clear();
        Ok(doubles.len())
    }

    /// The owner of the place, if it exists, and the copies of a record's parts beyond those that are
    /// shown.
    async fn doubles_of(&self, sent: &SentAgain) -> Result<(Option<Owner>, Vec<Copy>)> {
        match &sent.to {
            SentTo::Thread(thread) => self.doubles_in_thread(thread, sent).await,
            SentTo::Graph(owner) => {
                let found = if_found(self.zep().find_episodes(owner, &sent.record).await)?;
                let mut texts = found.unwrap_or_default();
                texts.retain(|text| text.thread_id.is_none());
                // As readers choose: `record/doubles.rs`.
                texts.sort_by(|a, b| a.uuid.cmp(&b.uuid));
                let texts = texts.into_iter().map(|text| (text.uuid, text.metadata));
                Ok((Some(owner.clone()), surplus(texts, sent)))
            }
        }
    }

    async fn doubles_in_thread(
        &self,
        thread: &ThreadId,
        sent: &SentAgain,
    ) -> Result<(Option<Owner>, Vec<Copy>)> {
        let Some(page) = if_found(self.zep().all_messages(thread).await)? else {
            return Ok((None, Vec::new()));
        };
        let Some(user) = page.user_id else {
            return Ok((None, Vec::new()));
        };
        let messages = page.messages.into_iter();
        let messages = messages.filter_map(|message| Some((message.uuid?, message.metadata)));
        let doubles = surplus(messages, sent);
        Ok((Some(Owner::User(UserId::new(&user)?)), doubles))
    }

    /// Tells that records were deleted, or are stored anew under their ids: of a deleted record, a
    /// copy that arrives late does not stay. Before the deletion, since one that fails half-way is made
    /// again.
    pub(crate) async fn tell_deleted(
        &self,
        to: SentTo,
        records: impl Iterator<Item = String>,
        deleted: bool,
    ) {
        let Some(resends) = self.zep().resends() else {
            return;
        };
        for record in records.collect::<BTreeSet<_>>() {
            let to = to.clone();
            let sent = SentAgain {
                to,
                record,
                deleted,
            };
            resends.set_deleted(sent).await;
        }
    }

    /// Notes that records which were perhaps sent are deleted: whatever arrives of them does not stay.
    pub(crate) async fn note_deleted(
        &self,
        lane: &Lane,
        records: impl IntoIterator<Item = String>,
    ) {
        let Some(resends) = self.zep().resends() else {
            return;
        };
        let places: Vec<SentTo> = match (&lane.owner, &lane.session) {
            (Owner::User(user), Some(session)) => {
                threads_of(user, session).map(SentTo::Thread).collect()
            }
            (owner, _) => vec![SentTo::Graph(owner.clone())],
        };
        for record in records {
            for to in &places {
                let (to, record) = (to.clone(), record.clone());
                let sent = SentAgain {
                    to,
                    record,
                    deleted: true,
                };
                resends.note(sent).await;
            }
        }
    }

    async fn hide_double(&self, double: &Copy) -> Result<()> {
        let record = double.stored.ours.as_ref().map(|ours| ours.record.clone());
        let mut blank = Ours::new(record.unwrap_or_else(RecordId::fresh));
        blank.marks.double = true;
        let (mark, blanked) = fit::repack(&double.stored, &blank, &Map::new())
            .map_err(|error| Error::invalid("memory_id", error.to_string()))?;
        let hidden = self
            .zep()
            .set_message_metadata(&double.uuid, Some(&mark), &blanked)
            .await;
        if_deleted(hidden.map(drop))?;
        Ok(())
    }
}

/// The copies of a record's parts, but for the first of each part; all of them if the record was
/// deleted. A part is also there if it is deleted as far as Zep allows: its copies must go, too.
fn surplus(stored: impl Iterator<Item = (Uuid, Option<Metadata>)>, sent: &SentAgain) -> Vec<Copy> {
    let mut first: HashMap<PartNo, Uuid> = HashMap::new();
    let mut doubles = Vec::new();
    for (uuid, metadata) in stored {
        let stored = fit::unpack(&metadata.unwrap_or_default());
        let Some(ours) = stored.ours.as_ref() else {
            continue;
        };
        let is_migrated = ours.migration_source.is_some() && ours.marks.instead_of.is_none();
        if ours.record.as_str() != sent.record || ours.marks.double || is_migrated {
            continue;
        }
        let kept = first.get(&stored.part).cloned();
        first.entry(stored.part).or_insert_with(|| uuid.clone());
        let stays = kept.is_none() && (!sent.deleted || ours.marks.deleted);
        if !stays {
            doubles.push(Copy { uuid, stored, kept });
        }
    }
    doubles
}
