//! Health checks.

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
    let slow = World::emulated_with(&["--latency", "600000"]);
    let server = Server::start(&slow);
    let (status, said) = ask(&server, "/ready").await;
    assert_eq!(
        (status, &said["reason"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("no_answer"))
    );
    // Zep is not asked each time.
    for _ in 0..20 {
        assert_eq!(
            ask(&server, "/ready").await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    let asked: u64 = slow.requests().values().sum();
    assert!(asked < 10, "{asked}");
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

    // Nothing listens there; the check tries it until its time limit.
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
