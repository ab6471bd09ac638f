//! Every call of the official client is answered according to the client's own types.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::schema::Schemas;
use super::world::{World, strings};

/// Every request of the official Python client 3.30.0, recorded.
const REQUESTS: &str = include_str!("../../fixtures/zep/v3-requests.jsonl");

/// The expected answer to a recorded call: the status, and the client's type (`[…]` for a bare
/// array).
fn expected(call: &str) -> (u16, &'static str) {
    // A suffix after the call's name distinguishes its variants.
    let (group, name) = call.split_once('.').unwrap_or(("", call));
    let name = name.split(' ').next().unwrap();
    match (group, name) {
        ("project", "get") => (200, "ProjectInfoResponse"),
        ("user", "add") => (201, "User"),
        ("user", "get" | "update") => (200, "User"),
        ("user", "list_ordered") => (200, "UserListResponse"),
        ("user", "get_threads") => (200, "[Thread]"),
        ("user", "get_node") => (200, "UserNodeResponse"),
        // Unescaped, as that client sends it, the id names another resource, which does not exist.
        ("", "user") => (404, "ApiError"),
        ("thread", "create") => (201, "Thread"),
        ("thread", "list_all") => (200, "ThreadListResponse"),
        ("thread", "get") => (200, "MessageListResponse"),
        ("thread", "add_messages") => (200, "AddThreadMessagesResponse"),
        ("thread", "get_user_context") => (200, "ThreadContextResponse"),
        ("thread", "get_episodes") => (200, "EpisodeResponse"),
        // The embedded Zep writes no summaries.
        ("thread", "get_summary") => (404, "ApiError"),
        ("thread", "message.update") => (200, "Message"),
        ("graph", "create") => (201, "Graph"),
        ("graph", "get") => (200, "Graph"),
        ("graph", "list_all") => (200, "GraphListResponse"),
        ("graph", "add") => (202, "Episode"),
        ("graph", "search") => (200, "GraphSearchResults"),
        ("graph", "episode.get" | "episode.update") => (200, "Episode"),
        ("graph", "episode.get_by_user_id" | "episode.get_by_graph_id") => (200, "EpisodeResponse"),
        ("graph", "episode.list_by_user_id" | "episode.list_by_graph_id") => (200, "[Episode]"),
        ("graph", "edge.get" | "edge.update") => (200, "EntityEdge"),
        ("graph", "edge.get_by_user_id" | "edge.get_by_graph_id") => (200, "[EntityEdge]"),
        ("graph", "node.get") => (200, "EntityNode"),
        ("graph", "node.get_by_user_id") => (200, "[EntityNode]"),
        ("batch", "create") => (201, "BatchSummary"),
        ("batch", "get" | "process") => (200, "BatchSummary"),
        ("batch", "list") => (200, "BatchListResponse"),
        ("batch", "add") => (200, "[BatchItemDetail]"),
        ("batch", "list_items") => (200, "BatchItemListResponse"),
        // The embedded Zep has no tasks.
        ("task", "get") => (404, "ApiError"),
        (_, "delete" | "episode.delete" | "edge.delete") => (200, "SuccessResponse"),
        _ => panic!("nothing is expected of {call}"),
    }
}

/// Creates what a recorded call needs, and replaces the recorded ids with the real ones.
struct Stage {
    world: World,
    names: Vec<(&'static str, String)>,
}

impl Stage {
    async fn set(call: &str) -> Self {
        let world = World::new().await;
        let mut names = Vec::new();
        if call == "user.add" {
            return Self { world, names };
        }
        world
            .post("/users", json!({"user_id": "u-1", "first_name": "Jane"}))
            .await;
        if call != "graph.create" {
            world
                .post(
                    "/graph/create",
                    json!({"graph_id": "agent-a1", "name": "a"}),
                )
                .await;
            let note = json!({"graph_id": "agent-a1", "type": "text", "data": "The tea is green"});
            world.post("/graph", note.clone()).await;
            world.post("/graph", note).await;
        }
        if call == "thread.create" {
            return Self { world, names };
        }
        world
            .post("/threads", json!({"thread_id": "s-1", "user_id": "u-1"}))
            .await;
        let said = json!({"messages": [
            {"role": "user", "name": "Jane", "content": "I drink tea", "metadata": {"zm_id": "r-1"}},
            {"role": "user", "content": "Tea with Anna"},
            {"role": "assistant", "content": "More tea"},
        ]});
        let added = world.post("/threads/s-1/messages", said).await;
        let messages = strings(&added["message_uuids"]);

        let batch = world.post("/batches", json!({})).await;
        let batch = batch["batch_id"].as_str().unwrap().to_owned();
        if !matches!(call, "batch.add" | "batch.delete") {
            let items = json!([
                {"type": "thread_message", "thread_id": "s-1", "role": "user", "content": "b"},
                {"type": "graph_episode", "user_id": "u-1", "data": "Batched tea"},
            ]);
            world
                .post(&format!("/batches/{batch}/items"), json!({"items": items}))
                .await;
        }

        let facts = |ask: Value| world.call(Method::POST, "/graph/edge/user/u-1", Some(ask));
        let edges = facts(json!({})).await.body;
        let first = facts(json!({"limit": 1, "order_by": "created_at", "direction": "desc"})).await;
        let owner = match call {
            "graph.episode.list_by_graph_id" => "graph/agent-a1",
            _ => "user/u-1",
        };
        let path = format!("/graph/episodes/{owner}");
        let episodes = world
            .call(Method::POST, &path, Some(json!({"limit": 1})))
            .await;
        let cursor = match call {
            "graph.edge.get_by_user_id filtered" => &first,
            _ => &episodes,
        };
        let cursor = cursor
            .header("zep-next-cursor")
            .expect("more pages")
            .to_owned();
        let node = world.get("/users/u-1/node").await.body["node"]["uuid"].clone();
        let edges = edges.as_array().unwrap();
        let fact_of = |message: &String| {
            let mut facts = edges.iter();
            let fact = facts.find(|fact| fact["episodes"] == json!([message]));
            fact.expect("a fact")["uuid"].as_str().unwrap().to_owned()
        };
        names.extend([
            ("m-uuid", messages[0].clone()),
            ("e-uuid", messages[0].clone()),
            ("e-1", messages[0].clone()),
            ("e-2", messages[1].clone()),
            ("e-9", cursor.clone()),
            ("c-1", cursor),
            ("d-uuid", fact_of(&messages[0])),
            ("d-1", fact_of(&messages[0])),
            ("d-2", fact_of(&messages[1])),
            ("d-9", fact_of(&messages[2])),
            ("n-uuid", node.as_str().unwrap().to_owned()),
            ("b-1", batch),
        ]);
        Self { world, names }
    }

    fn real<'a>(&'a self, name: &'a str) -> &'a str {
        self.names
            .iter()
            .find(|(recorded, _)| *recorded == name)
            .map_or(name, |(_, real)| real)
    }

    fn path(&self, recorded: &str) -> String {
        let segments: Vec<_> = recorded.split('/').map(|part| self.real(part)).collect();
        segments.join("/")
    }

    fn body(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(text) => self.real(text).into(),
            Value::Array(items) => items.iter().map(|item| self.body(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, field)| (name.clone(), self.body(field)))
                .collect(),
            other => other.clone(),
        }
    }
}

#[tokio::test]
async fn every_recorded_call_is_answered_as_the_official_client_reads_it() {
    let schemas = Schemas::load();
    let mut calls = BTreeSet::new();
    for line in REQUESTS.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let call = recorded["call"].as_str().unwrap();
        assert!(calls.insert(call.to_owned()), "{call} is recorded twice");
        let (status, kind) = expected(call);

        let stage = Stage::set(call).await;
        let mut path = stage.path(recorded["path"].as_str().unwrap());
        let query = recorded["query"].as_object().unwrap();
        for (index, (name, value)) in query.iter().enumerate() {
            let before = if index == 0 { '?' } else { '&' };
            path.push_str(&format!("{before}{name}={}", value.as_str().unwrap()));
        }
        let method: Method = recorded["method"].as_str().unwrap().parse().unwrap();
        let mut request = stage.world.request(method, &path);
        for (name, value) in recorded["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        if !recorded["body"].is_null() {
            request = request.body(stage.body(&recorded["body"]).to_string());
        }
        let answer = World::send(request).await;

        assert_eq!(answer.status, status, "{call}: {}", answer.body);
        let (kind, bodies) = match kind.strip_prefix('[') {
            Some(kind) => {
                let items = answer
                    .body
                    .as_array()
                    .unwrap_or_else(|| panic!("{call}: no array"));
                (kind.trim_end_matches(']'), items.clone())
            }
            None => (kind, vec![answer.body.clone()]),
        };
        assert!(!bodies.is_empty(), "{call}: an empty list proves nothing");
        for body in &bodies {
            let problems = schemas.problems(kind, body);
            assert!(problems.is_empty(), "{call}: {problems:#?}\n{body:#}");
        }
        for header in ["limit", "remaining", "reset", "increment"] {
            let header = format!("x-ratelimit-{header}");
            let value = answer
                .header(&header)
                .unwrap_or_else(|| panic!("{call}: no {header}"));
            value.parse::<u64>().expect("a number");
        }
        stage.world.stop().await;
    }
    assert!(calls.len() > 60, "only {} calls were recorded", calls.len());
}
