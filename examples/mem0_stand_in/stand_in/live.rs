//! The routes of mem0 Platform that a server in front of it needs beside those of lists: the search,
//! deletions of many memories, and events. What is done in the background is done at once.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::filters::{names_an_entity, passes};
use super::platform::is_hidden;
use super::{Call, ENTITIES, Refused, State};

/// The most memories that a search answers, and how many unless asked for.
const MOST_FOUND: u64 = 1_000;
const DEFAULT_FOUND: u64 = 10;
/// The least score unless asked for.
const THRESHOLD: f64 = 0.1;

fn invalid(error: &str) -> Refused {
    (400, json!({"error": error}))
}

fn words(text: &str) -> HashSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Ranks by words in common: the score is the part of the query's words that a memory has.
pub(super) fn search(state: &State, call: &Call) -> Result<Value, Refused> {
    let (body, filters) = (&call.body, &call.body["filters"]);
    let asked = words(body["query"].as_str().unwrap_or_default());
    if asked.is_empty() {
        return Err(invalid("query must not be empty"));
    }
    let is_top_level = ENTITIES.iter().any(|(_, field)| body.get(field).is_some());
    if is_top_level || !names_an_entity(filters) {
        return Err(invalid("filters must name an entity"));
    }
    let top_k = body["top_k"].as_u64().unwrap_or(DEFAULT_FOUND);
    if !(1..=MOST_FOUND).contains(&top_k) {
        return Err(invalid("top_k must be between 1 and 1000"));
    }
    let threshold = body["threshold"].as_f64().unwrap_or(THRESHOLD);
    let score = |memory: &Map<String, Value>| {
        let known = words(memory["memory"].as_str().unwrap_or_default());
        asked.intersection(&known).count() as f64 / asked.len() as f64
    };
    let mut found: Vec<_> = state
        .memories
        .iter()
        .rev()
        .filter(|memory| passes(memory, filters) && !is_hidden(memory, call))
        .map(|memory| (score(memory), memory))
        .filter(|(score, _)| *score > 0.0 && *score >= threshold)
        .collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let shown = |(score, memory): (f64, &Map<String, Value>)| {
        let mut shown = memory.clone();
        for hidden in ["input", "history", "replaced_by"] {
            shown.shift_remove(hidden);
        }
        shown.insert("score".into(), score.into());
        Value::Object(shown)
    };
    let top_k = usize::try_from(top_k).expect("a small number");
    let results: Value = found.into_iter().take(top_k).map(shown).collect();
    Ok(json!({"results": results}))
}

/// Deletes the memories that have all entities of the query.
pub(super) fn delete_all(state: &mut State, call: &Call) -> Result<Value, Refused> {
    let of: Map<String, Value> = ENTITIES
        .iter()
        .filter_map(|(_, field)| {
            let id = call.query.get(*field)?;
            Some(((*field).to_owned(), id.as_str().into()))
        })
        .collect();
    if of.is_empty() {
        return Err(invalid("At least one filter is required"));
    }
    Ok(forget(state, of))
}

pub(super) fn delete_entity(state: &mut State, kind: &str, id: &str) -> Result<Value, Refused> {
    let Some((kind, field)) = ENTITIES.iter().find(|(known, _)| *known == kind) else {
        return Err((400, json!({"message": "Invalid entity type"})));
    };
    let id = percent_decode_str(id).decode_utf8_lossy();
    state
        .entities
        .retain(|(other, name)| other != kind || *name != id);
    let of = Map::from_iter([((*field).to_owned(), id.into())]);
    Ok(forget(state, of))
}

fn forget(state: &mut State, of: Map<String, Value>) -> Value {
    let of = Value::Object(of);
    state.memories.retain(|memory| !passes(memory, &of));
    let event = note(state, "DELETE", &of, &[]);
    json!({"message": "Delete in progress. This may take some time.", "event_id": event})
}

/// Notes what was done, and answers the event's id.
pub(super) fn note(state: &mut State, kind: &str, payload: &Value, results: &[Value]) -> String {
    let n = state.events.len() + 1;
    let id = format!("{n:08x}-0000-4000-a000-{n:012x}");
    let time = "2025-01-01T00:00:00Z";
    state.events.push(json!({
        "id": id, "event_type": kind, "status": "SUCCEEDED", "payload": payload, "metadata": null,
        "results": results, "created_at": time, "updated_at": time, "started_at": time,
        "completed_at": time, "latency": 1.0, "graph_status": null, "error": null,
    }));
    id
}

pub(super) fn event(state: &State, id: &str) -> Result<Value, Refused> {
    let found = state.events.iter().find(|event| event["id"] == id);
    let error = "Event not found or you don't have permission to access it.";
    found.cloned().ok_or((404, json!({"error": error})))
}
