//! Clients that call for large answers and do not read them.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::attack::{GREEDY, OTHER, client, levels, server, unread};
use super::memory::peak_mb;
use crate::common::PATIENCE;
use crate::common::program::World;
use crate::http::client::{Mcp, call, hello, http, request};
use crate::http::server::Server;

/// The length of the long memory. Its answer has it twice.
const LONG: usize = 400_000;
/// How much memory the attacks may take, in MB. Without bounds both took several times as much.
const MOST_MB: u64 = 120;

/// Stores a long turn of `ann`, and a short one.
async fn fill(other: &Mcp) {
    let words = "a walk by the sea in the rain ";
    for (session, content) in [
        ("long", words.repeat(LONG / words.len())),
        ("short", words.to_owned()),
    ] {
        let turn = json!([{"role": "user", "content": content}]);
        other
            .tool(
                "add_memory",
                json!({"user_id": "ann", "session_id": session, "messages": turn}),
            )
            .await;
    }
}

fn read(session: &str) -> Value {
    json!({"user_id": "ann", "session_id": session})
}

/// Waits until clients were cut, while the other token is served all the time.
async fn the_slow_are_cut_and_nobody_else_notices(server: &Server, other: &Mcp, before: u64) {
    let begun = std::time::Instant::now();
    loop {
        let answer = other.tool("get_session", read("short")).await;
        assert_eq!(answer["messages"].as_array().unwrap().len(), 1);
        let shares = levels(server).await;
        if shares["cut"].as_u64().unwrap() >= 5 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody is cut: {shares}");
    }
    let took = peak_mb(server.pid()) - before;
    assert!(took < MOST_MB, "it took {took} MB");
}

#[tokio::test]
async fn unread_answers_at_mcp_are_bounded_in_bytes() {
    let world = World::embedded();
    let server = server(&world, &["--max-unread-mb", "32"]);
    let other = client(&server, OTHER).await;
    fill(&other).await;
    let greedy = client(&server, GREEDY).await;
    let before = peak_mb(server.pid());
    let mut lines = Vec::new();
    for id in 0..120 {
        let body = call(id, "get_session", read("long")).to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {GREEDY}\r\n\
             Mcp-Session-Id: {}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            greedy.session.as_ref().unwrap(),
            body.len(),
        );
        lines.push(unread(&server, &head).await);
    }
    the_slow_are_cut_and_nobody_else_notices(&server, &other, before).await;
    drop(lines);
    // One that reads gets the answer whole.
    let answer = greedy.tool("get_session", read("long")).await;
    let content = answer["messages"][0]["content"].as_str().unwrap();
    assert!(content.len() > LONG - 100);
}

/// A stream at `/sse` of the greedy token that is not read, and where to post to it.
async fn stream(server: &Server) -> (TcpStream, String) {
    let head =
        format!("GET /sse HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {GREEDY}\r\n\r\n");
    let mut line = unread(server, &head).await;
    let mut said = String::new();
    let path = loop {
        let mut part = [0; 512];
        let read = timeout(PATIENCE, line.read(&mut part)).await;
        said.push_str(str::from_utf8(&part[..read.unwrap().unwrap()]).unwrap());
        if let Some((_, data)) = said.split_once("data: ")
            && let Some((path, _)) = data.split_once('\n')
        {
            break path.to_owned();
        }
    };
    (line, format!("{}{path}", server.url))
}

#[tokio::test]
async fn unread_answers_at_sse_are_bounded_in_bytes() {
    let world = World::embedded();
    let server = server(&world, &["--max-unread-mb", "32"]);
    let other = client(&server, OTHER).await;
    fill(&other).await;
    let before = peak_mb(server.pid());
    let mut lines = Vec::new();
    let http = http();
    for _ in 0..40 {
        let (line, endpoint) = stream(&server).await;
        let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let mut messages = vec![request(1, "initialize", hello("2024-11-05")), done];
        messages.extend((2..7).map(|id| call(id, "get_session", read("long"))));
        for message in messages {
            let posted = http
                .post(&endpoint)
                .bearer_auth(GREEDY)
                .header("content-type", "application/json")
                .body(message.to_string())
                .send();
            timeout(PATIENCE, posted).await.expect("an answer").unwrap();
        }
        lines.push(line);
    }
    the_slow_are_cut_and_nobody_else_notices(&server, &other, before).await;
}
