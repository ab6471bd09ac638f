//! Reading, changing and deleting memories by id or by scope: it affects exactly what was meant,
//! the answer says what happened, and nothing is lost, doubled or restored, whatever fails.

mod asking;
mod beside;
mod deleting;
mod entities;
mod facts;
mod following;
mod forgetting;
mod getting;
mod interrupted;
mod purging;
mod scopes;
mod stateless;
mod stopped;
mod updating;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::program::Client;
use crate::common::service::Service;

/// Stores one memory; returns its id.
fn add(client: &mut Client, arguments: Value) -> String {
    add_all(client, arguments).remove(0)
}

/// Stores memories in one call; returns their ids.
fn add_all(client: &mut Client, arguments: Value) -> Vec<String> {
    let answer = client.call("add_memory", arguments);
    let stored = answer["results"].as_array().unwrap().iter();
    stored.map(|memory| text_of(memory, "id")).collect()
}

/// A text field.
fn text_of(value: &Value, field: &str) -> String {
    let text = value[field].as_str();
    text.unwrap_or_else(|| panic!("no {field}: {value}"))
        .to_owned()
}

/// A memory by its id alone.
fn get(client: &mut Client, id: &str) -> Value {
    client.call("get_memory", json!({ "memory_id": id }))
}

/// No memory has this id.
fn is_gone(client: &mut Client, arguments: &Value) {
    let error = client.refused("get_memory", arguments.clone());
    assert_eq!(error["error"], "not_found", "{error}");
}

/// All memories on all pages of a list.
fn listed(client: &mut Client, user: &str) -> Vec<Value> {
    let arguments = json!({"user_id": user, "page_size": 200, "sources": true});
    let page = client.call("get_memories", arguments);
    assert_eq!(page["next"], Value::Null, "more than one page");
    page["results"].as_array().unwrap().clone()
}

/// The results of mem0's search.
fn found(client: &mut Client, user: &str, query: &str) -> Vec<Value> {
    let arguments = json!({"user_id": user, "query": query, "limit": 50, "sources": true});
    let answer = client.call("search_memories", arguments);
    answer["results"].as_array().unwrap().clone()
}

/// The texts that any read shows of a user for this query.
fn shown(client: &mut Client, user: &str, query: &str) -> BTreeSet<String> {
    let mut all = listed(client, user);
    all.extend(found(client, user, query));
    for scope in ["facts", "episodes"] {
        let question = json!({"user_id": user, "query": query, "scope": scope, "limit": 50});
        all.extend(client.search(question));
    }
    all.iter().map(|memory| text_of(memory, "memory")).collect()
}

/// The facts drawn from an episode.
fn facts_of(client: &mut Client, user: &str, episode: &str) -> Vec<Value> {
    let mut all = listed(client, user);
    all.retain(|memory| memory["sources"] == json!([episode]));
    all
}

/// A user made by another client of Zep.
fn make_user(service: &Service, user: &str) {
    let (status, answer) = service.call("POST", &["users"], Some(&json!({ "user_id": user })));
    assert!(status < 300, "{answer}");
}

/// A text stored by another client of Zep; returns its id.
fn foreign_text(service: &Service, user: &str, text: &str) -> String {
    let body = json!({"user_id": user, "type": "text", "data": text});
    let (status, answer) = service.call("POST", &["graph"], Some(&body));
    assert!(status < 300, "{answer}");
    text_of(&answer, "uuid")
}

/// An episode in Zep, if it exists.
fn episode(service: &Service, id: &str) -> Option<Value> {
    let (status, answer) = service.call("GET", &["graph", "episodes", id], None);
    (status != 404).then_some(answer)
}
