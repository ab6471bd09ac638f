//! Rows of vector stores, as their clients and tools write them. mem0 keeps a memory as the payload
//! of a point: its text in `data`, its other fields beside it.
//!
//! | store | a row |
//! |---|---|
//! | Qdrant, pgvector, Supabase, MongoDB, Azure, Cassandra | `{"id", "payload": {…}}`, the payload also as JSON text |
//! | Pinecone, Milvus, S3, Upstash | `{"id", "metadata": {…}}` |
//! | Elasticsearch, OpenSearch | `{"_id", "_source": {"metadata" or "payload": {…}}}` |
//! | Weaviate | `{"id", "properties": {…}}` |
//! | Chroma | `{"ids": […], "metadatas": […], "documents": […]}`: columns |
//! | Redis, Valkey | `{"memory_id", "memory", "metadata": "{…}", "created_at": seconds}`, in tools' dumps within `value` |
//! | FAISS | `{"docstore": {"<id>": {…}}}` |

use serde_json::{Map, Value};

use super::fields::{id_text, is_empty};

/// The fields that hold a payload, in order of precedence.
const PAYLOADS: [&str; 8] = [
    "payload",
    "value",
    "_source",
    "properties",
    "entity",
    "record",
    "metadata",
    "kwargs",
];

/// The fields that identify a row, in order of precedence.
const ROW_IDS: [&str; 7] = ["id", "_id", "uuid", "key", "vector_id", "point_id", "pk"];

/// The fields of a memory that Redis and Valkey keep in the metadata.
const LIFTED: [&str; 7] = [
    "role",
    "actor_id",
    "attributed_to",
    "expiration_date",
    "entity_type",
    "linked_memory_ids",
    "text_lemmatized",
];

/// The fields of a row or a payload that are the store's own, or made from the text.
const TECHNICAL: [&str; 26] = [
    "vector",
    "vectors",
    "values",
    "sparse_values",
    "sparseValues",
    "embedding",
    "embeddings",
    "text_lemmatized",
    "score",
    "_score",
    "@search.score",
    "distance",
    "certainty",
    "version",
    "_version",
    "_seq_no",
    "_primary_term",
    "_index",
    "_type",
    "_additional",
    "shard_key",
    "order_value",
    "class",
    "tenant",
    "collection",
    "namespace",
];

/// The fields of a payload that hold the text of a memory.
const TEXT: [&str; 5] = ["data", "memory", "text", "content", "page_content"];

/// What a row is that is no memory.
pub(super) const ENTITY_ROW: &str =
    "a row of mem0's second collection, which holds entities and no memories";
pub(super) const MARKER_ROW: &str = "a row by which mem0 recognises an installation";

fn says(fields: &Map<String, Value>) -> bool {
    TEXT.iter()
        .any(|name| fields.get(*name).is_some_and(Value::is_string))
}

/// Whether a field holds numbers that only the store needs.
pub(super) fn is_vector(name: &str) -> bool {
    matches!(
        name,
        "vector" | "vectors" | "embedding" | "embeddings" | "values" | "sparse_values"
    )
}

/// An object, which may be written as text.
pub(super) fn as_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        Value::String(text) if text.trim_start().starts_with('{') => {
            serde_json::from_str(&text).ok()
        }
        _ => None,
    }
}

/// Puts the payload of a row in the place of the row. Answers whether it was a row.
pub(super) fn unwrap_row(row: &mut Map<String, Value>) -> bool {
    let mut was_row = false;
    // `_source` holds a payload itself.
    for _ in 0..2 {
        if says(row) || !unwrap_once(row) {
            break;
        }
        was_row = true;
    }
    was_row |= lift(row);
    if was_row || row.contains_key("text_lemmatized") {
        row.retain(|name, _| !TECHNICAL.contains(&name.as_str()));
    }
    was_row
}

/// Puts fields of a memory out of the metadata of a hash of Redis or Valkey. Answers whether it was one.
fn lift(row: &mut Map<String, Value>) -> bool {
    let metadata = row.get("metadata").filter(|metadata| metadata.is_string());
    let Some(mut metadata) = metadata.cloned().and_then(as_object) else {
        return false;
    };
    if !row.contains_key("memory_id") {
        return false;
    }
    for name in LIFTED {
        if let Some(value) = metadata.shift_remove(name) {
            row.entry(name).or_insert(value);
        }
    }
    row.insert("metadata".to_owned(), Value::Object(metadata));
    // mem0 writes 0 where it knows no time.
    row.retain(|name, value| {
        let is_zero = *value == 0 || *value == "0";
        !(is_zero && matches!(name.as_str(), "created_at" | "updated_at"))
    });
    true
}

fn unwrap_once(row: &mut Map<String, Value>) -> bool {
    let holds = |inner: &Map<String, Value>, name: &str| {
        says(inner)
            || (name == "_source" && PAYLOADS.iter().any(|name| inner.contains_key(*name)))
            || (name == "payload" && not_a_memory(inner).is_some())
    };
    let found = PAYLOADS.iter().find_map(|name| {
        let inner = as_object(row.get(*name)?.clone())?;
        holds(&inner, name).then_some((*name, inner))
    });
    let Some((name, inner)) = found else {
        return false;
    };
    // A person with a description is none.
    if name == "metadata"
        && ["name", "email", "role"]
            .iter()
            .any(|of| row.contains_key(*of))
    {
        return false;
    }
    row.shift_remove(name);
    if inner.contains_key("memory_id") {
        // The key is that of the hash.
        row.shift_remove("key");
    }
    let id = ROW_IDS
        .iter()
        .find_map(|name| Some((*name, oid(row.get(*name)?)?)));
    if let Some((name, id)) = id {
        row.shift_remove(name);
        row.insert("id".to_owned(), id.into());
    }
    row.retain(|name, value| !TECHNICAL.contains(&name.as_str()) && !is_empty(value));
    for (mut name, value) in inner {
        let is_id = name == "id" && row.contains_key("id");
        if is_id || row.get(&name) == Some(&value) {
            continue;
        }
        while row.contains_key(&name) {
            name = format!("payload_{name}");
        }
        row.insert(name, value);
    }
    true
}

/// The text of an id, which MongoDB wraps.
fn oid(value: &Value) -> Option<String> {
    id_text(value.get("$oid").unwrap_or(value))
}

/// Why the fields of a payload are no memory, if they are known to be none.
pub(super) fn not_a_memory(payload: &Map<String, Value>) -> Option<&'static str> {
    if payload.contains_key("linked_memory_ids") && payload.contains_key("entity_type") {
        return Some(ENTITY_ROW);
    }
    let is_marker = payload.get("type").and_then(Value::as_str) == Some("user_identity");
    (is_marker && !says(payload)).then_some(MARKER_ROW)
}

/// Whether a row came without its payload.
pub(super) fn lacks_payload(row: &Map<String, Value>) -> bool {
    let is_absent = |name: &str| row.get(name).is_some_and(is_empty);
    !says(row) && row.contains_key("id") && (is_absent("payload") || is_absent("_source"))
}

/// Whether these are columns: lists of the same length, beside each other.
pub(super) fn is_columns(own: &Map<String, Value>) -> bool {
    let list = |name: &str| own.get(name).is_some_and(Value::is_array);
    list("ids") && (list("metadatas") || list("documents"))
}

/// The rows of columns. A query answers with a list of columns.
pub(super) fn rows(mut own: Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut column = |name: &str| match own.shift_remove(name) {
        Some(Value::Array(values)) if values.iter().all(Value::is_array) => values
            .into_iter()
            .filter_map(|value| match value {
                Value::Array(values) => Some(values),
                _ => None,
            })
            .flatten()
            .collect(),
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    };
    let (ids, metadatas, documents) = (column("ids"), column("metadatas"), column("documents"));
    let mut metadatas = metadatas.into_iter();
    let mut documents = documents.into_iter();
    ids.into_iter()
        .map(|id| {
            let mut row = match metadatas.next() {
                Some(Value::Object(metadata)) => metadata,
                _ => Map::new(),
            };
            row.insert("id".to_owned(), id);
            match documents.next() {
                Some(Value::String(text)) if !says(&row) => {
                    row.insert("data".to_owned(), text.into());
                }
                _ => {}
            }
            row.retain(|name, _| !TECHNICAL.contains(&name.as_str()));
            row
        })
        .collect()
}
