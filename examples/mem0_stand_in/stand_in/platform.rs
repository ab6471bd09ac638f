//! The routes of mem0 Platform.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::filters::{names_an_entity, passes};
use super::{Call, ENTITIES, KEY, Refused, State, live};

/// The most memories of a page.
const MOST_A_PAGE: usize = 200;
/// The day on which memories expire whose day is before.
const TODAY: &str = "2026-01-01";

pub(super) fn answer(state: &mut State, call: &Call) -> Result<Value, Refused> {
    if call.header("authorization") != format!("Token {KEY}") {
        return Err((401, json!({"detail": "Invalid API key."})));
    }
    let path: Vec<&str> = call.path.trim_matches('/').split('/').collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["v1", "ping"]) => Ok(json!({
            "status": "ok", "org_id": "org", "project_id": "project", "user_email": null})),
        ("GET", ["v1", "entities"]) => Ok(entities(state, call)),
        ("POST", ["v3", "memories"]) => page(state, call),
        ("POST", ["v3", "memories", "add"]) => add(state, call),
        ("POST", ["v3", "memories", "search"]) => live::search(state, call),
        ("DELETE", ["v1", "memories"]) => live::delete_all(state, call),
        ("DELETE", ["v2", "entities", kind, id]) => live::delete_entity(state, kind, id),
        ("GET", ["v1", "event", id]) => live::event(state, id),
        ("GET", ["v1", "memories", id]) => Ok(listed(found(state, id)?)),
        ("PUT", ["v1", "memories", id]) => update(state, call, id),
        ("DELETE", ["v1", "memories", id]) => {
            found(state, id)?;
            state.delete(id);
            Ok(json!({"message": "Memory deleted successfully!"}))
        }
        ("GET", ["v1", "memories", id, "history"]) => Ok(history(found(state, id)?)),
        _ => Err((404, json!({"detail": "Not found."}))),
    }
}

fn found<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Map<String, Value>, Refused> {
    let mut memories = state.memories.iter_mut();
    let found = memories.find(|memory| memory["id"] == id);
    found.ok_or((404, json!({"error": "Memory not found!"})))
}

/// A memory as lists show it: its run is a `session_id`.
fn listed(memory: &mut Map<String, Value>) -> Value {
    let mut shown = memory.clone();
    for hidden in ["run_id", "input", "history"] {
        shown.shift_remove(hidden);
    }
    shown.insert("session_id".into(), memory["run_id"].clone());
    shown.insert("structured_attributes".into(), Value::Null);
    shown.insert("synthesized".into(), false.into());
    Value::Object(shown)
}

/// Whether a memory expired, and expired ones are not asked for.
pub(super) fn is_hidden(memory: &Map<String, Value>, call: &Call) -> bool {
    let day = memory["expiration_date"].as_str();
    day.is_some_and(|day| day < TODAY) && call.body["show_expired"] != true
}

fn page(state: &mut State, call: &Call) -> Result<Value, Refused> {
    let filters = &call.body["filters"];
    if !names_an_entity(filters) {
        return Err((400, json!({"error": "filters must name an entity"})));
    }
    let size = call.number("page_size").unwrap_or(100);
    let number = call.number("page").unwrap_or(1);
    if !(1..=MOST_A_PAGE).contains(&size) {
        return Err((400, json!({"error": "page_size must be between 1 and 200"})));
    }
    let mut found: Vec<_> = state
        .memories
        .iter_mut()
        .rev()
        .filter(|memory| passes(memory, filters) && !is_hidden(memory, call))
        .collect();
    let count = found.len();
    let last = count.div_ceil(size).max(1);
    if !(1..=last).contains(&number) {
        return Err((404, json!({"detail": "Invalid page."})));
    }
    let link = |other: usize| {
        // The address of mem0 itself, as behind a proxy.
        let address = format!("https://api.mem0.ai/v3/memories/?page={other}&page_size={size}");
        (1..=last).contains(&other).then_some(address)
    };
    let on_page = found.iter_mut().skip((number - 1) * size).take(size);
    Ok(json!({
        "count": count, "next": link(number + 1), "previous": link(number - 1),
        "results": on_page.map(|memory| listed(memory)).collect::<Vec<_>>(),
    }))
}

fn add(state: &mut State, call: &Call) -> Result<Value, Refused> {
    let body = &call.body;
    let scope: Map<String, Value> = ENTITIES
        .iter()
        .filter_map(|(_, field)| Some(((*field).to_owned(), body.get(*field)?.clone())))
        .collect();
    if scope.is_empty() {
        return Err((
            400,
            json!({"error": "400 Bad Request", "details": {"message": "no entity id"}}),
        ));
    }
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let mut results = Vec::new();
    for message in &messages {
        let mut memory = scope.clone();
        memory.insert("memory".into(), message["content"].clone());
        memory.insert("input".into(), messages.clone().into());
        for field in ["metadata", "expiration_date"] {
            memory.insert(field.into(), body.get(field).cloned().unwrap_or_default());
        }
        if let Some(time) = body["timestamp"].as_i64() {
            let time = jiff::Timestamp::from_second(time)
                .expect("a time")
                .to_string();
            memory.insert("created_at".into(), time.clone().into());
            memory.insert("updated_at".into(), time.into());
        }
        let id = state.add(Value::Object(memory));
        let data = json!({"memory": message["content"]});
        results.push(json!({"id": id, "data": data, "event": "ADD"}));
    }
    let event = live::note(state, "ADD", body, &results);
    if body["infer"] == false {
        return Ok(json!({"message": "Memories stored", "status": "SUCCEEDED",
                         "event_id": event, "results": results}));
    }
    Ok(
        json!({"message": "Memory processing has been queued for background execution",
              "status": "PENDING", "event_id": event}),
    )
}

fn update(state: &mut State, call: &Call, id: &str) -> Result<Value, Refused> {
    let memory = found(state, id)?;
    let before = memory["memory"].clone();
    for (sent, kept) in [
        ("text", "memory"),
        ("metadata", "metadata"),
        ("expiration_date", "expiration_date"),
    ] {
        if let Some(value) = call.body.get(sent) {
            memory.insert(kept.into(), value.clone());
        }
    }
    memory.insert("updated_at".into(), "2025-06-01T00:00:00Z".into());
    let after = memory["memory"].clone();
    let id = format!("{}-1", memory["id"].as_str().unwrap_or_default());
    if let Some(history) = memory["history"].as_array_mut() {
        history.push(
            json!({"id": id, "event": "UPDATE", "old_memory": before, "new_memory": after,
                            "created_at": "2025-06-01T00:00:00Z", "input": []}),
        );
    }
    Ok(listed(memory))
}

fn history(memory: &mut Map<String, Value>) -> Value {
    let entries = memory["history"].as_array().cloned().unwrap_or_default();
    let complete = |entry: Value| {
        let mut whole = json!({
            "memory_id": memory["id"], "user_id": memory["user_id"], "agent_id": memory["agent_id"],
            "app_id": memory["app_id"], "session_id": memory["run_id"], "metadata": memory["metadata"],
            "categories": [], "updated_at": memory["updated_at"],
            "input": memory.get("input").cloned().unwrap_or_else(|| json!([])),
        });
        if let (Value::Object(whole), Value::Object(entry)) = (&mut whole, entry) {
            whole.extend(entry);
        }
        whole
    };
    entries.into_iter().map(complete).collect()
}

fn entities(state: &State, call: &Call) -> Value {
    let mut found: BTreeSet<(&str, String)> = state.entities.iter().cloned().collect();
    for memory in &state.memories {
        for (kind, field) in ENTITIES {
            if let Some(name) = memory[field].as_str() {
                found.insert((kind, name.to_owned()));
            }
        }
    }
    found.retain(|(_, name)| !state.unlisted.contains(name));
    let size = state.entities_a_page;
    let number = call.number("page").unwrap_or(1);
    let last = found.len().div_ceil(size).max(1);
    let next =
        (number < last).then(|| format!("https://api.mem0.ai/v1/entities/?page={}", number + 1));
    let shown = |(kind, name): &(&str, String)| {
        json!({"id": name, "name": name, "type": kind, "owner": "org", "metadata": null,
               "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z"})
    };
    let on_page = found
        .iter()
        .skip((number - 1).saturating_mul(size))
        .take(size);
    json!({"count": found.len(), "next": next, "previous": null,
           "results": on_page.map(shown).collect::<Vec<_>>()})
}
