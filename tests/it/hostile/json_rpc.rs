//! What is no JSON-RPC, or not quite, is answered at once and in the same way at every door.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::common::program::{Client, World};
use crate::http::client::{Events, Mcp, Sse, hello, http, request};
use crate::http::server::Server;

/// A version without batches.
const VERSION: &str = "2025-06-18";
/// The version with batches.
const WITH_BATCHES: &str = "2025-03-26";

/// What is sent, and the code and the id of the answer as JSON texts; no code: a result.
const ANSWERED: &[(&[u8], Option<i64>, &str)] = &[
    // Broken JSON.
    (b"{", Some(-32700), "null"),
    (b"hello", Some(-32700), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"", Some(-32700), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}", Some(-32700), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", Some(-32700), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"a\":NaN}}", Some(-32700), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"add_memory\",\"arguments\":{\"text\":\"\\ud800\"}}}", Some(-32700), "null"),
    // JSON, but no message.
    (b"7", Some(-32600), "null"),
    (b"null", Some(-32600), "null"),
    (b"\"ping\"", Some(-32600), "null"),
    (b"{}", Some(-32600), "null"),
    (b"{\"jsonrpc\":\"2.0\"}", Some(-32600), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", Some(-32600), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":{\"a\":1},\"method\":\"ping\"}", Some(-32600), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", Some(-32600), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"ping\"}", Some(-32600), "null"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", Some(-32600), "null"),
    // A readable id is answered with it.
    (b"{\"jsonrpc\":\"2.0\",\"id\":2}", Some(-32600), "2"),
    (b"{\"jsonrpc\":\"1.0\",\"id\":3,\"method\":\"ping\"}", Some(-32600), "3"),
    (b"{\"jsonrpc\":2.0,\"id\":3,\"method\":\"ping\"}", Some(-32600), "3"),
    (b"{\"id\":4,\"method\":\"ping\"}", Some(-32600), "4"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":7}", Some(-32600), "5"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"ping\",\"result\":{}}", Some(-32600), "6"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"no/such\"}", Some(-32601), "7"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"ping\",\"params\":[1]}", Some(-32602), "8"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/list\",\"params\":\"all\"}", Some(-32602), "8"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\",\"params\":{\"_meta\":7}}", Some(-32602), "9"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/list\",\"params\":{\"_meta\":[]}}", Some(-32602), "9"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/list\",\"params\":{\"cursor\":7}}", Some(-32602), "9"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/call\"}", Some(-32602), "10"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/call\",\"params\":{\"arguments\":{}}}", Some(-32602), "10"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":\"tools/call\",\"params\":{\"name\":\"add_memory\",\"arguments\":[1]}}", Some(-32602), "11"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":\"tools/call\",\"params\":{\"name\":\"add_memory\",\"arguments\":\"a\"}}", Some(-32602), "11"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":12,\"method\":\"tools/call\",\"params\":{\"name\":\"forget\"}}", Some(-32602), "12"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":13,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{}}}", Some(-32602), "13"),
    // Ids that are no 64-bit integers.
    (b"{\"jsonrpc\":\"2.0\",\"id\":18446744073709551616,\"method\":\"ping\"}", None, "18446744073709551616"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":-1e400,\"method\":\"ping\"}", None, "-1e400"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1.50,\"method\":\"ping\"}", None, "1.50"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"method\":\"ping\",\"params\":[]}", Some(-32602), "99999999999999999999"),
    (b"{\"jsonrpc\":\"2.0\",\"id\":\"zep-mcp-server/id/0:7\",\"method\":\"ping\"}", None, "\"zep-mcp-server/id/0:7\""),
    // What is meant is clear.
    (b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":14,\"method\":\"ping\"}", None, "14"),
    (b"  {\"jsonrpc\":\"2.0\",\"id\":15,\"method\":\"ping\",\"params\":null}\r", None, "15"),
    // Batches, in a version that has none.
    (b"[]", Some(-32600), "null"),
    (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", Some(-32600), "null"),
];

/// Notifications and responses are never answered.
const SILENT: &[&[u8]] = &[
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/unknown\"}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":7}",
    b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":99999999999999999999}}",
    b"{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}",
    b"{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"result\":7}",
    b"{\"jsonrpc\":\"2.0\",\"id\":78,\"error\":7}",
];

fn check(answer: &str, (sent, code, id): (&[u8], Option<i64>, &str)) {
    let sent = String::from_utf8_lossy(sent);
    // As text, since a number of JSON can be larger than any in Rust.
    assert!(
        answer.contains(&format!("\"id\":{id},")),
        "{sent}: {answer}"
    );
    let code = code.map(|code| format!("\"code\":{code},"));
    match code {
        Some(code) => assert!(answer.contains(&code), "{sent}: {answer}"),
        None => assert!(answer.contains("\"result\":"), "{sent}: {answer}"),
    }
}

#[test]
fn every_broken_line_is_answered_at_once() {
    let world = World::embedded();
    let mut client = Client::connect(world.command().env("LOG_LEVEL", "warn"));
    for row in ANSWERED {
        client.write(&[row.0, b"\n"].concat());
        check(&client.receive_text(), *row);
    }
    for sent in SILENT.iter().chain(&[&b""[..], b" ", b"\r"]) {
        client.write(&[*sent, b"\n"].concat());
        // The next answer is the next request's.
        let next = client.ask("ping", json!({}));
        assert_eq!(client.receive()["id"], next);
    }
    let long = vec![b' '; 17 << 20];
    client.write(&[b"{\"jsonrpc\":\"2.0\",\"id\":\"long\",", &long[..], b"\n"].concat());
    check(&client.receive_text(), (b"long", Some(-32600), "\"long\""));
    client.call("add_memory", json!({"text": "Still here"}));
    // A last line without an end is a line.
    client.write(b"{");
    let ended = client.close();
    assert_eq!(ended.unread.len(), 1, "{:?}", ended.unread);
    let lines = ended.stderr.lines().filter(|line| line.contains("refused"));
    assert!((10..25).contains(&lines.count()), "{}", ended.stderr);
}

#[test]
fn a_call_before_the_handshake_is_an_error_that_says_so() {
    let world = World::embedded();
    let mut client = Client::spawn(&mut world.command());
    for _ in 0..2 {
        let early = client.request("tools/list", json!({}));
        assert_eq!(early["error"]["code"], -32600, "{early}");
        let why = early["error"]["message"].as_str().unwrap();
        assert!(why.contains("initialize"), "{why}");
    }
    for (change, named) in [
        (json!({"clientInfo": null}), "clientInfo"),
        (json!({"capabilities": null}), "capabilities"),
        (json!({"protocolVersion": 7}), "protocolVersion"),
    ] {
        let mut params = Client::hello();
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let refused = client.request("initialize", params);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let why = refused["error"]["message"].as_str().unwrap();
        assert!(why.contains(named), "{why}");
    }
    client.notify("notifications/initialized");
    client.initialize();
    let unknown = client.request("tools/call", json!({"name": "forget_everything"}));
    assert_eq!(unknown["error"]["code"], -32602);
    let why = unknown["error"]["message"].as_str().unwrap();
    assert!(why.contains("forget_everything"), "{why}");
}

#[test]
fn two_calls_with_one_id_and_the_members_of_a_batch_are_all_answered() {
    let world = World::embedded();
    let mut client = Client::spawn(&mut world.command());
    let mut params = Client::hello();
    params["protocolVersion"] = WITH_BATCHES.into();
    client.request("initialize", params);
    client.notify("notifications/initialized");
    let list = request(7, "tools/list", json!({}));
    client.write(format!("{list}\n{list}\n{list}\n").as_bytes());
    for _ in 0..3 {
        let answer = client.receive();
        assert_eq!(answer["id"], 7);
        assert!(answer["result"]["tools"].is_array(), "{answer}");
    }
    let batch = json!([
        request(1, "ping", json!({})),
        {"jsonrpc": "2.0", "method": "notifications/unknown"},
        request(2, "no/such", json!({})),
        7,
    ]);
    client.send(&batch);
    let mut answers: Vec<Value> = (0..3).map(|_| client.receive()["id"].clone()).collect();
    answers.sort_by_key(Value::to_string);
    assert_eq!(answers, [json!(1), json!(2), json!(null)]);
}

/// The answer in the response to a POST, as a text; none if it was only accepted.
async fn answer_in(response: Response) -> Option<String> {
    if response.status() == StatusCode::ACCEPTED {
        return None;
    }
    let kind = response.headers()[CONTENT_TYPE].to_str().unwrap();
    if kind.starts_with("application/json") {
        return Some(response.text().await.unwrap());
    }
    Events::of(response).text().await
}

async fn post(client: &Mcp, body: &[u8]) -> Response {
    let posted = client.ask(Method::POST);
    let posted = posted.header(CONTENT_TYPE, "application/json");
    posted.body(body.to_vec()).send().await.unwrap()
}

#[tokio::test]
async fn every_broken_body_is_answered_as_a_line_is() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::connect(&server.url, VERSION).await;
    let mut sse = Sse::connect(&server.url, VERSION).await;
    for row in ANSWERED {
        let response = post(&client, row.0).await;
        let is_no_request = matches!(row.1, Some(-32700 | -32600));
        let status = response.status();
        assert_eq!(status == StatusCode::BAD_REQUEST, is_no_request, "{row:?}");
        check(&answer_in(response).await.unwrap(), *row);

        let response = sse.post_bytes(row.0.to_vec()).await;
        let answer = match response.status() {
            StatusCode::ACCEPTED => sse.events.text().await,
            StatusCode::BAD_REQUEST => answer_in(response).await,
            status => panic!("{status}"),
        };
        check(&answer.unwrap(), *row);
    }
    for sent in SILENT {
        assert_eq!(answer_in(post(&client, sent).await).await, None);
        let accepted = sse.post_bytes(sent.to_vec()).await;
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
        sse.request(3, "ping", json!({})).await;
    }
    client
        .tool("add_memory", json!({"text": "Still here"}))
        .await;
    let lines = server.log();
    let lines = lines.lines().filter(|line| line.contains("refused"));
    assert!((10..25).contains(&lines.count()), "{}", server.log());
}

#[tokio::test]
async fn over_http_a_call_without_a_session_says_what_is_missing_and_batches_are_answered() {
    let world = World::embedded();
    let server = Server::start(&world);
    let client = Mcp::new(&server.url, WITH_BATCHES);
    let early = client.post(&request(5, "tools/list", json!({}))).await;
    assert_eq!(early.status(), StatusCode::BAD_REQUEST);
    let early: Value = serde_json::from_str(&early.text().await.unwrap()).unwrap();
    assert_eq!(
        (&early["id"], &early["error"]["code"]),
        (&json!(5), &json!(-32600))
    );
    let why = early["error"]["message"].as_str().unwrap();
    assert!(why.contains("initialize"), "{why}");

    let client = Mcp::connect(&server.url, WITH_BATCHES).await;
    let batch = json!([
        request(1, "ping", json!({})),
        {"jsonrpc": "2.0", "method": "notifications/unknown"},
        request(2, "tools/call", json!({})),
        7,
    ]);
    let mut events = Events::of(client.post(&batch).await);
    for (id, code) in [
        (json!(1), json!(null)),
        (json!(2), json!(-32602)),
        (json!(null), json!(-32600)),
    ] {
        let answer = events.message().await.unwrap();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&id, &code),
            "{answer}"
        );
    }
    // Calls with one id at the same time each get their own answer.
    let add = |n| {
        let text = format!("Note {n}");
        crate::http::client::call(9, "add_memory", json!({"text": text}))
    };
    let (one, two, three) = (add(1), add(2), add(3));
    let (one, two, three) = tokio::join!(client.post(&one), client.post(&two), client.post(&three));
    for response in [one, two, three] {
        let answer = Events::of(response).answer(9).await;
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
    let opened = http().post(format!("{}/mcp", server.url));
    let opened = opened.header("accept", "application/json, text/event-stream");
    let mut params = hello(WITH_BATCHES);
    params["capabilities"] = json!(null);
    let opened = opened.header(CONTENT_TYPE, "application/json");
    let opened = opened.body(request(1, "initialize", params).to_string());
    let refused = opened.send().await.unwrap().text().await.unwrap();
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

/// Any line, made from pieces of messages.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"{\"jsonrpc\":\"2.0\","[..]),
        Just(&b"\"id\":5,"[..]),
        Just(&b"\"id\":1.5e300,"[..]),
        Just(&b"\"method\":\"ping\""[..]),
        Just(&b"\"method\":\"tools/call\","[..]),
        Just(&b"\"params\":{\"name\":\"list_sessions\",\"arguments\":{}}"[..]),
        Just(&b"\"params\":[]"[..]),
        Just(&b"}"[..]),
        Just(&b"["[..]),
        Just(&b"]"[..]),
        Just(&b","[..]),
        Just(&b"\"result\":{}"[..]),
        Just(&b"\xff\\ud800\""[..]),
    ];
    let known = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    let any = prop::collection::vec(any::<u8>().prop_filter("one line", |b| *b != b'\n'), 0..40);
    prop_oneof![3 => known, 1 => any]
}

#[test]
fn no_line_ends_the_server_or_the_next_call() {
    let world = World::embedded();
    let client = RefCell::new(world.connect());
    let config = Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&lines(), |line| {
            let mut client = client.borrow_mut();
            client.write(&[&line[..], b"\n"].concat());
            client.request("ping", json!({}));
            Ok(())
        })
        .unwrap();
    client
        .borrow_mut()
        .call("add_memory", json!({"text": "Still here"}));
}
