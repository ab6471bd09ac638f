//! Slow, concurrent and cancelled calls.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Events, Mcp, STATELESS, Sse, call};
use super::server::Server;
use crate::common::program::World;

/// A call that takes longer than the pauses between signs of life: Zep is slow.
const SLOW: &str = "30000";

fn question() -> Value {
    call(
        5,
        "search_memory",
        json!({"query": "tea", "user_id": "ann"}),
    )
}

/// Counts the comments before the answer.
async fn comments_before_the_answer(events: &mut Events) -> usize {
    let mut comments = 0;
    loop {
        let event = events.next().await.expect("the stream continues");
        if event.comment {
            comments += 1;
        } else if event.data.contains("\"id\":5") {
            assert!(event.data.contains("\"result\""), "{}", event.data);
            return comments;
        }
    }
}

#[tokio::test]
async fn a_long_call_is_kept_alive_with_comments_on_both_transports() {
    let world = World::emulated_with(&["--latency", SLOW]);
    let server = Server::start(&world);
    let begun = Instant::now();
    let at_mcp = async {
        let client = Mcp::connect(&server.url, "2025-06-18").await;
        let mut events = Events::of(client.post(&question()).await);
        comments_before_the_answer(&mut events).await
    };
    let without_a_session = async {
        let client = Mcp::connect(&server.url, STATELESS).await;
        let mut events = Events::of(client.posting(&question()).send().await.unwrap());
        comments_before_the_answer(&mut events).await
    };
    let at_sse = async {
        let mut client = Sse::connect(&server.url, "2024-11-05").await;
        client.send(&question()).await;
        comments_before_the_answer(&mut client.events).await
    };
    let idle = async {
        let client = Mcp::connect(&server.url, "2025-11-25").await;
        let mut stream = Events::of(client.listen().await);
        loop {
            if stream.next().await.expect("the stream stays open").comment {
                return 1;
            }
        }
    };
    let comments = tokio::join!(at_mcp, without_a_session, at_sse, idle);
    assert!(begun.elapsed() > Duration::from_secs(15));
    let (at_mcp, without_a_session, at_sse, idle) = comments;
    assert!(at_mcp >= 1 && without_a_session >= 1 && at_sse >= 1 && idle == 1);
}

#[tokio::test]
async fn calls_of_one_session_do_not_wait_for_each_other() {
    let world = World::emulated_with(&["--latency", "8000"]);
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let begun = Instant::now();
    let asked: Vec<_> = (100..120)
        .map(|id| {
            let client = client.clone();
            let mut message = question();
            message["id"] = id.into();
            tokio::spawn(async move { Events::of(client.post(&message).await).answer(id).await })
        })
        .collect();
    for id in 100..120 {
        let mut message = question();
        message["id"] = id.into();
        sse.send(&message).await;
    }
    let mut answered = 0;
    while answered < 20 {
        let message = sse.events.message().await.unwrap();
        assert!(message["result"].is_object(), "{message}");
        answered += 1;
    }
    for answer in asked {
        assert!(answer.await.unwrap()["result"].is_object());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(160),
        "one by one: 320 s"
    );
}

#[tokio::test]
async fn a_cancelled_call_ends_and_the_session_goes_on() {
    let world = World::emulated_with(&["--latency", "600000"]);
    let mut server = Server::with(&world, &["--grace", "600"]);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
    let mut events = Events::of(client.post(&question()).await);
    client.post(&cancel).await;
    assert!(events.message().await.is_none(), "no answer follows");
    sse.send(&question()).await;
    sse.send(&cancel).await;
    sse.request(6, "tools/list", json!({})).await;
    client.request(6, "tools/list", json!({})).await;
    // Nothing is in flight, so nothing is waited for.
    assert!(!server.has_ended());
    server.stop().await;
}

#[tokio::test]
async fn the_arguments_of_a_failed_call_are_not_in_the_log() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let word = "rendezvous";
    let prompt = client
        .request(2, "prompts/get", json!({"name": word}))
        .await;
    assert!(prompt["error"].is_object(), "{prompt}");
    let tool = json!({"name": word, "arguments": {"text": word}});
    let tool = client.request(3, "tools/call", tool).await;
    assert!(tool["error"].is_object(), "{tool}");
    let log = server.stop().await.stderr;
    assert!(log.contains("listening on"), "{log}");
    assert!(!log.contains(word), "{log}");
}
