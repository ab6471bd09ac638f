//! Shutdown: calls in flight are finished, and nothing else delays it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::client::{Events, Mcp, STATELESS, Sse, call, succeeded};
use super::server::Server;
use crate::common::program::World;
use crate::common::until;

fn statement(text: &str) -> Value {
    call(5, "add_memory", json!({"text": text, "user_id": "ann"}))
}

#[tokio::test]
async fn calls_in_flight_are_answered_before_the_end() {
    let world = World::emulated_with(&["--latency", "4000"]);
    let server = Server::with(&world, &["--grace", "600"]);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let stateless = Mcp::connect(&server.url, STATELESS).await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let listening = Events::of(client.listen().await);
    let address = server.address().to_owned();

    let mut answer = Events::of(client.post(&statement("One")).await);
    sse.send(&statement("Two")).await;
    let without = tokio::spawn(async move {
        let response = stateless.post(&statement("Three")).await;
        Events::of(response).answer(5).await
    });
    until(async || world.requests().values().sum::<u64>() >= 3).await;
    server.ask_to_stop();
    // Nobody new comes in.
    until(async || TcpStream::connect(&address).await.is_err()).await;
    succeeded(answer.answer(5).await);
    succeeded(sse.events.answer(5).await);
    succeeded(without.await.unwrap());
    let ended = server.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    drop(listening);
    // All three calls are stored.
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let kept = client
        .tool("get_memories", json!({"filters": {"user_id": "ann"}}))
        .await;
    let kept = kept.to_string();
    assert!(
        kept.contains("One") && kept.contains("Two") && kept.contains("Three"),
        "{kept}"
    );
}

#[tokio::test]
async fn open_streams_do_not_delay_the_shutdown() {
    let world = World::embedded();
    let server = Server::with(&world, &["--grace", "600"]);
    let client = Mcp::connect(&server.url, "2025-11-25").await;
    let mut listening = Events::of(client.listen().await);
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let silent = TcpStream::connect(server.address()).await.unwrap();
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(listening.message().await.is_none());
    assert!(sse.events.message().await.is_none());
    drop(silent);
}

#[tokio::test]
async fn the_grace_is_kept() {
    let world = World::emulated_with(&["--latency", "600000"]);
    let server = Server::with(&world, &["--grace", "1"]);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let question = call(
        5,
        "search_memory",
        json!({"query": "tea", "user_id": "ann"}),
    );
    let mut answer = Events::of(client.post(&question).await);
    sse.send(&question).await;
    until(async || world.requests().values().sum::<u64>() >= 2).await;
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.took > Duration::from_millis(900), "{ended:?}");
    assert!(answer.message().await.is_none());
    assert!(sse.events.message().await.is_none());
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_what_is_in_flight() {
    let world = World::emulated_with(&["--latency", "600000"]);
    let mut server = Server::with(&world, &["--grace", "600"]);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let question = call(
        5,
        "search_memory",
        json!({"query": "tea", "user_id": "ann"}),
    );
    let _answer = client.post(&question).await;
    until(async || !world.requests().is_empty()).await;
    server.ask_to_stop();
    until(async || server.log().contains("stopping")).await;
    assert!(!server.has_ended());
    server.stop().await;
}

#[tokio::test]
async fn stdout_stays_empty_and_the_log_holds_no_content() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let said = "Was afraid of spiders in Lisbon";
    let arguments = json!({"text": said, "user_id": "ann.person"});
    client.tool("add_memory", arguments.clone()).await;
    sse.tool("add_memory", arguments).await;
    client
        .post(&call(8, "spiders", json!({"text": said})))
        .await;
    client
        .post(&call(9, "add_memory", json!({"spiders": said})))
        .await;
    let strange =
        json!({"jsonrpc": "2.0", "method": "notifications/spiders", "params": {"a": said}});
    client.post(&strange).await;
    let fresh = Sse::open(&server.url).await;
    fresh
        .post(&json!({"jsonrpc": "2.0", "id": 1, "result": {"spiders": said}}))
        .await;
    fresh.post(&strange).await;
    drop(fresh);
    let session = client.session.clone().unwrap();
    let posted = sse.endpoint.rsplit_once('=').unwrap().1.to_owned();
    let ended = server.stop().await;
    assert_eq!(ended.stdout, "");
    for secret in ["spiders", "Lisbon", "ann.person", &session, &posted] {
        assert!(!ended.stderr.contains(secret), "{secret}: {}", ended.stderr);
    }
    assert!(ended.stderr.contains("add_memory"), "{}", ended.stderr);
}
