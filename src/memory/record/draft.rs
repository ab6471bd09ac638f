//! Drafts: records ready for Zep, with ids, roles, times, split to size; and the parts already
//! stored.

use std::collections::HashMap;

use jiff::{Timestamp, Unit};
use serde_json::{Map, Value};

use crate::memory::{
    Error, Result,
    mapping::{MappedRole, message_role},
    model::{Change, Place},
    record::assemble::{StoredPart, assemble},
    record::fit::{self, Carrier, FitError, FittedPart, Level, Ours, RecordField, Speaker},
};
use crate::zep::{self, DataType, Episode, PartNo, RecordMark, Uuid};

/// A record to be written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) ours: Ours,
    pub(crate) role: zep::Role,
    pub(crate) name: Option<String>,
    pub(crate) content: String,
    pub(crate) created_at: Timestamp,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) carrier: Carrier,
}

impl Draft {
    /// A text that replaces another one.
    pub(crate) fn replacing(
        ours: Ours,
        content: String,
        created_at: Timestamp,
        metadata: Map<String, Value>,
    ) -> Result<Self> {
        let record = Self {
            ours,
            role: zep::Role::User,
            name: None,
            content,
            created_at,
            metadata,
            carrier: Carrier::Episode,
        };
        record
            .fit(Level::Normal)
            .map_err(|error| named(&error, "text", "metadata"))?;
        Ok(record)
    }

    /// Changes it before it is sent.
    pub(crate) fn change(&mut self, change: &Change) {
        if let Some(text) = &change.text {
            self.content.clone_from(text);
        }
        if let Some(metadata) = &change.metadata {
            self.metadata.clone_from(metadata);
        }
    }

    /// How many messages or episodes it takes.
    pub(crate) fn part_count(&self) -> Result<usize> {
        let parts = self.fit(Level::Normal);
        Ok(parts
            .map_err(|error| named(&error, "content", "metadata"))?
            .len())
    }

    /// The record's id as text.
    pub(crate) fn id(&self) -> &str {
        self.ours.record.as_str()
    }

    pub(crate) fn fit(&self, level: Level) -> std::result::Result<Vec<FittedPart>, FitError> {
        fit::pack(
            &self.ours,
            &self.metadata,
            &self.content,
            self.carrier,
            level,
        )
    }

    /// As episodes of this place that Zep has not processed. Its id is that of the first.
    pub(crate) fn as_episodes(&self, place: &Place, id: &Uuid) -> Result<Vec<Episode>> {
        let parts = self.fit(Level::Normal);
        let parts = parts.map_err(|error| named(&error, "content", "metadata"))?;
        let thread = match place {
            Place::Session(user, session) => Some(session.qualified_thread(user).to_string()),
            Place::Graph(_) => None,
        };
        let part_id = |part: &FittedPart| match part.mark.part.is_first() {
            true => id.clone(),
            false => Uuid(format!("{id}:{}", part.mark.part.number)),
        };
        let episodes = parts.into_iter().map(|part| Episode {
            uuid: part_id(&part),
            content: part.content,
            created_at: Some(self.created_at),
            metadata: Some(RecordMark::encode(Some(&part.mark), &part.metadata)),
            processed: Some(false),
            role: self.name.clone(),
            role_type: thread.as_ref().map(|_| self.role),
            source: Some(match thread {
                Some(_) => DataType::Message,
                None => DataType::Text,
            }),
            source_description: None,
            thread_id: thread.clone(),
            score: None,
        });
        Ok(episodes.collect())
    }

    /// Whether these stored parts, as far as they are of this record, have its content: a record id
    /// that was used for another content must not be continued with this one. A deleted record is
    /// not compared.
    pub(crate) fn is_stored_as(&self, parts: &[StoredPart]) -> bool {
        let own: Vec<StoredPart> = parts
            .iter()
            .filter(|part| RecordMark::record_in(&part.metadata) == Some(self.id()))
            .cloned()
            .collect();
        let Some(found) = assemble(own.clone()).records.pop() else {
            return true;
        };
        if !found.record.incomplete {
            return found.record.content == self.content;
        }
        own.iter().all(|part| {
            let number = fit::unpack(&part.metadata).part;
            let level = Level::of_stored(&self.content, self.carrier, number.total);
            let fitted = level.and_then(|level| self.fit(level).ok());
            fitted.is_some_and(|parts| {
                let here = parts.get(number.number as usize - 1);
                here.is_some_and(|here| here.content == part.content)
            })
        })
    }

    /// The parts that are not stored yet, each with its number, split like the stored ones.
    pub(crate) fn missing(&self, level: Level, stored: &Stored) -> Result<Vec<FittedPart>> {
        let level = stored
            .parts_of(self.id())
            .and_then(|total| Level::of_stored(&self.content, self.carrier, total))
            .unwrap_or(level);
        let parts = self
            .fit(level)
            .map_err(|error| named(&error, "content", "metadata"))?;
        Ok((1..)
            .zip(parts)
            .filter(|(number, _)| !stored.has(self.id(), *number))
            .map(|(_, part)| part)
            .collect())
    }
}

/// Zep's role and name of the speaker. What Zep cannot hold goes into the marks.
pub(crate) fn spoken(
    speaker: Speaker,
    ours: &mut Ours,
    carrier: Carrier,
) -> (zep::Role, Option<String>) {
    let MappedRole { role, original } = message_role(&speaker.role);
    match carrier {
        Carrier::Message => {
            ours.original_role = original;
            let fitted = speaker.name.as_deref().map(fit::fit_name);
            let (name, full) = fitted.map_or((None, None), |fitted| (fitted.name, fitted.full));
            ours.marks.name = full;
            (role, name)
        }
        // An episode has no speaker of its own.
        Carrier::Episode => {
            ours.marks.speaker = Some(Speaker {
                role: original.unwrap_or_else(|| role.as_str().to_owned()),
                name: speaker.name,
            });
            (role, None)
        }
    }
}

/// Names the caller's argument that does not fit.
pub(crate) fn named(error: &FitError, content: &str, metadata: &str) -> Error {
    let field = match error.field() {
        RecordField::Content => content,
        RecordField::Metadata => metadata,
    };
    Error::invalid(field, error.problem())
}

/// The time of a live write, to the microsecond: databases cut off finer digits.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Microsecond).unwrap_or(now)
}

/// The stored parts of a call's records: ids by part number, and the number of parts of each
/// record.
#[derive(Debug, Default)]
pub(crate) struct Stored(HashMap<String, PartIds>);

#[derive(Debug, Default)]
struct PartIds {
    total: u32,
    ids: HashMap<u32, Option<Uuid>>,
}

impl Stored {
    /// Notes a stored part. `None`: it is stored, but Zep did not return its id.
    pub(crate) fn note(&mut self, id: Option<Uuid>, mark: &RecordMark) {
        self.note_part(&mark.record, mark.part, id);
    }

    /// Notes a stored part of a record.
    pub(crate) fn note_part(&mut self, record: &str, part: PartNo, id: Option<Uuid>) {
        let record = self.0.entry(record.to_owned()).or_default();
        record.total = part.total;
        record.ids.entry(part.number).or_insert(id);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many parts are stored, of all records.
    pub(crate) fn part_count(&self) -> usize {
        self.0.values().map(|record| record.ids.len()).sum()
    }

    fn has(&self, record: &str, number: u32) -> bool {
        self.0
            .get(record)
            .is_some_and(|parts| parts.ids.contains_key(&number))
    }

    fn parts_of(&self, record: &str) -> Option<u32> {
        self.0.get(record).map(|parts| parts.total)
    }

    /// The id of a record: that of its first part.
    pub(crate) fn id(&self, record: &str) -> Option<&Uuid> {
        self.0.get(record)?.ids.get(&1)?.as_ref()
    }

    pub(crate) fn is_whole(&self, record: &str) -> bool {
        self.0
            .get(record)
            .is_some_and(|parts| parts.ids.len() >= parts.total as usize)
    }
}
