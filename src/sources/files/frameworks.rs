//! Shapes of agent frameworks and services that need more than other names of fields: conversations
//! that are trees, memories that are wrapped, and shapes that are known and not read.

use serde_json::{Map, Value, json};

/// What a turn is that the conversation did not go on from.
pub(super) const OTHER_BRANCH: &str = "a turn of a branch that its conversation did not continue (ChatGPT: an answer or a question that \
     was replaced)";

/// Shapes that are known and not read, by fields that only they have.
const KNOWN: [(&[&str], &str); 10] = [
    (
        &["mapping"],
        "not read: a conversation of ChatGPT's own export without a tree in `mapping`",
    ),
    (
        &["float32"],
        "not read: a vector without a payload; export the metadata of the rows too",
    ),
    (
        &["tasks_output"],
        "not read: the result of a CrewAI crew; give its `messages`",
    ),
    (
        &["task_description", "score"],
        "not read: CrewAI's long-term memory, which rates tasks and holds no memories of users",
    ),
    (
        &["context", "score"],
        "not read: an answer to a search in CrewAI's memory; give its texts as `memory`",
    ),
    (
        &["agent_states"],
        "not read: the state of an AutoGen team; give the `messages` in the `llm_context` of its agents",
    ),
    (
        &["namespace", "key", "value"],
        "not read: an item of LangGraph's store whose `value` has no text",
    ),
    (
        &["source", "relationship"],
        "not read: relations of a graph; export the memories that they were made from",
    ),
    (
        &["nodes"],
        "not read: nodes of a graph; export the memories that they were made from",
    ),
    (
        &["relationships"],
        "not read: relations of a graph; export the memories that they were made from",
    ),
];

/// What an object is that is known and not read.
pub(super) fn known_by_name(own: &Map<String, Value>) -> Option<&'static str> {
    let has_all = |fields: &[&str]| fields.iter().all(|field| own.contains_key(*field));
    let mut known = KNOWN.iter().filter(|(fields, _)| has_all(fields));
    known.next().map(|(_, reason)| *reason)
}

/// Takes a memory out of what a framework wraps it in: an item of LangGraph's store, a block of Letta's
/// core memory.
pub(super) fn unwrap_memory(own: &mut Map<String, Value>) {
    if own.get("namespace").is_some_and(Value::is_array) && own.contains_key("key") {
        let Some(mut value) = own.get("value").and_then(Value::as_object).cloned() else {
            return;
        };
        // LangMem: `{"kind": "Memory", "content": {"content": "…"}}`
        if let Some(Value::Object(inner)) = value.get("content").cloned() {
            value.shift_remove("content");
            value.extend(inner);
        }
        let text = ["content", "text", "memory", "data"];
        let text = text
            .into_iter()
            .find(|name| value.get(*name).is_some_and(Value::is_string));
        let Some(text) = text.and_then(|name| value.shift_remove(name)) else {
            return;
        };
        own.shift_remove("value");
        for (name, value) in value {
            own.entry(name).or_insert(value);
        }
        if let Some(id) = own.shift_remove("key") {
            own.entry("id").or_insert(id);
        }
        own.insert("memory".to_owned(), text);
        return;
    }
    let is_text = |name: &str| own.get(name).is_some_and(Value::is_string);
    if is_text("label") && is_text("value") && own.contains_key("limit") {
        let text = own.shift_remove("value").unwrap_or_default();
        own.insert("memory".to_owned(), text);
    }
}

/// A conversation that is a tree, as the list of the turns from its root to where it is now, and how
/// many turns are on other branches. `None` if the object is none.
pub(super) fn untangled(own: &mut Map<String, Value>) -> Option<(Value, u64)> {
    let nodes = own.get("mapping")?.as_object()?;
    let is_tree = |node: &Value| node.get("children").is_some_and(Value::is_array);
    if nodes.is_empty() || !nodes.values().all(is_tree) {
        return None;
    }
    let has_turn = |node: &&Value| node.get("message").is_some_and(Value::is_object);
    let all = nodes.values().filter(has_turn).count();
    let made_at = |node: &Value| {
        let at = node.get("message").and_then(|turn| turn.get("create_time"));
        at.and_then(Value::as_f64).unwrap_or_default()
    };
    let current = own.get("current_node").and_then(Value::as_str);
    let latest = || {
        let nodes = nodes.iter();
        let latest = nodes.max_by(|(_, one), (_, other)| made_at(one).total_cmp(&made_at(other)));
        latest.map(|(id, _)| id.as_str())
    };
    let mut next = current.filter(|id| nodes.contains_key(*id)).or_else(latest);
    let mut turns = Vec::new();
    // A tree is no deeper than it has nodes.
    for _ in 0..nodes.len() {
        let Some(node) = next.and_then(|id| nodes.get(id)) else {
            break;
        };
        turns.extend(node.get("message").and_then(Value::as_object).map(turn_of));
        next = node.get("parent").and_then(Value::as_str);
    }
    turns.reverse();
    let others = (all - turns.len()) as u64;
    let mut whole = std::mem::take(own);
    whole.shift_remove("mapping");
    whole.shift_remove("current_node");
    let id = whole.shift_remove("conversation_id");
    if let Some(id) = id.or_else(|| whole.get("id").cloned()) {
        whole.shift_remove("id");
        whole.insert("session_id".to_owned(), id);
    }
    whole.insert("messages".to_owned(), Value::Array(turns));
    Some((Value::Object(whole), others))
}

/// A turn of a tree with the names of fields that turns have.
fn turn_of(message: &Map<String, Value>) -> Value {
    let mut turn = message.clone();
    let author = turn.shift_remove("author").unwrap_or_default();
    let role = author.get("role").cloned().unwrap_or_else(|| json!("user"));
    turn.insert("role".to_owned(), role);
    if let Some(name) = author.get("name").filter(|name| name.is_string()) {
        turn.insert("name".to_owned(), name.clone());
    }
    // The state of the answer's making, not of the turn.
    turn.shift_remove("status");
    Value::Object(turn)
}
