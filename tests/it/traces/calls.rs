//! The spans of calls, over each door, and whose trace they continue.

use serde_json::{Value, json};

use super::collector::Collector;
use super::protobuf::Span;
use super::{PARENT, TRACE, traceparent};
use crate::common::mem0_stand_in::{KEY, StandIn};
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::http::client::{Events, Mcp, STATELESS, Sse, call, http};
use crate::http::server::{self, Server};

const ADD: &str = "tools/call add_memory";

fn addition() -> Value {
    json!({"user_id": "zoe-7", "session_id": "monday-9", "messages": [
        {"role": "user", "content": "likes turquoise"},
    ]})
}

fn serve(world: &World, collector: &Collector) -> Server {
    let mut command = server::command(world, &["--port", "0"]);
    Server::run(collector.of(&mut command))
}

/// The spans of requests to Zep below a span, each checked.
fn asked(collector: &Collector, span: &Span) -> Vec<Span> {
    let below = collector.below(span);
    for sent in &below {
        assert_eq!(sent.kind, "client", "{sent:?}");
        assert_eq!(sent.trace, span.trace, "{sent:?}");
        assert_eq!(sent.attribute("server.address"), "127.0.0.1", "{sent:?}");
        assert!(sent.attributes.contains_key("server.port"), "{sent:?}");
        assert!(sent.begun >= span.begun && sent.begun <= sent.ended);
        let template = sent.attribute("url.template");
        let method = sent.attribute("http.request.method");
        assert_eq!(sent.name, format!("{method} {template}"), "{sent:?}");
    }
    below
}

/// The spans of one `add_memory`, from the one of its tool to those of Zep.
fn check_addition(collector: &Collector, tool: &Span, transport: &str) {
    assert_eq!(tool.kind, "server");
    assert!(!tool.failed, "{tool:?}");
    let expected = [
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.name", "add_memory"),
        ("mcp.method.name", "tools/call"),
        ("network.transport", transport),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(tool.attributes, expected.into());
    let sent = asked(collector, tool);
    let stored = "POST /api/v2/threads/{id}/messages";
    let stored: Vec<_> = sent.iter().filter(|span| span.name == stored).collect();
    assert_eq!(stored.len(), 1, "{sent:?}");
    assert_eq!(stored[0].attribute("http.response.status_code"), "200");
    assert!(!stored[0].failed);
}

#[tokio::test]
async fn a_call_over_http_is_a_request_a_tool_and_what_zep_was_asked() {
    let (world, collector) = (World::emulated(), Collector::start());
    let server = serve(&world, &collector);
    let with_session = Mcp::connect(&server.url, "2025-06-18").await;
    let stateless = Mcp::new(&server.url, STATELESS);
    for (number, client) in [&with_session, &stateless].into_iter().enumerate() {
        let posting = client.posting(&call(7, "add_memory", addition()));
        let posting = posting
            .header("traceparent", traceparent())
            .header("tracestate", "vendor=1");
        let answer = Events::of(posting.send().await.unwrap()).answer(7).await;
        outcome(&answer).unwrap();
        let tool = collector.wait_for_all(ADD, number + 1).remove(number);
        check_addition(&collector, &tool, "tcp");
        assert_eq!(
            (tool.trace.as_str(), tool.state.as_str()),
            (TRACE, "vendor=1")
        );
        let request = collector.wait_for_one(|span| span.id == tool.parent);
        assert_eq!(request.name, "POST /mcp");
        assert_eq!(
            (request.trace.as_str(), request.parent.as_str()),
            (TRACE, PARENT)
        );
        assert_eq!(request.kind, "server");
        let expected = [
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("http.route", "/mcp"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(request.attributes, expected.into());
        assert_eq!(request.resource["service.name"], "zep-mcp-server");
        assert_eq!(
            request.resource["service.version"],
            env!("CARGO_PKG_VERSION")
        );
    }
    // It is told while the stream is open.
    let _stream = with_session.listen().await;
    collector.wait_for("GET /mcp");
    server.kill();
}

#[tokio::test]
async fn a_call_over_sse_is_below_the_request_that_brought_it() {
    let (world, collector) = (World::emulated(), Collector::start());
    let server = serve(&world, &collector);
    let mut client = Sse::connect(&server.url, "2024-11-05").await;
    let params = json!({"name": "add_memory", "arguments": addition()});
    outcome(&client.request(7, "tools/call", params).await).unwrap();
    let tool = collector.wait_for(ADD);
    check_addition(&collector, &tool, "tcp");
    let requests = collector.wait_for_all("POST /messages", 3);
    assert!(
        requests.iter().any(|span| span.id == tool.parent),
        "{requests:?}"
    );
    server.kill();
}

#[test]
fn a_call_over_stdio_continues_the_trace_that_it_names() {
    let (world, collector) = (World::emulated(), Collector::start());
    let mut command = world.command();
    // What is left at the end is sent then.
    collector
        .of(&mut command)
        .env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut client = Client::connect(&mut command);
    let id = client.ask(
        "tools/call",
        json!({"name": "add_memory", "arguments": addition(), "_meta": {
            "traceparent": traceparent(), "tracestate": "vendor=1",
        }}),
    );
    outcome(&client.answer_to(id)).unwrap();
    client.refused("search_memory", json!({"user_id": "zoe-7"}));
    let ended = client.close();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let tool = collector.wait_for(ADD);
    check_addition(&collector, &tool, "pipe");
    assert_eq!((tool.trace.as_str(), tool.parent.as_str()), (TRACE, PARENT));
    assert_eq!(tool.state, "vendor=1");
    let refused = collector.wait_for("tools/call search_memory");
    assert!(refused.failed && refused.parent.is_empty() && refused.trace != TRACE);
    assert_eq!(refused.attribute("error.type"), "invalid_argument");
}

#[tokio::test]
async fn what_a_call_names_comes_before_what_its_request_carries() {
    let (world, collector) = (World::embedded(), Collector::start());
    let server = serve(&world, &collector);
    let client = Mcp::new(&server.url, STATELESS);
    let mut message = call(7, "add_memory", addition());
    message["params"]["_meta"]["traceparent"] = traceparent().into();
    let other = TRACE.replace('0', "1");
    let posting = client.posting(&message);
    let posting = posting.header("traceparent", format!("00-{other}-{PARENT}-01"));
    Events::of(posting.send().await.unwrap()).answer(7).await;
    let tool = collector.wait_for(ADD);
    assert_eq!((tool.trace.as_str(), tool.parent.as_str()), (TRACE, PARENT));
    let request = collector.wait_for("POST /mcp");
    assert_eq!((request.trace, request.parent), (other, PARENT.to_owned()));
    assert_eq!(tool.links, [request.id]);
    server.kill();
}

#[tokio::test]
async fn what_is_malformed_or_huge_is_ignored() {
    let (world, collector) = (World::embedded(), Collector::start());
    let server = serve(&world, &collector);
    let client = Mcp::new(&server.url, STATELESS);
    let huge = "a".repeat(9_000);
    let bad = [
        json!("crimson"),
        json!(format!("ff-{TRACE}-{PARENT}-01")),
        json!(huge),
        json!({"traceparent": traceparent()}),
        json!(7),
    ];
    for (number, value) in bad.iter().enumerate() {
        let mut message = call(7, "add_memory", addition());
        message["params"]["_meta"]["traceparent"] = value.clone();
        let mut posting = client.posting(&message).header("tracestate", huge.as_str());
        if let Some(text) = value.as_str() {
            posting = posting.header("traceparent", text);
        }
        let answer = Events::of(posting.send().await.unwrap()).answer(7).await;
        outcome(&answer).unwrap();
        let tool = collector.wait_for_all(ADD, number + 1).remove(number);
        assert!(tool.trace != TRACE && tool.links.is_empty(), "{tool:?}");
    }
    // Two are none.
    let twice = http().get(format!("{}/health", server.url));
    let twice = twice
        .header("traceparent", traceparent())
        .header("traceparent", traceparent());
    twice.send().await.unwrap();
    assert!(collector.wait_for("GET /health").parent.is_empty());
    collector.holds_none_of(&["crimson", "aaaaaaaaaa"]);
    server.kill();
}

#[test]
fn a_request_to_the_memory_api_is_a_span_by_its_route() {
    let (world, collector) = (World::emulated(), Collector::start());
    let mut command = crate::api::command(&world, &[]);
    let api = crate::api::Api::run(collector.of(&mut command));
    let (status, text) = api.raw("GET", "/api/v1/users/zoe-7", None);
    assert_eq!(status, 404, "{text}");
    let (status, _) = api.raw("BREW", "/zoe-7?token=crimson", None);
    assert_eq!(status, 404);
    let unknown = collector.wait_for("HTTP");
    assert_eq!(unknown.attribute("http.request.method"), "_OTHER");
    assert_eq!(unknown.attribute("http.response.status_code"), "404");
    assert!(!unknown.failed && !unknown.attributes.contains_key("http.route"));
    let request = collector.wait_for("GET /api/v1/users/{user_id}");
    assert_eq!(request.attribute("http.route"), "/api/v1/users/{user_id}");
    let sent = asked(&collector, &request);
    let read = sent
        .iter()
        .find(|span| span.name == "GET /api/v2/users/{id}");
    let read = read.unwrap_or_else(|| panic!("{sent:?}"));
    assert_eq!(read.attribute("error.type"), "not_found");
    collector.holds_none_of(&["zoe-7", "crimson", "BREW"]);
    api.stop();
}

#[test]
fn each_retry_is_a_span() {
    let (world, collector) = (World::emulated(), Collector::start());
    let service = Service::of(&world);
    let mut client = Client::connect(collector.of(&mut world.command()));
    client.call("add_memory", addition());
    service.next(&json!({
        "method": "POST", "path": "/api/v2/graph/search", "times": 1,
        "fault": {"kind": "fail", "status": 503},
    }));
    client.call(
        "search_memory",
        json!({"user_id": "zoe-7", "query": "turquoise"}),
    );
    let tool = collector.wait_for("tools/call search_memory");
    let sent = asked(&collector, &tool).into_iter();
    let mut tries: Vec<_> = sent
        .filter(|span| span.name == "POST /api/v2/graph/search")
        .collect();
    tries.sort_by_key(|span| span.begun);
    let failed = &tries[0];
    assert!(failed.failed && failed.attribute("http.request.resend_count").is_empty());
    assert_eq!(failed.attribute("http.response.status_code"), "503");
    assert_eq!(failed.attribute("error.type"), "zep_failed");
    let again = |span: &&Span| span.attribute("http.request.resend_count") == "1";
    let again = tries.iter().find(again).unwrap();
    assert!(!again.failed && again.begun >= failed.ended, "{tries:?}");
}

#[test]
fn a_later_delivery_is_a_trace_of_its_own() {
    let (world, collector) = (World::emulated(), Collector::start());
    let service = Service::of(&world);
    let mut command = world.command();
    command
        .env("ZEP_MCP_WRITE_WAIT_MS", "150")
        .env("ZEP_TIMEOUT_SECS", "3");
    let mut client = Client::connect(collector.of(&mut command));
    service.plan(&json!({"fail": [{"rate": 1.0, "status": 503}]}));
    let answer = client.call("add_memory", addition());
    assert_eq!(answer["status"], "QUEUED", "{answer}");
    let failed = collector.wait_for("deliver write");
    assert!(failed.parent.is_empty());
    service.plan(&json!({}));
    let stored = collector
        .wait_for_one(|span| span.name == "POST /api/v2/threads/{id}/messages" && !span.failed);
    let delivery = collector.wait_for_one(|span| span.id == stored.parent);
    assert_eq!(delivery.name, "deliver write");
    assert_eq!((delivery.kind, delivery.parent.as_str()), ("consumer", ""));
    assert!(
        delivery
            .attribute("zep_mcp.attempt")
            .parse::<u32>()
            .unwrap()
            > 1
    );
    let tool = collector.wait_for(ADD);
    assert_ne!(tool.trace, delivery.trace);
    collector.holds_none_of(&["zoe-7", "monday-9", "turquoise"]);
}

#[test]
fn what_mem0_is_asked_is_a_span() {
    let (world, collector) = (World::embedded(), Collector::start());
    let mem0 = StandIn::start();
    let mut command = world.command();
    command
        .env("MEMORY_BACKEND", "mem0")
        .env("MEM0_API_KEY", KEY)
        .env("MEM0_BASE_URL", &mem0.url);
    let mut client = Client::connect(collector.of(&mut command));
    client.call("add_memory", addition());
    let tool = collector.wait_for(ADD);
    let sent = asked(&collector, &tool);
    assert!(
        sent.iter()
            .any(|span| span.name.starts_with("POST /v") && !span.failed),
        "{sent:?}"
    );
    collector.holds_none_of(&["zoe-7", "monday-9", "turquoise", KEY]);
}
