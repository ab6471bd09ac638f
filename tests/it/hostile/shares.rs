//! A token that takes all it can get: it is refused beyond its share or loses what is its own, and
//! the other token notices nothing.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::attack::{GREEDY, OTHER, VERSION, client, levels, refused, rest, server, unread};
use crate::common::program::World;
use crate::common::{PATIENCE, until};
use crate::http::client::{Events, Mcp, Sse, call, http, request};
use crate::http::server::Server;

/// Opens a stream at `/sse`.
async fn stream(server: &Server, token: &str) -> reqwest::Response {
    let opened = http()
        .get(format!("{}/sse", server.url))
        .bearer_auth(token)
        .send();
    timeout(PATIENCE, opened).await.expect("an answer").unwrap()
}

async fn is_served(client: &Mcp) {
    client.request(2, "tools/list", json!({})).await;
}

#[tokio::test]
async fn streams_of_one_token_leave_sessions_for_others() {
    let world = World::embedded();
    let server = server(&world, &["--max-sessions", "12"]);
    let other = client(&server, OTHER).await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        let opened = stream(&server, GREEDY).await;
        assert_eq!(opened.status(), StatusCode::OK);
        streams.push(opened);
    }
    for _ in 0..20 {
        refused(stream(&server, GREEDY).await, "too_many_sessions").await;
    }
    let new = Mcp::new(&server.url, VERSION).with_token(GREEDY);
    let hello = request(8, "initialize", crate::http::client::hello(VERSION));
    assert_eq!(
        refused(new.post(&hello).await, "too_many_sessions").await,
        8
    );
    // The other keeps its session and opens more.
    is_served(&other).await;
    for _ in 0..5 {
        streams.push(stream(&server, OTHER).await);
    }
    is_served(&client(&server, OTHER).await).await;
}

#[tokio::test]
async fn a_flood_of_handshakes_ends_sessions_of_its_own_token_only() {
    let world = World::embedded();
    let server = server(&world, &["--max-sessions", "12"]);
    let other = client(&server, OTHER).await;
    let first = client(&server, GREEDY).await;
    let mut last = first.clone();
    for _ in 0..40 {
        last = client(&server, GREEDY).await;
    }
    is_served(&last).await;
    let list = request(2, "tools/list", json!({}));
    assert_eq!(first.post(&list).await.status(), StatusCode::NOT_FOUND);
    is_served(&other).await;
    let sessions = &levels(&server).await["sessions"];
    assert_eq!(
        (&sessions["now"], &sessions["largest"]),
        (&json!(7), &json!(6))
    );
}

/// Sends one request on a connection of its own, which stays open; the head of its answer.
async fn connect(server: &Server, token: &str) -> (TcpStream, String) {
    let list = request(1, "tools/list", json!({})).to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{list}",
        list.len()
    );
    let mut line = unread(server, &head).await;
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, line.read_u8()).await.expect("an answer");
        said.push(byte.expect("the connection is open"));
    }
    (line, String::from_utf8(said).unwrap().to_ascii_lowercase())
}

#[tokio::test]
async fn connections_of_one_token_and_of_one_address_leave_places_for_others() {
    let world = World::embedded();
    let server = server(&world, &["--max-connections", "64"]);
    let other = client(&server, OTHER).await;
    let mut lines = Vec::new();
    for _ in 0..32 {
        // Not acceptable, but it is the token's.
        let (line, head) = connect(&server, GREEDY).await;
        assert!(head.starts_with("http/1.1 406"), "{head}");
        lines.push(line);
    }
    for _ in 0..20 {
        let (mut line, head) = connect(&server, GREEDY).await;
        assert!(head.starts_with("http/1.1 429"), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        rest(&mut line).await;
    }
    is_served(&other).await;
    is_served(&client(&server, OTHER).await).await;
    // Without a token, connections count by their address.
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(unread(&server, "GET /health HTTP/1.1\r\nHost: loc").await);
    }
    rest(&mut silent[0]).await;
    is_served(&client(&server, OTHER).await).await;
    let connections = &levels(&server).await["connections"];
    assert!(connections["now"].as_u64() <= Some(48), "{connections}");
    assert_eq!(connections["largest"], 32);
}

#[tokio::test]
async fn calls_in_flight_of_one_token_leave_room_for_others() {
    let world = World::emulated_with(&["--latency", "600000"]);
    let server = server(&world, &["--max-calls", "8"]);
    let other = client(&server, OTHER).await;
    let greedy = client(&server, GREEDY).await;
    let search = |id| {
        call(
            id,
            "search_memory",
            json!({"user_id": "ann", "query": "tea"}),
        )
    };
    let mut waiting = Vec::new();
    for id in 0..4 {
        // The response begins before the call is answered.
        let begun = greedy.post(&search(id)).await;
        assert_eq!(begun.status(), StatusCode::OK);
        waiting.push(begun);
    }
    for id in 10..20 {
        let refused_id = refused(greedy.post(&search(id)).await, "too_many_calls").await;
        assert_eq!(refused_id, id);
    }
    is_served(&other).await;
    assert_eq!(levels(&server).await["calls"]["largest"], 4);
    // What ends a call is let through.
    drop(waiting);
    for id in 0..4 {
        let cancel = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": id},
        });
        let accepted = greedy.post(&cancel).await;
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    }
    until(async || levels(&server).await["calls"]["now"] == 0).await;
    is_served(&greedy).await;
}

#[tokio::test]
async fn requests_of_one_token_in_a_minute_leave_some_for_others() {
    let world = World::embedded();
    let server = server(&world, &["--max-calls-per-minute", "60"]);
    let greedy = client(&server, GREEDY).await;
    let list = request(3, "tools/list", json!({}));
    let mut late = 0;
    // More than two shares, in case a minute ends meanwhile.
    for _ in 0..70 {
        let said = greedy.post(&list).await;
        if said.status() != StatusCode::OK {
            assert_eq!(refused(said, "too_many_calls_per_minute").await, 3);
            late += 1;
        }
    }
    assert!(late >= 10, "{late}");
    is_served(&client(&server, OTHER).await).await;
    let shares = levels(&server).await;
    assert_eq!(shares["calls_this_minute"]["share"], 30);
    assert!(shares["refused"].as_u64() >= Some(late));
}

#[tokio::test]
async fn only_an_operator_sees_how_much_is_taken() {
    let world = World::embedded();
    let server = server(&world, &[]);
    let ask = async |token: Option<&str>| -> Value {
        let mut asked = http().get(format!("{}/health?shares", server.url));
        if let Some(token) = token {
            asked = asked.bearer_auth(token);
        }
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    };
    let plain = json!({"status": "ok", "backend": "local"});
    for token in [None, Some(GREEDY), Some("tok_that_nobody_has")] {
        assert_eq!(ask(token).await, plain);
    }
    let shares = &ask(Some(OTHER)).await["shares"];
    for (bound, most) in [
        ("sessions", 2048),
        ("calls", 2048),
        ("unread_bytes", 256 << 20),
    ] {
        assert_eq!(shares[bound]["most"], most, "{bound}");
        assert_eq!(shares[bound]["share"], most / 2, "{bound}");
    }
    // One token needs to leave nothing to others.
    let alone = Server::start(&world);
    let asked = http().get(format!("{}/health?shares", alone.url));
    let answer = asked.send().await.unwrap().bytes().await.unwrap();
    let said: Value = serde_json::from_slice(&answer).unwrap();
    let shares = &said["shares"];
    assert_eq!(shares["sessions"]["share"], shares["sessions"]["most"]);
    assert_eq!(shares["calls_this_minute"], Value::Null);
}

#[tokio::test]
async fn an_address_with_a_slash_at_its_end_is_the_same() {
    let world = World::embedded();
    let server = Server::start(&world);
    let mut client = Mcp::new(&server.url, VERSION).at(&format!("{}/mcp/", server.url));
    client.initialize().await;
    is_served(&client).await;
    let opened = http().get(format!("{}/sse/", server.url)).send().await;
    let mut events = Events::of(opened.unwrap());
    let endpoint = events.next().await.unwrap().data;
    let slashed = endpoint.replace("/messages?", "/messages/?");
    for endpoint in [endpoint, slashed] {
        let posted = http()
            .post(format!("{}{endpoint}", server.url))
            .header("content-type", "application/json")
            .body(request(1, "initialize", crate::http::client::hello(VERSION)).to_string())
            .send();
        assert_eq!(posted.await.unwrap().status(), StatusCode::ACCEPTED);
    }
    drop(Sse::connect(&server.url, "2024-11-05").await);
}
