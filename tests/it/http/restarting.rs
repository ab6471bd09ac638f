//! A restart of the server while clients are connected.

use reqwest::StatusCode;
use serde_json::json;

use super::client::{Mcp, STATELESS, Sse, WITH_SESSIONS, call};
use super::server::Server;
use crate::common::program::World;

#[tokio::test]
async fn a_client_learns_that_its_session_is_gone_and_continues_with_a_new_one() {
    let world = World::embedded();
    let server = Server::start(&world);
    let port = server.port().to_owned();
    let mut clients = Vec::new();
    for version in WITH_SESSIONS {
        clients.push(Mcp::connect(&server.url, version).await);
    }
    let said = json!({"text": "Prefers window seats", "user_id": "ann"});
    clients[0].tool("add_memory", said).await;
    let stateless = Mcp::connect(&server.url, STATELESS).await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(sse.events.message().await.is_none(), "the stream ends");

    let server = Server::with(&world, &["--port", &port]);
    let question = json!({"query": "window", "user_id": "ann"});
    for client in &mut clients {
        let old = call(3, "search_memory", question.clone());
        assert_eq!(client.post(&old).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(client.listen().await.status(), StatusCode::NOT_FOUND);
        client.session = None;
        client.initialize().await;
        let found = client.tool("search_memory", question.clone()).await;
        assert_eq!(found["results"].as_array().unwrap().len(), 1);
    }
    let found = stateless.tool("search_memory", question.clone()).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
    let old = sse.post(&call(3, "search_memory", question.clone())).await;
    assert_eq!(old.status(), StatusCode::NOT_FOUND);
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let found = sse.tool("search_memory", question).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
}

/// Event sources reconnect by themselves, and clients built on them continue without a handshake.
#[tokio::test]
async fn a_client_that_reconnects_its_stream_needs_no_new_handshake() {
    let world = World::embedded();
    let server = Server::start(&world);
    let port = server.port().to_owned();
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    server.kill();
    assert!(sse.events.message().await.is_none(), "the stream ends");
    let server = Server::with(&world, &["--port", &port]);
    let mut sse = Sse::open(&server.url).await;
    let said = json!({"text": "Prefers window seats", "user_id": "ann"});
    sse.tool("add_memory", said).await;
    let question = json!({"query": "window", "user_id": "ann"});
    let found = sse.tool("search_memory", question).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);

    // Elicitation was negotiated with the previous process.
    for (tool, arguments) in [
        ("delete_all_memories", json!({"user_id": "ann"})),
        ("delete_entities", json!({"user_id": "ann"})),
    ] {
        let refused = sse.request(
            9,
            "tools/call",
            json!({"name": tool, "arguments": arguments}),
        );
        let refused = refused.await["result"].clone();
        assert_eq!(refused["isError"], true, "{refused}");
        let why = refused["content"][0]["text"].as_str().unwrap();
        assert!(why.contains("connect again"), "{why}");
    }
    let question = json!({"query": "window", "user_id": "ann"});
    let found = sse.tool("search_memory", question).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
    let mut anew = Sse::connect(&server.url, "2024-11-05").await;
    anew.tool("delete_all_memories", json!({"user_id": "ann"}))
        .await;
}
