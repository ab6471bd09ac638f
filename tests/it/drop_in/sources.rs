//! Facts drawn from several memories, as Zep draws them and the embedded store does not: what they
//! show, and which filters they match.

use axum::response::Response;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{found, listed};
use crate::common::program::{Client, World};
use crate::common::{self, Call};

const E1: &str = "00000000-0000-4000-8000-0000000000e1";
const E2: &str = "00000000-0000-4000-8000-0000000000e2";
const E3: &str = "00000000-0000-4000-8000-0000000000e3";
const GONE: &str = "00000000-0000-4000-8000-0000000000e9";
const F1: &str = "00000000-0000-4000-8000-0000000000f1";
const F2: &str = "00000000-0000-4000-8000-0000000000f2";
const F3: &str = "00000000-0000-4000-8000-0000000000f3";

fn episodes() -> Vec<Value> {
    let episode = |uuid: &str, thread: &str, day: &str, k: u64| {
        json!({
            "uuid": uuid, "content": format!("Walks in {thread}"), "thread_id": thread,
            "created_at": format!("{day}T00:00:00Z"), "source": "message", "processed": true,
            "metadata": {"topic": "walks", "k": k},
        })
    };
    vec![
        episode(E1, "t1", "2024-03-01", 1),
        episode(E2, "t2", "2023-03-01", 2),
        episode(E3, "t1", "2024-02-01", 1),
    ]
}

fn facts() -> Vec<Value> {
    let fact = |uuid: &str, sources: &[&str]| {
        json!({
            "uuid": uuid, "fact": "Ann walks", "name": "WALKS", "episodes": sources,
            "created_at": "2026-01-01T00:00:00Z", "valid_at": "2023-03-01T00:00:00Z",
            "score": 0.5,
        })
    };
    vec![fact(F1, &[E1, E2]), fact(F2, &[E1, E3]), fact(F3, &[GONE])]
}

/// Those whose id is in a list, or all without one.
fn among(things: Vec<Value>, ids: &Value) -> Vec<Value> {
    let wanted = |thing: &Value| match ids.as_array() {
        Some(ids) => ids.contains(&thing["uuid"]),
        None => true,
    };
    things.into_iter().filter(wanted).collect()
}

/// Zep, as far as this test needs it.
fn answer(call: &Call) -> Response {
    let body = &call.body;
    let path = call.path.trim_start_matches("/api/v2/");
    common::json(
        200,
        &match path.split('/').collect::<Vec<_>>()[..] {
            ["graph", "search"] if body["scope"] == "edges" => {
                let narrowed = &body["search_filters"]["episode_uuids"];
                let mut edges = facts();
                if let Some(narrowed) = narrowed.as_array() {
                    edges.retain(|fact| {
                        let mut sources = fact["episodes"].as_array().unwrap().iter();
                        sources.any(|source| narrowed.contains(source))
                    });
                }
                json!({ "edges": edges })
            }
            ["graph", "search"] => json!({"episodes": []}),
            ["graph", "edge", "user", "ann"] => {
                json!(among(facts(), &body["filters"]["edge_uuids"]))
            }
            ["graph", "episodes", "user", "ann"] => {
                json!(among(episodes(), &body["mentioned_node_uuids"]))
            }
            ["threads", thread @ ("t1" | "t2"), "messages"] => {
                let mut messages = episodes();
                messages.retain(|message| message["thread_id"] == thread);
                for message in &mut messages {
                    message["role"] = json!("user");
                }
                json!({"total_count": messages.len(), "messages": messages, "user_id": "ann"})
            }
            _ => return common::json(404, &json!({"message": "not found"})),
        },
    )
}

fn in_front_of_zep(what: impl FnOnce(&mut Client)) {
    let runtime = Runtime::new().unwrap();
    let (url, _) = runtime.block_on(common::record(answer));
    let world = World::embedded();
    let mut command = world.command();
    command.env("ZEP_API_URL", url).env("ZEP_API_KEY", "z_1");
    what(&mut Client::connect(&mut command));
}

fn ids(memories: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = memories
        .iter()
        .map(|memory| memory["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_fact_shows_of_its_sources_what_all_of_them_say() {
    in_front_of_zep(|client| {
        let user = json!({"user_id": "ann"});
        let all = listed(client, &user, 10);
        assert_eq!(ids(&all), [F1, F2, F3]);
        let search = found(client, json!({"query": "walks", "filters": user}));
        assert_eq!(ids(&search), [F1, F2, F3]);
        // mem0 lists the run as a session, and finds it as a run.
        for (memories, run) in [(all, "session_id"), (search, "run_id")] {
            let fact = |id: &str| memories.iter().find(|fact| fact["id"] == id).unwrap();
            let (apart, together, orphan) = (fact(F1), fact(F2), fact(F3));
            assert_eq!(apart[run], Value::Null, "two sessions are none");
            assert_eq!(apart["metadata"], json!({"topic": "walks"}));
            assert_eq!(apart["created_at"], "2023-03-01T00:00:00Z", "the earliest");
            assert_eq!(apart["sources"], json!([E1, E2]));
            assert_eq!(together[run], "t1");
            assert_eq!(together["metadata"], json!({"topic": "walks", "k": 1}));
            assert_eq!(together["created_at"], "2024-02-01T00:00:00Z");
            assert_eq!(together["valid_at"], "2023-03-01T00:00:00Z");
            assert_eq!(orphan["metadata"], json!({}));
            assert_eq!(orphan["created_at"], Value::Null, "nobody said when");
        }
    });
}

#[test]
fn a_fact_of_two_sessions_is_one_of_each() {
    in_front_of_zep(|client| {
        for (filters, expected) in [
            (json!({"run_id": "t1"}), &[F1, F2][..]),
            (json!({"run_id": "t2"}), &[F1]),
            (json!({"metadata": {"k": 2}}), &[F1]),
            (json!({"metadata": {"topic": "walks"}}), &[F1, F2]),
            (json!({"created_at": {"lt": "2024-01-01"}}), &[F1]),
            (json!({"memory_ids": [E3]}), &[F2]),
            (json!({"memory_ids": [F3]}), &[F3]),
            (json!({"keywords": {"contains": "in t2"}}), &[F1]),
            (json!({"keywords": {"contains": "Ann"}}), &[F1, F2, F3]),
        ] {
            let filters = json!({"AND": [{"user_id": "ann"}, filters]});
            assert_eq!(ids(&listed(client, &filters, 10)), expected, "{filters}");
            let search = found(client, json!({"query": "walks", "filters": filters}));
            assert_eq!(ids(&search), expected, "{filters}");
        }
    });
}
