//! What an item of an export means.

use serde_json::{Map, Value};

use super::explained::known_as;
use super::fields::{Fields, is_empty};
use super::gone::{Event, event, gone};
use super::history::{history, logged};
use super::turn::spoken;
use crate::sources::payload;
use crate::sources::{
    Change, Defect, Entry, Gone, Names, Origin, RecordKind, SourceRecord, SourceUser,
};

/// The fields that hold the sentence of a memory.
const SENTENCE: [&str; 6] = ["memory", "text", "data", "content", "page_content", "fact"];

/// The fields that name a memory's session: mem0's listing and its search differ.
pub(super) const RUN: [&str; 2] = ["session_id", "run_id"];

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

/// What an item means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// Something to migrate.
    Entry(Entry),
    /// It is no memory.
    LeftOut(&'static str),
    /// Nothing by itself: agents, apps and runs come with their memories.
    Nothing,
}

/// What an entry of an answer to `add` is that changed nothing.
const UNCHANGED: &str = "an entry of an answer to `add` that changed nothing (`event: NONE`)";

/// What a turn is in which nothing is said.
const SILENT: &str = "a turn of an assistant, a tool or the system in which nothing is said";

/// Why a memory is left out.
const COPIED: &str = "a copy that this program made of a memory of Zep";

/// The roles of those who are no persons.
const PROGRAMS: [&str; 6] = ["assistant", "ai", "model", "tool", "function", "system"];

/// What an item means, in the source's own words. `warnings` takes what is not as it should be and costs
/// nothing.
///
/// # Errors
/// Why it cannot be kept.
pub(super) fn interpret(
    kind: &ItemKind,
    value: Value,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<Meaning, Defect> {
    let value = match kind {
        ItemKind::Snapshot(kind) => return snapshot(kind, value, origin, warnings).map(record),
        _ => value,
    };
    let Value::Object(fields) = value else {
        return Err(Defect::whole("is not an object"));
    };
    let mut fields = Fields(fields);
    match kind {
        ItemKind::Memory if payload::is_copy(&mut fields.0) => Ok(Meaning::LeftOut(COPIED)),
        ItemKind::Memory => remembered(fields, origin, warnings),
        ItemKind::Turn if is_silent(&fields) => Ok(Meaning::LeftOut(SILENT)),
        ItemKind::Turn => turn(fields, origin, warnings).map(record),
        ItemKind::History if fields.has("input") => history(fields, origin, warnings)
            .map(|turns| Meaning::Entry(Entry::Conversation(turns))),
        ItemKind::History => logged(fields, origin, warnings),
        ItemKind::User => {
            let position = origin.position;
            user(fields).map(|user| Meaning::Entry(Entry::User { position, user }))
        }
        ItemKind::Entity | ItemKind::Snapshot(_) => Ok(Meaning::Nothing),
    }
}

fn record(record: SourceRecord) -> Meaning {
    Meaning::Entry(Entry::Record(Box::new(record)))
}

pub(super) fn change(deletes: bool, record: SourceRecord) -> Meaning {
    Meaning::Entry(Entry::Change(Box::new(Change { deletes, record })))
}

/// A memory; where it comes with what just happened to it, an entry of a log.
fn remembered(
    mut fields: Fields,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<Meaning, Defect> {
    let last = fields.0.get("event").and_then(Value::as_str);
    let last = last.and_then(event);
    match last {
        Some(Event::Unchanged) => return Ok(Meaning::LeftOut(UNCHANGED)),
        Some(_) if fields.has("id") || fields.has("memory_id") => {
            fields.take("event");
        }
        _ => return memory(fields, origin, warnings).map(record),
    }
    let record = memory(fields, origin, warnings)?;
    let deletes = last == Some(Event::Deleted) || record.gone == Some(Gone::Deleted);
    Ok(change(deletes, record))
}

pub(super) fn memory(
    mut fields: Fields,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<SourceRecord, Defect> {
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
    let created_at = fields.created_at(warnings);
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

pub(super) fn turn(
    mut fields: Fields,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<SourceRecord, Defect> {
    let content = fields.take("content").unwrap_or_default();
    let is_missing = content.is_null();
    let content = spoken(content, &mut fields.0);
    if content.trim().is_empty() {
        return Err(match is_missing {
            true => missing("content"),
            false => blank("content"),
        });
    }
    let role = fields.role()?.ok_or_else(|| missing("role"))?;
    let kind = fields.0.get("type").and_then(Value::as_str);
    let names_a_function = kind.is_some_and(|kind| kind.ends_with("_call"));
    let name = match names_a_function {
        true => None,
        false => fields.take_text("name"),
    };
    let name = name.or_else(|| fields.take_text("actor_id"));
    let id = fields.first_id(&["id", "memory_id"])?;
    let names = fields.names(&CONVERSATION)?;
    let created_at = fields.created_at(warnings);
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

/// Whether a turn of somebody other than a person says nothing: a model that only called a tool.
fn is_silent(fields: &Fields) -> bool {
    let role = fields.0.get("role").and_then(Value::as_str);
    let is_program = role.is_some_and(|role| {
        let role = role.trim().to_lowercase();
        PROGRAMS.contains(&role.as_str())
    });
    let nothing = |value: &Value| match value {
        Value::String(text) => text.trim().is_empty(),
        value => is_empty(value),
    };
    is_program
        && match fields.0.get("content") {
            Some(Value::String(text)) if !text.trim().is_empty() => false,
            // ChatGPT writes an empty text as a part.
            Some(content @ Value::Object(_)) => {
                let mut rest = fields.0.clone();
                spoken(content.clone(), &mut rest).trim().is_empty()
            }
            content => {
                content.is_none_or(nothing) && spoken(Value::Null, &mut fields.0.clone()).is_empty()
            }
        }
}

fn snapshot(
    kind: &str,
    value: Value,
    origin: Origin,
    warnings: &mut Vec<Defect>,
) -> Result<SourceRecord, Defect> {
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
                    record.created_at = fields.created_at(warnings);
                    record.expires = fields.expires()?;
                    record.metadata = fields.into_metadata();
                }
                None => {
                    // The content keeps the whole object, so an unreadable time loses nothing.
                    record.created_at = fields.created_at(&mut Vec::new());
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

fn user(mut fields: Fields) -> Result<Box<SourceUser>, Defect> {
    // An entity of mem0 has its own number in `id`, and the user's id in `name`.
    let is_entity = fields.0.get("type").is_some_and(|kind| kind == "user")
        && !["user_id", "email", "role"]
            .iter()
            .any(|name| fields.has(name));
    let ids: &[&str] = match known_as(&fields.0) {
        _ if is_entity => &["name", "id"],
        Some((name, _)) => &[name],
        None => &["user_id", "id"],
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

pub(super) fn missing(field: &str) -> Defect {
    Defect::of(field, "is missing")
}

fn blank(field: &str) -> Defect {
    Defect::of(field, "is blank")
}
