//! What an object of an export is, judged by its fields and its group.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fields::id_text;
use super::time::time;
use crate::sources::{Names, SNAPSHOTS};

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
            "messages" => Self::Messages,
            "memories" => Self::Memories,
            "results" | "data" => Self::Anywhere,
            "history" => Self::History,
            "entities" => Self::Entities,
            field if SNAPSHOTS.contains(&field) => Self::Snapshots,
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
const SESSION_IDS: [&str; 4] = ["session_id", "run_id", "conversation_id", "thread_id"];

/// The fields that say when an export was made.
const EXPORTED: [&str; 3] = ["exported_at", "export_date", "generated_at"];

/// The fields of an answer that only describe the answer.
const ENVELOPE: [&str; 8] = [
    "count",
    "next",
    "previous",
    "total",
    "total_users",
    "total_agents",
    "total_apps",
    "total_runs",
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
    has(own, "memory") || (has(own, "role") && has(own, "content")) || is_history(own)
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
    if is_turn && !held.lists() {
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
    if held.of_a_person() && names_user {
        return Shape::User;
    }
    if held.lists() {
        return Shape::Document {
            of_a_person: held.of_a_person(),
        };
    }
    if has_any(own, &["content", "text", "data"]) {
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

/// What an object says of all items in it.
#[derive(Debug, Default)]
pub(super) struct ContainerFields {
    pub(super) names: Names,
    pub(super) exported_at: Option<Timestamp>,
    /// Of a page: whether more pages follow.
    pub(super) more_pages: Option<bool>,
    /// Fields that a migration has no place for, sorted.
    pub(super) unplaced: Vec<String>,
    /// Fields that should hold an id and do not.
    pub(super) unreadable: Vec<&'static str>,
    /// A field that names what the items belong to, and is there twice.
    pub(super) unsure: Option<String>,
}

/// Whether a field may name what the items in an object belong to.
pub(super) fn is_name(field: &str) -> bool {
    SESSION_IDS.contains(&field)
        || matches!(field, "id" | "user_id" | "agent_id" | "app_id" | "user")
}

/// What an object of this shape says of all items in it.
pub(super) fn container_fields(shape: Shape, own: &Map<String, Value>) -> ContainerFields {
    let mut used: Vec<&str> = Vec::new();
    let mut unreadable = Vec::new();
    let mut first_of = |names: &[&'static str]| {
        for name in names {
            let Some(value) = own.get(*name).filter(|value| !value.is_null()) else {
                continue;
            };
            if let Some(id) = id_text(value) {
                used.push(name);
                return Some(id);
            }
            if value.as_str() != Some("") {
                unreadable.push(*name);
            }
        }
        None
    };
    let mut names = Names {
        user: match shape {
            Shape::User => first_of(&["user_id", "id"]),
            _ => first_of(&["user_id"]),
        },
        agent: first_of(&["agent_id"]),
        app: first_of(&["app_id"]),
        session: first_of(&SESSION_IDS),
    };
    if shape == Shape::Session && names.session.is_none() {
        names.session = first_of(&["id"]);
    }
    let is_document = matches!(shape, Shape::Document { .. });
    let exported = EXPORTED
        .into_iter()
        .chain(is_document.then_some("timestamp"))
        .find_map(|name| Some((name, own.get(name).and_then(time)?)));
    used.extend(exported.map(|(name, _)| name));
    let next = own.get("next").filter(|_| is_document);
    let more_pages = next.map(|next| match next {
        Value::Null | Value::Bool(false) => false,
        Value::String(next) => !next.is_empty(),
        _ => true,
    });
    let mut unplaced = Vec::new();
    if is_document || shape == Shape::Session {
        unplaced = own
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name.as_str())
            .filter(|name| !used.contains(name) && !ENVELOPE.contains(name))
            .map(str::to_owned)
            .collect();
        unplaced.sort();
    }
    ContainerFields {
        names,
        exported_at: exported.map(|(_, at)| at),
        more_pages,
        unplaced,
        unreadable,
        unsure: None,
    }
}

/// Whether a name is a field of a user or session, and not the id that one is listed by.
pub(super) fn is_field(name: &str) -> bool {
    Group::of(name).is_some()
        || SESSION_IDS.contains(&name)
        || ENVELOPE.contains(&name)
        || EXPORTED.contains(&name)
        || matches!(
            name,
            "id" | "user_id"
                | "name"
                | "email"
                | "role"
                | "preferences"
                | "metadata"
                | "created_at"
        )
}

/// Removes the fields that say when an export was made.
pub(super) fn without_export_date(mut own: Map<String, Value>) -> Map<String, Value> {
    own.retain(|field, value| !EXPORTED.contains(&field.as_str()) || time(value).is_none());
    own
}
