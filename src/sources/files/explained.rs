//! Ids that a document uses for itself and explains: the number of a user in its table of users, of an
//! app in its table of apps. Whatever names them means what they stand for, and no id of that kind is
//! ever taken for a person.

use serde_json::{Map, Value};

use super::fields::id_text;
use crate::sources::IdKind;

/// The tables of a document that explain ids, and where they have the name.
const TABLES: [(&str, IdKind, &str); 3] = [
    ("apps", IdKind::App, "name"),
    ("agents", IdKind::Agent, "name"),
    ("categories", IdKind::Category, "name"),
];

/// Tables that follow from others, or tell of the past only.
const REDUNDANT: [&str; 1] = ["memory_categories"];

/// Tables without anything to migrate, which may be larger than what is migrated.
const HISTORIES: [&str; 5] = [
    "status_history",
    "memory_status_history",
    "access_controls",
    "memory_access_logs",
    "archive_policies",
];

/// Whether a field of a document explains ids, or repeats what other fields say.
pub(super) fn explains(field: &str) -> bool {
    TABLES.iter().any(|(name, ..)| *name == field) || REDUNDANT.contains(&field)
}

/// Whether a field of a document is a table that is not read.
pub(super) fn is_history(field: &str) -> bool {
    HISTORIES.contains(&field)
}

/// What the tables of a document explain.
pub(super) fn explained(own: &Map<String, Value>) -> Vec<(IdKind, String, String)> {
    let mut all = Vec::new();
    for (table, kind, name) in TABLES {
        let rows = own.get(table).and_then(Value::as_array);
        for row in rows.into_iter().flatten().filter_map(Value::as_object) {
            if let (Some(id), Some(name)) = (text(row, "id"), text(row, name)) {
                all.push((kind, id, name));
            }
        }
    }
    if let Some(Value::Object(user)) = own.get("user") {
        all.extend(of_user(user));
    }
    all
}

/// The internal id of a user who has another one for the outside.
pub(super) fn of_user(user: &Map<String, Value>) -> Option<(IdKind, String, String)> {
    let (id, (_, name)) = (text(user, "id")?, known_as(user)?);
    (id != name).then_some((IdKind::User, id, name))
}

/// The field that holds the id by which a user is known outside, and the id.
pub(super) fn known_as(user: &Map<String, Value>) -> Option<(&'static str, String)> {
    let first = |names: &[&'static str]| {
        let mut found = names
            .iter()
            .filter_map(|name| Some((*name, text(user, name)?)));
        found.next()
    };
    let id = first(&["id"]);
    let is_number_of_a_row = id.as_ref().is_some_and(|(_, id)| is_of_a_row(id));
    first(&["user_id", "external_id", "externalId", "external_user_id"])
        .or_else(|| first(&["username", "user_name"]).filter(|_| is_number_of_a_row))
        .or(id)
}

/// Whether an id looks like one that a database gave: a number, a UUID, 24 hexadecimal digits.
fn is_of_a_row(id: &str) -> bool {
    let is_hex = |id: &str| id.bytes().all(|digit| digit.is_ascii_hexdigit());
    id.bytes().all(|digit| digit.is_ascii_digit())
        || (id.len() == 24 && is_hex(id))
        || (id.len() == 36 && is_hex(&id.replace('-', "")))
}

/// The id of an entity of mem0 and the name that memories have of it.
pub(super) fn of_entity(entity: &Map<String, Value>) -> Option<(IdKind, String, String)> {
    let kind = match entity.get("type").and_then(Value::as_str)? {
        "user" => IdKind::User,
        "agent" => IdKind::Agent,
        "app" => IdKind::App,
        _ => return None,
    };
    let (id, name) = (text(entity, "id")?, text(entity, "name")?);
    (id != name).then_some((kind, id, name))
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(id_text)
}
