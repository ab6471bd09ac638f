//! The switches for what Zep does not document, as a client sees them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use zep_mcp_server::emulator::Options;
use zep_mcp_server::local::Behavior;

use super::world::{World, column};
use crate::common::until;

/// An emulator started with this behaviour, and one switched to it at run time.
async fn both_ways(behavior: Value) -> [World; 2] {
    let started = World::with_data_and(Options {
        behavior: serde_json::from_value::<Behavior>(behavior.clone()).unwrap(),
        ..Options::default()
    })
    .await;
    let switched = World::with_data().await;
    let answer = switched.control(Method::PATCH, "/behavior", behavior).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    [started, switched]
}

#[tokio::test]
async fn a_cursor_counts_messages_or_pages() {
    for (answer, expected) in [("offset", ["c", "d"]), ("page", ["c", "d"])] {
        for world in both_ways(json!({"cursor": answer})).await {
            world.say("s-1", &["a", "b", "c", "d", "e"]).await;
            // Two messages skipped, or the second page of two messages.
            let page = world.get("/threads/s-1/messages?limit=2&cursor=2").await;
            let said = column(page.body["messages"].as_array().unwrap(), "content");
            assert_eq!(said, expected);
            let other = world.get("/threads/s-1/messages?limit=2&cursor=1").await;
            let said = column(other.body["messages"].as_array().unwrap(), "content");
            match answer {
                "offset" => assert_eq!(said, ["b", "c"]),
                _ => assert_eq!(said, ["a", "b"]),
            }
        }
    }
}

#[tokio::test]
async fn deleting_an_episode_keeps_its_message_or_removes_it() {
    for answer in ["keeps-message", "removes-message"] {
        for world in both_ways(json!({"episode_deletion": answer})).await {
            let uuids = world.say("s-1", &["a", "b"]).await;
            let path = format!("/graph/episodes/{}", uuids[0]);
            assert_eq!(world.call(Method::DELETE, &path, None).await.status, 200);
            assert_eq!(world.get(&path).await.status, 404);
            match answer {
                "keeps-message" => assert_eq!(world.said("s-1").await, ["a", "b"]),
                _ => assert_eq!(world.said("s-1").await, ["b"]),
            }
        }
    }
}

#[tokio::test]
async fn a_drafts_messages_are_hidden_or_visible() {
    for (answer, shown) in [("hidden", 0), ("visible", 1)] {
        for world in both_ways(json!({"draft_messages": answer})).await {
            let batch = world.post("/batches", json!({})).await;
            let path = format!("/batches/{}", batch["batch_id"].as_str().unwrap());
            let item = json!({
                "type": "thread_message", "thread_id": "s-1", "role": "user", "content": "a"
            });
            world
                .post(&format!("{path}/items"), json!({"items": [item]}))
                .await;
            assert_eq!(world.said("s-1").await.len(), shown);
            world.post(&format!("{path}/process"), json!({})).await;
            assert_eq!(world.said("s-1").await, ["a"]);
        }
    }
}

#[tokio::test]
async fn patching_metadata_merges_or_replaces() {
    for (answer, expected) in [
        ("merges", json!({"a": 1, "b": 3})),
        ("replaces", json!({"b": 3})),
    ] {
        for world in both_ways(json!({"metadata_patch": answer})).await {
            let said = json!([{"role": "user", "content": "x", "metadata": {"a": 1, "b": 2}}]);
            let added = world
                .post("/threads/s-1/messages", json!({"messages": said}))
                .await;
            let path = format!("/messages/{}", added["message_uuids"][0].as_str().unwrap());
            let patch = json!({"metadata": {"b": 3}});
            let message = world.call(Method::PATCH, &path, Some(patch)).await.body;
            assert_eq!(message["metadata"], expected);
        }
    }
}

#[tokio::test]
async fn a_thread_that_exists_is_refused_with_400_or_409() {
    for (answer, status) in [("400", 400), ("409", 409)] {
        for world in both_ways(json!({"existing_thread": answer})).await {
            let again = Some(json!({"thread_id": "s-1", "user_id": "u-1"}));
            let refused = world.call(Method::POST, "/threads", again).await;
            assert_eq!(refused.status, status);
            assert!(refused.message().contains("already exists"));
        }
    }
}

#[tokio::test]
async fn lengths_count_characters_or_bytes() {
    for (answer, longest) in [("chars", 4_096), ("bytes", 2_048)] {
        for world in both_ways(json!({"length_counts": answer})).await {
            for (length, status) in [(longest, 200), (longest + 1, 400)] {
                let said = json!([{"role": "user", "content": "ä".repeat(length)}]);
                let body = Some(json!({"messages": said}));
                let path = "/threads/s-1/messages";
                let answer = world.call(Method::POST, path, body).await;
                assert_eq!(answer.status, status, "{length}");
            }
        }
    }
}

#[tokio::test]
async fn with_a_processing_delay_facts_appear_later() {
    for world in both_ways(json!({"processing_delay_ms": 400})).await {
        let uuids = world.say("s-1", &["Ann grows walnuts"]).await;
        let path = format!("/graph/episodes/{}", uuids[0]);
        let episode = world.get(&path).await.body;
        assert_eq!(episode["processed"], false);
        let message = world.get("/threads/s-1/messages").await.body;
        assert_eq!(message["messages"][0]["processed"], false);
        let found = async || {
            let ask = json!({"user_id": "u-1", "query": "walnuts"});
            let found = world.call(Method::POST, "/graph/search", Some(ask)).await;
            found.body["edges"].as_array().map_or(0, Vec::len)
        };
        assert_eq!(found().await, 0);
        until(async || world.get(&path).await.body["processed"] == true).await;
        assert_eq!(found().await, 1);
    }
}

#[tokio::test]
async fn a_batch_goes_from_draft_to_partial_item_by_item() {
    let [world, _] = both_ways(json!({"processing_delay_ms": 2_400})).await;
    let doomed = json!({"thread_id": "s-2", "user_id": "u-1"});
    world.post("/threads", doomed).await;
    let batch = world.post("/batches", json!({})).await;
    let path = format!("/batches/{}", batch["batch_id"].as_str().unwrap());
    let item = |thread: &str, text: &str| json!({"type": "thread_message", "thread_id": thread, "role": "user", "content": text});
    let items = [item("s-1", "a"), item("s-2", "b"), item("s-1", "c")];
    world
        .post(&format!("{path}/items"), json!({"items": items}))
        .await;
    let deleted = world.call(Method::DELETE, "/threads/s-2", None).await;
    assert_eq!(deleted.status, 200);

    let mut lives = vec![world.get(&path).await.body["status"].clone()];
    let mut progress = Vec::new();
    world.post(&format!("{path}/process"), json!({})).await;
    until(async || {
        let batch = world.get(&path).await.body;
        let items = world.get(&format!("{path}/items")).await.body;
        let statuses = column(items["items"].as_array().unwrap(), "status");
        if progress.last() != Some(&statuses) {
            progress.push(statuses);
        }
        if lives.last() != Some(&batch["status"]) {
            lives.push(batch["status"].clone());
        }
        batch.get("completed_at").is_some()
    })
    .await;
    assert_eq!(lives, ["draft", "queued", "processing", "partial"]);
    let steps: Vec<_> = progress.iter().map(|step| step.join(" ")).collect();
    assert!(
        steps.contains(&"succeeded failed processing".to_owned()),
        "{steps:?}"
    );
    assert_eq!(steps.last().unwrap(), "succeeded failed succeeded");
    assert_eq!(world.said("s-1").await, ["a", "c"]);
    let failed = world.get(&format!("{path}/items?status=failed")).await.body;
    assert!(
        failed["items"][0]["error"]["message"].is_string(),
        "{failed}"
    );
}

#[tokio::test]
async fn messages_of_ignored_roles_are_stored_without_facts() {
    let [world, _] = both_ways(json!({})).await;
    let said = json!({"ignore_roles": ["assistant"], "messages": [
        {"role": "user", "content": "I like walnuts"},
        {"role": "assistant", "content": "Walnuts are good"},
    ]});
    world.post("/threads/s-1/messages", said).await;
    let batch = world
        .post("/batches", json!({"ignore_roles": ["assistant"]}))
        .await;
    let path = format!("/batches/{}", batch["batch_id"].as_str().unwrap());
    let item = |role: &str, text: &str| json!({"type": "thread_message", "thread_id": "s-1", "role": role, "content": text});
    let items = [
        item("user", "I sell walnuts"),
        item("assistant", "Walnuts again"),
    ];
    world
        .post(&format!("{path}/items"), json!({"items": items}))
        .await;
    world.post(&format!("{path}/process"), json!({})).await;
    assert_eq!(world.said("s-1").await.len(), 4);
    let facts = world
        .call(Method::POST, "/graph/edge/user/u-1", Some(json!({})))
        .await;
    let mut facts = column(facts.body.as_array().unwrap(), "fact");
    facts.sort();
    assert_eq!(facts, ["I like walnuts", "I sell walnuts"]);
    let unknown =
        json!({"ignore_roles": ["robot"], "messages": [{"role": "user", "content": "x"}]});
    let answer = world
        .call(Method::POST, "/threads/s-1/messages", Some(unknown))
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn the_processing_delay_can_change_at_run_time() {
    let world = World::with_data().await;
    let slow = json!({"processing_delay_ms": 600_000});
    world.control(Method::PATCH, "/behavior", slow).await;
    world.say("s-1", &["a"]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let processed = async || {
        let page = world.get("/threads/s-1/messages").await.body;
        page["messages"][0]["processed"] == true
    };
    assert!(!processed().await);
    let quick = json!({"processing_delay_ms": 0});
    world.control(Method::PATCH, "/behavior", quick).await;
    assert!(processed().await);
}
