//! Dumps of vector stores, as the tools of each write them.

use serde_json::{Value, json};
use zep_mcp_server::sources::{Severity, SourceItem};

use super::{Read, read};

/// What mem0 keeps of a memory.
fn payload() -> Value {
    json!({"data": "Likes tea", "hash": "5c3", "text_lemmatized": "like tea", "user_id": "ann",
        "agent_id": "bot", "run_id": "r", "role": "assistant", "actor_id": "Bot", "mood": "calm",
        "created_at": "2025-02-13T10:16:34.123456-08:00", "updated_at": "2025-03-01T00:00:00+00:00"})
}

/// A row of the second collection.
fn entity() -> Value {
    json!({"data": "tea", "entity_type": "NOUN", "linked_memory_ids": ["m-1"], "user_id": "ann"})
}

/// Checks that a dump has this one memory, and nothing else but so many rows of entities.
#[track_caller]
fn is_one_memory(dump: &str, entities: usize) -> Read {
    let found = read(dump).whole();
    let [record] = found.records()[..] else {
        panic!("{dump}: {:#?}", found.items)
    };
    assert_eq!(record.id.as_deref(), Some("m-1"), "{dump}");
    assert_eq!(record.content, "Likes tea", "{dump}");
    let names = &record.names;
    assert_eq!(names.user.as_deref(), Some("ann"), "{dump}");
    assert_eq!(names.agent.as_deref(), Some("bot"), "{dump}");
    assert_eq!(names.session.as_deref(), Some("r"), "{dump}");
    assert_eq!(record.role, "assistant", "{dump}");
    assert_eq!(record.name.as_deref(), Some("Bot"), "{dump}");
    let created = record.created_at.map(|at| at.as_second());
    assert_eq!(created, Some(1_739_470_594), "{dump}");
    let updated = record.updated_at.map(|at| at.as_second());
    assert_eq!(updated, Some(1_740_787_200), "{dump}");
    let metadata = Value::Object(record.metadata.clone());
    assert_eq!(metadata, json!({"hash": "5c3", "mood": "calm"}), "{dump}");
    let left_out = found.items.iter();
    let left_out = left_out.filter(|item| matches!(item, SourceItem::LeftOut(_)));
    assert_eq!(left_out.count(), entities, "{dump}");
    found
}

#[test]
fn rows_of_postgres_are_read_one_a_line_or_as_a_list() {
    let (memory, entity) = (payload(), entity());
    // `psql -At -c "select json_build_object('id', id, 'payload', payload) from mem0"`
    let lines = format!(
        "{{\"id\" : \"m-1\", \"payload\" : {memory}}}\n{{\"id\" : \"e-1\", \"payload\" : {entity}}}\n"
    );
    is_one_memory(&lines, 1);
    // `select json_agg(t) from mem0 t`, which breaks lines between rows.
    let list = format!(
        "[{{\"id\":\"m-1\",\"vector\":\"[0.1,0.2]\",\"payload\":{memory}}}, \n \
         {{\"id\":\"e-1\",\"vector\":\"[0.1,0.2]\",\"payload\":{entity}}}]\n"
    );
    is_one_memory(&list, 1);
}

#[test]
fn a_scroll_of_qdrant_is_read_and_more_pages_are_a_warning() {
    let page = |next: Value| {
        json!({"result": {"points": [
            {"id": "m-1", "payload": payload(), "vector": null, "shard_key": null},
            {"id": "e-1", "payload": entity()},
        ], "next_page_offset": next}, "status": "ok", "time": 0.001, "usage": null})
        .to_string()
    };
    is_one_memory(&page(Value::Null), 1);
    let found = read(page(json!("m-2")));
    let problems = found.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].severity, Severity::Warning);
}

#[test]
fn columns_of_chroma_are_read() {
    // `json.dumps(collection.get())`
    let all = json!({"ids": ["m-1", "e-1"], "embeddings": null, "documents": [null, null],
        "uris": null, "included": ["metadatas", "documents"], "data": null,
        "metadatas": [payload(), entity()]});
    is_one_memory(&all.to_string(), 1);
}

#[test]
fn hashes_of_redis_are_read_with_what_is_in_their_metadata() {
    let hash = |id: &str, payload: &Value| {
        let text = |name: &str| payload[name].as_str().unwrap_or_default();
        let mut metadata = payload.as_object().unwrap().clone();
        for own in [
            "user_id",
            "agent_id",
            "run_id",
            "hash",
            "data",
            "created_at",
            "updated_at",
        ] {
            metadata.shift_remove(own);
        }
        let mut hash = json!({"memory_id": id, "memory": text("data"), "hash": text("hash"),
            "user_id": text("user_id"), "embedding": "\u{1}\u{2}", "created_at": "1739470594",
            "updated_at": "1740787200", "metadata": Value::Object(metadata).to_string()});
        for name in ["agent_id", "run_id"] {
            if let Some(value) = payload.get(name) {
                hash[name] = value.clone();
            }
        }
        hash
    };
    let (memory, entity) = (hash("m-1", &payload()), hash("e-1", &entity()));
    // `redis-cli --json HGETALL`, one after the other.
    is_one_memory(&format!("{memory}\n{entity}\n"), 1);
    // A dump by key.
    is_one_memory(
        &json!([{"mem0:m-1": memory, "mem0:e-1": entity}]).to_string(),
        1,
    );
    // A line for each key, with its type.
    let line = |key: &str, hash: &Value| json!({"db": 0, "key": key, "ttl": -1, "type": "hash", "value": hash, "size": 900});
    let dump = format!(
        "{}\n{}\n",
        line("mem0:m-1", &memory),
        line("mem0:e-1", &entity)
    );
    let found = read(dump).whole();
    assert_eq!(found.records().len(), 1, "{:#?}", found.items);
    assert_eq!(found.records()[0].id.as_deref(), Some("m-1"));
    assert_eq!(found.records()[0].role, "assistant");

    let mut expired = payload();
    expired["expiration_date"] = json!("2020-01-01");
    let mut expired = hash("m-1", &expired);
    expired["created_at"] = json!(0);
    let found = read(expired.to_string()).whole();
    let record = found.records()[0];
    assert_eq!(
        record.expires.map(|day| day.to_string()).as_deref(),
        Some("2020-01-01")
    );
    assert_eq!(
        record.created_at, None,
        "mem0 writes 0 where it knows no time"
    );
}

#[test]
fn the_docstore_of_faiss_is_read_and_a_pickle_is_refused_by_name() {
    let docstore = json!({"docstore": {"m-1": payload(), "e-1": entity()},
        "index_to_id": {"0": "m-1", "1": "e-1"}});
    is_one_memory(&docstore.to_string(), 1);
    is_one_memory(&serde_json::to_string_pretty(&docstore).unwrap(), 1);
    let pickle = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x03m-1\x94}\x94s.";
    let found = read(pickle);
    assert!(
        found.problem().defect.reason.contains("a Python pickle"),
        "{:#?}",
        found.items
    );
}
