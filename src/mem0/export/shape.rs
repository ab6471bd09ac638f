//! What an object of an export is, by looking at it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::super::{Named, SNAPSHOTS, interpret::time};

/// What stands around an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing that says anything of it.
    Anywhere,
    Users,
    Sessions,
    Messages,
    Memories,
    History,
    Entities,
    /// Not the place of an object: what a snapshot's field is.
    Snapshots,
}

impl Place {
    /// What a field holds, if it holds others.
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

    /// Whether objects that stand here hold nothing but themselves.
    pub(super) fn is_leaf(self) -> bool {
        matches!(self, Self::Messages | Self::History | Self::Entities)
    }
}

/// What an object has fields for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held(u8);

impl Held {
    pub(super) fn add(&mut self, place: Place) {
        self.0 |= 1 << place as u8;
    }

    fn any(self, places: &[Place]) -> bool {
        places.iter().any(|place| self.0 & (1 << *place as u8) != 0)
    }

    /// Whether it holds what a person or a conversation has: not a page of an answer.
    fn of_a_person(self) -> bool {
        self.any(&[
            Place::Messages,
            Place::Sessions,
            Place::Memories,
            Place::Snapshots,
        ])
    }

    fn lists(self) -> bool {
        self.0 & !(1 << Place::Snapshots as u8) != 0
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
    /// Holds others and is nothing itself: a page, an export; or a person's data without the person.
    Document {
        of_a_person: bool,
    },
    Unknown,
}

/// The fields that name a session, the plainest first.
const SESSION_IDS: [&str; 4] = ["session_id", "run_id", "conversation_id", "thread_id"];

/// When an export was made.
const EXPORTED: [&str; 3] = ["exported_at", "export_date", "generated_at"];

/// What answers have around their results; it says nothing of them.
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

/// Whether an object that has these fields is known for a single thing already, so that whatever comes
/// belongs to it.
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

/// An entity of mem0's list: a user is one.
fn entity(own: &Map<String, Value>) -> Shape {
    match own.get("type").and_then(Value::as_str) {
        Some("user") => Shape::User,
        _ => Shape::Entity,
    }
}

/// What an object is: by the place where that says it, else by its fields.
pub(super) fn shape(place: Place, own: &Map<String, Value>, held: Held) -> Shape {
    let is_turn = has(own, "role") && has(own, "content");
    match place {
        Place::Messages => return Shape::Turn,
        Place::Users => return Shape::User,
        Place::Sessions if !is_turn || held.lists() => return Shape::Session,
        Place::Entities if is_entity(own) => return entity(own),
        Place::Entities if !own.is_empty() => return Shape::Entity,
        Place::History if !is_turn && has_any(own, &["input", "new_memory", "old_memory"]) => {
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
    if held.any(&[Place::Users]) {
        return Shape::Document { of_a_person: false };
    }

    let names_session = has_any(own, &SESSION_IDS);
    let names_user = has_any(own, &["id", "user_id"]);
    if held.any(&[Place::Messages, Place::Snapshots])
        && (names_session || (has(own, "id") && has(own, "user_id")))
        && !held.any(&[Place::Sessions])
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
    if place == Place::Memories && !own.is_empty() {
        return Shape::Memory;
    }
    Shape::Unknown
}

/// An id as text; `None` also where it is empty.
pub(super) fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What an object says of all that it holds.
#[derive(Debug, Default)]
pub(super) struct Says {
    pub(super) named: Named,
    pub(super) exported_at: Option<Timestamp>,
    /// Of a page: whether there are further ones.
    pub(super) goes_on: Option<bool>,
    /// Fields that have no place, sorted.
    pub(super) unplaced: Vec<String>,
    /// Fields that should name somebody and cannot.
    pub(super) unreadable: Vec<&'static str>,
}

/// What an object of that shape says of all that it holds.
pub(super) fn says(shape: Shape, own: &Map<String, Value>) -> Says {
    let mut says = Says::default();
    let mut used: Vec<&str> = Vec::new();
    let mut first_of = |fields: &[&'static str], says: &mut Says| {
        for field in fields {
            let Some(value) = own.get(*field).filter(|value| !value.is_null()) else {
                continue;
            };
            if let Some(id) = id_text(value) {
                used.push(field);
                return Some(id);
            }
            if value.as_str() != Some("") {
                says.unreadable.push(field);
            }
        }
        None
    };
    says.named.user = match shape {
        Shape::User => first_of(&["user_id", "id"], &mut says),
        _ => first_of(&["user_id"], &mut says),
    };
    says.named.agent = first_of(&["agent_id"], &mut says);
    says.named.app = first_of(&["app_id"], &mut says);
    says.named.session = first_of(&SESSION_IDS, &mut says);
    if shape == Shape::Session && says.named.session.is_none() {
        says.named.session = first_of(&["id"], &mut says);
    }
    let is_document = matches!(shape, Shape::Document { .. });
    for field in EXPORTED
        .into_iter()
        .chain(is_document.then_some("timestamp"))
    {
        if says.exported_at.is_none()
            && let Some(at) = own.get(field).and_then(time)
        {
            says.exported_at = Some(at);
            used.push(field);
        }
    }
    if is_document {
        says.goes_on = own.get("next").map(|next| match next {
            Value::Null | Value::Bool(false) => false,
            Value::String(next) => !next.is_empty(),
            _ => true,
        });
    }
    if is_document || shape == Shape::Session {
        says.unplaced = own
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(field, _)| field.as_str())
            .filter(|field| !used.contains(field) && !ENVELOPE.contains(field))
            .map(str::to_owned)
            .collect();
        says.unplaced.sort();
    }
    says
}

/// Whether it is a field of a person or session, and no id that these are listed by.
pub(super) fn is_field(name: &str) -> bool {
    Place::of(name).is_some()
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

/// Takes away what says when an export was made.
pub(super) fn without_export_date(mut own: Map<String, Value>) -> Map<String, Value> {
    own.retain(|field, value| !EXPORTED.contains(&field.as_str()) || time(value).is_none());
    own
}
