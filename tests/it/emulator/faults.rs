//! Faults on demand: what is stored, what is answered, and which connections are closed.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use zep_mcp_server::emulator::{Options, Plan};

use super::world::{Answer, World, heard};
use crate::common::until;

const MESSAGES: &str = "/threads/s-1/messages";

fn saying(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": text}]})
}

/// An order for the next call that adds messages.
fn for_messages(fault: Value) -> Value {
    json!({"method": "POST", "path": "/api/v2/threads/s-1/messages", "fault": fault})
}

async fn say(world: &World, text: &str) -> Answer {
    world.call(Method::POST, MESSAGES, Some(saying(text))).await
}

/// An emulator with this fault ordered for the next messages.
async fn with_next(fault: Value) -> World {
    let world = World::with_data().await;
    world.order(for_messages(fault)).await;
    world
}

#[tokio::test]
async fn a_dropped_request_is_closed_without_an_answer_and_never_written() {
    let world = with_next(json!({"kind": "drop_request"})).await;
    assert_eq!(world.until_closed("POST", MESSAGES, saying("a")).await, "");
    assert_eq!(say(&world, "b").await.status, 200);
    assert_eq!(world.said("s-1").await, ["b"]);
    assert_eq!(world.count("/faults/drop_request").await, 1);
}

#[tokio::test]
async fn a_dropped_answer_is_closed_without_a_byte_and_the_write_is_stored() {
    let world = with_next(json!({"kind": "drop_answer"})).await;
    assert_eq!(world.until_closed("POST", MESSAGES, saying("a")).await, "");
    assert_eq!(world.said("s-1").await, ["a"]);
}

#[tokio::test]
async fn a_late_write_closes_first_and_lands_once_though_the_client_is_gone() {
    let world = with_next(json!({"kind": "late_write", "ms": 8_000})).await;
    let start = Instant::now();
    assert_eq!(world.until_closed("POST", MESSAGES, saying("a")).await, "");
    assert!(
        start.elapsed() < Duration::from_millis(8_000),
        "closed late"
    );
    assert_eq!(world.count("/late_writes_waiting").await, 1);
    until(async || world.count("/late_writes_waiting").await == 0).await;
    assert!(
        start.elapsed() >= Duration::from_millis(8_000),
        "landed early"
    );
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.said("s-1").await, ["a"]);
}

#[tokio::test]
async fn late_writes_stand_in_the_order_in_which_they_landed() {
    let world = World::with_data().await;
    for (ms, text) in [(16_000, "slow"), (8_000, "1"), (8_000, "2"), (8_000, "3")] {
        world
            .order(for_messages(json!({"kind": "late_write", "ms": ms})))
            .await;
        world.until_closed("POST", MESSAGES, saying(text)).await;
    }
    assert_eq!(say(&world, "at once").await.status, 200);
    until(async || world.count("/late_writes_waiting").await == 0).await;
    assert_eq!(world.said("s-1").await, ["at once", "1", "2", "3", "slow"]);
}

#[tokio::test]
async fn late_writes_are_stored_before_the_emulator_ends() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options {
        data: Some(directory.path().join("zep.db")),
        ..Options::default()
    };
    let world = World::with_data_and(options()).await;
    for text in ["a", "b"] {
        world
            .order(for_messages(json!({"kind": "late_write", "ms": 60_000})))
            .await;
        world.until_closed("POST", MESSAGES, saying(text)).await;
    }
    world.stop().await;
    let world = World::with(options()).await;
    assert_eq!(world.said("s-1").await, ["a", "b"]);
}

#[tokio::test]
async fn late_writes_by_rate_spare_reads() {
    let world = World::with_data().await;
    world
        .plan(json!({"late_writes": {"rate": 1, "ms": 0}}))
        .await;
    assert_eq!(world.get(MESSAGES).await.status, 200);
    let search = json!({"user_id": "u-1", "query": "tea"});
    let answer = world
        .call(Method::POST, "/graph/search", Some(search))
        .await;
    assert_eq!(answer.status, 200);
    let list = Some(json!({}));
    let answer = world.call(Method::POST, "/graph/edge/user/u-1", list).await;
    assert_eq!(answer.status, 200);
    assert_eq!(world.until_closed("POST", MESSAGES, saying("a")).await, "");
}

#[tokio::test]
async fn half_an_answer_has_its_headers_and_half_of_its_body_and_the_write_is_stored() {
    let world = with_next(json!({"kind": "half_answer"})).await;
    let answer = world.until_closed("POST", MESSAGES, saying("a")).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length");
    assert_eq!(body.len(), length.parse::<usize>().unwrap() / 2);
    assert!(!body.is_empty());
    assert_eq!(world.said("s-1").await, ["a"]);
    // A client does not accept it as an answer.
    world
        .order(for_messages(json!({"kind": "half_answer"})))
        .await;
    let request = world
        .request(Method::POST, &format!("/api/v2{MESSAGES}"))
        .header("authorization", "Api-Key z_any")
        .body(saying("b").to_string());
    let response = request.send().await.expect("a head");
    response.text().await.unwrap_err();
}

#[tokio::test]
async fn garbage_has_status_200_and_the_write_is_stored() {
    let world = World::with_data().await;
    world.plan(json!({"garbage_answers": 1, "seed": 1})).await;
    for _ in 0..20 {
        let request = world
            .request(Method::POST, &format!("/api/v2{MESSAGES}"))
            .header("authorization", "Api-Key z_any")
            .body(saying("a").to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let documented = serde_json::from_str::<Value>(&text)
            .is_ok_and(|answer| answer.get("message_uuids").is_some());
        assert!(!documented, "{text}");
    }
    world.plan(json!({"garbage_answers": 0})).await;
    assert_eq!(world.said("s-1").await.len(), 20);
    // A test may choose the body.
    world
        .order(for_messages(
            json!({"kind": "garbage_answer", "body": "[]"}),
        ))
        .await;
    assert_eq!(say(&world, "b").await.body, json!([]));
}

#[tokio::test]
async fn a_slow_body_comes_whole_and_late() {
    let world = with_next(json!({"kind": "slow_body", "ms": 300})).await;
    let start = Instant::now();
    let answer = say(&world, "a").await;
    assert!(start.elapsed() >= Duration::from_millis(280));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["message_uuids"].as_array().unwrap().len(), 1);
    assert_eq!(world.said("s-1").await, ["a"]);
}

#[tokio::test]
async fn failures_come_before_the_write_or_after_it_in_zeps_form() {
    let world = World::with_data().await;
    world
        .order(json!([
            for_messages(json!({"kind": "fail", "status": 503})),
            for_messages(json!({"kind": "fail_after", "status": 502})),
            for_messages(json!({"kind": "rate_limit", "retry_after_secs": 7})),
        ]))
        .await;
    let failed = say(&world, "a").await;
    assert_eq!(
        (failed.status.as_u16(), failed.message()),
        (503, "service unavailable")
    );
    assert_eq!(world.said("s-1").await, [""; 0]);
    let failed = say(&world, "b").await;
    assert_eq!(
        (failed.status.as_u16(), failed.message()),
        (502, "bad gateway")
    );
    assert_eq!(world.said("s-1").await, ["b"]);
    let limited = say(&world, "c").await;
    assert_eq!(limited.status, 429);
    assert_eq!(limited.header("retry-after"), Some("7"));
    assert_eq!(world.said("s-1").await, ["b"]);
}

#[tokio::test]
async fn with_latency_a_call_is_carried_out_though_the_client_has_hung_up() {
    let world = World::with_data().await;
    world.plan(json!({"latency_ms": 3_000})).await;
    let start = Instant::now();
    assert_eq!(world.get("/users/u-1").await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(3_000));
    let stream = world.dial("POST", MESSAGES, saying("a")).await;
    // The whole call arrives before the client disconnects.
    let route = "/requests/POST ~1api~1v2~1threads~1{thread_id}~1messages";
    until(async || world.count(route).await == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(stream);
    world.plan(json!({"latency_ms": null})).await;
    until(async || world.said("s-1").await == ["a"]).await;
}

/// The outcomes of forty calls in sequence.
async fn outcomes(world: &World) -> Vec<String> {
    let mut outcomes = Vec::new();
    for _ in 0..40 {
        let request = world
            .request(Method::GET, "/api/v2/users/u-1")
            .header("authorization", "Api-Key z_any");
        outcomes.push(match request.send().await {
            Err(_) => "closed".to_owned(),
            Ok(response) => {
                let status = response.status();
                let body = response.text().await;
                format!("{status} {}", body.as_deref().unwrap_or("cut"))
            }
        });
    }
    outcomes
}

#[tokio::test]
async fn the_same_seed_repeats_the_same_faults() {
    let plan = |seed| {
        json!({
            "seed": seed, "fail": [{"rate": 0.2, "status": 500}], "drop_answers": 0.2,
            "half_answers": 0.2, "garbage_answers": 0.2
        })
    };
    let (one, two) = (World::new().await, World::new().await);
    one.plan(plan(11)).await;
    two.plan(plan(11)).await;
    let first = outcomes(&one).await;
    assert_eq!(first, outcomes(&two).await);
    // The draws continue until the seed is set again.
    two.plan(json!({"fail": []})).await;
    two.plan(plan(12)).await;
    assert_ne!(first, outcomes(&two).await);
    two.plan(plan(11)).await;
    assert_eq!(first, outcomes(&two).await);
    assert!(first.iter().any(|outcome| outcome == "closed"));
    assert!(first.iter().any(|outcome| outcome.starts_with("500")));
    assert!(first.iter().any(|outcome| outcome.ends_with("cut")));
}

#[tokio::test]
async fn the_rate_limit_drops_while_it_runs() {
    let world = World::with(Options {
        faults: Plan {
            rate_limit: 1_000,
            rate_limit_drop: Some("3:2".parse().unwrap()),
            // Longer than this test.
            rate_window_secs: 1_000_000_000.try_into().unwrap(),
            ..Plan::default()
        },
        ..Options::default()
    })
    .await;
    for _ in 0..3 {
        let answer = world.get("/projects/info").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("1000"));
    }
    let refused = world.get("/projects/info").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert!(refused.header("retry-after").is_some());
    world
        .plan(json!({"rate_limit": 5, "rate_limit_drop": null}))
        .await;
    assert_eq!(world.get("/projects/info").await.status, 200);
    assert_eq!(world.get("/projects/info").await.status, 200);
    assert_eq!(world.get("/projects/info").await.status, 429);
    assert_eq!(world.count("/faults/rate_limit").await, 2);
}

#[tokio::test]
async fn a_short_window_ends_soon() {
    let world = World::new().await;
    world
        .plan(json!({"rate_limit": 1, "rate_window_secs": 1}))
        .await;
    let mut refused = None;
    until(async || {
        let answer = world.get("/projects/info").await;
        let over = answer.status == 429;
        refused = over.then_some(answer);
        over
    })
    .await;
    assert_eq!(refused.unwrap().header("retry-after"), Some("1"));
    until(async || world.get("/projects/info").await.status == 200).await;
}

#[tokio::test]
async fn a_restart_closes_every_connection_refuses_new_ones_and_keeps_the_data() {
    let world = World::with_data().await;
    world.say("s-1", &["before"]).await;
    world.plan(json!({"latency_ms": 60_000})).await;
    let idle = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let waiting = world.dial("GET", MESSAGES, json!({})).await;
    // The emulator has accepted both before the restart.
    until(async || {
        world
            .count("/requests/GET ~1api~1v2~1threads~1{thread_id}~1messages")
            .await
            == 1
    })
    .await;
    let start = Instant::now();
    let answer = world
        .control(Method::POST, "/restart", json!({"down_ms": 8_000}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(heard(idle).await, "");
    assert_eq!(heard(waiting).await, "");
    let refused = tokio::net::TcpStream::connect(world.address).await;
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    until(async || tokio::net::TcpStream::connect(world.address).await.is_ok()).await;
    assert!(start.elapsed() >= Duration::from_millis(8_000));
    world.plan(json!({"latency_ms": 0})).await;
    assert_eq!(world.said("s-1").await, ["before"]);
    assert_eq!(world.count("/faults/restart").await, 1);
}

#[tokio::test]
async fn restarts_repeat_as_planned_until_the_plan_changes() {
    let world = World::new().await;
    world
        .plan(json!({"restarts": {"every_ms": 100, "down_ms": 1}}))
        .await;
    for _ in 0..2 {
        let stream = tokio::net::TcpStream::connect(world.address).await;
        if let Ok(stream) = stream {
            heard(stream).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until(async || {
        let off = world.request(Method::PATCH, "/_emulator/faults");
        let sent = off.body(r#"{"restarts": null}"#).send().await;
        sent.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let restarts = world.count("/faults/restart").await;
    assert!(restarts >= 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.count("/faults/restart").await, restarts);
}

#[tokio::test]
async fn it_stops_during_a_restart_and_while_answers_are_delayed() {
    let world = World::new().await;
    world.plan(json!({"latency_ms": 600_000})).await;
    let _waiting = world.dial("GET", "/projects/info", json!({})).await;
    world
        .control(Method::POST, "/restart", json!({"down_ms": 600_000}))
        .await;
    world.stop().await;
}
