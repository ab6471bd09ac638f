//! Payloads of mem0's points, as mem0's library shows them.

use serde_json::{Map, Value};

use crate::memory::beside::{COPY, RECORD};

/// The fields of a payload that `get_all` shows beside the memory (mem0ai 2.2.1, `promoted_payload_keys`
/// and `MemoryItem`).
const SHOWN: [&str; 10] = [
    "hash",
    "created_at",
    "updated_at",
    "user_id",
    "agent_id",
    "run_id",
    "actor_id",
    "role",
    "attributed_to",
    "expiration_date",
];

/// The fields that it does not show: the text, what is made from it, and the id's place.
const HIDDEN: [&str; 3] = ["data", "text_lemmatized", "id"];

/// The fields of a row of the second collection, which holds entities.
const ENTITY: [&str; 2] = ["entity_type", "linked_memory_ids"];

/// A point as an object of `get_all`: all that is none of mem0's fields is the caller's metadata, also
/// where it is named like a mark of deletion or a session. What is no memory stays a row of a store.
pub(super) fn memory(id: Value, payload: Map<String, Value>) -> Map<String, Value> {
    let mut memory = Map::new();
    memory.insert("id".to_owned(), id);
    let is_entity = ENTITY.iter().all(|name| payload.contains_key(*name));
    let text = payload.get("data").filter(|text| text.is_string());
    let Some(text) = text.filter(|_| !is_entity).cloned() else {
        memory.insert("payload".to_owned(), Value::Object(payload));
        return memory;
    };
    memory.insert("memory".to_owned(), text);
    let mut metadata = Map::new();
    for (name, value) in payload {
        if SHOWN.contains(&name.as_str()) {
            memory.insert(name, value);
        } else if !HIDDEN.contains(&name.as_str()) {
            metadata.insert(name, value);
        }
    }
    if !metadata.is_empty() {
        memory.insert("metadata".to_owned(), Value::Object(metadata));
    }
    memory
}

/// Whether a memory is one that this program copied to mem0: Zep has what it is a copy of. Removes the mark
/// of those that it only wrote there.
pub(super) fn is_copy(memory: &mut Map<String, Value>) -> bool {
    match memory.get_mut("metadata") {
        Some(Value::Object(metadata)) => {
            metadata.shift_remove(RECORD);
            metadata.contains_key(COPY)
        }
        _ => false,
    }
}
