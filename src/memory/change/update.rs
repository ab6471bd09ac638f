//! Changes a memory: a fact in place, a text by storing a replacement, a turn of a conversation
//! only in its fields.

use serde_json::{Map, Value};

use crate::memory::{
    Error, Result,
    access::{Caller, Right},
    beside::CopyWork,
    change::{delete::records_of, replacement::replaced_by, turn::Turn},
    error::if_deleted,
    model::{Change, Owner, Place, Record, RecordId, Scope, TimeOrigin, Uuid},
    read::by_id::{Item, Located},
    record::assemble::Assembled,
    record::assemble::whole,
    record::draft::{Draft, now},
    record::fit::{self, Ours},
    record::view::{self, FACT_METADATA, FACT_UPDATED, Form, Memory},
    service::MemoryService,
    write::{
        job::{Known, WriteJob},
        locks::Share,
    },
};
use crate::zep::{Episode, Fact, FactPatch, SentTo};

/// A changed memory.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The memory after the change.
    pub memory: Memory,
    /// Its id before, if it changed.
    pub previous_id: Option<Uuid>,
}

/// The error where the text of a turn is to be changed.
pub(crate) fn said_so() -> Error {
    Error::invalid(
        "text",
        "cannot be changed: this memory is a turn of a conversation, which stays as it was said. Add what \
         is right now with add_memory, or delete this turn with delete_memory; its `metadata` can be \
         changed",
    )
}

impl MemoryService {
    /// Changes a memory, all parts of it together.
    ///
    /// A text gets a new id: Zep cannot change an episode's text, so the new text is stored with
    /// the time and fields of the old one, and the old one is deleted. Readers who find both hide
    /// the old one. Repeating an interrupted call finishes it. Once begun it completes, even if the
    /// caller is gone.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the text of a turn of a conversation is to be changed; [`Error::NoMemory`]; [`Error::Unfinished`] if it stopped midway.
    pub(crate) async fn update_stored(
        &self,
        caller: &Caller,
        id: &Uuid,
        scope: &Scope,
        change: Change,
    ) -> Result<Changed> {
        // Two replacements of one text would both stay, and one beside a deletion would restore it.
        let turn = self.turn(caller, Right::Write, id, scope).await?;
        self.admits(&turn.found.owner).await?;
        let service = self.clone();
        self.complete_change(async move {
            let Turn {
                id,
                found: Located { owner, what },
                share,
                _lock,
            } = turn;
            let changed = match what {
                Item::Fact(fact) => service.update_fact(owner, *fact, change).await?,
                Item::Record(parts) => {
                    service
                        .update_record(owner, &id, parts, change, share)
                        .await?
                }
            };
            service.remember(&changed.memory);
            Ok(changed)
        })
        .await
    }

    async fn update_fact(&self, owner: Owner, fact: Fact, change: Change) -> Result<Changed> {
        let mut attributes = fact.attributes.clone().unwrap_or_default();
        if let Some(metadata) = change.metadata {
            fit::check_metadata(&metadata)
                .map_err(|error| Error::invalid("metadata", error.problem()))?;
            let text = Value::Object(metadata).to_string();
            attributes.insert(FACT_METADATA.into(), text.into());
        }
        attributes.insert(FACT_UPDATED.into(), now().to_string().into());
        let patch = FactPatch {
            fact: change.text,
            attributes: Some(attributes.clone()),
        };
        let mut now = self.zep().update_fact(&fact.uuid, &patch).await?;
        // Fields that Zep's answer omits are as requested.
        now.attributes = Some(attributes);
        if now.episodes.is_empty() {
            now.episodes = fact.episodes;
        }
        let thing = Located {
            owner,
            what: Item::Fact(Box::new(now)),
        };
        let memory = self.shown(thing).await?;
        Ok(Changed {
            memory: memory.ok_or_else(|| Error::no_memory(&fact.uuid))?,
            previous_id: None,
        })
    }

    async fn update_record(
        &self,
        owner: Owner,
        id: &Uuid,
        parts: Vec<Episode>,
        change: Change,
        share: Share,
    ) -> Result<Changed> {
        let first = parts.first().ok_or_else(|| Error::no_memory(id))?.clone();
        let found = whole(parts.clone()).ok_or_else(|| Error::no_memory(id))?;
        let is_message = Form::of_episode(&first) == Form::Message;
        let text = change.text.filter(|text| *text != found.record.content);
        // A replacement covers what is left of the old text: an earlier call may have stopped while
        // deleting it.
        if found.record.incomplete && (is_message || text.is_none()) {
            return Err(Error::invalid(
                "memory_id",
                "names a memory of which parts are missing, since storing or deleting it was \
                 interrupted; give its whole `text`, or delete it",
            ));
        }
        if is_message && text.is_some() {
            return Err(said_so());
        }
        match text {
            Some(text) => {
                let metadata = change.metadata.clone();
                let told = Change {
                    text: Some(text.clone()),
                    metadata: metadata.clone(),
                };
                let metadata = metadata.unwrap_or(found.record.metadata);
                let record = replacement_of(&first, &text, &metadata);
                self.tell_changed(&owner, found.record.record_id, &record, &told)
                    .await;
                let new = (text, metadata, record);
                self.replace(owner, &first, found.ours, new, share).await
            }
            None => {
                let told = Change {
                    text: None,
                    metadata: change.metadata.clone(),
                };
                if let Some(record) = found.record.record_id.clone() {
                    self.tell_changed(&owner, found.record.record_id, &record, &told)
                        .await;
                }
                let metadata = change.metadata.unwrap_or(found.record.metadata);
                self.set_fields(&parts, found.ours, &metadata).await?;
                let found = self.find_again(&owner, id).await?;
                Ok(Changed {
                    memory: found,
                    previous_id: None,
                })
            }
        }
    }

    /// Notes that mem0 is to be told of a change: before it is made, so that it is told even if this
    /// process is killed.
    async fn tell_changed(
        &self,
        owner: &Owner,
        record: Option<String>,
        now: &str,
        change: &Change,
    ) {
        let work = record.map(|record| CopyWork::changed(&record, now, change));
        self.tell_mem0(owner, work).await;
    }

    /// Stores a replacement of a text: its new text, fields and record.
    async fn replace(
        &self,
        owner: Owner,
        old: &Episode,
        ours: Option<Ours>,
        (text, metadata, record): (String, Map<String, Value>, String),
        share: Share,
    ) -> Result<Changed> {
        let mut ours = ours.unwrap_or_else(|| Ours::new(RecordId::fresh()));
        if ours.migration_source.is_some() && ours.marks.instead_of.is_none() {
            ours.marks.instead_of = Some(ours.record.to_string());
        }
        // No run wrote this, and undoing one must not remove it.
        ours.marks.run = None;
        ours.record = RecordId::new(&record)?;
        ours.marks.replaces = Some(old.uuid.to_string());
        ours.marks.updated = Some(now());
        let created_at = old.created_at.unwrap_or_else(now);
        let new = Draft::replacing(ours.clone(), text.clone(), created_at, metadata.clone())?;
        let write = WriteJob {
            service: self.clone(),
            place: Place::Graph(owner.clone()),
            key: RecordId::new(&record)?,
            records: vec![new],
            known: Known::LookFirst,
            sent_before: false,
            turn: None,
            share: Some(share),
        };
        let stored = write
            .finish_even_if_dropped()
            .await
            .map_err(|error| match error {
                Error::PartlyStored(stopped) => Error::Unfinished {
                    done: "The new text may be stored in part, and the old one is still there"
                        .into(),
                    cause: stopped.cause,
                },
                error => error,
            })?;
        let stored = stored.into_iter().next();
        let new_id = stored.map_or_else(|| old.uuid.clone(), |stored| stored.id);
        self.delete_episodes_of(&owner, &old.uuid, &new_id)
            .await
            .map_err(|error| match error {
                Error::Zep(cause) => Error::Unfinished {
                    done: format!("The new text is stored as {new_id}; the old one is still there"),
                    cause,
                },
                error => error,
            })?;
        if let Some(queue) = &self.inner.queue
            && let Err(error) = queue.moved(&old.uuid, &new_id).await
        {
            tracing::warn!("{error}");
        }
        // It is stored and need not be read back: an error now would deny that.
        let is_undated = ours.marks.time == TimeOrigin::Inferred;
        let stored = Assembled {
            record: Record {
                id: new_id,
                record_id: Some(record),
                role: String::new(),
                name: None,
                content: text,
                created_at: (!is_undated).then_some(created_at),
                updated_at: ours.marks.updated,
                memory_type: ours
                    .memory_type
                    .as_ref()
                    .map(|kind| kind.as_str().to_owned()),
                metadata,
                incomplete: false,
                pending: false,
            },
            ours: Some(ours),
            first: 0,
            last: 0,
            parts: Vec::new(),
        };
        Ok(Changed {
            memory: view::record(stored, None, Form::Episode, &owner),
            previous_id: Some(old.uuid.clone()),
        })
    }

    /// Sets new fields on all parts of a record.
    pub(crate) async fn set_fields(
        &self,
        parts: &[Episode],
        ours: Option<Ours>,
        metadata: &Map<String, Value>,
    ) -> Result<()> {
        let mut ours = ours.unwrap_or_else(|| Ours::new(RecordId::fresh()));
        ours.marks.updated = Some(now());
        for part in parts {
            let there = fit::unpack(part.metadata.as_ref().unwrap_or(&Map::new()));
            let (mark, packed) = fit::repack(&there, &ours, metadata)
                .map_err(|error| Error::invalid("metadata", error.problem()))?;
            let set = match Form::of_episode(part) {
                Form::Message => self
                    .zep()
                    .set_message_metadata(&part.uuid, Some(&mark), &packed)
                    .await
                    .map(drop),
                _ => self
                    .zep()
                    .set_episode_metadata(&part.uuid, Some(&mark), &packed)
                    .await
                    .map(drop),
            };
            set.map_err(|cause| match parts.len() {
                1 => Error::Zep(cause),
                _ => Error::Unfinished {
                    done: "The fields are changed in some parts of this memory".into(),
                    cause,
                },
            })?;
        }
        Ok(())
    }

    async fn find_again(&self, owner: &Owner, id: &Uuid) -> Result<Memory> {
        let thing = self.under(owner, id).await?;
        let thing = thing.ok_or_else(|| Error::no_memory(id))?;
        let memory = self.shown(thing).await?;
        memory.ok_or_else(|| Error::no_memory(id))
    }

    /// Deletes all parts of the record that begins with this episode, the first one last: as long
    /// as any part exists, so does the one that leads to the others. A text that it replaced and
    /// that still exists is deleted before, since nothing would hide it any more. `new` replaced it.
    pub(crate) async fn delete_episodes_of(
        &self,
        owner: &Owner,
        first: &Uuid,
        new: &Uuid,
    ) -> Result<()> {
        let mut chain: Vec<Vec<Episode>> = Vec::new();
        let mut next = Some(first.clone());
        while let Some(id) = next.take() {
            let is_known = chain.iter().flatten().any(|part| part.uuid == id);
            if let Some(parts) = self.text_under(owner, &id).await?
                && !is_known
            {
                next = replaced_by(&parts);
                chain.push(parts);
            }
        }
        // A search may have found facts of these episodes and then ask for their deleted text.
        for part in chain.iter().flatten() {
            self.inner.replaced.insert(part.uuid.clone(), new.clone());
        }
        for parts in &chain {
            self.tell_deleted(SentTo::Graph(owner.clone()), records_of(parts), true)
                .await;
        }
        for part in chain.iter().rev().flat_map(|parts| parts.iter().rev()) {
            if_deleted(self.zep().delete_episode(&part.uuid).await)?;
        }
        self.inner.shown.remove(first);
        Ok(())
    }

    /// All parts of a text; `None` if it does not exist.
    async fn text_under(&self, owner: &Owner, id: &Uuid) -> Result<Option<Vec<Episode>>> {
        let parts = match self.episode_under(owner, id).await? {
            Some(episode) => Some(self.with_copies(owner, episode).await?),
            None => None,
        };
        let is_text = |part: &Episode| Form::of_episode(part) == Form::Episode;
        Ok(parts.filter(|parts| parts.iter().all(is_text)))
    }
}

/// The record of what replaces a text: a repeated call finds what the first one stored.
fn replacement_of(old: &Episode, text: &str, metadata: &Map<String, Value>) -> String {
    let name = format!("{}\n{text}\n{}", old.uuid, Value::Object(metadata.clone()));
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
