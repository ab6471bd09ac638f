//! While Zep is away.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Api;
use crate::common::program::World;
use crate::common::service::Service;
use crate::common::wait_until;

#[test]
fn what_is_said_while_zep_is_away_is_kept_shown_and_delivered() {
    let world = World::emulated();
    let service = Service::of(&world);
    let api = Api::run(super::command(&world, &[]).env("ZEP_MCP_WRITE_WAIT_MS", "200"));
    let user = api.user();
    let session = api.session(&user);
    api.say(&user, &session, "before");
    service.plan(&json!({"fail": [{"rate": 1.0, "status": 503}]}));
    let added = api.say(&user, &session, "during");
    assert_eq!(added["status"], "queued");
    let added = api.say(&user, &session, "and after that");
    assert_eq!(added["status"], "queued");
    let history = api.get(&format!("/api/v1/memory/{session}/history"));
    assert_eq!(history["stale"], true);
    let messages = history["messages"].as_array().unwrap();
    let last = messages.last().unwrap();
    assert_eq!(
        (&last["content"], &last["pending"]),
        (&json!("and after that"), &json!(true))
    );
    api.refused(
        "POST",
        "/api/v1/sessions",
        Some(&json!({"user_id": user})),
        503,
    );
    service.plan(&json!({}));
    wait_until("it is delivered", || {
        let history = api.get(&format!("/api/v1/memory/{session}/history"));
        history["stale"] == false
            && history["messages"]
                .as_array()
                .unwrap()
                .iter()
                .all(|it| it["pending"] == false)
    });
    assert_eq!(api.said(&session), ["before", "during", "and after that"]);
}

#[test]
fn a_message_does_not_wait_for_a_slow_zep() {
    let world = World::emulated();
    let service = Service::of(&world);
    let api = Api::run(super::command(&world, &[]).env("ZEP_MCP_WRITE_WAIT_MS", "100"));
    let user = api.user();
    service.plan(&json!({"latency_ms": 20_000}));
    let begun = Instant::now();
    // Whether the user is suspended and the session closed is not known in time: it is kept all the same.
    let added = api.say(&user, "talk", "kept");
    assert_eq!(added["status"], "queued");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    service.plan(&json!({}));
    wait_until("it is delivered", || {
        let (status, history) = api.call("GET", "/api/v1/memory/talk/history", None);
        status == 200 && history["messages"][0]["pending"] == false
    });
}

/// What Zep takes to tell of the session is not missing to ask whether the user is suspended.
#[test]
fn a_slow_zep_is_asked_for_the_user_and_the_session_at_once() {
    let world = World::emulated();
    let service = Service::of(&world);
    let user = {
        let api = Api::run(&mut super::command(&world, &[]));
        let user = api.user();
        api.say(&user, "talk", "before");
        let path = format!("/api/v1/users/{user}");
        api.must("PUT", &path, Some(&json!({"status": "suspended"})));
        user
    };
    // Another process, which knows of neither. One answer fits into its wait, and two do not.
    let api = Api::run(super::command(&world, &[]).env("ZEP_MCP_WRITE_WAIT_MS", "20000"));
    service.plan(&json!({"latency_ms": 12_000}));
    let said = json!({"user_id": user, "session_id": "talk", "content": "more", "role": "user"});
    api.refused("POST", "/api/memory/messages", Some(&said), 403);
}
