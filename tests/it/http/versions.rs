//! Every version of the protocol, on both transports.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::{Events, Mcp, STATELESS, Sse, WITH_SESSIONS, request};
use super::server::Server;
use crate::common::program::World;
use crate::common::until;

fn statement(user: &str) -> Value {
    json!({"text": "Prefers window seats", "user_id": user})
}

fn question(user: &str) -> Value {
    json!({"query": "window", "user_id": user})
}

#[tokio::test]
async fn every_version_stores_and_finds_at_mcp() {
    let world = World::embedded();
    let server = Server::start(&world);
    for version in WITH_SESSIONS {
        let mut client = Mcp::new(&server.url, version);
        let hello = client.initialize().await;
        assert_eq!(hello["protocolVersion"], version);
        assert_eq!(hello["serverInfo"]["name"], "zep-mcp-server");
        let tools = client.request(2, "tools/list", json!({})).await;
        assert!(tools["result"]["tools"].as_array().unwrap().len() > 5);
        client.tool("add_memory", statement(version)).await;
        let found = client.tool("search_memory", question(version)).await;
        assert_eq!(found["results"].as_array().unwrap().len(), 1, "{version}");
    }
    let client = Mcp::connect(&server.url, STATELESS).await;
    let hello = client.request(1, "server/discover", json!({})).await;
    let server_info = &hello["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(server_info["name"], "zep-mcp-server", "{hello}");
    client.tool("add_memory", statement(STATELESS)).await;
    let found = client.tool("search_memory", question(STATELESS)).await;
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_version_stores_and_finds_at_sse() {
    let world = World::embedded();
    let server = Server::start(&world);
    for version in WITH_SESSIONS {
        let mut client = Sse::open(&server.url).await;
        let hello = client.initialize(version).await;
        assert_eq!(hello["protocolVersion"], version);
        let tools = client.request(2, "tools/list", json!({})).await;
        assert!(tools["result"]["tools"].as_array().unwrap().len() > 5);
        client.tool("add_memory", statement(version)).await;
        let found = client.tool("search_memory", question(version)).await;
        assert_eq!(found["results"].as_array().unwrap().len(), 1, "{version}");
    }
}

#[tokio::test]
async fn calls_may_precede_the_end_of_the_handshake() {
    let world = World::embedded();
    let server = Server::start(&world);

    // At /mcp the session exists once `initialize` is answered, and accepts calls from then on.
    let mut client = Mcp::new(&server.url, "2025-06-18");
    client.begin().await;
    client.tool("add_memory", statement("ann")).await;

    // At /sse a call may even arrive before `initialize`.
    let mut client = Sse::open(&server.url).await;
    client.send(&request(2, "tools/list", json!({}))).await;
    client.send(&request(3, "ping", json!({}))).await;
    let pong = client.events.message().await.unwrap();
    assert_eq!(pong["id"], 3);
    client.initialize("2024-11-05").await;
    let tools = client.events.answer(2).await;
    assert!(tools["result"]["tools"].is_array(), "{tools}");
}

#[tokio::test]
async fn a_request_without_its_session_is_refused() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::new(&server.url, "2025-06-18");
    let list = request(2, "tools/list", json!({}));
    assert_eq!(client.post(&list).await.status(), StatusCode::BAD_REQUEST);
    // Bridges that try the older transport first take 405 for "not here", as MCP says.
    let listening = client.listen().await.status();
    assert_eq!(listening, StatusCode::METHOD_NOT_ALLOWED);

    let mut foreign = client.clone();
    foreign.session = Some("5f0a7ae4-ad8c-4a29-a8c2-9b6c0ad5c4b5".to_owned());
    assert_eq!(foreign.post(&list).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(foreign.listen().await.status(), StatusCode::NOT_FOUND);

    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    let own = sse.endpoint.clone();
    sse.endpoint = format!("{}/messages?sessionId=5f0a7ae4", server.url);
    assert_eq!(sse.post(&list).await.status(), StatusCode::NOT_FOUND);
    sse.endpoint = format!("{}/messages", server.url);
    assert_eq!(sse.post(&list).await.status(), StatusCode::BAD_REQUEST);
    sse.endpoint = own;
    sse.tool("add_memory", statement("ann")).await;
}

#[tokio::test]
async fn an_ended_session_stays_ended() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-11-25").await;
    let mut stream = Events::of(client.listen().await);
    let deleted = client.ask(reqwest::Method::DELETE).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let list = request(2, "tools/list", json!({}));
    assert_eq!(client.post(&list).await.status(), StatusCode::NOT_FOUND);
    assert!(stream.message().await.is_none(), "its stream ends");

    // A session at /sse lives as long as its stream.
    let sse = Sse::connect(&server.url, "2024-11-05").await;
    let endpoint = sse.endpoint.clone();
    drop(sse);
    let mut left = Sse::open(&server.url).await;
    left.endpoint = endpoint;
    until(async || left.post(&list).await.status() == StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn invalid_messages_are_refused_and_break_nothing() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, "2025-06-18").await;
    let mut sse = Sse::connect(&server.url, "2024-11-05").await;
    for body in ["", "{", "[]", "null", "{\"jsonrpc\":\"2.0\"}", "\u{0}\u{1}"] {
        let refused = client
            .ask(reqwest::Method::POST)
            .header("content-type", "application/json")
            .body(body);
        let refused = refused.send().await.unwrap();
        assert!(refused.status().is_client_error(), "{body:?}");
        let refused = super::client::http()
            .post(&sse.endpoint)
            .header("content-type", "application/json")
            .body(body);
        let refused = refused.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{body:?}");
    }
    let text = super::client::http().post(&sse.endpoint).body("{}");
    let refused = text.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    client.tool("add_memory", statement("ann")).await;
    sse.tool("add_memory", statement("ann")).await;
}
