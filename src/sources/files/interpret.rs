//! What an item of an export means.

use serde_json::{Map, Value};

use super::fields::{Fields, id_text};
use super::gone::gone;
use crate::sources::{
    Conversation, Defect, Entry, Names, Origin, RecordKind, SourceRecord, SourceUser,
};

/// The fields that hold the sentence of a memory.
const SENTENCE: [&str; 4] = ["memory", "text", "data", "content"];

/// The fields that name a memory's session: mem0's listing and its search differ.
const RUN: [&str; 2] = ["session_id", "run_id"];

/// The fields that name a turn's session.
const CONVERSATION: [&str; 4] = ["session_id", "run_id", "thread_id", "conversation_id"];

/// What an item of an export looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemKind {
    /// A memory of mem0: a sentence.
    Memory,
    /// A turn of a conversation.
    Turn,
    /// A snapshot of a user or a session, by the key that holds it (`insights`, `summary`, `traits` …).
    Snapshot(String),
    /// An entry of a memory's history, with the turns that it was made from.
    History,
    /// A user: all its fields except those that hold other items.
    User,
    /// An agent, app or run of mem0's list of entities.
    Entity,
}

/// What an item means, in the source's own words. Nothing for an entity: agents, apps and runs come
/// with their memories.
///
/// # Errors
/// Why it cannot be kept.
pub(super) fn interpret(
    kind: &ItemKind,
    value: Value,
    origin: Origin,
) -> Result<Option<Entry>, Defect> {
    let value = match kind {
        ItemKind::Snapshot(kind) => return snapshot(kind, value, origin).map(record),
        _ => value,
    };
    let Value::Object(fields) = value else {
        return Err(Defect::whole("is not an object"));
    };
    let fields = Fields(fields);
    match kind {
        ItemKind::Memory => memory(fields, origin).map(record),
        ItemKind::Turn => turn(fields, origin).map(record),
        ItemKind::History => history(fields, origin).map(|turns| Some(Entry::Conversation(turns))),
        ItemKind::User => {
            let position = origin.position;
            user(fields).map(|user| Some(Entry::User { position, user }))
        }
        ItemKind::Entity | ItemKind::Snapshot(_) => Ok(None),
    }
}

fn record(record: SourceRecord) -> Option<Entry> {
    Some(Entry::Record(Box::new(record)))
}

fn memory(mut fields: Fields, origin: Origin) -> Result<SourceRecord, Defect> {
    let sentence = SENTENCE
        .into_iter()
        .find(|name| fields.has(name))
        .ok_or_else(|| missing("memory"))?;
    let Some(Value::String(content)) = fields.take(sentence) else {
        return Err(Defect::of(sentence, "is not a text"));
    };
    if content.trim().is_empty() {
        return Err(blank(sentence));
    }
    let role = fields.role()?;
    let name = fields.take_text("actor_id");
    let id = fields.first_id(&["id", "memory_id"])?;
    let names = fields.names(&RUN)?;
    let created_at = fields.created_at()?;
    let updated_at = fields.updated_at(created_at);
    let expires = fields.expires()?;
    let gone = gone(&fields.0);
    let (memory_type, metadata) = kind_and_metadata(fields);
    Ok(SourceRecord {
        origin,
        kind: RecordKind::Memory,
        id,
        names,
        states_role: role.is_some(),
        role: role.unwrap_or_else(|| "user".to_owned()),
        name,
        content,
        created_at,
        updated_at,
        memory_type,
        metadata,
        expires,
        gone,
        stored: None,
    })
}

/// The kind of memory, which may be beside the metadata or in it, and the rest of the metadata.
fn kind_and_metadata(mut fields: Fields) -> (Option<String>, Map<String, Value>) {
    let own = fields.take_text("memory_type");
    let mut metadata = fields.into_metadata();
    match (own, metadata.get("memory_type")) {
        (own, Some(Value::String(inner)))
            if !inner.is_empty() && own.as_ref().is_none_or(|own| own == inner) =>
        {
            let inner = inner.clone();
            metadata.shift_remove("memory_type");
            (Some(inner), metadata)
        }
        (own, _) => (own, metadata),
    }
}

fn turn(mut fields: Fields, origin: Origin) -> Result<SourceRecord, Defect> {
    let content = fields
        .take("content")
        .filter(|content| !content.is_null())
        .ok_or_else(|| missing("content"))?;
    let content = spoken(content);
    if content.trim().is_empty() {
        return Err(blank("content"));
    }
    let role = fields.role()?.ok_or_else(|| missing("role"))?;
    let name = fields
        .take_text("name")
        .or_else(|| fields.take_text("actor_id"));
    let id = fields.first_id(&["id", "memory_id"])?;
    let names = fields.names(&CONVERSATION)?;
    let created_at = fields.created_at()?;
    let updated_at = fields.updated_at(created_at);
    let gone = gone(&fields.0);
    let expires = fields.expires()?;
    let (memory_type, metadata) = kind_and_metadata(fields);
    Ok(SourceRecord {
        origin,
        kind: RecordKind::Turn,
        id,
        names,
        role,
        states_role: true,
        name,
        content,
        created_at,
        updated_at,
        memory_type: memory_type.or_else(|| Some("messages".to_owned())),
        metadata,
        expires,
        gone,
        stored: None,
    })
}

/// What a turn says: a text, or parts of text as model providers write them; anything else as JSON.
fn spoken(content: Value) -> String {
    let part = |part: &Value| -> Option<String> {
        match part {
            Value::String(text) => Some(text.clone()),
            Value::Object(fields) => {
                let is_text = fields.get("type").is_none_or(|kind| kind == "text");
                let text = fields.get("text")?.as_str()?;
                is_text.then(|| text.to_owned())
            }
            _ => None,
        }
    };
    match content {
        Value::String(text) => text,
        Value::Array(parts) => match parts.iter().map(part).collect::<Option<Vec<_>>>() {
            Some(texts) => texts.join("\n"),
            None => Value::Array(parts).to_string(),
        },
        other => other.to_string(),
    }
}

fn snapshot(kind: &str, value: Value, origin: Origin) -> Result<SourceRecord, Defect> {
    let mut record = SourceRecord {
        origin,
        kind: RecordKind::Snapshot,
        id: None,
        names: Names::default(),
        role: "system".to_owned(),
        states_role: true,
        name: None,
        content: String::new(),
        created_at: None,
        updated_at: None,
        memory_type: Some(kind.to_owned()),
        metadata: Map::new(),
        expires: None,
        gone: None,
        stored: None,
    };
    match value {
        Value::String(text) => record.content = text,
        Value::Object(fields) => {
            let whole = Value::Object(fields.clone());
            let mut fields = Fields(fields);
            record.id = fields.first_id(&["id"])?;
            record.names = fields.names(&CONVERSATION)?;
            record.gone = gone(&fields.0);
            match fields.only_text() {
                Some(text) => {
                    record.content = text;
                    record.created_at = fields.created_at()?;
                    record.expires = fields.expires()?;
                    record.metadata = fields.into_metadata();
                }
                None => {
                    // The content keeps the whole object, so an unreadable time loses nothing.
                    record.created_at = fields.created_at().ok().flatten();
                    record.content = whole.to_string();
                }
            }
        }
        other => record.content = other.to_string(),
    }
    if record.content.trim().is_empty() {
        return Err(blank(kind));
    }
    Ok(record)
}

fn history(mut fields: Fields, origin: Origin) -> Result<Conversation, Defect> {
    let of_turns = Origin {
        part_of: fields.0.get("id").and_then(id_text),
        ..origin.clone()
    };
    let names = fields.names(&RUN)?;
    let created_at = fields.created_at()?;
    let turns = match fields.take("input") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(turns)) => turns,
        Some(_) => return Err(Defect::of("input", "is not a list of turns")),
    };
    let turns: Result<Vec<_>, _> = turns
        .into_iter()
        .enumerate()
        .filter(|(_, turn)| !says_nothing(turn))
        .map(|(index, value)| {
            let path = format!("input[{index}]");
            let Value::Object(fields) = value else {
                return Err(Defect::of(path, "is not an object"));
            };
            let turn = turn(Fields(fields), of_turns.clone()).map_err(|defect| Defect {
                field: defect.field.map(|field| format!("{path}.{field}")),
                ..defect
            })?;
            Ok(SourceRecord {
                id: None,
                names: turn.names.or(&names),
                created_at: turn.created_at.or(created_at),
                ..turn
            })
        })
        .collect();
    Ok(Conversation {
        origin,
        turns: turns?,
    })
}

/// Whether a turn is a role alone: there is nothing in it to lose.
fn says_nothing(turn: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    };
    match turn {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| name == "role" || is_empty(value)),
        _ => false,
    }
}

fn user(mut fields: Fields) -> Result<Box<SourceUser>, Defect> {
    // An entity of mem0 has its own number in `id`, and the user's id in `name`.
    let is_entity = fields.0.get("type").is_some_and(|kind| kind == "user")
        && !["user_id", "email", "role"]
            .iter()
            .any(|name| fields.has(name));
    let ids: &[&str] = if is_entity {
        &["name", "id"]
    } else {
        &["user_id", "id"]
    };
    let id = fields.first_id(ids)?.ok_or_else(|| missing("id"))?;
    Ok(Box::new(SourceUser {
        id,
        name: fields.take_text("name"),
        email: fields.take_text("email"),
        role: fields.take_text("role"),
        metadata: fields.into_metadata(),
        migration_source: None,
    }))
}

fn missing(field: &str) -> Defect {
    Defect::of(field, "is missing")
}

fn blank(field: &str) -> Defect {
    Defect::of(field, "is blank")
}
