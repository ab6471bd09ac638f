//! The answers that mem0 documents (its OpenAPI document, in `answers.json`): every field can be
//! read here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::contract::{fixture, validator};
use super::{add, with};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    answers_are_what_mem0_documents_but_for_what_is_named_here,
    an_answer_tells_nothing_twice_and_what_was_asked_for,
);

/// Fields that mem0 documents and that do not exist here: Zep has no equivalent, or the single
/// answer here covers what mem0 finishes later. All others exist.
const NOT_TOLD: [(&str, &[&str]); 11] = [
    ("add_memory", &["results.data"]),
    (
        "search_memories",
        &["results.score_breakdown", "results.expiration_date"],
    ),
    (
        "get_memories",
        &[
            "results.structured_attributes",
            "results.replaced_by",
            "results.synthesized",
            "results.expiration_date",
        ],
    ),
    ("get_memory", OF_ONE),
    ("update_memory", OF_ONE),
    ("list_entities", &[]),
    (
        "list_events",
        &[
            "results.payload",
            "results.metadata",
            "results.started_at",
            "results.completed_at",
            "results.latency",
        ],
    ),
    (
        "get_event_status",
        &[
            "payload",
            "metadata",
            "started_at",
            "completed_at",
            "latency",
            "graph_status",
            "error",
        ],
    ),
    ("delete_memory", &["cascade_count"]),
    ("delete_all_memories", &["event_id"]),
    ("delete_entities", &["event_id"]),
];
const OF_ONE: &[&str] = &[
    "expiration_date",
    "structured_attributes",
    "replaced_by",
    "synthesized",
    "lifecycle_state",
];

/// Which documented properties an answer has; items of `results` by a path.
fn documented(schema: &Value, answer: &Value, path: &str, there: &mut BTreeSet<(String, bool)>) {
    for (field, of_field) in schema["properties"].as_object().unwrap() {
        there.insert((format!("{path}{field}"), answer.get(field).is_some()));
        if let (true, Some(items)) = (
            of_field["items"]["properties"].is_object(),
            answer.get(field),
        ) {
            let items = items.as_array().unwrap();
            assert!(!items.is_empty(), "{field} of {answer}");
            for item in items {
                documented(&of_field["items"], item, &format!("{path}{field}."), there);
            }
        }
    }
}

fn answers_are_what_mem0_documents_but_for_what_is_named_here(world: &World) {
    let mut client = world.connect();
    let user = json!({"user_id": "ann", "run_id": "r", "app_id": "a", "agent_id": "g"});
    let memory = add(
        &mut client,
        "Plays the cello",
        &with(
            &user,
            &json!({"metadata": {"categories": ["music"], "k": 1}}),
        ),
    );
    let text = add(&mut client, "Sings", &json!({"user_id": "ann"}));
    let whose = json!({"AND": [{"user_id": "ann"}]});
    let schemas = fixture("answers.json");
    for (tool, not_told) in NOT_TOLD {
        let arguments = match tool {
            "add_memory" => with(&user, &json!({"text": "Plays the viola"})),
            "search_memories" => json!({"query": "cello", "filters": whose, "sources": true}),
            "get_memories" => json!({"filters": whose}),
            "get_memory" | "delete_memory" => json!({"memory_id": memory}),
            "update_memory" => json!({"memory_id": text, "text": "Sings alto"}),
            "get_event_status" => json!({"event_id": memory}),
            "list_events" => json!({"user_id": "ann"}),
            "delete_all_memories" | "delete_entities" => json!({"user_id": "ann"}),
            _ => json!({}),
        };
        let answer = client.call(tool, arguments);
        let schema = &schemas[tool];
        let problem = validator(schema).validate(&answer).err();
        let problem = problem.map(|wrong| format!("{}: {wrong}", wrong.instance_path()));
        assert_eq!(problem, None, "{tool}: {answer}");
        let mut there = BTreeSet::new();
        documented(schema, &answer, "", &mut there);
        for (field, is_there) in there {
            let told = !not_told.contains(&field.as_str());
            assert_eq!(is_there, told, "{tool}: {field} in {answer}");
        }
    }
}

fn an_answer_tells_nothing_twice_and_what_was_asked_for(world: &World) {
    let mut client = world.connect();
    let at = json!({"run_id": "r", "created_at": "2024-01-02"});
    add(&mut client, "Plays the cello", &at);
    let fields = |memory: &Value| -> BTreeSet<String> {
        memory.as_object().unwrap().keys().cloned().collect()
    };
    for (tool, arguments, run, score) in [
        (
            "search_memories",
            json!({"query": "cello"}),
            "run_id",
            Some("score"),
        ),
        ("get_memories", json!({}), "session_id", None),
    ] {
        let mut first = |more: Value| {
            let answer = client.call(tool, with(&arguments, &more));
            answer["results"][0].clone()
        };
        let mem0s = [
            "id",
            "memory",
            "user_id",
            "agent_id",
            "app_id",
            "metadata",
            "categories",
            "created_at",
            "updated_at",
            "kind",
            run,
        ];
        let mut told: BTreeSet<String> = mem0s.into_iter().map(str::to_owned).collect();
        told.extend(score.map(str::to_owned));
        let plain = first(json!({}));
        assert_eq!(fields(&plain), told, "{tool}");
        assert_eq!(plain[run], "r");
        assert_eq!(plain["agent_id"], Value::Null);
        let with_sources = first(json!({"sources": true}));
        assert!(with_sources["sources"].is_array(), "{with_sources}");
        for chosen in [json!(["id", "memory"]), json!("[\"id\", \"memory\"]")] {
            let few = first(json!({"fields": chosen}));
            assert_eq!(few, json!({"id": plain["id"], "memory": "Plays the cello"}));
        }
        let other = first(json!({"fields": ["session_id", "run_id", "valid_at", "nobody's"]}));
        assert_eq!(other["session_id"], other["run_id"]);
        assert!(other.get("valid_at").is_some() && other.get("id").is_none());
    }
}
