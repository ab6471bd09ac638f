//! What an object says of all items in it: whose they are, when they were exported, whether there are
//! more pages.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::explained::{explains, known_as};
use super::fields::{id_text, is_empty};
use super::gone::gone;
use super::shape::{SESSION_IDS, Shape};
use super::time::time;
use crate::sources::{Gone, Names};

/// The fields that say when an export was made.
pub(super) const EXPORTED: [&str; 4] = ["exported_at", "export_date", "generated_at", "ts"];

/// The fields of an answer that only describe the answer.
pub(super) const ENVELOPE: [&str; 30] = [
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
pub(super) const NEXT: [&str; 6] = [
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

/// How many memories mem0's command line lists at most: its own number, and others that people give.
const CLI_PAGES: [u64; 3] = [50, 100, 200];

/// The fields of [`ABOUT`] by which an export was narrowed.
const NARROWED: [&str; 3] = ["app_id_filter", "from_date", "to_date"];

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
                !(used.contains(name) || describes || is_document && explains(name))
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
    // A checkpoint may hold the messages, too.
    (ABOUT.contains(&name) && name != "checkpoint") || TELLING.contains(&name)
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

/// Removes the fields that say when an export was made.
pub(super) fn without_export_date(mut own: Map<String, Value>) -> Map<String, Value> {
    own.retain(|field, value| !EXPORTED.contains(&field.as_str()) || time(value).is_none());
    own
}
