//! What an object of an export is, judged by its fields and its group.

use serde_json::{Map, Value};

use super::container::{ENVELOPE, EXPORTED, NEXT};
use super::frameworks::unwrap_memory;
use super::store::{not_a_memory, unwrap_row};
use super::time::time;
use super::turn::{make_turn, wraps_message};
use crate::sources::SNAPSHOTS;

/// What surrounds an object: the kind of list that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Nothing is known.
    Anywhere,
    Users,
    Sessions,
    Messages,
    Memories,
    History,
    Entities,
    /// Only of fields: one that holds snapshots.
    Snapshots,
}

impl Group {
    /// The group that a field gives to the objects in it, if it holds any.
    pub(super) fn of(field: &str) -> Option<Self> {
        Some(match field {
            "users" => Self::Users,
            "sessions" | "conversations" | "threads" => Self::Sessions,
            "messages" | "chat_history" | "chat_messages" | "turns" | "transcript" | "dialogue"
            | "contents" => Self::Messages,
            "memories" => Self::Memories,
            "results" | "data" | "channel_values" => Self::Anywhere,
            "history" => Self::History,
            "entities" => Self::Entities,
            field if SNAPSHOTS.contains(&field) => Self::Snapshots,
            _ => return None,
        })
    }

    /// The group that a field gives to the objects in it where the object around it is no more than
    /// the answer of a store or a service.
    pub(super) fn in_an_answer(field: &str) -> Option<Self> {
        Some(match field {
            "result" | "points" | "items" | "records" | "rows" | "matches" | "hits" | "objects"
            | "value" | "entries" | "output" | "choices" | "episodes" | "chat_store"
            | "llm_context" | "Get" => Self::Anywhere,
            "edges" => Self::Anywhere,
            "facts" | "relevant_facts" => Self::Memories,
            "store" => Self::Sessions,
            _ => return None,
        })
    }

    /// Whether objects in this group hold no other items.
    pub(super) fn is_leaf(self) -> bool {
        matches!(self, Self::Messages | Self::History | Self::Entities)
    }
}

/// The kinds of fields of an object that hold other items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held(u8);

impl Held {
    pub(super) fn add(&mut self, group: Group) {
        self.0 |= 1 << group as u8;
    }

    fn any(self, groups: &[Group]) -> bool {
        groups.iter().any(|group| self.0 & (1 << *group as u8) != 0)
    }

    /// Whether it holds what a person or a conversation has, unlike a page of an answer.
    fn of_a_person(self) -> bool {
        self.any(&[
            Group::Messages,
            Group::Sessions,
            Group::Memories,
            Group::Snapshots,
        ])
    }

    fn lists(self) -> bool {
        self.0 & !(1 << Group::Snapshots as u8) != 0
    }
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Memory,
    Turn,
    History,
    Entity,
    User,
    Session,
    /// Only holds items: a page, an export, or a person's data without the person.
    Document {
        of_a_person: bool,
    },
    Unknown,
}

/// The fields that name a session, in order of precedence.
pub(super) const SESSION_IDS: [&str; 4] = ["session_id", "run_id", "conversation_id", "thread_id"];

/// The fields that a conversation has and a person has not.
const OF_A_CONVERSATION: [&str; 8] = [
    "uuid",
    "title",
    "topic",
    "subject",
    "model",
    "agent_type",
    "llm_config",
    "chat_messages",
];

/// The fields of a user's or session's own, so that a map by id is told from one.
const OWN: [&str; 9] = [
    "id",
    "user_id",
    "name",
    "email",
    "role",
    "preferences",
    "metadata",
    "created_at",
    "user",
];

fn has(own: &Map<String, Value>, field: &str) -> bool {
    own.get(field).is_some_and(|value| !value.is_null())
}

fn has_any(own: &Map<String, Value>, fields: &[&str]) -> bool {
    fields.iter().any(|field| has(own, field))
}

/// Whether these fields suffice to know that the object is a single item, so that all further fields
/// belong to it.
pub(super) fn is_settled(own: &Map<String, Value>) -> bool {
    has(own, "memory")
        || (has(own, "role") && has(own, "content"))
        || is_history(own)
        || wraps_message(own)
}

fn is_history(own: &Map<String, Value>) -> bool {
    has(own, "memory_id")
        && ["input", "event", "old_memory", "new_memory"]
            .iter()
            .any(|field| own.contains_key(*field))
}

fn is_entity(own: &Map<String, Value>) -> bool {
    matches!(
        own.get("type").and_then(Value::as_str),
        Some("user" | "agent" | "app" | "run")
    ) && has_any(own, &["id", "name"])
}

/// An entity of mem0's list, which may be a user.
fn entity(own: &Map<String, Value>) -> Shape {
    match own.get("type").and_then(Value::as_str) {
        Some("user") => Shape::User,
        _ => Shape::Entity,
    }
}

/// What an object is: by its group where that decides, else by its fields.
pub(super) fn shape(group: Group, own: &Map<String, Value>, held: Held) -> Shape {
    let is_turn = has(own, "role") && has(own, "content");
    match group {
        Group::Messages => return Shape::Turn,
        Group::Users => return Shape::User,
        Group::Sessions if !is_turn || held.lists() => return Shape::Session,
        Group::Entities if is_entity(own) => return entity(own),
        Group::Entities if !own.is_empty() => return Shape::Entity,
        Group::History if !is_turn && has_any(own, &["input", "new_memory", "old_memory"]) => {
            return Shape::History;
        }
        _ => {}
    }
    if own.contains_key("memory") && (has(own, "memory") || !held.lists()) {
        return Shape::Memory;
    }
    if is_history(own) {
        return Shape::History;
    }
    let is_unsaid = has(own, "role") && own.contains_key("content");
    if (is_turn || is_unsaid) && !held.lists() {
        return Shape::Turn;
    }
    if held.any(&[Group::Users]) {
        return Shape::Document { of_a_person: false };
    }

    let names_session = has_any(own, &SESSION_IDS);
    let names_user = has_any(own, &["id", "user_id"]);
    if held.any(&[Group::Messages, Group::Snapshots])
        && (names_session || (has(own, "id") && has(own, "user_id")))
        && !held.any(&[Group::Sessions])
    {
        return Shape::Session;
    }
    if held.any(&[Group::Messages])
        && has_any(own, &OF_A_CONVERSATION)
        && has_any(own, &["id", "uuid"])
    {
        return Shape::Session;
    }
    if held.of_a_person() && names_user {
        return Shape::User;
    }
    if held.lists() {
        return Shape::Document {
            of_a_person: held.of_a_person(),
        };
    }
    if has_any(own, &["content", "text", "data", "page_content", "fact"]) {
        return Shape::Memory;
    }
    if is_entity(own) && !has_any(own, &["email", "role", "user_id"]) {
        return entity(own);
    }
    if names_user && has_any(own, &["name", "email", "preferences"]) {
        return Shape::User;
    }
    if has(own, "role") && !names_session && names_user {
        return Shape::User;
    }
    if has(own, "role") {
        return Shape::Turn;
    }
    if held.of_a_person() {
        return Shape::Document { of_a_person: true };
    }
    if group == Group::Memories && !own.is_empty() {
        return Shape::Memory;
    }
    Shape::Unknown
}

/// Whether a name is a field of a user or session, and not the id that one is listed by.
pub(super) fn is_field(name: &str) -> bool {
    Group::of(name).is_some()
        || SESSION_IDS.contains(&name)
        || ENVELOPE.contains(&name)
        || NEXT.contains(&name)
        || EXPORTED.contains(&name)
        || OWN.contains(&name)
}

/// The name of a field where mem0's TypeScript library writes it in camel case.
pub(super) fn canonical(name: String) -> String {
    const NAMES: [(&str, &str); 9] = [
        ("userId", "user_id"),
        ("agentId", "agent_id"),
        ("appId", "app_id"),
        ("runId", "run_id"),
        ("sessionId", "session_id"),
        ("threadId", "thread_id"),
        ("conversationId", "conversation_id"),
        ("memoryId", "memory_id"),
        ("expirationDate", "expiration_date"),
    ];
    if !name.bytes().any(|letter| letter.is_ascii_uppercase()) {
        return name;
    }
    match NAMES.iter().find(|(camel, _)| *camel == name) {
        Some((_, snake)) => (*snake).to_owned(),
        None => name,
    }
}

/// Whether an object is surely an item: a memory, a turn, an entry of a history, a session.
pub(super) fn is_item(own: &Map<String, Value>) -> bool {
    let mut own = own.clone();
    unwrap_memory(&mut own);
    unwrap_row(&mut own);
    if !own.contains_key("memory") {
        make_turn(&mut own, false);
    }
    let is_text = |name: &str| own.get(name).is_some_and(Value::is_string);
    let says = ["text", "data", "content", "page_content"];
    let known = [
        "id",
        "hash",
        "created_at",
        "user_id",
        "agent_id",
        "run_id",
        "memory_id",
    ];
    is_text("memory")
        || is_history(&own)
        || (has(&own, "role") && has(&own, "content"))
        || not_a_memory(&own).is_some()
        || own.get("messages").is_some_and(Value::is_array)
        || (says.into_iter().any(is_text) && has_any(&own, &known))
}

/// Whether a summary is the statistics of an exporter: numbers, and words without blanks, under names
/// that count.
pub(super) fn is_statistics(summary: &Value) -> bool {
    const COUNTS: [&str; 12] = [
        "count", "counts", "total", "totals", "num", "number", "size", "exported", "skipped",
        "failed", "duration", "bytes",
    ];
    fn is_figure(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.values().all(is_figure),
            Value::Array(values) => values.iter().all(is_figure),
            Value::String(text) => {
                !text.trim().contains(char::is_whitespace) || time(value).is_some()
            }
            _ => true,
        }
    }
    fn counts(value: &Value) -> bool {
        value.as_object().is_some_and(|fields| {
            fields.iter().any(|(name, value)| {
                let mut words = name.split(|c: char| !c.is_alphanumeric());
                let named = words.any(|word| COUNTS.contains(&word.to_lowercase().as_str()));
                (named && (value.is_number() || value.is_object())) || counts(value)
            })
        })
    }
    is_figure(summary) && counts(summary)
}
