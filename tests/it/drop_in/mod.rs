//! An agent written against mem0-mcp-server finds the same tools, arguments, answer fields, filter
//! language and pages here. On the embedded store, and in front of Zep's API as the emulator speaks
//! it.

mod answers;
pub mod contract;
mod differential;
mod listing;
mod narrowing;
mod odd;
mod paging;
mod patterns;
mod service;
mod settings;
mod sources;
mod wrong;

use serde_json::{Value, json};

use crate::common::program::Client;

/// Adds a text with these further arguments; returns its id.
fn add(client: &mut Client, text: &str, more: &Value) -> String {
    let added = client.call("add_memory", with(&json!({"text": text}), more));
    added["results"][0]["id"].as_str().unwrap().to_owned()
}

/// An object extended by the fields of another.
fn with(arguments: &Value, more: &Value) -> Value {
    let mut whole = arguments.clone();
    whole
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    whole
}

/// All memories that a filter matches, read page by page.
fn listed(client: &mut Client, filters: &Value, page_size: u32) -> Vec<Value> {
    let mut arguments = json!({"filters": filters, "page_size": page_size, "sources": true});
    let mut all = Vec::new();
    loop {
        let page = client.call("get_memories", arguments.clone());
        assert_eq!(page["truncated"], false, "{filters}");
        all.extend(page["results"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            None => {
                assert_eq!(page["count"], all.len(), "{filters}");
                return all;
            }
            Some(next) => arguments = with(&arguments, &arguments_in(next)),
        }
    }
}

/// The arguments in `next` and `previous`, as in a page's address.
fn arguments_in(link: &str) -> Value {
    link.trim_start_matches('?')
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let value = value
                .parse::<i64>()
                .map_or_else(|_| json!(value), |number| json!(number));
            (name.to_owned(), value)
        })
        .collect()
}

/// The texts of some memories, sorted.
fn texts(memories: &[Value]) -> Vec<String> {
    let mut texts = in_order(memories);
    texts.sort_unstable();
    texts
}

/// The texts of some memories, in order.
fn in_order(memories: &[Value]) -> Vec<String> {
    memories
        .iter()
        .map(|memory| memory["memory"].as_str().unwrap().to_owned())
        .collect()
}

/// The results of `search_memories`.
fn found(client: &mut Client, arguments: Value) -> Vec<Value> {
    let arguments = with(&json!({"sources": true}), &arguments);
    let answer = client.call("search_memories", arguments);
    answer["results"].as_array().unwrap().clone()
}
