//! Rows of `episode`, read once and shown as message, episode or fact.

use jiff::Timestamp;
use rusqlite::types::Type;
use serde_json::{Map, Value};
use uuid::Uuid as Raw;

use super::ids;
use super::time::{self, Clock};
use crate::zep::{DataType, Episode, Fact, Message, Metadata, Role};

/// What [`Row::read`] expects, in its order.
pub(super) const COLUMNS: &str = "e.id, e.uuid, e.role, e.source, e.in_graph, e.created_at, \
    e.created_ns, e.ingested_at, e.content, e.source_description, e.metadata, e.has_fact, e.fact, \
    e.fact_attributes, e.fact_invalid_at, e.fact_expired_at, t.name, s.id, s.name, s.uuid, o.node, \
    o.kind, o.name, o.first_name, o.last_name, o.title";

/// The tables that [`COLUMNS`] come from.
pub(super) const TABLES: &str = "episode e JOIN owner o ON o.id = e.owner \
    LEFT JOIN thread t ON t.id = e.thread LEFT JOIN entity s ON s.id = e.speaker";

/// One episode, with its fact.
#[derive(Debug)]
pub(super) struct Row {
    /// `(owner << 32) | n`.
    pub id: i64,
    /// The episode's id; the fact's follows from it.
    pub uuid: Raw,
    /// The speaker's entity, by row.
    pub speaker: Option<i64>,
    /// When it happened, in microseconds.
    pub created_at: i64,
    created_ns: i64,
    /// When it arrived, in microseconds; `None` while it waits in a draft.
    pub ingested_at: Option<i64>,
    /// Whether the graph still has it.
    pub in_graph: bool,
    /// Whether its fact still stands.
    pub has_fact: bool,
    /// The application's own fields.
    pub metadata: Option<Metadata>,
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
}

impl Row {
    /// Reads the row of a query for [`COLUMNS`].
    pub fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let name: Option<String> = row.get(18)?;
        let owner_node = uuid(row, 20)?;
        // A user who speaks under their own name is the owner's entity, not a second one.
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
            metadata: json(row, 10)?,
            has_fact: row.get(11)?,
            fact: row.get(12)?,
            attributes: json(row, 13)?,
            invalid_at: row.get(14)?,
            expired_at: row.get(15)?,
            thread: row.get(16)?,
            speaker: row.get(17)?,
            name,
            speaker_node,
            owner_node,
        })
    }

    /// Whether it has been processed.
    pub fn processed(&self, clock: Clock) -> bool {
        self.ingested_at
            .is_some_and(|arrived| arrived <= clock.processed_until)
    }

    /// Whether it is a fact that is already known.
    pub fn is_fact(&self, clock: Clock) -> bool {
        self.in_graph && self.has_fact && self.processed(clock)
    }

    /// As a message of its thread.
    pub fn into_message(self, clock: Clock) -> Message {
        Message {
            uuid: Some(ids::shown(self.uuid)),
            role: self.role.unwrap_or(Role::NoRole),
            processed: Some(self.processed(clock)),
            created_at: self.happened_at(),
            content: self.content,
            name: self.name,
            metadata: self.metadata,
        }
    }

    /// As an episode of its graph.
    pub fn into_episode(self, clock: Clock, score: Option<f64>) -> Episode {
        Episode {
            uuid: ids::shown(self.uuid),
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

    /// As the fact that was drawn from it.
    pub fn into_fact(self, score: Option<f64>) -> Fact {
        let owner = ids::shown(self.owner_node);
        let valid_at = self.happened_at();
        Fact {
            uuid: ids::shown(ids::fact_of(self.uuid)),
            fact: self.fact.unwrap_or(self.content),
            name: match self.source {
                DataType::Message => "SAID",
                DataType::Text | DataType::Json => "STATED",
            }
            .into(),
            created_at: self.ingested_at.and_then(time::at),
            valid_at,
            invalid_at: self.invalid_at.and_then(time::at),
            expired_at: self.expired_at.and_then(time::at),
            episodes: vec![ids::shown(self.uuid)],
            attributes: self.attributes,
            source_node_uuid: Some(self.speaker_node.map_or_else(|| owner.clone(), ids::shown)),
            target_node_uuid: Some(owner),
            score,
        }
    }

    /// When it happened.
    pub fn happened_at(&self) -> Option<Timestamp> {
        time::join(self.created_at, self.created_ns)
    }

    /// The number of its owner.
    pub fn owner(&self) -> i64 {
        self.id >> 32
    }

    /// Whether its fact has a text of its own.
    pub fn fact_was_changed(&self) -> bool {
        self.fact.is_some()
    }

    /// What is known about its fact beside the text.
    pub fn attributes(&self) -> Option<&Map<String, Value>> {
        self.attributes.as_ref()
    }

    /// The thread it is a message of.
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }
}

/// What an owner is called: from the columns kind, name, first name, last name, title.
pub(super) fn display_name(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<String> {
    let id: String = row.get(from + 1)?;
    let words: [Option<String>; 3] = [row.get(from + 2)?, row.get(from + 3)?, row.get(from + 4)?];
    let name = words
        .iter()
        .flatten()
        .map(|word| word.trim())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Ok(if name.is_empty() { id } else { name })
}

/// Whether two names are one, but for upper and lower case.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// A column that holds an id.
pub(super) fn uuid(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Raw> {
    row.get::<_, [u8; 16]>(column).map(Raw::from_bytes)
}

/// A column that holds a JSON object or nothing.
pub(super) fn json(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<Map<String, Value>>> {
    row.get::<_, Option<String>>(column)?
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
        })
}

/// What a JSON column holds: nothing for an empty object.
pub(super) fn json_text(object: &Map<String, Value>) -> Option<String> {
    (!object.is_empty()).then(|| Value::Object(object.clone()).to_string())
}

const ROLES: [Role; 6] = [
    Role::NoRole,
    Role::User,
    Role::Assistant,
    Role::System,
    Role::Function,
    Role::Tool,
];

/// A role as the file keeps it.
pub(super) fn role_number(role: Role) -> i64 {
    ROLES
        .iter()
        .position(|known| *known == role)
        .map_or(0, |place| place as i64)
}

fn role_of(number: i64) -> Role {
    usize::try_from(number)
        .ok()
        .and_then(|place| ROLES.get(place).copied())
        .unwrap_or(Role::NoRole)
}

/// A kind of data as the file keeps it.
pub(super) fn source_number(source: DataType) -> i64 {
    match source {
        DataType::Text => 0,
        DataType::Message => 1,
        DataType::Json => 2,
    }
}

fn source_of(number: i64) -> DataType {
    match number {
        1 => DataType::Message,
        2 => DataType::Json,
        _ => DataType::Text,
    }
}
