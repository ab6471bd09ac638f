//! What an object of an export is, judged by its fields and its group.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::explained::{explains, known_as};
use super::fields::{id_text, is_empty};
use super::frameworks::unwrap_memory;
use super::gone::gone;
use super::store::{not_a_memory, unwrap_row};
use super::time::time;
use super::turn::{make_turn, wraps_message};
use crate::sources::{Gone, Names, SNAPSHOTS};

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
const SESSION_IDS: [&str; 4] = ["session_id", "run_id", "conversation_id", "thread_id"];

/// The fields that say when an export was made.
const EXPORTED: [&str; 4] = ["exported_at", "export_date", "generated_at", "ts"];

/// The fields of an answer that only describe the answer.
const ENVELOPE: [&str; 30] = [
    "count",
    "previous",
    "total",
    "total_users",
    "total_agents",
    "total_apps",
    "total_runs",
    // Stores.
    "status",
    "time",
    "took",
    "timed_out",
    "_shards",
    "_scroll_id",
    "usage",
    "max_score",
    "upsert_count",
    "included",
    "namespace",
    "data_type",
    // mem0's command line.
    "command",
    "duration_ms",
    "mem0_notice",
    // Services of models.
    "object",
    "first_id",
    "last_id",
    "class_name",
    "chat_store_key",
    "page",
    "page_size",
    "lc",
];

/// The fields of a page that say whether more pages follow.
const NEXT: [&str; 6] = [
    "next",
    "next_page_offset",
    "next_cursor",
    "next_page_token",
    "nextToken",
    "has_more",
];

/// The objects in which a document says what it is about: names, and when it was made.
const ABOUT: [&str; 10] = [
    "scope",
    "checkpoint",
    "config",
    "export_metadata",
    "export_meta",
    "export_info",
    "metadata",
    "meta",
    "filters",
    "export",
];

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

/// How many memories mem0's command line lists at most: its own number, and others that people give.
const CLI_PAGES: [u64; 3] = [50, 100, 200];

/// The fields of [`ABOUT`] by which an export was narrowed.
const NARROWED: [&str; 3] = ["app_id_filter", "from_date", "to_date"];

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

/// What an object says of all items in it.
#[derive(Debug, Default)]
pub(super) struct ContainerFields {
    pub(super) names: Names,
    pub(super) exported_at: Option<Timestamp>,
    /// Of a page: whether more pages follow.
    pub(super) more_pages: Option<bool>,
    /// A field by which the export was narrowed.
    pub(super) narrowed: Option<&'static str>,
    /// Why nothing in it must be shown any more.
    pub(super) gone: Option<Gone>,
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
            Shape::User => match known_as(own) {
                Some((name, _)) => first_of(&[name]),
                None => first_of(&["user_id", "id"]),
            },
            _ => first_of(&["user_id"]),
        },
        agent: first_of(&["agent_id"]),
        app: first_of(&["app_id"]),
        session: first_of(&SESSION_IDS),
    };
    if shape == Shape::Session && names.session.is_none() {
        names.session = first_of(&["id", "uuid", "_id"]);
    }
    let is_document = matches!(shape, Shape::Document { .. });
    let mut unsure = None;
    let mut narrowed = None;
    let mut about_at = None;
    if is_document {
        // `{"user": "ana", "memories": […]}`
        if names.user.is_none()
            && let Some(Value::String(user)) = own.get("user")
            && !user.is_empty()
        {
            used.push("user");
            names.user = Some(user.clone());
        }
        for name in ABOUT {
            let Some(Value::Object(about)) = own.get(name) else {
                continue;
            };
            // LangGraph's configuration.
            let inner = about.get("configurable").and_then(Value::as_object);
            let about = inner.unwrap_or(about);
            let of = |field: &str| about.get(field).and_then(id_text);
            let named = Names {
                user: of("user_id"),
                agent: of("agent_id"),
                app: of("app_id"),
                session: SESSION_IDS.iter().find_map(|field| of(field)),
            };
            let at = EXPORTED.into_iter().chain(["timestamp"]);
            about_at = about_at.or(at.into_iter().find_map(|at| about.get(at).and_then(time)));
            if !named.is_empty() || name.starts_with("export") {
                used.push(name);
            }
            let differs = |one: &Option<String>, other: &Option<String>| {
                one.is_some() && other.is_some() && one != other
            };
            if differs(&names.user, &named.user) || differs(&names.agent, &named.agent) {
                unsure = Some(name.to_owned());
            }
            names = names.or(&named);
            let narrows = |field: &&str| about.get(*field).is_some_and(|value| !is_empty(value));
            narrowed = narrowed.or(NARROWED.into_iter().find(narrows));
        }
    }
    let exported = EXPORTED
        .into_iter()
        .chain(is_document.then_some("timestamp"))
        .find_map(|name| Some((name, own.get(name).and_then(time)?)));
    used.extend(exported.map(|(name, _)| name));
    let next = NEXT.into_iter().filter(|_| is_document);
    let more_pages = next
        .filter_map(|name| own.get(name))
        .next()
        .map(|next| match next {
            Value::Null | Value::Bool(false) => false,
            next => !is_empty(next),
        })
        .or_else(|| lists_a_full_page(own).then_some(true));
    let mut unplaced = Vec::new();
    if is_document || shape == Shape::Session {
        unplaced = own
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name.as_str())
            .filter(|name| {
                let describes = ENVELOPE.contains(name) || NEXT.contains(name);
                !used.contains(name) && !describes && !(is_document && explains(name))
            })
            .map(str::to_owned)
            .collect();
        unplaced.sort();
    }
    ContainerFields {
        names,
        exported_at: exported.map(|(_, at)| at).or(about_at),
        more_pages,
        narrowed,
        gone: match shape {
            // A session that is over and an account that is not in use still have their memories.
            Shape::Session | Shape::User => gone(own).filter(|gone| *gone == Gone::Deleted),
            _ => None,
        },
        unplaced,
        unreadable,
        unsure,
    }
}

/// Whether this is a page of mem0's command line with as many memories as a page may have: it does not
/// say whether there are more.
fn lists_a_full_page(own: &Map<String, Value>) -> bool {
    let number = |name: &str| own.get(name).and_then(Value::as_u64);
    let is_list = own.get("command").and_then(Value::as_str) == Some("list");
    let is_full = |count| CLI_PAGES.contains(&count) || number("page_size") == Some(count);
    is_list && number("count").is_some_and(is_full)
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

/// Whether a name is of an object that tells of a document, and no key of a list.
pub(super) fn is_about(name: &str) -> bool {
    const TELLING: [&str; 22] = [
        "config",
        "settings",
        "options",
        "info",
        "stats",
        "statistics",
        "schema",
        "query",
        "request",
        "params",
        "context",
        "account",
        "owner",
        "profile",
        "project",
        "organization",
        "pagination",
        "links",
        "error",
        "relations",
        "total",
        "payload",
    ];
    ABOUT.contains(&name) || TELLING.contains(&name)
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

/// Whether an object with these fields can be no more than an answer, or a map by id, so far: nothing
/// in it is of an item.
pub(super) fn may_be_an_answer(own: &Map<String, Value>) -> bool {
    own.iter().all(|(name, value)| {
        is_empty(value)
            || ENVELOPE.contains(&name.as_str())
            || NEXT.contains(&name.as_str())
            || EXPORTED.contains(&name.as_str())
            || ABOUT.contains(&name.as_str())
            || (own.get("object").is_some_and(Value::is_string) && !own.contains_key("object_id"))
            || matches!(
                name.as_str(),
                "version" | "source" | "user_id" | "agent_id" | "run_id"
            ) && !own.contains_key("id")
    })
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

/// Removes the fields that say when an export was made.
pub(super) fn without_export_date(mut own: Map<String, Value>) -> Map<String, Value> {
    own.retain(|field, value| !EXPORTED.contains(&field.as_str()) || time(value).is_none());
    own
}
