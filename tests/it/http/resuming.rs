//! A line that breaks in the middle of a call, as lines do: the answer is not lost with it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Events, Mcp, call, succeeded};
use super::server::Server;
use crate::common::program::World;

/// The id of the first event of an answer, by which a client that comes back says where it was.
async fn first_event(client: &Mcp, message: &Value) -> String {
    let mut response = client.post(message).await;
    let first = response.chunk().await.unwrap().unwrap();
    let text = str::from_utf8(&first).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("id:"));
    // The line breaks here: the rest is never read.
    id.expect("an event with an id").trim().to_owned()
}

async fn come_back(client: &Mcp, event: &str) -> Events {
    let asked = client.ask(Method::GET).header("last-event-id", event);
    Events::of(asked.send().await.unwrap())
}

#[tokio::test]
async fn an_answer_waits_for_whoever_comes_back_for_it() {
    let world = World::emulated_with(&["--latency", "600"]);
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-11-25").await;
    let statement = json!({"text": "Likes tea", "user_id": "ann"});
    for away in [0, 4_000] {
        let event = first_event(&client, &call(5, "add_memory", statement.clone())).await;
        tokio::time::sleep(Duration::from_millis(away)).await;
        // While it is still being answered, and long after.
        let mut events = come_back(&client, &event).await;
        succeeded(events.answer(5).await);
        assert!(events.message().await.is_none(), "and that is all");
        // The same again, should the line have broken once more.
        succeeded(come_back(&client, &event).await.answer(5).await);
    }
    let kept = client
        .tool("get_memories", json!({"filters": {"user_id": "ann"}}))
        .await;
    assert!(kept["count"].as_u64().unwrap() >= 2, "{kept}");
}

#[tokio::test]
async fn answers_wait_for_nobody_elses_session() {
    let world = World::emulated_with(&["--latency", "600"]);
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-11-25").await;
    let other = Mcp::connect(&server.url, "2025-11-25").await;
    let statement = json!({"text": "Likes tea", "user_id": "ann"});
    let event = first_event(&client, &call(5, "add_memory", statement)).await;
    let mut events = come_back(&other, &event).await;
    assert!(events.message().await.is_none());
    succeeded(come_back(&client, &event).await.answer(5).await);
}
