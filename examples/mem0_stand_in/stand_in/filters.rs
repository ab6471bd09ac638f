//! mem0's filters, as far as lists and searches of memories need them.

use std::cmp::Ordering;

use jiff::Timestamp;
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
            ("NOT", one) => !passes(memory, one),
            ("metadata", Value::Object(fields)) => fields
                .iter()
                .all(|(name, wanted)| is(&memory["metadata"][name], wanted)),
            (name, wanted) => is(memory.get(name).unwrap_or(&Value::Null), wanted),
        })
}

/// Whether a value is this one, is one at all (`*`), or passes these comparisons.
fn is(value: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::String(any) if any == "*" => !value.is_null(),
        Value::Object(each) => each.iter().all(|(how, than)| compares(value, how, than)),
        wanted => value == wanted,
    }
}

fn compares(value: &Value, how: &str, than: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match how {
        "eq" => value == than,
        "ne" => value != than,
        "in" => than.as_array().is_some_and(|each| each.contains(value)),
        "contains" => match value {
            Value::Array(each) => each.contains(than),
            value => text(value).contains(&text(than)),
        },
        "icontains" => text(value)
            .to_lowercase()
            .contains(&text(than).to_lowercase()),
        "gt" => order(value, than).is_some_and(Ordering::is_gt),
        "gte" => order(value, than).is_some_and(Ordering::is_ge),
        "lt" => order(value, than).is_some_and(Ordering::is_lt),
        "lte" => order(value, than).is_some_and(Ordering::is_le),
        _ => false,
    }
}

/// Times are compared as times, also where one of them is a day.
fn order(value: &Value, than: &Value) -> Option<Ordering> {
    match (value, than) {
        (Value::Number(value), Value::Number(than)) => value.as_f64()?.partial_cmp(&than.as_f64()?),
        (Value::String(value), Value::String(than)) => {
            let times = value.parse::<Timestamp>().ok().zip(than.parse().ok());
            Some(times.map_or_else(|| value.cmp(than), |(value, than)| value.cmp(&than)))
        }
        _ => None,
    }
}
