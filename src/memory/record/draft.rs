//! Drafts: a call's memories as records ready for Zep, with ids, roles, times, split to size.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Map, Value};

use crate::memory::{
    Error, Result,
    mapping::{MappedRole, message_role},
    model::RecordId,
    record::fit::{self, Carrier, FitError, FittedPart, Level, Ours, RecordField, Speaker},
    write::import::Imported,
    write::request::{MAX_MESSAGES, NewMemories, NewTurn},
};
use crate::zep::{self, PartNo, RecordMark, Uuid};

/// A record to be written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) ours: Ours,
    pub(crate) role: zep::Role,
    pub(crate) name: Option<String>,
    pub(crate) content: String,
    pub(crate) created_at: Timestamp,
    metadata: Map<String, Value>,
    carrier: Carrier,
}

impl Outgoing {
    /// Turns a call into records, and checks that each fits.
    pub(crate) fn of_call(new: NewMemories, key: &RecordId, carrier: Carrier) -> Result<Vec<Self>> {
        let NewMemories {
            scope,
            text,
            messages,
            metadata,
            kind,
            created_at,
            idempotency_key: _,
        } = new;
        let now = now();
        let mut ours = Ours::new(key.clone());
        ours.memory_type = kind;
        // An agent's own graph needs no mark of the agent.
        ours.agent = scope
            .agent
            .filter(|_| scope.user.is_some() || scope.session.is_some());
        ours.app = scope.app;
        if messages.is_empty() {
            let content = text.ok_or_else(|| {
                Error::invalid("text", "is missing; give `text`, `messages`, or both")
            })?;
            let record = Self {
                ours,
                role: zep::Role::User,
                name: None,
                content,
                created_at: created_at.unwrap_or(now),
                metadata,
                carrier,
            };
            record
                .fit(Level::Normal)
                .map_err(|error| named(&error, "text", "metadata"))?;
            return Ok(vec![record]);
        }
        if messages.len() > MAX_MESSAGES {
            let problem = format!(
                "has {} entries; one call takes at most {MAX_MESSAGES}: send them in several calls",
                messages.len()
            );
            return Err(Error::invalid("messages", problem));
        }
        messages
            .into_iter()
            .enumerate()
            .map(|(index, turn)| {
                let mut ours = ours.clone();
                ours.record = key.nth(index);
                // Undated turns of one call get consecutive times.
                let said = turn.created_at.or(created_at);
                let time = said.unwrap_or_else(|| after(now, index));
                let record = Self::of_turn(turn, ours, &metadata, time, carrier);
                record.fit(Level::Normal).map_err(|error| {
                    let content = format!("messages[{index}].content");
                    named(&error, &content, "metadata")
                })?;
                Ok(record)
            })
            .collect()
    }

    fn of_turn(
        turn: NewTurn,
        mut ours: Ours,
        metadata: &Map<String, Value>,
        created_at: Timestamp,
        carrier: Carrier,
    ) -> Self {
        let speaker = Speaker {
            role: turn.role,
            name: turn.name,
        };
        let (role, name) = spoken(speaker, &mut ours, carrier);
        let mut metadata = metadata.clone();
        metadata.extend(turn.metadata);
        Self {
            ours,
            role,
            name,
            content: turn.content,
            created_at,
            metadata,
            carrier,
        }
    }

    /// A draft of an imported record.
    pub(crate) fn imported(record: Imported, carrier: Carrier) -> Self {
        let mut ours = Ours::new(record.id);
        ours.memory_type = record.kind;
        ours.migration_source = Some(record.source);
        ours.agent = record.agent;
        ours.app = record.app;
        ours.marks.time = record.time;
        let (role, name) = match record.speaker {
            Some(speaker) => spoken(speaker, &mut ours, carrier),
            None => (zep::Role::User, None),
        };
        Self {
            ours,
            role,
            name,
            content: record.content,
            created_at: record.created_at,
            metadata: record.metadata,
            carrier,
        }
    }

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

    fn fit(&self, level: Level) -> std::result::Result<Vec<FittedPart>, FitError> {
        fit::pack(
            &self.ours,
            &self.metadata,
            &self.content,
            self.carrier,
            level,
        )
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
fn spoken(speaker: Speaker, ours: &mut Ours, carrier: Carrier) -> (zep::Role, Option<String>) {
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
fn named(error: &FitError, content: &str, metadata: &str) -> Error {
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

fn after(time: Timestamp, index: usize) -> Timestamp {
    let later = SignedDuration::from_micros(i64::try_from(index).unwrap_or(0));
    time.checked_add(later).unwrap_or(time)
}

/// The stored parts of a call's records: ids by part number, and the number of parts of each
/// record.
#[derive(Debug, Default)]
pub(crate) struct Stored(HashMap<String, StoredParts>);

#[derive(Debug, Default)]
struct StoredParts {
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
