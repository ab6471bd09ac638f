//! A row of `episode`, shown as message, episode or fact.

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid as Raw;

use super::columns::{display_name, json_object, role_of, same_name, source_of, uuid};
use crate::local::sqlite::Clock;
use crate::local::{timestamps, uuids};
use crate::zep::gap::text_with_gaps;
use crate::zep::{DataType, Episode, Fact, Message, Metadata, RecordMark, Role};

/// The columns that [`EpisodeRow::read`] reads, in its order.
pub(crate) const COLUMNS: &str = "e.id, e.uuid, e.role, e.source, e.in_graph, e.created_at, \
    e.created_ns, e.ingested_at, e.content, e.source_description, e.metadata, e.has_fact, e.fact, \
    e.fact_attributes, e.fact_invalid_at, e.fact_expired_at, t.name, s.id, s.name, s.uuid, o.node, \
    o.kind, o.name, o.first_name, o.last_name, o.title, e.once";

/// The tables that have [`COLUMNS`].
pub(crate) const TABLES: &str = "episode e JOIN owner o ON o.id = e.owner \
    LEFT JOIN thread t ON t.id = e.thread LEFT JOIN entity s ON s.id = e.speaker";

/// One episode, with its fact.
#[derive(Debug)]
pub(crate) struct EpisodeRow {
    /// `(owner << 32) | n`.
    pub(crate) id: i64,
    /// The episode's id; the fact's is derived from it.
    pub(crate) uuid: Raw,
    /// The row id of the speaker's entity.
    pub(crate) speaker: Option<i64>,
    /// When it happened, in microseconds.
    pub(crate) created_at: i64,
    created_ns: i64,
    /// When it arrived, in microseconds; `None` while it is in a draft.
    pub(crate) ingested_at: Option<i64>,
    /// Whether it is still in the graph.
    pub(crate) in_graph: bool,
    /// Whether it still has a fact.
    has_fact: bool,
    /// The application's metadata.
    pub(crate) metadata: Option<Metadata>,
    role: Option<Role>,
    source: DataType,
    content: String,
    source_description: Option<String>,
    fact: Option<String>,
    attributes: Option<Map<String, Value>>,
    invalid_at: Option<i64>,
    expired_at: Option<i64>,
    thread: Option<String>,
    name: Option<String>,
    speaker_node: Option<Raw>,
    owner_node: Raw,
    once: bool,
}

impl EpisodeRow {
    /// Reads a row of a query for [`COLUMNS`].
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let name: Option<String> = row.get(18)?;
        let owner_node = uuid(row, 20)?;
        // A speaker with the owner's name is the owner's entity, not a second one.
        let owner_name = display_name(row, 21)?;
        let speaker_node = match &name {
            Some(name) if !same_name(name, &owner_name) => Some(uuid(row, 19)?),
            _ => None,
        };
        Ok(Self {
            id: row.get(0)?,
            uuid: uuid(row, 1)?,
            role: row.get::<_, Option<i64>>(2)?.map(role_of),
            source: source_of(row.get(3)?),
            in_graph: row.get(4)?,
            created_at: row.get(5)?,
            created_ns: row.get(6)?,
            ingested_at: row.get(7)?,
            content: row.get(8)?,
            source_description: row.get(9)?,
            metadata: json_object(row, 10)?,
            has_fact: row.get(11)?,
            fact: row.get(12)?,
            attributes: json_object(row, 13)?,
            invalid_at: row.get(14)?,
            expired_at: row.get(15)?,
            thread: row.get(16)?,
            speaker: row.get(17)?,
            name,
            speaker_node,
            owner_node,
            once: row.get(26)?,
        })
    }

    /// Whether it has been processed.
    pub(crate) fn processed(&self, clock: Clock) -> bool {
        self.ingested_at
            .is_some_and(|arrived| clock.has_processed(arrived))
    }

    /// Whether it shows as a fact: processed, in the graph, its fact not deleted, and not a later part
    /// of a record, which is one fact.
    pub(crate) fn is_fact(&self, clock: Clock) -> bool {
        self.in_graph && self.has_fact && self.processed(clock) && self.follows().is_none()
    }

    /// The record that it is a later part of, if its fact is that of the first part. A fact of its own
    /// that was changed stays one: files of layout 1 have them.
    pub(crate) fn follows(&self) -> Option<RecordMark> {
        let was_changed = self.fact.is_some() || self.attributes.is_some();
        self.split()
            .filter(|mark| !mark.part.is_first() && !was_changed)
    }

    /// Its record, if that has several parts and is stored once: then all of it is one fact.
    pub(crate) fn split(&self) -> Option<RecordMark> {
        let mark = RecordMark::decode(self.metadata.as_ref()?)?;
        (self.once && mark.is_split()).then_some(mark)
    }

    /// Its text with the blanks that were too long for it.
    pub(crate) fn text(&self) -> String {
        text_with_gaps(&self.content, self.metadata.as_ref())
    }

    /// The message in its thread.
    pub(crate) fn into_message(self, clock: Clock) -> Message {
        Message {
            uuid: Some(uuids::to_zep(self.uuid)),
            role: self.role.unwrap_or(Role::NoRole),
            processed: Some(self.processed(clock)),
            created_at: self.happened_at(),
            content: self.content,
            name: self.name,
            metadata: self.metadata,
        }
    }

    /// The episode in its graph.
    pub(crate) fn into_episode(self, clock: Clock, score: Option<f64>) -> Episode {
        Episode {
            uuid: uuids::to_zep(self.uuid),
            created_at: self.happened_at(),
            processed: Some(self.processed(clock)),
            content: self.content,
            metadata: self.metadata,
            role: self.name,
            role_type: self.role,
            source: Some(self.source),
            source_description: self.source_description,
            thread_id: self.thread,
            score,
        }
    }

    /// The fact extracted from it alone.
    pub(crate) fn into_fact(self, score: Option<f64>) -> Fact {
        let owner = uuids::to_zep(self.owner_node);
        let valid_at = self.happened_at();
        Fact {
            uuid: uuids::to_zep(uuids::fact_of(self.uuid)),
            fact: self.fact.unwrap_or(self.content),
            name: match self.source {
                DataType::Message => "SAID",
                DataType::Text | DataType::Json => "STATED",
            }
            .into(),
            created_at: self.ingested_at.and_then(timestamps::from_micros),
            valid_at,
            invalid_at: self.invalid_at.and_then(timestamps::from_micros),
            expired_at: self.expired_at.and_then(timestamps::from_micros),
            episodes: vec![uuids::to_zep(self.uuid)],
            attributes: self.attributes,
            source_node_uuid: Some(
                self.speaker_node
                    .map_or_else(|| owner.clone(), uuids::to_zep),
            ),
            target_node_uuid: Some(owner),
            score,
        }
    }

    /// When it happened, to the nanosecond.
    pub(crate) fn happened_at(&self) -> Option<Timestamp> {
        timestamps::join(self.created_at, self.created_ns)
    }

    /// The row id of its owner.
    pub(crate) fn owner(&self) -> i64 {
        self.id >> 32
    }

    /// Whether its fact has a text of its own.
    pub(crate) fn fact_was_changed(&self) -> bool {
        self.fact.is_some()
    }

    /// Its fact's attributes.
    pub(crate) fn attributes(&self) -> Option<&Map<String, Value>> {
        self.attributes.as_ref()
    }

    /// The id of its thread, if it is a message.
    pub(crate) fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }
}
