//! A connection that breaks during a call does not lose the answer.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Events, Mcp, call, succeeded};
use super::server::Server;
use crate::common::program::World;

/// The id of the first event of a response, from which a reconnecting client continues.
async fn first_event(client: &Mcp, message: &Value) -> String {
    let mut response = client.post(message).await;
    let first = response.chunk().await.unwrap().unwrap();
    let text = str::from_utf8(&first).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("id:"));
    // The connection breaks here: the rest is never read.
    id.expect("an event with an id").trim().to_owned()
}

async fn reconnect(client: &Mcp, event: &str) -> Events {
    let asked = client.ask(Method::GET).header("last-event-id", event);
    Events::of(asked.send().await.unwrap())
}

#[tokio::test]
async fn a_response_waits_for_a_client_that_reconnects() {
    let world = World::emulated_with(&["--latency", "600"]);
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-11-25").await;
    let statement = json!({"text": "Likes tea", "user_id": "ann"});
    for away in [0, 4_000] {
        let event = first_event(&client, &call(5, "add_memory", statement.clone())).await;
        tokio::time::sleep(Duration::from_millis(away)).await;
        // During the call, and long after.
        let mut events = reconnect(&client, &event).await;
        succeeded(events.answer(5).await);
        assert!(events.message().await.is_none(), "nothing follows");
        // Once more, in case the connection broke again.
        succeeded(reconnect(&client, &event).await.answer(5).await);
    }
    let kept = client
        .tool("get_memories", json!({"filters": {"user_id": "ann"}}))
        .await;
    assert!(kept["count"].as_u64().unwrap() >= 2, "{kept}");
}

#[tokio::test]
async fn another_session_cannot_read_a_kept_response() {
    let world = World::emulated_with(&["--latency", "600"]);
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-11-25").await;
    let other = Mcp::connect(&server.url, "2025-11-25").await;
    let statement = json!({"text": "Likes tea", "user_id": "ann"});
    let event = first_event(&client, &call(5, "add_memory", statement)).await;
    let mut events = reconnect(&other, &event).await;
    assert!(events.message().await.is_none());
    succeeded(reconnect(&client, &event).await.answer(5).await);
}
