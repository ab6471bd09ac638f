//! mem0's filters, as far as lists of memories need them.

use serde_json::{Map, Value};

use super::ENTITIES;

/// Whether a filter names an entity, as mem0 demands.
pub(super) fn names_an_entity(filters: &Value) -> bool {
    match filters {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            ENTITIES.iter().any(|(_, field)| field == name) || names_an_entity(value)
        }),
        Value::Array(each) => each.iter().any(names_an_entity),
        _ => false,
    }
}

/// Whether a memory passes a filter.
pub(super) fn passes(memory: &Map<String, Value>, filters: &Value) -> bool {
    let Value::Object(fields) = filters else {
        return false;
    };
    fields
        .iter()
        .all(|(name, wanted)| match (name.as_str(), wanted) {
            ("AND", Value::Array(each)) => each.iter().all(|one| passes(memory, one)),
            ("OR", Value::Array(each)) => each.iter().any(|one| passes(memory, one)),
            ("NOT", Value::Array(each)) => !each.iter().any(|one| passes(memory, one)),
            (name, Value::String(any)) if any == "*" => {
                memory.get(name).is_some_and(|it| !it.is_null())
            }
            (name, wanted) => memory.get(name) == Some(wanted),
        })
}
