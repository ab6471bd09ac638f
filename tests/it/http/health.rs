//! What balancers and people ask to know whether all is well.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::http;
use super::server::{Server, command};
use crate::common::program::World;

async fn ask(server: &Server, path: &str) -> (StatusCode, Value) {
    let answer = http()
        .get(format!("{}{path}", server.url))
        .send()
        .await
        .unwrap();
    let status = answer.status();
    (
        status,
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn a_server_whose_backend_answers_is_alive_and_ready() {
    for world in [World::embedded(), World::emulated()] {
        let server = Server::start(&world);
        let backend = world.backend();
        let alive = ask(&server, "/health").await;
        assert_eq!(
            alive,
            (StatusCode::OK, json!({"status": "ok", "backend": backend}))
        );
        let ready = ask(&server, "/ready").await;
        assert_eq!(
            ready,
            (
                StatusCode::OK,
                json!({"status": "ready", "backend": backend})
            )
        );
    }
}

#[tokio::test]
async fn a_server_whose_backend_does_not_answer_is_alive_and_says_why_it_is_not_ready() {
    let slow = World::emulated_with(&["--latency", "20000"]);
    let server = Server::start(&slow);
    let begun = Instant::now();
    let (status, said) = ask(&server, "/ready").await;
    assert_eq!(
        (status, &said["reason"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("no_answer"))
    );
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    // It is not asked each time, which would take a minute.
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(
            ask(&server, "/ready").await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ask(&server, "/health").await.0, StatusCode::OK);

    let guarded = World::emulated_with(&["--api-key", "z_another-key"]);
    let mut wrong_key = command(&guarded, &["--port", "0"]);
    let server = Server::run(&mut wrong_key);
    let (status, said) = ask(&server, "/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        said,
        json!({"status": "unavailable", "backend": "zep", "reason": "unauthorized"})
    );

    // Nobody listens there; it is tried for as long as whoever asks can be kept waiting.
    let gone = World::embedded();
    let mut nobody = command(&gone, &["--port", "0"]);
    nobody
        .env("ZEP_API_URL", "http://127.0.0.1:1")
        .env("ZEP_API_KEY", "z_k");
    let server = Server::run(&mut nobody);
    let (status, said) = ask(&server, "/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let reason = said["reason"].as_str().unwrap();
    assert!(["connect_failed", "no_answer"].contains(&reason), "{said}");
}
